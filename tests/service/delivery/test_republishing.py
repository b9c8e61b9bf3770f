"""Republish on a real store, with the test in place of the dispatcher."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from heliograph.delivery.republish import LONGEST_WAIT, Republisher
from heliograph.delivery.signals import Signals
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.deliveries import Claim, DeliveryState, Phase, RetryAt, Why
from heliograph.model.logs import LogQuery, Requeued
from heliograph.store import BATCH, Store, batches
from tests.busy import hang
from tests.support import (
    ACCOUNT,
    ManualClock,
    accept,
    claim_all,
    deliver,
    new_event,
    retry_in,
    settled,
    wanted_configuration,
)


class Asked:
    """A synchronous republish that waits, and the signal that it waits for."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.signals = Signals()
        store.when_due(self.signals.work.set)
        self._clock = clock
        self.outcome = asyncio.create_task(
            Republisher(store, clock, self.signals).envelopes(
                ACCOUNT, ["env-1"], "ada", synchronous=True
            )
        )

    async def still_waits(self) -> None:
        """Something was settled; it has looked, and waits on."""
        self.signals.announce_settled()
        looks = asyncio.create_task(self._clock.until_waited_for())
        await asyncio.wait({self.outcome, looks}, return_when=asyncio.FIRST_COMPLETED)
        assert not self.outcome.done()

    async def answered(self) -> Requeued:
        self.signals.announce_settled()
        async with hang(10):
            (one,) = await self.outcome
        return one


async def asked(store: Store, clock: ManualClock, *, due: bool = True) -> Asked:
    asking = Asked(store, clock)
    await clock.until_waited_for()
    assert asking.signals.work.is_set() is due  # the dispatcher is told
    return asking


@pytest.fixture
async def made(store: Store, clock: ManualClock) -> ConnectConfiguration:
    """A configuration of which an event of env-1 has failed once."""
    configuration = await store.create_configuration(wanted_configuration())
    await accept(store, new_event())
    await fail(store, await claim_all(store), "first", clock)
    clock.move(1000)  # a clock is never at its beginning
    return configuration


async def fail(store: Store, claims: Sequence[Claim], what: str, clock: ManualClock) -> None:
    outcome = RetryAt(retry_in(5000, clock.now()).when, Why(Phase.CONNECT, what))
    await store.settle([settled(claim, outcome, clock.now()) for claim in claims])


@pytest.mark.usefixtures("made")
async def test_what_failed_before_is_not_taken_for_the_outcome(
    store: Store, clock: ManualClock
) -> None:
    asking = await asked(store, clock)
    await asking.still_waits()
    await fail(store, await claim_all(store), "second", clock)
    again = await asking.answered()
    assert (again.state, again.note) == (DeliveryState.FAILED, "connect: second")


@pytest.mark.usefixtures("made")
async def test_what_is_being_sent_is_waited_for_and_not_sent_twice(
    store: Store, clock: ManualClock
) -> None:
    clock.move(5000)
    claims = await claim_all(store)
    asking = await asked(store, clock, due=False)
    await asking.still_waits()
    await fail(store, claims, "second", clock)
    again = await asking.answered()
    assert (again.state, again.note) == (DeliveryState.FAILED, "connect: second")


@pytest.mark.usefixtures("made")
async def test_what_was_delivered_is_told(store: Store, clock: ManualClock) -> None:
    asking = await asked(store, clock)
    await deliver(store, await claim_all(store))
    done = await asking.answered()
    assert (done.state, done.note) == (DeliveryState.DELIVERED, "Delivered.")


@pytest.mark.usefixtures("made")
async def test_what_another_node_has_delivered_is_told_within_a_second(
    store: Store, clock: ManualClock
) -> None:
    asking = await asked(store, clock)
    await deliver(store, await claim_all(store))
    clock.move(1)  # and no signal comes
    async with hang(10):
        (done,) = await asking.outcome
    assert (done.state, done.note) == (DeliveryState.DELIVERED, "Delivered.")


@pytest.mark.usefixtures("made")
async def test_what_was_cancelled_meanwhile_is_told(store: Store, clock: ManualClock) -> None:
    asking = await asked(store, clock)
    (failure,) = (await store.failures(ACCOUNT, LogQuery(), 10)).entries
    assert failure.failure_id is not None
    assert await store.delete_failure(ACCOUNT, failure.failure_id, "ada")
    done = await asking.answered()
    assert (done.state, done.note) == (DeliveryState.CANCELLED, "It is cancelled now.")


async def test_what_was_held_meanwhile_is_told(
    store: Store, clock: ManualClock, made: ConnectConfiguration
) -> None:
    asking = await asked(store, clock)
    paused = wanted_configuration(connect_id=made.connect_id, pausePublish="true")
    assert await store.update_configuration(paused)
    done = await asking.answered()
    assert (done.state, done.note) == (DeliveryState.HELD, "It is held now.")


@pytest.mark.usefixtures("made")
async def test_who_asks_is_answered_after_the_longest_wait_and_not_before(
    store: Store, clock: ManualClock
) -> None:
    asking = await asked(store, clock)
    clock.move(LONGEST_WAIT - 0.5)
    await asking.still_waits()
    clock.move(0.5)
    done = await asking.answered()
    assert (done.state, done.note) == (
        DeliveryState.WAITING,
        "Queued: the next try is due now.",
    )


