"""The one source of time for what is accepted, sent and kept (R12).

What tells a person the time, or looks at a certificate's days, may read the machine's clock itself.
"""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

_CATCHING_UP: Final = 0.5
"""Seconds that a clock which is ahead of the machine's shows for each that passes."""


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
    """A clock that never shows less than it has shown (R12).

    While the clock below is behind, this one goes on at half of the monotonic pace until it
    is caught up with. Standing still instead would make whatever is due wait for as long as
    the jump was; the full pace would keep what was wrong for ever.
    """

    def __init__(self, inner: Clock, since: datetime) -> None:
        self._inner = inner
        self._latest = since
        self._monotonic = inner.monotonic()
        self._lock = threading.Lock()  # a store's thread looks too

    def now(self) -> datetime:
        with self._lock:
            monotonic = self._inner.monotonic()
            passed = timedelta(seconds=_CATCHING_UP * (monotonic - self._monotonic))
            self._latest = max(self._latest + passed, self._inner.now())
            self._monotonic = monotonic
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
