"""Says that the store's clock and the machine's differ, for as long as they do (R22)."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from heliograph.clock import MOST_APART, StoreClock

_LOOK_SECONDS: Final = 1.0

_SAY_AGAIN: Final = 3600.0
"""Seconds."""

_log = structlog.get_logger()


async def watch_clock(clock: StoreClock, stop: asyncio.Event) -> None:
    """Warn when the clocks begin to differ, and each hour while they do, until `stop` is set."""
    said: float | None = None
    while not stop.is_set():
        differs, now = clock.differs(), clock.monotonic()
        if abs(differs) <= MOST_APART:
            if said is not None:
                _log.info("clock_right_again")
            said = None
        elif said is None or now - said >= _SAY_AGAIN:
            said = now
            _log.warning(
                "clock_wrong",
                store_ahead_seconds=round(differs.total_seconds()),
                doubted_seconds=round(clock.doubted().total_seconds()),
            )
        await clock.wait(stop, _LOOK_SECONDS)
