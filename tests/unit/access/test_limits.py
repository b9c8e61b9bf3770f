"""S13: counts in windows, bounded in number, and what follows from them."""

from __future__ import annotations

import pytest

from heliograph.access.limits import (
    BURST,
    HOUR,
    MOST_KEYS,
    UNLIMITED,
    CallLimits,
    Rules,
    Standing,
    Windows,
)
from heliograph.errors import BurstLimitExceeded, HourlyLimitExceeded

TEN = 1_795_428_000.0
"""2026-11-23T10:00:00Z, a full hour."""


class Now:
    """The time, as a test sets it."""

    def __init__(self, at: float = TEN) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


def test_s13_a_window_counts_up_to_its_end_and_begins_anew() -> None:
    windows = Windows(3, HOUR)
    windows.count("a", TEN)
    windows.count("a", TEN + 1, cost=2)
    assert windows.standing("a", TEN + 3599.9) == Standing(3, 3, int(TEN) + 3600)
    assert windows.standing("a", TEN + 3599.9).left == 0
    assert windows.standing("b", TEN) == Standing(3, 0, int(TEN) + 3600)
    assert windows.standing("a", TEN + 3600).left == 3


@pytest.mark.parametrize("seconds", [HOUR, BURST])
def test_s13_windows_begin_at_the_full_hour_and_half_minute(seconds: int) -> None:
    windows = Windows(1, seconds)
    assert windows.standing("a", TEN + seconds - 0.5).ends == TEN + seconds
    assert windows.standing("a", TEN + seconds).ends == TEN + 2 * seconds


def test_s13_of_a_crowd_of_keys_those_that_came_last_are_remembered() -> None:
    windows = Windows(5, HOUR, keys=3)
    for key in ("a", "b", "c", "a", "d"):
        windows.count(key, TEN)
    assert len(windows) == 3
    assert [windows.standing(key, TEN).used for key in "abcd"] == [2, 0, 1, 1]


def test_s13_hostile_numbers_of_accounts_and_tokens_take_bounded_memory() -> None:
    limits = CallLimits(Rules(1, 1, 1), Now())
    for number in range(MOST_KEYS + 2_000):
        limits.call(f"account {number}", f"token {number}")
    parts = vars(limits).values()
    assert {len(part) for part in parts if hasattr(part, "__len__")} == {MOST_KEYS}


def test_s13_an_account_has_its_hour_and_its_burst() -> None:
    now = Now()
    limits = CallLimits(Rules(hourly=3, burst=2), now)
    first = limits.call("a", "t")
    assert (first.hour, first.burst) == (
        Standing(3, 1, int(TEN) + HOUR),
        Standing(2, 1, int(TEN) + BURST),
    )
    assert limits.call("a", "u").refusal is None
    now.at += 12.5
    refused = limits.call("a", "t").refusal
    assert isinstance(refused, BurstLimitExceeded)
    assert refused.retry_after == 18
    now.at = TEN + BURST
    assert limits.call("a", "t").refusal is None
    refused = limits.call("a", "t").refusal
    assert isinstance(refused, HourlyLimitExceeded)
    assert refused.retry_after == HOUR - BURST
    assert "The hourly limit is 3." in refused.message
    assert limits.call("b", "t").refusal is None
    now.at = TEN + HOUR
    assert limits.call("a", "t").refusal is None


def test_s13_one_token_cannot_use_up_its_accounts_burst_and_refused_calls_count_nothing() -> None:
    limits = CallLimits(Rules(hourly=9, burst=4, token=2), Now())
    found = [limits.call("a", "greedy") for _ in range(5)]
    assert [one.refusal is None for one in found] == [True, True, False, False, False]
    assert isinstance(found[-1].refusal, BurstLimitExceeded)
    assert found[-1].hour is not None
    assert found[-1].hour.left == 7
    assert [limits.call("a", "modest").refusal for _ in range(2)] == [None, None]


def test_s13_without_rules_nothing_is_counted_and_nothing_said() -> None:
    for _ in range(10):
        decision = UNLIMITED.call("a", "t")
        assert (decision.hour, decision.burst, decision.refusal) == (None, None, None)
