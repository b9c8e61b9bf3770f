"""The clock that never runs backwards."""

from __future__ import annotations

from datetime import timedelta

from heliograph.clock import NeverBackwards
from tests.support import START, ManualClock


def test_r12_a_clock_that_jumped_ahead_and_back_goes_on_slowly_until_it_is_right() -> None:
    below = ManualClock()
    clock = NeverBackwards(below, START - timedelta(days=1))
    assert clock.now() == START

    below.jump(3600)
    assert clock.now() == START + timedelta(hours=1)
    below.jump(-3600)
    assert clock.now() == START + timedelta(hours=1)
    below.move(1800)
    assert clock.now() == START + timedelta(hours=1, minutes=15)
    below.move(5400)  # two hours after the jump back
    assert clock.now() == START + timedelta(hours=2) == below.now()
    below.move(1)
    assert clock.now() == below.now()


def test_r12_a_clock_that_is_behind_what_was_shown_before_the_start_does_not_stand_still() -> None:
    below = ManualClock()
    clock = NeverBackwards(below, START + timedelta(minutes=1))
    below.move(10)
    assert clock.now() == START + timedelta(seconds=65)
