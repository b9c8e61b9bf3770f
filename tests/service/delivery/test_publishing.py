"""Publish on a real store: ids, who is woken, what is known between calls."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest

import heliograph.delivery
from heliograph.delivery import publisher as module
from heliograph.delivery.publisher import FEW, Publisher
from heliograph.delivery.signals import Signals
from heliograph.errors import ConfigurationsChanged, InvalidBody, StorageBroken, Unavailable
from heliograph.model.events import NewEvent
from heliograph.store import Configurations, Store
from heliograph.store.verbs import Step
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
    made = await store.create_configuration(wanted_configuration())
    (receipt,) = await publisher.publish(ACCOUNT, [new_event(envelope_id="env-4")])
    assert (read, receipt.accepted.deliveries) == (2, 1)
    await store.update_configuration(replace(made, paused=True))
    await store.create_configuration(wanted_configuration())
    (receipt,) = await publisher.publish(ACCOUNT, [new_event(envelope_id="env-5")])
    assert (read, receipt.accepted.deliveries) == (3, 2)
    await store.delete_configuration(ACCOUNT, made.connect_id)
    receipts = await asyncio.gather(
        *(publisher.publish(ACCOUNT, [new_event(envelope_id=f"env-{n}")]) for n in range(6, 9))
    )
    assert [receipt.accepted.deliveries for (receipt,) in receipts] == [1, 1, 1]
    assert read == 4


async def test_what_an_account_has_is_told_as_it_is_now_and_only_what_has_changed_is_read(
    store: Store, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, real = list[Configurations | None](), store.configurations

    async def configurations(
        account_id: str, known: Configurations | None = None
    ) -> Configurations:
        given.append(known)
        return await real(account_id, known)

    monkeypatch.setattr(store, "configurations", configurations)
    first = await store.create_configuration(wanted_configuration())
    assert list(await publisher.configurations(ACCOUNT)) == [first]
    await publisher.publish(ACCOUNT, [new_event()])
    known = await real(ACCOUNT)
    second = await store.create_configuration(wanted_configuration())
    assert list(await publisher.configurations(ACCOUNT)) == [first, second]
    assert list(await publisher.configurations(OTHER_ACCOUNT)) == []
    assert given == [None, None, known, None]


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


@contextmanager
def counted_calls() -> Iterator[list[str]]:
    """The functions of the delivery room that are called in this thread, one after the other."""
    room, calls = heliograph.delivery.__path__[0], list[str]()

    def called(frame: FrameType, what: str, _: object) -> None:
        if what == "call" and frame.f_code.co_filename.startswith(room):
            calls.append(frame.f_code.co_name)

    sys.setprofile(called)
    try:
        yield calls
    finally:
        sys.setprofile(None)


async def test_a_publish_does_no_more_for_many_configurations_than_for_a_few(
    store: Store, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[str]()

    def noted(step: Step, queries: Mapping[str, str]) -> str:
        asked.append(step.query)
        return text(step, queries)

    text = Step.text
    monkeypatch.setattr(Step, "text", noted)
    done = []
    count = 0
    for most in (2 * FEW, 200):
        while count < most:
            wanted = wanted_configuration(events=[f"envelope-{count}"])
            await store.create_configuration(wanted)
            count += 1
        await publisher.publish(ACCOUNT, [new_event("envelope-0", f"first of {count}")])
        asked.clear()
        with counted_calls() as calls:
            for name, deliveries in ((f"envelope-{count - 1}", 1), ("envelope-none", 0)):
                (receipt,) = await publisher.publish(ACCOUNT, [new_event(name, f"of {count}")])
                assert (receipt.accepted.deliveries, len(receipt.skips)) == (deliveries, FEW)
                assert receipt.skipped == count - deliveries
        done.append((asked.copy(), calls.copy()))
    assert done[0] == done[1]
    assert "match" in done[0][1]


async def test_the_first_that_do_not_get_an_event_say_why_or_all_where_it_is_asked(
    store: Store, publisher: Publisher
) -> None:
    made = [
        await store.create_configuration(
            wanted_configuration(events=["envelope-sent" if number % 2 else "envelope-voided"])
        )
        for number in range(2 * FEW + 4)
    ]
    others = [one.connect_id for one in made[::2]]
    for explain in (False, True):
        (receipt,) = await publisher.publish(ACCOUNT, [new_event()], explain=explain)
        assert receipt.skipped == len(others) == FEW + 2
        shown = others if explain else others[:FEW]
        assert [skip.connect_id for skip in receipt.skips] == shown
        assert {skip.reason for skip in receipt.skips} == {"envelope-sent is not among its events"}


@pytest.mark.parametrize("explain", [False, True])
async def test_s17_a_call_asks_so_often_at_the_most_and_counts_what_it_asks(
    store: Store, publisher: Publisher, monkeypatch: pytest.MonkeyPatch, explain: bool
) -> None:
    for number in range(20):
        wanted = wanted_configuration(events=[f"envelope-{number}"])
        await store.create_configuration(wanted)
    events = [new_event("envelope-7", f"env-{number}") for number in range(3)]
    # One may want each event; it, and so many others, are asked why they do not.
    needed = 3 * (1 + (20 if explain else FEW))
    monkeypatch.setattr(module, "MOST_VERDICTS", needed - 1)
    with pytest.raises(InvalidBody, match=f"asks more than {needed - 1} times"):
        await publisher.publish(ACCOUNT, events, explain=explain)
    monkeypatch.setattr(module, "MOST_VERDICTS", needed)
    assert len(await publisher.publish(ACCOUNT, events, explain=explain)) == 3
