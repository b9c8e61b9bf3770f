"""Publish on a real store: ids, who is woken, what is known between calls."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from heliograph.delivery.publisher import Publisher
from heliograph.delivery.signals import Signals
from heliograph.errors import ConfigurationsChanged, StorageBroken, Unavailable
from heliograph.model.events import NewEvent
from heliograph.store import Store
from tests.busy import hang
from tests.support import ACCOUNT, OTHER_ACCOUNT, new_event, wanted_configuration

NAMELESS = replace(new_event(), event_id="")


def nameless(envelope_id: str) -> NewEvent:
    return replace(new_event(envelope_id=envelope_id), event_id="")


@pytest.fixture
def publisher(store: Store) -> Publisher:
    return Publisher(store, Signals())


async def published_ids(by: Publisher, *events: NewEvent, **given: Any) -> list[tuple[str, bool]]:
    receipts = await by.publish(given.pop("account_id", ACCOUNT), events, **given)
    return [(one.accepted.event_id, one.accepted.repeated) for one in receipts]


async def test_r2_an_event_keeps_the_id_that_it_came_with(publisher: Publisher) -> None:
    assert await published_ids(publisher, new_event(event_id="mine"), idempotency_key="k") == [
        ("mine", False)
    ]


async def test_r2_events_without_an_id_get_one_each_time_anew(publisher: Publisher) -> None:
    first = await published_ids(publisher, NAMELESS, NAMELESS)
    again = await published_ids(publisher, NAMELESS)
    ids = [one for one, _ in first + again]
    assert len(set(ids)) == 3
    assert {len(one) for one in ids} == {36}
    assert not any(repeated for _, repeated in first + again)


async def test_r2_a_key_makes_ids_of_account_position_and_itself(publisher: Publisher) -> None:
    both = (nameless("env-1"), nameless("env-2"))
    first = await published_ids(publisher, *both, idempotency_key="run-7")
    assert len(dict(first)) == 2
    again = await published_ids(publisher, *both, idempotency_key="run-7")
    assert again == [(one, True) for one, _ in first]
    # Pasted from another process: a repeated call after an update must find what it sent before.
    assert first[0][0] == "3e2849e3-85e1-5ccd-85f5-31e5cec65f8f"
    other = await published_ids(publisher, *both, idempotency_key="run-8")
    strange = await published_ids(
        publisher, *both, idempotency_key="run-7", account_id=OTHER_ACCOUNT
    )
    assert len({one for one, _ in first + other + strange}) == 6


async def test_the_dispatcher_is_woken_by_what_was_accepted(store: Store) -> None:
    signals = Signals()
    store.when_due(signals.work.set)
    await Publisher(store, signals).publish(ACCOUNT, [new_event()])
    assert not signals.work.is_set()  # nobody wants it
    await store.create_configuration(wanted_configuration())
    await Publisher(store, signals).publish(ACCOUNT, [new_event(envelope_id="env-2")])
    assert signals.work.is_set()


async def test_configurations_are_read_once_and_again_after_they_changed(
    store: Store, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, real = 0, store.configurations

    async def configurations(*given: Any, **more: Any) -> Any:
        nonlocal read
        read += 1
        return await real(*given, **more)

    monkeypatch.setattr(store, "configurations", configurations)
    for number in range(3):
        await publisher.publish(ACCOUNT, [new_event(envelope_id=f"env-{number}")])
    assert read == 1
    await store.create_configuration(wanted_configuration())
    (receipt,) = await publisher.publish(ACCOUNT, [new_event(envelope_id="env-4")])
    assert (read, receipt.accepted.deliveries) == (2, 1)


async def test_configurations_that_never_rest_end_the_call_and_not_the_caller(
    store: Store, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def changed(*_: object, **__: object) -> None:
        raise ConfigurationsChanged

    monkeypatch.setattr(store, "accept", changed)
    with pytest.raises(Unavailable) as caught:
        await publisher.publish(ACCOUNT, [new_event()])
    assert str(caught.value) == ("The account's configurations keep changing: publish again.")


async def test_two_publishes_that_find_the_same_change_both_read_again(
    store: Store, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, both, tries = store.accept, asyncio.Event(), 0

    async def accept(*given: Any, **named: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries > 2:
            return await real(*given, **named)
        if tries == 2:
            both.set()
        await both.wait()
        raise ConfigurationsChanged

    await publisher.publish(ACCOUNT, [new_event()])
    monkeypatch.setattr(store, "accept", accept)
    async with hang(10):
        receipts = await asyncio.gather(
            *(publisher.publish(ACCOUNT, [new_event(envelope_id=f"env-{n}")]) for n in (2, 3))
        )
    assert [len(one) for one in receipts] == [1, 1]


async def test_f12_a_broken_storage_wakes_the_dispatcher_which_ends_by_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise StorageBroken("the disk is gone")

    signals = Signals()
    monkeypatch.setattr(store, "accept", broken)
    with pytest.raises(StorageBroken):
        await Publisher(store, signals).publish(ACCOUNT, [new_event()])
    assert signals.work.is_set()
