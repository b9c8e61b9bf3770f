"""The store contract: accepting events."""

from __future__ import annotations

import asyncio

import pytest

from heliograph.delivery.matching import match_all
from heliograph.errors import ConfigurationsChanged, EventConflict
from heliograph.model.deliveries import DeliveryState
from heliograph.model.logs import LogQuery
from heliograph.store import Store
from tests.contract.traffic import Traffic
from tests.support import ACCOUNT, OTHER_ACCOUNT, new_event, wanted_configuration


async def test_an_accepted_event_has_one_delivery_for_each_configuration_that_wants_it(
    traffic: Traffic,
) -> None:
    wanting = await traffic.configure()
    await traffic.configure(events=["envelope-voided"])
    also = await traffic.configure(name="erp")

    receipt = await traffic.publish()

    assert (receipt.deliveries, receipt.repeated) == (2, False)
    claims = await traffic.claim_all()
    assert {claim.configuration.connect_id for claim in claims} == {
        wanting.connect_id,
        also.connect_id,
    }


async def test_r2_a_repeated_event_id_adds_nothing_and_gives_the_first_answer(
    traffic: Traffic,
) -> None:
    await traffic.configure()
    first = await traffic.publish()
    again = await traffic.publish()

    assert (again.event_id, again.deliveries, again.repeated) == (first.event_id, 1, True)
    assert len(await traffic.claim_all()) == 1


async def test_r2_twins_published_at_once_become_one_event(traffic: Traffic) -> None:
    await traffic.configure()
    receipts = await asyncio.gather(*(traffic.publish() for _ in range(50)))

    assert sorted(receipt.repeated for receipt in receipts) == [False] + [True] * 49
    assert len(await traffic.claim_all()) == 1


async def test_r2_the_same_event_id_in_two_accounts_is_two_events(traffic: Traffic) -> None:
    await traffic.publish()
    other = await Traffic(traffic.store, OTHER_ACCOUNT).publish()
    assert not other.repeated


async def test_an_event_id_with_another_content_is_refused_and_its_batch_with_it(
    traffic: Traffic,
) -> None:
    await traffic.configure()
    await traffic.publish(event_id="one")
    changed = new_event("envelope-completed", event_id="one")

    with pytest.raises(EventConflict, match="one was published before"):
        await traffic.accept(new_event(event_id="two"), changed)

    assert [claim.event.event_id for claim in await traffic.claim_all()] == ["one"]


async def test_r1_an_accept_is_refused_when_configurations_changed_after_the_match(
    store: Store, traffic: Traffic
) -> None:
    before = await store.configurations(ACCOUNT)
    await traffic.configure()
    event = new_event()

    with pytest.raises(ConfigurationsChanged):
        await store.accept(ACCOUNT, before.version, [(event, match_all(before.all, event))])
    assert await traffic.claim_all() == []


async def test_a_paused_configuration_holds_its_deliveries_until_it_resumes(
    store: Store, traffic: Traffic
) -> None:
    made = await traffic.configure(pausePublish="true")
    await traffic.publish()
    assert await traffic.claim_all() == []

    assert await store.update_configuration(wanted_configuration(connect_id=made.connect_id))
    assert len(await traffic.claim_all()) == 1


async def test_waiting_deliveries_are_held_while_publishing_is_off_and_then_go_out(
    store: Store, traffic: Traffic
) -> None:
    made = await traffic.configure()
    await traffic.publish()
    await store.update_configuration(
        wanted_configuration(connect_id=made.connect_id, allowEnvelopePublish="false")
    )
    assert await traffic.claim_all() == []
    known = await store.configurations(ACCOUNT)
    assert not known.all[0].publishing

    await store.update_configuration(wanted_configuration(connect_id=made.connect_id))
    assert len(await traffic.claim_all()) == 1


async def test_r4_deleting_a_configuration_leaves_its_unfinished_work_as_visible_failures(
    store: Store, traffic: Traffic
) -> None:
    made = await traffic.configure()
    await traffic.publish()

    assert await store.delete_configuration(ACCOUNT, made.connect_id)

    (failure,) = (await store.failures(ACCOUNT, LogQuery(), 10)).entries
    assert failure.error == "claim: the configuration was deleted"
    (refused,) = await store.requeue_envelopes(ACCOUNT, ["env-1"])
    assert "was deleted" in refused.note
    assert await traffic.claim_all() == []


async def test_republishing_to_a_paused_configuration_holds_the_delivery(
    store: Store, traffic: Traffic
) -> None:
    made = await traffic.configure()
    await traffic.publish()
    await traffic.give_up(await traffic.claim_all())
    await store.update_configuration(
        wanted_configuration(connect_id=made.connect_id, pausePublish="true")
    )

    (requeued,) = await store.requeue_envelopes(ACCOUNT, ["env-1"])

    assert requeued.state is DeliveryState.HELD
    assert await traffic.claim_all() == []
    await store.update_configuration(wanted_configuration(connect_id=made.connect_id))
    assert len(await traffic.claim_all()) == 1


async def test_the_newest_summary_of_an_envelope_is_kept(store: Store, traffic: Traffic) -> None:
    newer = new_event("envelope-completed", generatedDateTime="2026-11-23T09:30:00Z")
    await traffic.accept(newer)
    late = new_event("envelope-sent", generatedDateTime="2026-11-23T09:00:00Z")
    await traffic.accept(late)

    envelope = await store.envelope(ACCOUNT, "env-1")
    assert envelope is not None
    assert (envelope.status, envelope.subject) == ("Completed", "Lease of 12 Harbour Street")
    assert await store.envelope(OTHER_ACCOUNT, "env-1") is None
