"""Throttles: a burst, then one in a while; what succeeds counts for nothing; memory is bounded."""

from __future__ import annotations

import pytest

from heliograph.access import throttle
from heliograph.access.clients import client_of
from heliograph.access.limits import MOST_KEYS
from heliograph.access.throttle import GUESSES, PasswordGuesses, Throttle, Throttles, TokenGuesses
from heliograph.errors import TooManyRefused
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
    throttles = Throttles(Throttle(clock, 3, 10.0), Throttle(clock, 1, 60.0))
    assert [throttles.take("1.2.3.4", "ada") for _ in range(5)] == [0, 60, 60, 60, 60]
    assert throttles.take("1.2.3.4", "bob") == 0
    throttles.give_back("1.2.3.4", "bob")
    assert [throttles.take("1.2.3.4", name) for name in "xyz"] == [0, 0, 10]


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


def test_s13_nodes_behind_one_port_let_as_many_guesses_pass_as_one(clock: ManualClock) -> None:
    parts = [PasswordGuesses(clock, nodes=2) for _ in range(2)]
    grants = [throttle.token_requests(clock, nodes=4) for _ in range(4)]

    def passed(seconds: float) -> tuple[int, int]:
        clock.move(seconds)
        return (
            sum(one.take("6.6.6.6", "ada") == 0 for one in parts for _ in range(60)),
            sum(one.take("6.6.6.6") == 0 for one in grants for _ in range(60)),
        )

    assert passed(0) == (10, 100)
    assert passed(240) == (4, 100)


def test_r13_no_more_keys_are_known_than_there_is_room_for(clock: ManualClock) -> None:
    slow = Throttle(clock, 1, 10.0)
    for number in range(throttle._MOST_KEYS + 10):
        slow.take(str(number))
    assert len(slow._clear_at) == throttle._MOST_KEYS
    assert slow.take("0") == 0  # forgotten first
    assert slow.take(str(throttle._MOST_KEYS + 9)) == 10


TEN = 1_795_428_000.0
"""2026-11-23T10:00:00Z, a full hour."""


def test_s13_an_address_that_guesses_is_held_back_and_a_known_token_is_not() -> None:
    at = TEN
    guesses = TokenGuesses(2, lambda: at)
    guesses.right("publisher")
    for number in range(2):
        assert guesses.refusal("192.0.2.1", f"guess {number}") is None
        guesses.wrong("192.0.2.1", f"guess {number}")
    held = guesses.refusal(client_of("::ffff:192.0.2.1"), "the right one")
    assert isinstance(held, TooManyRefused)
    assert held.retry_after == GUESSES
    assert guesses.refusal("192.0.2.2", "the right one") is None
    assert guesses.refusal("192.0.2.1", "publisher") is None
    guesses.wrong("192.0.2.1", "publisher")  # it was revoked
    assert isinstance(guesses.refusal("192.0.2.1", "publisher"), TooManyRefused)
    at += GUESSES
    assert guesses.refusal("192.0.2.1", "the right one") is None


def test_s13_without_a_limit_no_guess_is_counted_and_no_token_kept() -> None:
    guesses = TokenGuesses(0, lambda: TEN)
    for _ in range(10):
        guesses.wrong("192.0.2.1", "x")
        guesses.right("y")
    assert guesses.refusal("192.0.2.1", "x") is None
    assert not any(vars(guesses)["_known"])


def test_s13_hostile_numbers_of_addresses_and_tokens_take_bounded_memory() -> None:
    guesses = TokenGuesses(1, lambda: TEN)
    for number in range(MOST_KEYS + 2_000):
        address = f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::1"
        guesses.wrong(client_of(address), f"bad {number}")
        guesses.right(f"good {number}")
    parts = vars(guesses).values()
    assert [len(part) for part in parts if hasattr(part, "__len__")] == [MOST_KEYS] * 2


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("x" * 9000, "x" * 64),
    ],
)
def test_s13_one_client_is_an_ipv4_address_or_a_network_of_64_bits(
    address: str, client: str
) -> None:
    assert client_of(address) == client
