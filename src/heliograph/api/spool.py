"""The body of a post as it comes: signed over on the way, and on disk where it is not small."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import mmap
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final

from heliograph.errors import Unavailable
from heliograph.model.accounts import Secret

SMALL: Final = 128 * 1024
"""Bytes up to which a body is held in memory, and the most of a larger one that is."""

MOST_LARGE: Final = 16
"""Larger ones at once: each may have the disk's room that a relay's largest message takes."""

_NO_ROOM: Final = "The disk takes no more just now."

_BUSY: Final = 5
"""Seconds after which who finds no room may come again."""


class Room:
    """Where large bodies lie meanwhile: files without a name, which no crash leaves behind."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taken = 0

    def take(self) -> BinaryIO:
        """A new file. Raises Unavailable where there are too many."""
        if self._taken >= MOST_LARGE:
            raise Unavailable("Too many large messages come in just now.", _BUSY)
        self._taken += 1
        try:
            return tempfile.TemporaryFile(dir=self._folder)
        except OSError as error:
            self._taken -= 1
            raise Unavailable(_NO_ROOM, _BUSY) from error

    def leave(self, file: BinaryIO) -> None:
        """Give a file back."""
        self._taken -= 1
        with contextlib.suppress(OSError):  # what it could not write is lost in any case
            file.close()


class Spool:
    """One body. Its `content` is there from the end until `close`."""

    def __init__(self, room: Room, secrets: Sequence[Secret]) -> None:
        self._room = room
        self._macs = [hmac.new(one.reveal().encode(), digestmod=sha256) for one in secrets]
        self._whole = sha256()
        self._waiting = bytearray()
        self._file: BinaryIO | None = None
        self._content: bytes | mmap.mmap = b""
        self.size = 0
        self.ended = 0.0
        """When the body was whole, in the time of `time.monotonic`."""

    def close(self) -> None:
        """Give the room back."""
        if isinstance(self._content, mmap.mmap):
            with contextlib.suppress(BufferError):  # a view of it goes with the last who has it
                self._content.close()
        if self._file is not None:
            self._room.leave(self._file)

    async def add(self, part: bytes) -> None:
        """Take a part. Raises Unavailable where there is no room for more."""
        self.size += len(part)
        self._waiting += part
        if len(self._waiting) < SMALL:
            return
        if self._file is None:
            self._file = self._room.take()
        await self._write(self._file)

    async def end(self) -> None:
        """There is no more."""
        self.ended = time.monotonic()
        if self._file is None:
            self._content = bytes(self._waiting)
            self._hash(self._content)
            return
        await self._write(self._file)
        self._content = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)

    @property
    def content(self) -> bytes | mmap.mmap:
        """The whole body."""
        return self._content

    @property
    def digest(self) -> bytes:
        """SHA-256 of it."""
        return self._whole.digest()

    def is_signed(self, signatures: Iterable[str]) -> bool:
        """Whether one of these is the HMAC (Base64) of the body by one of the secrets.

        All are compared, each in constant time: which of them it was, time does not tell.
        """
        given = [text.strip().encode("utf-8", "surrogatepass") for text in signatures]
        found = False
        for mac in self._macs:
            ours = b64encode(mac.digest())
            for theirs in given:
                found |= hmac.compare_digest(ours, theirs)
        return found

    async def _write(self, file: BinaryIO) -> None:
        piece = bytes(self._waiting)
        self._waiting.clear()
        try:
            await asyncio.to_thread(self._take, file, piece)
        except OSError as error:
            raise Unavailable(_NO_ROOM, _BUSY) from error

    def _take(self, file: BinaryIO, piece: bytes) -> None:
        self._hash(piece)
        file.write(piece)
        file.flush()

    def _hash(self, piece: bytes) -> None:
        self._whole.update(piece)
        for mac in self._macs:
            mac.update(piece)
