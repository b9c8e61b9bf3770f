"""The store contract: what is kept in order (R6)."""

from __future__ import annotations

from heliograph.model.deliveries import Claim, DeliveryState, GaveUp
from heliograph.model.logs import LogQuery
from heliograph.store import Store
from tests.conftest import OpenStore
from tests.contract.traffic import Traffic
from tests.support import ACCOUNT, WHY, ManualClock, new_event, wanted_configuration


def events_of(claims: list[Claim]) -> list[str]:
    return [claim.event.event_id for claim in claims]


async def publish_in_turn(traffic: Traffic, *event_ids: str, envelope_id: str = "env-1") -> None:
    for event_id in event_ids:
        await traffic.publish(envelope_id=envelope_id, event_id=event_id)


async def test_r6_events_of_an_envelope_go_out_one_after_the_other(traffic: Traffic) -> None:
    await traffic.configure()
    await publish_in_turn(traffic, "first", "second", "third")

    for expected in ("first", "second", "third"):
        claims = await traffic.claim_all()
        assert events_of(claims) == [expected]
        assert await traffic.claim_all() == []
        assert await traffic.deliver(claims) == [True]
    assert await traffic.claim_all() == []


async def test_r6_events_published_in_one_call_keep_their_order_too(traffic: Traffic) -> None:
    await traffic.configure()
    await traffic.accept(*(new_event(event_id=f"event-{number}") for number in range(3)))

    sent = []
    while claims := await traffic.claim_all():
        sent += events_of(claims)
        await traffic.deliver(claims)
    assert sent == ["event-0", "event-1", "event-2"]


async def test_r6_other_envelopes_and_other_configurations_do_not_wait(traffic: Traffic) -> None:
    await traffic.configure(name="a")
    await traffic.configure(name="b")
    await publish_in_turn(traffic, "first", "second")
    await publish_in_turn(traffic, "elsewhere", envelope_id="env-2")

    claims = await traffic.claim_all()
    assert sorted(events_of(claims)) == ["elsewhere", "elsewhere", "first", "first"]
    one = next(claim for claim in claims if claim.event.event_id == "first")
    await traffic.deliver([one])
    assert events_of(await traffic.claim_all()) == ["second"]  # of that configuration alone
    await traffic.deliver([claim for claim in claims if claim is not one])


async def test_r6_a_retry_goes_before_what_came_later(traffic: Traffic, clock: ManualClock) -> None:
    await traffic.configure()
    await publish_in_turn(traffic, "first", "second")
    (claim,) = await traffic.claim_all()
    await traffic.retry(claim, 60)

    assert await traffic.claim_all() == []
    clock.move(60)
    claims = await traffic.claim_all()
    assert events_of(claims) == ["first"]
    await traffic.deliver(claims)
    assert events_of(await traffic.claim_all()) == ["second"]


async def test_r6_what_has_failed_for_good_lets_the_next_go(traffic: Traffic) -> None:
    await traffic.configure()
    await publish_in_turn(traffic, "first", "second")
    await traffic.give_up(await traffic.claim_all())

    claims = await traffic.claim_all()
    assert events_of(claims) == ["second"]
    await traffic.deliver(claims)


async def test_r6_a_failure_that_is_deleted_lets_the_next_go(
    store: Store, traffic: Traffic
) -> None:
    await traffic.configure()
    await publish_in_turn(traffic, "first", "second")
    (claim,) = await traffic.claim_all()
    await traffic.retry(claim, 60)
    assert await store.delete_failure(ACCOUNT, claim.delivery_id, "alice")

    assert events_of(await traffic.claim_all()) == ["second"]


async def test_r6_a_republished_failure_holds_nothing_back_and_waits_for_nothing(
    store: Store, traffic: Traffic
) -> None:
    await traffic.configure()
    await publish_in_turn(traffic, "first", "second", "third")
    await traffic.give_up(await traffic.claim_all())
    (second,) = await traffic.claim_all()
    (requeued,) = await store.requeue_envelopes(ACCOUNT, ["env-1"])
    assert requeued.state is DeliveryState.WAITING

    (again,) = await traffic.claim_all()  # beside the second, which is in flight
    assert again.event.event_id == "first"
    await traffic.deliver([second])
    assert events_of(await traffic.claim_all()) == ["third"]
    await traffic.deliver([again])


async def test_r6_order_holds_across_a_pause(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    made = await traffic.configure()
    await publish_in_turn(traffic, "first", "second")
    (claim,) = await traffic.claim_all()
    paused = {"allowEnvelopePublish": "true", "pausePublish": "true"}
    await store.update_configuration(wanted_configuration(connect_id=made.connect_id, **paused))
    await publish_in_turn(traffic, "third")
    await traffic.deliver([claim])
    assert await traffic.claim_all() == []

    clock.move(5)
    await store.update_configuration(wanted_configuration(connect_id=made.connect_id))
    sent = []
    while claims := await traffic.claim_all():
        sent += events_of(claims)
        await traffic.deliver(claims)
    assert sent == ["second", "third"]


async def test_r6_order_holds_after_a_crash(
    open_store: OpenStore, store: Store, traffic: Traffic
) -> None:
    await traffic.configure()
    await publish_in_turn(traffic, "first", "second")
    await traffic.claim_all()
    await store.close()

    again = Traffic(await open_store())
    claims = await again.claim_all()
    assert events_of(claims) == ["first"]
    assert await again.claim_all() == []
    await again.deliver(claims)
    assert events_of(await again.claim_all()) == ["second"]


async def test_r4_deleting_a_configuration_fails_what_waited_for_its_turn_too(
    store: Store, traffic: Traffic
) -> None:
    made = await traffic.configure()
    await publish_in_turn(traffic, "first", "second")
    (claim,) = await traffic.claim_all()
    assert await store.delete_configuration(ACCOUNT, made.connect_id)
    assert await traffic.settle(claim, GaveUp(WHY))

    listed = (await store.failures(ACCOUNT, LogQuery(), 10)).entries
    assert len(listed) == 2
