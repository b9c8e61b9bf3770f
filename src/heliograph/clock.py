"""The one source of time. Only this module reads the wall clock (R12)."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Time as Heliograph sees it; tests inject one that they move by hand."""

    def now(self) -> datetime:
        """The wall-clock time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards, for durations."""
        ...

    async def wait(self, event: asyncio.Event, seconds: float | None) -> None:
        """Return when `event` is set, or after `seconds` (None: only the event)."""
        ...


class NeverBackwards:
    """A clock that stands still while the one below it is behind what it has shown (R12)."""

    def __init__(self, inner: Clock, since: datetime) -> None:
        self._inner = inner
        self._latest = since

    def now(self) -> datetime:
        self._latest = max(self._latest, self._inner.now())
        return self._latest

    def monotonic(self) -> float:
        return self._inner.monotonic()

    async def wait(self, event: asyncio.Event, seconds: float | None) -> None:
        await self._inner.wait(event, seconds)


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def wait(self, event: asyncio.Event, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return
