"""Throttles: a burst, then one in a while; what succeeds counts for nothing; memory is bounded."""

from __future__ import annotations

from heliograph.access import throttle
from heliograph.access.throttle import Attempts, PasswordGuesses, Throttle
from tests.support import ManualClock


def test_s13_a_burst_is_let_through_and_then_one_in_a_while(clock: ManualClock) -> None:
    slow = Throttle(clock, 3, 10.0)
    assert [slow.take("a") for _ in range(5)] == [0, 0, 0, 10, 10]
    assert slow.take("b") == 0
    clock.move(4)
    assert slow.take("a") == 6
    clock.move(6)
    assert [slow.take("a"), slow.take("a")] == [0, 10]
    clock.move(30)
    assert [slow.take("a") for _ in range(4)] == [0, 0, 0, 10]


def test_s13_a_wall_clock_that_jumps_changes_nothing(clock: ManualClock) -> None:
    slow = Throttle(clock, 1, 10.0)
    assert slow.take("a") == 0
    clock.jump(1e6)
    assert slow.take("a") == 10
    clock.jump(-2e6)
    assert slow.take("a") == 10


def test_s13_what_succeeds_is_given_back(clock: ManualClock) -> None:
    slow = Throttle(clock, 2, 10.0)
    for _ in range(20):
        assert slow.take("a") == 0
        slow.give_back("a")
    assert [slow.take("a"), slow.take("a"), slow.take("a")] == [0, 0, 10]
    slow.give_back("a")
    assert slow.take("a") == 0
    slow.give_back("unknown")


def test_s13_an_attempt_that_one_count_refuses_is_not_held_against_the_other(
    clock: ManualClock,
) -> None:
    attempts = Attempts(Throttle(clock, 3, 10.0), Throttle(clock, 1, 60.0))
    assert [attempts.take("1.2.3.4", "ada") for _ in range(5)] == [0, 60, 60, 60, 60]
    assert attempts.take("1.2.3.4", "bob") == 0
    attempts.give_back("1.2.3.4", "bob")
    assert [attempts.take("1.2.3.4", name) for name in "xyz"] == [0, 0, 10]


def test_s13_one_client_alone_does_not_keep_a_user_from_signing_in_elsewhere(
    clock: ManualClock,
) -> None:
    guesses = PasswordGuesses(clock)
    let_through = 0
    for _ in range(3600):
        let_through += guesses.take("6.6.6.6", "ada") == 0
        clock.move(1)
    assert let_through == 10 + 59
    assert guesses.take("1.2.3.4", "ada") == 0


def test_s13_many_clients_together_guess_at_one_user_as_little_as_one_in_ten_seconds(
    clock: ManualClock,
) -> None:
    guesses = PasswordGuesses(clock)
    addresses = [f"6.6.6.{number}" for number in range(200)]
    assert sum(guesses.take(one, "ada") == 0 for one in addresses) == 50
    clock.move(100)
    assert sum(guesses.take(one, "ada") == 0 for one in addresses) == 10
    assert guesses.take(addresses[0], "bob") == 0


def test_r13_no_more_keys_are_known_than_there_is_room_for(clock: ManualClock) -> None:
    slow = Throttle(clock, 1, 10.0)
    for number in range(throttle._MOST_KNOWN + 10):
        slow.take(str(number))
    assert len(slow._clear_at) == throttle._MOST_KNOWN
    assert slow.take("0") == 0  # forgotten first
    assert slow.take(str(throttle._MOST_KNOWN + 9)) == 10