async def test_the_failures_of_a_query_become_due_and_the_dispatcher_is_told(
    store: Store, clock: ManualClock
) -> None:
    for url in ("https://one.example.com/", "https://two.example.com/"):
        await store.create_configuration(wanted_configuration(urlToPublishTo=url))
    for number in range(3):
        await accept(store, new_event(envelope_id=f"env-{number}"))
        clock.move(1)
    await fail(store, await claim_all(store), "down", clock)
    signals = Signals()
    store.when_due(signals.work.set)
    page = await Republisher(store, clock, signals).failures(ACCOUNT, LogQuery(connect_id=2))
    assert {one.config_url for one in page.requeued} == {"https://two.example.com/"}
    assert len(page.requeued) == 3
    assert signals.work.is_set()

    of_one = (await store.failures(ACCOUNT, LogQuery(connect_id=1), 10)).entries
    oldest = min(of_one, key=lambda one: one.cursor.created_us)
    rest = await Republisher(store, clock, signals).failures(
        ACCOUNT, LogQuery(connect_id=1), oldest.cursor
    )
    assert len(rest.requeued) == 2


async def test_s17_who_waits_for_many_outcomes_looks_at_some_at_a_time(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, progress = list[int](), store.progress

    async def looking(account_id: str, ids: Sequence[int]) -> Any:
        looks.append(len(ids))
        return await progress(account_id, ids)

    monkeypatch.setattr(store, "progress", looking)
    await store.create_configuration(wanted_configuration(deliveryOrder="none"))
    ids = [f"e-{number}" for number in range(BATCH + 10)]
    for some in batches(ids, 100):
        await accept(store, *(new_event(envelope_id=one) for one in some))
    while claims := await claim_all(store, BATCH, BATCH):
        await fail(store, claims, "first", clock)
    clock.move(1000)
    signals = Signals()
    asking = asyncio.create_task(
        Republisher(store, clock, signals).envelopes(ACCOUNT, ids, "ada", synchronous=True)
    )
    await clock.until_waited_for()
    while claims := await claim_all(store, BATCH, BATCH):
        await deliver(store, claims)
    signals.announce_settled()
    async with hang(30):
        outcomes = await asking
    assert {one.envelope_id for one in outcomes} == set(ids)
    assert {one.note for one in outcomes} == {"Delivered."}
    assert max(looks) == BATCH


async def test_of_an_envelope_without_failures_what_was_delivered_is_sent_again(
    store: Store, clock: ManualClock
) -> None:
    for url in ("https://one.example.com/", "https://two.example.com/"):
        await store.create_configuration(wanted_configuration(urlToPublishTo=url))
    await accept(store, new_event(envelope_id="env-1"), new_event(envelope_id="env-2"))
    failing, *others = await claim_all(store)
    await fail(store, [failing], "down", clock)
    await deliver(store, others)
    done = await Republisher(store, clock, Signals()).envelopes(
        ACCOUNT, ["env-1", "env-2", "env-1"], "ada", synchronous=False
    )
    # Of the envelope that has a failure, only that.
    assert [one.envelope_id for one in done] == ["env-1", "env-2", "env-2"]
    assert sorted(
        (claim.event.envelope_id, claim.resent_by or "") for claim in await claim_all(store)
    ) == [("env-1", ""), ("env-2", "ada"), ("env-2", "ada")]


@pytest.fixture
async def many(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[Claim]:
    """Five events of one envelope that are being sent, where two are asked about at a time."""
    for place in ("heliograph.delivery.republish.BATCH", "heliograph.store.verbs.store.BATCH"):
        monkeypatch.setattr(place, 2)
    await store.create_configuration(wanted_configuration(deliveryOrder="none"))
    await accept(store, *(new_event(event_id=str(number)) for number in range(5)))
    return await claim_all(store)


async def test_each_of_an_envelopes_many_failures_is_republished_once(
    store: Store, clock: ManualClock, many: list[Claim]
) -> None:
    await fail(store, many, "down", clock)
    done = await Republisher(store, clock, Signals()).envelopes(
        ACCOUNT, ["env-1"], "ada", synchronous=False
    )
    assert [one.delivery_id for one in done] == sorted(claim.delivery_id for claim in many)


@pytest.mark.parametrize("deleted", [False, True])
async def test_each_of_what_an_envelope_delivered_is_told_of_once(
    store: Store, clock: ManualClock, many: list[Claim], *, deleted: bool
) -> None:
    await deliver(store, many)
    if deleted:  # what cannot be sent again stays what was delivered
        await store.delete_configuration(ACCOUNT, many[0].configuration.connect_id)
    done = await Republisher(store, clock, Signals()).envelopes(
        ACCOUNT, ["env-1"], "ada", synchronous=False
    )
    assert [one.delivery_id for one in done] == sorted(claim.delivery_id for claim in many)
    state = DeliveryState.FAILED if deleted else DeliveryState.WAITING
    assert {one.state for one in done} == {state}


async def test_what_a_query_selects_of_what_was_delivered_is_sent_again_page_by_page(
    store: Store, clock: ManualClock, many: list[Claim], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heliograph.store.verbs.store.BATCH_MOST", 4)
    await deliver(store, many)
    republisher = Republisher(store, clock, Signals())
    assert (await republisher.delivered(ACCOUNT, LogQuery(envelope_id="other"), "ada")) == (
        await republisher.delivered("another", LogQuery(), "ada")
    )
    first = await republisher.delivered(ACCOUNT, LogQuery(), "ada")
    assert first.next_cursor is not None
    rest = await republisher.delivered(ACCOUNT, LogQuery(), "bob", first.next_cursor)
    assert (len(first.requeued), len(rest.requeued), rest.next_cursor) == (4, 1, None)
    asked = sorted(claim.resent_by or "" for claim in await claim_all(store))
    assert asked == [*["ada"] * 4, "bob"]
