"""The store contract: relays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from heliograph.errors import InvalidBody
from heliograph.model.accounts import Secret
from heliograph.model.relays import Refusal, Relay
from heliograph.store import Store
from heliograph.store.relays import MOST_REFUSALS, MOST_RETIRED, MessageId
from tests.support import ACCOUNT, OTHER_ACCOUNT, START, ManualClock, accept, new_event

RELAY = Relay("r-1", ACCOUNT, "docusign", (Secret("first"), Secret("ü")), None, START)
OTHER = replace(RELAY, relay_id="r-2", account_id=OTHER_ACCOUNT, basic=("d", Secret("p")))


async def test_a_relay_is_made_once_changed_and_deleted(store: Store) -> None:
    assert await store.relays.create(RELAY)
    assert not await store.relays.create(replace(RELAY, relay_id="r-3", secrets=()))
    assert await store.relays.get(ACCOUNT, "docusign") == RELAY
    second = replace(RELAY, relay_id="r-4", name="another")
    assert await store.relays.create(second)
    assert await store.relays.all(ACCOUNT) == [second, RELAY]
    changed = replace(RELAY, secrets=(Secret("third"),), basic=("d", Secret("p")))
    assert await store.relays.update(ACCOUNT, "docusign", lambda _: changed) == changed
    assert await store.relays.get(ACCOUNT, "docusign") == changed
    assert await store.relays.delete(ACCOUNT, "docusign")
    assert not await store.relays.delete(ACCOUNT, "docusign")
    assert await store.relays.all(ACCOUNT) == [second]


async def test_what_an_update_cannot_make_changes_nothing(store: Store) -> None:
    await store.relays.create(RELAY)

    def refuse(before: Relay) -> Relay:
        assert before == RELAY
        raise InvalidBody("no")

    with pytest.raises(InvalidBody):
        await store.relays.update(ACCOUNT, "docusign", refuse)
    assert await store.relays.get(ACCOUNT, "docusign") == RELAY


async def test_s8_a_relay_is_its_accounts_alone(store: Store) -> None:
    assert await store.relays.create(RELAY)
    assert await store.relays.get(OTHER_ACCOUNT, "docusign") is None
    assert not await store.relays.delete(OTHER_ACCOUNT, "docusign")
    assert await store.relays.update(OTHER_ACCOUNT, "docusign", lambda _: OTHER) is None
    assert await store.relays.create(OTHER)  # another account may choose the same name
    assert await store.relays.get(ACCOUNT, "docusign") == RELAY
    assert await store.relays.get(OTHER_ACCOUNT, "docusign") == OTHER


async def test_s7_a_relays_secrets_are_encrypted_anew_with_the_master_key(store: Store) -> None:
    await store.relays.create(OTHER)
    assert await store.reseal() == 1
    assert await store.relays.get(OTHER_ACCOUNT, "docusign") == OTHER


def refusal(number: int) -> Refusal:
    at = START + timedelta(seconds=number)
    headers = (("user-agent", "é"),)
    return Refusal(at, "RELAY_MESSAGE_REFUSED", "203.0.113.7", number, headers, b"\0\xff")


async def test_r25_the_last_refusals_of_a_relay_are_kept_and_go_with_it(store: Store) -> None:
    await store.relays.create(RELAY)
    await store.relays.create(OTHER)
    for number in range(MOST_REFUSALS + 3):
        await store.relays.refuse(RELAY, refusal(number))
    await store.relays.refuse(OTHER, refusal(99))
    kept = await store.relays.refusals(RELAY)
    assert kept == [refusal(number) for number in reversed(range(3, MOST_REFUSALS + 3))]
    foreign = replace(RELAY, account_id=OTHER_ACCOUNT)
    assert await store.relays.refusals(foreign) == []
    await store.relays.refuse(foreign, refusal(100))
    assert await store.relays.refusals(RELAY) == kept
    assert await store.relays.delete(ACCOUNT, "docusign")
    assert await store.relays.refusals(RELAY) == []
    assert await store.relays.refusals(OTHER) == [refusal(99)]


async def test_r25_a_message_is_kept_in_parts_for_its_account_alone(store: Store) -> None:
    message = MessageId(ACCOUNT, "m-1")
    parts = [b"\0" * 10, b"", b"last"]
    for number, content in enumerate(parts):
        await store.relays.keep(message, "event", number, content)
    for number in range(1, 40):  # past what is let go of caches on the way
        await store.relays.keep(MessageId(ACCOUNT, "m-2"), "event", number - 1, b"%d" % number)
    assert [await store.relays.part(message, number) for number in range(4)] == [*parts, None]
    foreign = MessageId(OTHER_ACCOUNT, "m-1")
    assert await store.relays.part(foreign, 0) is None
    await store.relays.forget(foreign)
    assert await store.relays.part(message, 0) == parts[0]
    await store.relays.forget(message)
    await store.relays.forget(message)
    assert await store.relays.part(message, 0) is None
    assert await store.relays.part(MessageId(ACCOUNT, "m-2"), 38) == b"39"


async def test_r25_a_message_lasts_as_long_as_its_event(store: Store, clock: ManualClock) -> None:
    await accept(store, new_event(event_id="accepted"))
    assert await store.relays.is_accepted(ACCOUNT, "accepted")
    assert not await store.relays.is_accepted(ACCOUNT, "never")
    assert not await store.relays.is_accepted(OTHER_ACCOUNT, "accepted")
    named = MessageId(ACCOUNT, "m-1")
    await store.relays.keep(named, "accepted", 0, b"1")
    for number in range(MOST_RETIRED + 1):
        await store.relays.keep(MessageId(ACCOUNT, f"x-{number}"), "never", 0, b"2")
    before = clock.now()
    assert await store.relays.retire(before) == 0  # they may still be accepted
    clock.move(1)
    await store.relays.keep(MessageId(ACCOUNT, "young"), "never", 0, b"3")
    later = clock.now()
    assert await store.relays.retire(later) == MOST_RETIRED
    assert await store.relays.retire(later) == 1
    assert await store.relays.retire(later) == 0
    assert await store.relays.part(named, 0) == b"1"
    assert await store.relays.part(MessageId(ACCOUNT, "young"), 0) == b"3"
    assert await store.relays.part(MessageId(ACCOUNT, "x-1"), 0) is None
