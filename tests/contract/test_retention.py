"""The store contract: what retention deletes, and what it never does (R14)."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from heliograph.delivery.retention import retire
from heliograph.model.deliveries import Delivered
from heliograph.model.logs import LogQuery
from heliograph.store import BATCH_MOST, Retired, Store
from heliograph.store.postgres import retention as postgres_retention
from heliograph.store.sqlite import retention as sqlite_retention
from tests.contract.traffic import Traffic
from tests.support import ACCOUNT, ManualClock, new_event, retry_in, settled

DAY = 86_400.0
KEPT = timedelta(days=90)


async def publish(traffic: Traffic, *names: str) -> None:
    await traffic.accept(*(new_event(envelope_id=f"env-{name}", event_id=name) for name in names))


async def known(traffic: Traffic, name: str) -> bool:
    """Whether an event's id is still known: publishing it again is a repeat."""
    receipt = await traffic.publish(envelope_id=f"env-{name}", event_id=name)
    return receipt.repeated


async def old_and_new(traffic: Traffic, clock: ManualClock) -> None:
    """Of 100 days ago: delivered, failed, cancelled, retrying, waiting; of now: delivered."""
    await traffic.configure()
    await publish(traffic, "delivered", "failed", "cancelled", "retrying")
    claims = {claim.event.event_id: claim for claim in await traffic.claim_all()}
    await traffic.deliver([claims["delivered"]])
    await traffic.give_up([claims["failed"], claims["cancelled"]])
    assert await traffic.store.delete_failure(ACCOUNT, claims["cancelled"].delivery_id, "alice")
    await traffic.settle(claims["retrying"], retry_in(200 * DAY), clock.now())
    await publish(traffic, "waiting")
    clock.move(100 * DAY)
    await traffic.store.renew_lease()
    await publish(traffic, "new")
    (new,) = [claim for claim in await traffic.claim_all() if claim.event.event_id == "new"]
    await traffic.settle(new, Delivered(), clock.now())


async def test_r14_what_ended_long_ago_goes_and_everything_else_stays(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await old_and_new(traffic, clock)

    done = await retire(store, clock.now() - KEPT)
    assert (done.deliveries, done.events, done.envelopes) == (2, 2, 2)
    assert done.attempts >= 2

    listed = (await store.failures(ACCOUNT, LogQuery(), 10)).entries
    assert {entry.event_id for entry in listed} == {"failed", "retrying"}
    assert {entry.subject for entry in listed} == {"Lease of 12 Harbour Street"}
    logged = {entry.event_id for entry in (await store.logs(ACCOUNT, LogQuery(), 20)).entries}
    assert "new" in logged
    assert not logged & {"delivered", "cancelled"}
    assert await store.envelope(ACCOUNT, "env-delivered") is None
    assert await store.envelope(ACCOUNT, "env-failed") is not None
    for name, expected in {"failed": True, "retrying": True, "waiting": True, "new": True}.items():
        assert await known(traffic, name) is expected
    assert not await known(traffic, "delivered")


async def test_r14_a_second_run_finds_nothing(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await old_and_new(traffic, clock)
    await retire(store, clock.now() - KEPT)
    assert await retire(store, clock.now() - KEPT) == Retired()


async def test_r14_what_was_kept_is_sent_later_and_goes_when_it_has_ended(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await old_and_new(traffic, clock)
    await retire(store, clock.now() - KEPT)

    clock.move(101 * DAY)
    await store.renew_lease()
    await store.requeue_envelopes(ACCOUNT, ["env-failed"])
    claims = await traffic.claim_all()
    assert {claim.event.event_id for claim in claims} == {"failed", "retrying"}
    delivered = [settled(claim, Delivered(), clock.now()) for claim in claims]
    assert await store.settle(delivered) == [True, True]
    done = await retire(store, clock.now() - KEPT)
    assert done.deliveries >= 2
    assert (await store.failures(ACCOUNT, LogQuery(), 10)).entries == ()
    assert await store.envelope(ACCOUNT, "env-failed") is None


async def test_r14_an_event_stays_while_one_of_its_deliveries_does(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await traffic.configure(name="a")
    await traffic.configure(name="b")
    await publish(traffic, "both")
    first, second = await traffic.claim_all()
    await traffic.deliver([first])
    await traffic.give_up([second])
    clock.move(100 * DAY)
    await store.renew_lease()

    done = await retire(store, clock.now() - KEPT)
    assert (done.deliveries, done.events) == (1, 0)
    assert list(await store.orphans()) == []
    (left,) = (await store.failures(ACCOUNT, LogQuery(), 10)).entries
    assert left.event_id == "both"
    await store.requeue_envelopes(ACCOUNT, ["env-both"])
    (again,) = await traffic.claim_all()
    assert again.event.document


async def test_r14_events_that_nobody_wanted_go_too(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await publish(traffic, "unwanted")
    clock.move(100 * DAY)
    await store.renew_lease()
    done = await retire(store, clock.now() - KEPT)
    assert (done.deliveries, done.events, done.envelopes) == (0, 1, 1)


@pytest.fixture
def most(monkeypatch: pytest.MonkeyPatch) -> int:
    """The bound of a batch, a hundredth of the real one: so much is soon made."""
    bound = BATCH_MOST // 100
    for engine in (sqlite_retention, postgres_retention):
        monkeypatch.setattr(engine, "BATCH_MOST", bound)
    return bound


def test_r14_a_batch_is_5_000_rows_at_most() -> None:
    assert BATCH_MOST <= 5_000


async def test_r14_no_batch_is_larger_than_the_bound(
    store: Store, traffic: Traffic, clock: ManualClock, most: int
) -> None:
    await traffic.configure()
    number = 3 * most + 1
    await publish(traffic, *(f"event-{place}" for place in range(number)))
    await traffic.deliver(await traffic.claim_all(number, number))
    clock.move(100 * DAY)
    await store.renew_lease()

    totals: list[Retired] = [Retired()]
    done = await retire(store, clock.now() - KEPT, on_progress=totals.append)
    assert (done.deliveries, done.attempts, done.events) == (number, number, number)
    assert max(b.events - a.events for a, b in pairwise(totals)) <= most


async def test_r14_many_unwanted_events_beside_many_delivered_ones_leave_nothing_behind(
    store: Store, traffic: Traffic, clock: ManualClock, most: int
) -> None:
    number = most // 2 + 10
    await publish(traffic, *(f"no-{place}" for place in range(number)))
    await traffic.configure()
    await publish(traffic, *(f"yes-{place}" for place in range(number)))
    await traffic.deliver(await traffic.claim_all(number, number))
    clock.move(100 * DAY)
    await store.renew_lease()

    done = await retire(store, clock.now() - KEPT)
    assert (done.deliveries, done.events, done.envelopes) == (number, 2 * number, 2 * number)


async def test_r2_r14_what_a_repeat_may_come_back_to_is_never_deleted(
    store: Store, clock: ManualClock
) -> None:
    with pytest.raises(ValueError, match="younger than 16 days"):
        await retire(store, clock.now() - timedelta(days=15))
