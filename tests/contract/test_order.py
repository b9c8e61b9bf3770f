"""The store contract: what is kept in order (R6)."""

from __future__ import annotations

from heliograph.model.deliveries import Claim, DeliveryState, GaveUp
from heliograph.model.logs import LogQuery
from heliograph.store import Store
from tests.conftest import OpenStore
from tests.support import (
    ACCOUNT,
    WHY,
    ManualClock,
    accept,
    claim_all,
    deliver,
    give_up,
    new_event,
    retry_in,
    settled,
    wanted_configuration,
)


def events_of(claims: list[Claim]) -> list[str]:
    return [claim.event.event_id for claim in claims]


async def publish_in_turn(store: Store, *event_ids: str, envelope_id: str = "env-1") -> None:
    for event_id in event_ids:
        await accept(store, new_event(envelope_id=envelope_id, event_id=event_id))


async def test_r6_events_of_an_envelope_go_out_one_after_the_other(store: Store) -> None:
    await store.create_configuration(wanted_configuration())
    await publish_in_turn(store, "first", "second", "third")

    for expected in ("first", "second", "third"):
        claims = await claim_all(store)
        assert events_of(claims) == [expected]
        assert await claim_all(store) == []
        assert await deliver(store, claims) == [True]
    assert await claim_all(store) == []


async def test_r6_events_published_in_one_call_keep_their_order_too(store: Store) -> None:
    await store.create_configuration(wanted_configuration())
    await accept(store, *(new_event(event_id=f"event-{number}") for number in range(3)))

    sent = []
    while claims := await claim_all(store):
        sent += events_of(claims)
        await deliver(store, claims)
    assert sent == ["event-0", "event-1", "event-2"]


async def test_r6_other_envelopes_and_other_configurations_do_not_wait(store: Store) -> None:
    await store.create_configuration(wanted_configuration(name="a"))
    await store.create_configuration(wanted_configuration(name="b"))
    await publish_in_turn(store, "first", "second")
    await publish_in_turn(store, "elsewhere", envelope_id="env-2")

    claims = await claim_all(store)
    assert sorted(events_of(claims)) == ["elsewhere", "elsewhere", "first", "first"]
    one = next(claim for claim in claims if claim.event.event_id == "first")
    await deliver(store, [one])
    assert events_of(await claim_all(store)) == ["second"]  # of that configuration alone
    await deliver(store, [claim for claim in claims if claim is not one])


async def test_r6_a_retry_goes_before_what_came_later(store: Store, clock: ManualClock) -> None:
    await store.create_configuration(wanted_configuration())
    await publish_in_turn(store, "first", "second")
    (claim,) = await claim_all(store)
    await store.settle([settled(claim, retry_in(60))])

    assert await claim_all(store) == []
    clock.move(60)
    claims = await claim_all(store)
    assert events_of(claims) == ["first"]
    await deliver(store, claims)
    assert events_of(await claim_all(store)) == ["second"]


async def test_r6_what_has_failed_for_good_lets_the_next_go(store: Store) -> None:
    await store.create_configuration(wanted_configuration())
    await publish_in_turn(store, "first", "second")
    await give_up(store, await claim_all(store))

    claims = await claim_all(store)
    assert events_of(claims) == ["second"]
    await deliver(store, claims)


async def test_r6_a_failure_that_is_deleted_lets_the_next_go(store: Store) -> None:
    await store.create_configuration(wanted_configuration())
    await publish_in_turn(store, "first", "second")
    (claim,) = await claim_all(store)
    await store.settle([settled(claim, retry_in(60))])
    assert await store.delete_failure(ACCOUNT, claim.delivery_id, "alice")

    assert events_of(await claim_all(store)) == ["second"]


async def test_r6_a_republished_failure_holds_nothing_back_and_waits_for_nothing(
    store: Store,
) -> None:
    await store.create_configuration(wanted_configuration())
    await publish_in_turn(store, "first", "second", "third")
    await give_up(store, await claim_all(store))
    (second,) = await claim_all(store)
    (requeued,) = await store.requeue_envelopes(ACCOUNT, ["env-1"])
    assert requeued.state is DeliveryState.WAITING

    (again,) = await claim_all(store)  # beside the second, which is in flight
    assert again.event.event_id == "first"
    await deliver(store, [second])
    assert events_of(await claim_all(store)) == ["third"]
    await deliver(store, [again])


async def test_r6_order_holds_across_a_pause(store: Store, clock: ManualClock) -> None:
    made = await store.create_configuration(wanted_configuration())
    await publish_in_turn(store, "first", "second")
    (claim,) = await claim_all(store)
    paused = {"allowEnvelopePublish": "true", "pausePublish": "true"}
    await store.update_configuration(wanted_configuration(connect_id=made.connect_id, **paused))
    await publish_in_turn(store, "third")
    await deliver(store, [claim])
    assert await claim_all(store) == []

    clock.move(5)
    await store.update_configuration(wanted_configuration(connect_id=made.connect_id))
    sent = []
    while claims := await claim_all(store):
        sent += events_of(claims)
        await deliver(store, claims)
    assert sent == ["second", "third"]


async def test_r6_order_holds_after_a_crash(open_store: OpenStore, store: Store) -> None:
    await store.create_configuration(wanted_configuration())
    await publish_in_turn(store, "first", "second")
    await claim_all(store)
    await store.close()

    again = await open_store()
    claims = await claim_all(again)
    assert events_of(claims) == ["first"]
    assert await claim_all(again) == []
    await deliver(again, claims)
    assert events_of(await claim_all(again)) == ["second"]


async def test_r4_deleting_a_configuration_fails_what_waited_for_its_turn_too(
    store: Store,
) -> None:
    made = await store.create_configuration(wanted_configuration())
    await publish_in_turn(store, "first", "second")
    (claim,) = await claim_all(store)
    assert await store.delete_configuration(ACCOUNT, made.connect_id)
    assert await store.settle([settled(claim, GaveUp(WHY))]) == [True]

    listed = (await store.failures(ACCOUNT, LogQuery(), 10)).entries
    assert len(listed) == 2
