"""The events of a bench, and who wants them."""

from __future__ import annotations

import json

import pytest

from heliograph.bench import events
from heliograph.bench.listeners import Listeners


@pytest.mark.parametrize("size", [1_000, events.USUAL, 7_000, 1_000_000])
def test_an_event_has_about_the_size_asked_for_and_its_number_where_the_sink_looks(
    size: int,
) -> None:
    body = "000000000042".join(events.template("user-1", size)).encode()
    assert size * 0.75 < len(body) <= size + 400
    at = body.find(events.ENVELOPE) + events.NUMBER_AT
    assert int(body[at : at + events.DIGITS]) == 42
    assert json.loads(body)["data"]["envelopeId"] == events.envelope_id(42)


def test_all_events_of_a_template_have_the_same_length() -> None:
    pieces = events.template("user-1")
    assert len({len(f"{number:0{events.DIGITS}}".join(pieces)) for number in (0, 7, 10**11)}) == 1


def test_a_notification_has_a_url_of_its_own() -> None:
    event = json.loads("000000000042".join(events.template("user-1", notify="http://h:1/")))
    assert event["eventNotification"]["url"] == "http://h:1/000000000042"


@pytest.mark.parametrize(
    ("listeners", "users"),
    [(Listeners(16), 16), (Listeners(15, 5), 3), (Listeners(50, 50), 1), (Listeners(0), 1)],
)
def test_every_listener_wants_the_events_of_one_user(listeners: Listeners, users: int) -> None:
    assert listeners.users == users
    wanting = [number for user in range(users) for number in listeners.of(user)]
    assert wanting == list(range(listeners.number))
    for user in range(users):
        for number in listeners.of(user):
            assert listeners.configuration(number, 80)["userIds"] == [f"user-{user}"]
