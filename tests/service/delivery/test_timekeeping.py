"""Clocks that differ are told in the log, for as long as they do."""

from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from heliograph.clock import StoreClock
from heliograph.delivery.timekeeping import watch_clock
from tests.support import ManualClock

HOUR = 3600.0


async def test_r22_a_warning_stands_while_the_clocks_differ(clock: ManualClock) -> None:
    shown, stop = StoreClock(clock), asyncio.Event()
    with capture_logs() as said:
        watching = asyncio.create_task(watch_clock(shown, stop))
        await clock.until_waited_for()
        clock.jump(2 * HOUR)
        for seconds in (1.0, 1.0, HOUR - 60.0, 60.0):
            clock.move(seconds)
            await asyncio.sleep(0)
            await clock.until_waited_for()
        clock.jump(-2 * HOUR)
        clock.move(1.0)
        await asyncio.sleep(0)
        await clock.until_waited_for()
        stop.set()
        await watching
    warning = {
        "event": "clock_wrong",
        "log_level": "warning",
        "store_ahead_seconds": -7200,
        "doubted_seconds": 7200,
    }
    assert said == [warning, warning, {"event": "clock_right_again", "log_level": "info"}]
