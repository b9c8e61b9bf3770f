"""The store contract: a repeat of an event is told by what it means."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from heliograph.delivery.publisher import Publisher, Receipt
from heliograph.delivery.signals import Signals
from heliograph.errors import EventConflict
from heliograph.model.events import NewEvent
from heliograph.store import Store
from heliograph.wire.messages.json_sim import parse_events
from tests.contract.traffic import Traffic
from tests.support import ACCOUNT, published

HOOK = {"url": "https://one.example.com/hook", "events": ["envelope-sent"]}
OTHER_HOOK = {"url": "https://two.example.com/hook", "events": ["envelope-sent"]}


def written(fields: str, **over: Any) -> NewEvent:
    """The event `id-1` whose `data` has these fields, as they are written."""
    text = f'{{"eventId": "id-1", "event": "envelope-sent", "data": {{{fields}}}}}'
    (event,) = parse_events(text.encode(), "application/json", ACCOUNT)
    return replace(event, **over)


PLAIN = '"envelopeId": "e", "x": {"a": 1, "b": ["\u00e9", true]}'


@pytest.mark.parametrize(
    "again",
    [
        '"x": {"b": ["\u00e9", true], "a": 1}, "envelopeId": "e"',
        '"envelopeId": "e", "x": {"a": 1.0, "b": ["\u00e9", true]}',
        '"envelopeId": "e", "x": {"a": 10e-1, "b": ["\u00e9", true]}',
        '"envelopeId": "\\u0065", "\\u0078": {"a": 1, "b": ["\\u00E9", true]}',
        '"envelopeId": "e", "x": {"a": 2, "a": 1, "b": ["\u00e9", true]}',
    ],
    ids=["order", "1.0", "10e-1", "escapes", "twice"],
)
async def test_r2_a_repeat_that_is_written_in_another_way_is_a_repeat(
    traffic: Traffic, again: str
) -> None:
    await traffic.accept(written(PLAIN))
    (receipt,) = await traffic.accept(written(again))
    assert receipt.repeated
    (receipt, twin) = await traffic.accept(written(PLAIN), written(again))
    assert receipt.repeated
    assert twin.repeated


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("9007199254740993", "9007199254740992"),
        ("9007199254740993.0", "9007199254740992"),
        ("123456789012345678901", "123456789012345678902"),
        ("1", '"1"'),
        ("1", "true"),
        ("0", "false"),
        ("null", "0"),
        ("[1, 2]", "[2, 1]"),
        ("[]", "{}"),
        ('"\u00e9"', '"e\u0301"'),
        ("0.1", "0.10000000000000002"),
        ('{"a": null}', "{}"),
    ],
)
async def test_r2_what_differs_in_the_least_is_another_event(
    traffic: Traffic, first: str, second: str
) -> None:
    await traffic.accept(written(f'"envelopeId": "e", "x": {first}'))
    with pytest.raises(EventConflict):
        await traffic.accept(written(f'"envelopeId": "e", "x": {second}'))


async def test_r2_what_an_older_version_accepted_is_repeated_as_it_was_written(
    traffic: Traffic,
) -> None:
    await traffic.accept(written(PLAIN, meaning=None))
    (receipt,) = await traffic.accept(written(PLAIN))
    assert receipt.repeated
    with pytest.raises(EventConflict):
        await traffic.accept(written(PLAIN.replace("1", "3")))


async def publish(store: Store, *hooks: Any, older: bool = False) -> Receipt:
    (event,) = parse_events(_with(*hooks), "application/json", ACCOUNT)
    event = replace(event, meaning=None) if older else event
    (receipt,) = await Publisher(store, Signals()).publish(ACCOUNT, [event])
    return receipt


def _with(*hooks: Any) -> bytes:
    over: Any = {"eventNotifications": list(hooks)} if hooks else {}
    return json.dumps(published(eventId="id-1", **over)).encode()


@pytest.mark.parametrize("older", [False, True])
async def test_r2_a_repeat_that_names_a_new_notification_is_refused(
    store: Store, traffic: Traffic, older: bool
) -> None:
    await publish(store, HOOK, older=older)
    assert (await publish(store, HOOK)).accepted.repeated
    assert (await publish(store)).accepted.repeated
    with pytest.raises(EventConflict, match=r"id-1 .*notification"):
        await publish(store, HOOK, OTHER_HOOK)
    assert {claim.configuration.url for claim in await traffic.claim_all()} == {HOOK["url"]}


@pytest.mark.parametrize("older", [False, True])
async def test_r2_a_repeat_that_names_its_first_notification_is_refused(
    store: Store, traffic: Traffic, older: bool
) -> None:
    await publish(store, older=older)
    with pytest.raises(EventConflict):
        await publish(store, HOOK)
    assert await traffic.claim_all() == []
