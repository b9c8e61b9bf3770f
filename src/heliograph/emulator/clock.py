"""A clock that somebody can set ahead: reminders, expirations and retries follow it."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from heliograph import files
from heliograph.clock import Clock

FILE_NAME: Final = "emulator-clock"
"""In a data directory: seconds that its clock is ahead."""


class AdvancingClock:
    """The clock below it, and what it was advanced by. Both times go on together, so that the
    store's clock sees hours that have passed and no leap that it must doubt (R22)."""

    def __init__(self, inner: Clock, folder: Path | None = None) -> None:
        """In a `folder` it begins where the last one there was, and notes how far ahead it is."""
        self._inner = inner
        self._file = None if folder is None else folder / FILE_NAME
        self._ahead = 0.0
        if self._file is not None and self._file.exists():
            self._ahead = float(self._file.read_text(encoding="ascii"))
        self._moved = asyncio.Event()

    def now(self) -> datetime:
        return self._inner.now() + timedelta(seconds=self._ahead)

    def machine(self) -> datetime:
        return self.now()

    def monotonic(self) -> float:
        return self._inner.monotonic() + self._ahead

    def advance(self, seconds: float) -> None:
        """Set it ahead; who waits for a time that has come by that wakes up."""
        self._ahead += seconds
        if self._file is not None:
            files.write(self._file, f"{self._ahead}\n".encode())
        self._moved.set()
        self._moved = asyncio.Event()

    async def wait(self, event: asyncio.Event, seconds: float | None) -> None:
        if seconds is None:
            await event.wait()
            return
        until = self.monotonic() + seconds
        while not event.is_set() and (left := until - self.monotonic()) > 0:
            either = _Either(event, self._moved)
            await self._inner.wait(either.happened, left)
            either.end()


class _Either:
    """An event that is set when one of two is."""

    def __init__(self, *events: asyncio.Event) -> None:
        self.happened = asyncio.Event()
        self._waiting = [asyncio.ensure_future(self._wait(one)) for one in events]

    async def _wait(self, event: asyncio.Event) -> None:
        await event.wait()
        self.happened.set()

    def end(self) -> None:
        for waiting in self._waiting:
            waiting.cancel()
