"""The store contract: what changes many rows does so some at a time (S17)."""

from __future__ import annotations

import asyncio

import pytest

from heliograph.delivery.republish import Republisher
from heliograph.delivery.signals import Signals
from heliograph.model.deliveries import DeliveryState
from heliograph.model.logs import LogQuery
from heliograph.store import BATCH, Store, batches
from tests.contract.traffic import Traffic
from tests.support import ACCOUNT, ManualClock, new_event

FAILURES = BATCH + 10


@pytest.fixture
async def failed(store: Store, traffic: Traffic) -> list[str]:
    """Envelopes with an open failure each, and one that has them all but one."""
    await traffic.configure(deliveryOrder="none")
    ids = [f"one-{number}" for number in range(FAILURES)]
    events = [new_event(envelope_id=one) for one in ids]
    events += [new_event(envelope_id="many", event_id=f"m-{number}") for number in range(FAILURES)]
    for some in batches(events, 100):
        await traffic.accept(*some)
    while claims := await traffic.claim_all(100, 100):
        await traffic.give_up(claims)
    return ids


async def test_s17_a_retry_of_many_changes_some_at_a_time_and_forgets_none(
    store: Store, failed: list[str]
) -> None:
    first = await store.requeue_envelopes(ACCOUNT, [*failed, "unknown"])
    rest = await store.requeue_envelopes(ACCOUNT, failed, first[-1].delivery_id)
    assert (len(first), len(rest)) == (BATCH, FAILURES - BATCH)
    assert {one.envelope_id for one in (*first, *rest)} == set(failed)
    assert {one.state for one in (*first, *rest)} == {DeliveryState.WAITING}


@pytest.mark.parametrize("one", [False, True], ids=["many envelopes", "one envelope"])
async def test_s17_a_publish_goes_between_what_a_retry_of_many_changes(
    store: Store, traffic: Traffic, clock: ManualClock, failed: list[str], one: bool, engine: str
) -> None:
    by = Republisher(store, clock, Signals())
    done: list[str] = []

    async def retry() -> int:
        found = await by.envelopes(ACCOUNT, ["many"] if one else failed, "ada", synchronous=False)
        done.append("retry")
        return len(found)

    async def publish() -> None:
        await traffic.publish("envelope-sent", "plain")
        done.append("publish")

    retried, _ = await asyncio.gather(retry(), publish())
    assert retried == FAILURES
    # On PostgreSQL both have connections of their own, and the order is nobody's.
    assert done == ["publish", "retry"] or engine == "postgres"


async def test_s17_bulk_calls_by_filter_change_all_that_they_choose(
    store: Store, failed: list[str]
) -> None:
    page = await store.requeue_failures(ACCOUNT, LogQuery(envelope_id="many"))
    assert len(page.requeued) == FAILURES
    assert page.next_cursor is None
    assert await store.delete_failures(ACCOUNT, LogQuery(envelope_id="many"), "ada") == FAILURES
    assert await store.delete_failures(ACCOUNT, LogQuery(), "ada") == len(failed)
    assert await store.delete_failures(ACCOUNT, LogQuery(), "ada") == 0
