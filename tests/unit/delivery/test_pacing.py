"""How many attempts each listener gets at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.delivery import pacing
from heliograph.delivery.pacing import FIRST, Pacing

CAP = 8


def known(slots: int = 100) -> Pacing:
    made = Pacing(slots, CAP)
    made.began(1, None, 0.0)
    return made


def at_once(paced: Pacing, sending: int = 1) -> int:
    """How many attempts the listener may have at once; it has one."""
    return 1 + paced.free(sending, 0.0)[1]


def test_r10_a_listener_earns_attempts_by_doubling_and_loses_them_by_halving() -> None:
    paced = known()
    seen = []
    for succeeded in (True, True, True, True, False, False, True, False, False, False, False):
        paced.ended(1, succeeded=succeeded)
        paced.began(1, None, 0.0)
        seen.append(at_once(paced))
    assert seen == [2, 4, 8, 8, 4, 2, 4, 2, 1, 1, 1]


def limits_after(*seconds: float) -> list[int]:
    paced, seen = known(), []
    for took in seconds:
        paced.ended(1, succeeded=True, seconds=took)
        paced.began(1, None, 0.0)
        seen.append(at_once(paced))
    return seen


def test_r7_a_listener_that_slows_down_under_its_attempts_gets_fewer_of_them() -> None:
    assert limits_after(0.5, 0.5, 0.5, 0.6, 2.0, 2.0, 2.0) == [2, 4, 8, 8, 4, 2, 1]
    assert limits_after(0.5, 1.2, 0.5, 0.5) == [2, 1, 2, 4]


def test_a_slow_listener_that_is_no_slower_than_usual_keeps_its_attempts() -> None:
    assert limits_after(30, 30, 30, 31, 29) == [2, 4, 8, 8, 8]
    # Milliseconds are the machine's affair.
    assert limits_after(0.001, 0.05, 0.09, 0.1) == [2, 4, 8, 8]


def test_who_has_become_slower_for_good_earns_attempts_anew() -> None:
    seen = limits_after(*[0.01] * 4, *[2.0] * 40)
    assert seen[3] == CAP
    assert FIRST in seen
    assert seen[-1] == CAP


def test_what_says_nothing_of_the_listener_changes_nothing() -> None:
    paced = known()
    paced.ended(1, succeeded=True)
    paced.began(1, None, 0.0)
    paced.ended(1, succeeded=None)
    assert paced.free(0, 0.0) == {1: 2}


def test_r7_from_the_last_quarter_of_the_slots_nobody_gets_a_second_one() -> None:
    paced = known(slots=100)
    for _ in range(3):
        paced.ended(1, succeeded=True)
        paced.began(1, None, 0.0)
    assert at_once(paced, 74) == CAP
    assert at_once(paced, 75) == FIRST


@given(
    rate=st.floats(0.1, 50),
    steps=st.lists(st.tuples(st.floats(0, 2), st.booleans()), max_size=200),
)
def test_a_rate_is_kept_over_any_time(rate: float, steps: list[tuple[float, bool]]) -> None:
    paced, now, sent, sending = Pacing(1000, CAP), 0.0, 0, 0
    paced.began(1, rate, now)
    paced.ended(1, succeeded=True)
    for passed, end_one in steps:
        now += passed
        if end_one and sending:
            paced.ended(1, succeeded=True)
            sending -= 1
        while paced.free(sending, now)[1]:
            paced.began(1, rate, now)
            sending += 1
            sent += 1
        assert sent <= now * rate + max(1.0, rate) + 1e-6


def test_who_waits_for_its_rate_is_waited_for() -> None:
    paced = Pacing(100, CAP)
    paced.began(1, 2.0, 10.0)
    assert paced.next_turn(10.0) == 0.5
    assert paced.free(1, 10.0) == {1: 0}
    paced.ended(1, succeeded=True)
    assert paced.free(0, 10.0) == {1: 0}
    assert paced.free(0, 10.5) == {1: 1}
    assert paced.next_turn(10.5) is None


def test_what_is_known_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "_MOST_KNOWN", 3)
    paced = Pacing(100, CAP)
    for connect_id in range(10):
        paced.began(connect_id, None, 0.0)
        if connect_id:  # the first one never ends
            paced.ended(connect_id, succeeded=True)
    assert set(paced.free(1, 0.0)) == {0, 8, 9}


def test_a_listener_that_is_down_gets_nothing_until_its_time_and_then_one() -> None:
    paced = known()
    for _ in range(4):
        paced.ended(1, succeeded=True)
        paced.began(1, None, 0.0)
    assert not paced.up(1)
    paced.down(1, until=15.0)
    assert paced.free(1, 15.0)[1] == 0  # the one that runs
    paced.ended(1, succeeded=None)
    assert (paced.free(0, 14.9)[1], paced.next_turn(10.0)) == (0, 5.0)
    assert (paced.free(0, 15.0)[1], paced.next_turn(15.0)) == (1, None)
    assert paced.up(1)
    assert not paced.up(1)
    assert paced.free(0, 15.0)[1] == CAP


def test_a_success_is_slow_only_beyond_twice_the_usual_time_and_a_tenth_of_a_second() -> None:
    assert limits_after(0.5, 1.1) == [2, 4]
    assert limits_after(0.5, 1.101) == [2, 1]


def test_a_slower_success_moves_the_usual_time_by_a_sixteenth_of_the_way() -> None:
    # From 1 s to 1.0625 s, so that 2.225 s are the most.
    assert limits_after(1.0, 2.0, 2.22) == [2, 4, 8]
    assert limits_after(1.0, 2.0, 2.23) == [2, 4, 2]


def test_each_attempt_that_runs_takes_a_place() -> None:
    paced = known()
    for _ in range(4):
        paced.ended(1, succeeded=True)
        paced.began(1, None, 0.0)
    paced.began(1, None, 0.0)
    paced.began(1, None, 0.0)
    assert paced.free(3, 0.0) == {1: CAP - 3}


def test_what_a_slow_rate_leaves_unused_does_not_add_up() -> None:
    paced = Pacing(100, CAP)
    paced.began(1, 0.5, 0.0)
    for _ in range(3):
        paced.ended(1, succeeded=True)
        paced.began(1, 0.5, 1000.0)  # whatever was free until then
    paced.ended(1, succeeded=None)
    assert paced.free(0, 1000.0) == {1: 0}
    assert paced.free(0, 1100.0) == {1: 1}


def test_time_without_messages_does_not_count_for_the_time_after_them() -> None:
    paced = Pacing(100, CAP)
    paced.began(1, 1.0, 0.0)
    paced.ended(1, succeeded=True)
    paced.began(1, 1.0, 100.0)
    paced.ended(1, succeeded=True)
    assert paced.free(0, 100.0) == {1: 0}
    assert paced.next_turn(100.25) == 0.75


def test_who_was_idle_for_longest_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "_MOST_KNOWN", 3)
    paced = Pacing(100, CAP)
    for connect_id in (1, 2, 3, 1, 4):
        paced.began(connect_id, None, 0.0)
        paced.ended(connect_id, succeeded=True)
    assert set(paced.free(0, 0.0)) == {3, 1, 4}


def test_what_could_not_be_forgotten_while_it_ran_is_forgotten_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pacing, "_MOST_KNOWN", 3)
    paced = Pacing(100, CAP)
    for connect_id in range(1, 7):
        paced.began(connect_id, None, 0.0)
    assert len(paced.free(6, 0.0)) == 6
    for connect_id in range(1, 7):
        paced.ended(connect_id, succeeded=True)
    paced.began(7, None, 0.0)
    assert set(paced.free(1, 0.0)) == {5, 6, 7}


def test_of_many_known_listeners_only_those_that_are_asked_for_are_worked_out() -> None:
    known = Pacing(slots=100_000, cap=8)
    for connect_id in range(10_000):
        known.began(connect_id, None, 0.0)
        known.ended(connect_id, succeeded=True)
    known.began(10_000, 2.0, 0.0)
    free = known.free(1, 0.0)
    assert (free[7], free.get(10_001, FIRST), free[10_000]) == (2, FIRST, 0)
    assert len(free) == 10_001
    # Whose turn a time brings is known without a look at the others, and forgotten when it came.
    assert known._timed == {10_000}
    assert known.next_turn(0.0) == 0.5
    assert known.next_turn(0.5) is None
    assert known._timed == set()
    assert known.free(1, 0.5)[10_000] == 0  # one runs, and one success gives two


def test_a_listener_that_is_down_has_its_turn_by_time() -> None:
    known = Pacing(slots=10, cap=8)
    known.began(1, None, 0.0)
    known.ended(1, succeeded=False)
    known.down(1, 15.0)
    assert known.next_turn(5.0) == 10.0
    assert (known.free(0, 14.0)[1], known.free(0, 15.0)[1]) == (0, FIRST)
    assert known.next_turn(15.0) is None
