"""The bytes of a message that came through a relay, read for the post that sends them on."""

from __future__ import annotations

import asyncio
import tempfile
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO, Final

from heliograph.errors import Unrenderable
from heliograph.store.relays import MessageId, Relays
from heliograph.wire.relayed.came import PART, Came

_HELD: Final = 2**20
"""Bytes up to which a message is held in memory."""


class Verbatim:
    """Reads messages; those that are not small lie in files without a name, and are mapped."""

    def __init__(self, relays: Relays, folder: Path) -> None:
        self._relays = relays
        self._folder = folder

    async def of(self, account_id: str, came: Came) -> bytes | memoryview:
        """The bytes of a message.

        Raises:
            Unrenderable: they are not there.
            StorageUnavailable, StorageBroken: they cannot be read now.
        """
        message = MessageId(account_id, came.message_id)
        if came.size <= _HELD:
            return await self._part(message, 0) if came.size else b""
        with tempfile.TemporaryFile(dir=self._folder) as file:
            for number in range((came.size + PART - 1) // PART):
                await asyncio.to_thread(_append, file, await self._part(message, number))
            # The map has the file for as long as somebody has the map.
            return memoryview(mmap(file.fileno(), came.size, access=ACCESS_READ))

    async def _part(self, message: MessageId, number: int) -> bytes:
        part = await self._relays.part(message, number)
        if part is None:
            raise Unrenderable("the bytes that came through the relay are no longer kept")
        return part


def _append(file: BinaryIO, part: bytes) -> None:
    file.write(part)
    file.flush()
