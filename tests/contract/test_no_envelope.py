"""The store contract: events that are about no envelope, DocuSign's and one's own."""

from __future__ import annotations

from typing import Any, Final

from heliograph.model.deliveries import DeliveryState
from heliograph.model.logs import LogQuery
from heliograph.store import Store
from tests.contract.traffic import Traffic
from tests.support import ACCOUNT, ManualClock

OWN: Final[dict[str, Any]] = {"data": {"order": 7}}


async def test_fidelity_events_without_an_envelope_are_accepted_logged_failed_and_republished(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    made = await traffic.configure(events=["order.shipped", "click-agreed"])
    for name in ("order.shipped", "click-agreed"):
        receipt = await traffic.publish(name, event_id=name, **OWN)
        assert receipt.deliveries == 1
    # No order is kept between them: both go at once.
    claims = await traffic.claim_all()
    assert {claim.event.name for claim in claims} == {"order.shipped", "click-agreed"}
    assert {claim.event.envelope_id for claim in claims} == {""}
    await traffic.give_up(claims)

    page = await store.failures(ACCOUNT, LogQuery(), 10)
    assert {entry.event_name for entry in page.entries} == {"order.shipped", "click-agreed"}
    assert {entry.envelope_id for entry in page.entries} == {""}
    assert {entry.subject for entry in page.entries} == {None}
    assert await store.envelope(ACCOUNT, "") is None
    assert await store.notified(ACCOUNT, [""]) == {}

    clock.move(1)
    requeued = await store.requeue_failures(ACCOUNT, LogQuery(connect_id=made.connect_id))
    assert {one.state for one in requeued.requeued} == {DeliveryState.WAITING}
    assert all(await traffic.deliver(await traffic.claim_all()))
    assert (await store.failures(ACCOUNT, LogQuery(), 10)).entries == ()
    logged = (await store.logs(ACCOUNT, LogQuery(), 10)).entries
    assert len(logged) == 4


async def test_fidelity_events_without_an_envelope_are_repeated_by_their_id_alone(
    traffic: Traffic,
) -> None:
    await traffic.configure(events=["order.shipped"])
    first = await traffic.publish("order.shipped", event_id="one", **OWN)
    again = await traffic.publish("order.shipped", event_id="one", **OWN)
    other = await traffic.publish("order.shipped", event_id="two", **OWN)
    assert (first.repeated, again.repeated, other.repeated) == (False, True, False)
    assert len(await traffic.claim_all()) == 2


async def test_fidelity_events_without_an_envelope_are_each_a_message_in_aggregate_mode(
    traffic: Traffic,
) -> None:
    await traffic.configure(events=["order.shipped"], deliveryMode="aggregate")
    for event_id in ("one", "two"):
        await traffic.publish("order.shipped", event_id=event_id, **OWN)
    claims = await traffic.claim_all()
    shown = {claim.gathered.event.event_id for claim in claims if claim.gathered is not None}
    assert shown == {"one", "two"}
    assert all(await traffic.deliver(claims))


async def test_fidelity_events_without_an_envelope_keep_their_order_where_all_do(
    traffic: Traffic,
) -> None:
    await traffic.configure(events=["order.shipped"], deliveryOrder="configuration")
    for event_id in ("one", "two"):
        await traffic.publish("order.shipped", event_id=event_id, **OWN)
    (first,) = await traffic.claim_all()
    assert first.event.event_id == "one"
    assert await traffic.claim_all() == []
    await traffic.deliver([first])
    (second,) = await traffic.claim_all()
    assert second.event.event_id == "two"
