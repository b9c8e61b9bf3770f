"""The store's clock: it never runs backwards, and believes no large step ahead at once."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from heliograph.clock import Leap, StoreClock, SystemClock
from tests.support import START, ManualClock

DAY = 86_400.0
HOUR = 3600.0


def store_clock(below: ManualClock) -> StoreClock:
    """One that has just been asked: what follows is a change of what is below it."""
    clock = StoreClock(below)
    clock.now()
    return clock


def test_r12_a_clock_that_jumped_ahead_and_back_goes_on_slowly_until_it_is_right() -> None:
    below = ManualClock()
    clock = store_clock(below)
    below.jump(60)
    assert clock.now() == START + timedelta(seconds=60)
    below.jump(-60)
    assert clock.now() == START + timedelta(seconds=60)
    below.move(30)
    assert clock.now() == START + timedelta(seconds=75)
    below.move(90)  # two minutes after the jump back
    assert clock.now() == START + timedelta(minutes=2) == below.now()
    below.move(1)
    assert clock.now() == below.now()


def test_r12_a_clock_that_is_behind_what_was_shown_before_the_start_does_not_stand_still() -> None:
    below = ManualClock()
    clock = StoreClock(below)
    clock.go_on(START + timedelta(minutes=1), None)
    below.move(10)
    assert clock.now() == START + timedelta(seconds=65)


@pytest.mark.parametrize("seconds", [61, 2 * HOUR, 16 * DAY, 365 * DAY])
def test_r22_a_jump_ahead_is_not_believed_while_it_is_short(seconds: float) -> None:
    below = ManualClock()
    clock = store_clock(below)
    below.jump(seconds)
    for _ in range(59):
        below.move(60)
        clock.now()
    assert clock.now() == START + timedelta(minutes=59)
    assert clock.doubted() == timedelta(seconds=seconds)
    assert clock.differs() == -timedelta(seconds=seconds)
    assert clock.machine() == below.now()
    assert clock.due_leap() is None
    below.jump(-seconds)
    assert clock.now() == below.now() == START + timedelta(minutes=59)
    assert not clock.doubted()


def test_r22_a_jump_that_stands_for_an_hour_becomes_a_leap_which_counts_for_no_age() -> None:
    below = ManualClock()
    clock = store_clock(below)
    below.jump(16 * DAY)
    clock.now()
    below.move(HOUR)
    leap = clock.due_leap()
    assert leap == Leap(START + timedelta(hours=1), timedelta(days=16))
    assert clock.follow([leap])
    assert not clock.follow([leap])
    assert clock.now() == below.now()
    assert not clock.doubted()
    assert clock.ago(timedelta(hours=1)) == START
    assert clock.ago(timedelta(days=2)) == START + timedelta(hours=1) - timedelta(days=2)
    assert clock.sure() == START + timedelta(hours=1)
    below.move(DAY)
    assert clock.ago(timedelta(days=1)) == START + timedelta(hours=1)
    assert clock.ago(timedelta(hours=23)) == below.now() - timedelta(hours=23)


def test_r22_another_jump_ahead_has_to_stand_for_itself() -> None:
    below = ManualClock()
    clock = store_clock(below)
    below.jump(2 * HOUR)
    clock.now()
    below.move(HOUR - 1)
    below.jump(365 * DAY)
    clock.now()
    below.move(HOUR - 1)
    assert clock.due_leap() is None
    below.move(1)
    leap = clock.due_leap()
    assert leap is not None
    assert leap.gain == timedelta(days=365, hours=2)


def test_r22_a_leap_of_another_node_is_made_at_once() -> None:
    below = ManualClock()
    clock = store_clock(below)
    below.jump(2 * HOUR)
    assert clock.doubted()
    clock.follow([Leap(START, timedelta(hours=2))])
    assert clock.now() == below.now()
    fresh = StoreClock(below)
    fresh.follow([Leap(START, timedelta(hours=2))])
    assert fresh.now() == below.now()


@pytest.mark.parametrize(
    ("stopped", "passed", "believed"),
    [
        (DAY, None, True),  # the machine was off
        (DAY + 1, None, False),
        (365 * DAY, None, False),
        (HOUR, HOUR, True),
        (400 * DAY, 400 * DAY, True),
        (HOUR + 61, HOUR, False),
        (-365 * DAY, 10.0, False),
    ],
)
def test_r22_what_a_start_believes(stopped: float, passed: float | None, believed: bool) -> None:
    below = ManualClock()
    clock = StoreClock(below)
    below.jump(stopped)
    clock.go_on(START, passed)
    assert (clock.now() == below.now()) is believed
    assert clock.now() >= START
    if not believed:
        assert clock.now() <= START + timedelta(seconds=passed or 0.0)


def test_the_machines_clock_counts_from_the_machines_start_so_that_processes_agree() -> None:
    one, other = SystemClock(), SystemClock()
    before = one.monotonic()
    assert before <= other.monotonic() + 0.1
    assert other.monotonic() <= one.monotonic() + 0.1
    assert abs(one.monotonic() - time.monotonic()) < 365 * DAY
    assert abs(one.now() - datetime.now(UTC)) < timedelta(minutes=1)
    assert abs(one.machine() - one.now()) < timedelta(minutes=1)
