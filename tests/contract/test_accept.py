"""The store contract: accepting events."""

from __future__ import annotations

import asyncio

import pytest

from heliograph.delivery.matching import match_all
from heliograph.errors import ConfigurationsChanged, EventConflict
from heliograph.model.deliveries import DeliveryState
from heliograph.model.logs import LogQuery
from heliograph.store import Store
from tests.support import (
    ACCOUNT,
    OTHER_ACCOUNT,
    accept,
    claim_all,
    give_up,
    new_event,
    wanted_configuration,
)


async def test_an_accepted_event_has_one_delivery_for_each_configuration_that_wants_it(
    store: Store,
) -> None:
    wanting = await store.create_configuration(wanted_configuration())
    await store.create_configuration(wanted_configuration(events=["envelope-voided"]))
    also = await store.create_configuration(wanted_configuration(name="erp"))

    (receipt,) = await accept(store, new_event())

    assert (receipt.deliveries, receipt.repeated) == (2, False)
    claims = await claim_all(store)
    assert {claim.configuration.connect_id for claim in claims} == {
        wanting.connect_id,
        also.connect_id,
    }


async def test_r2_a_repeated_event_id_adds_nothing_and_gives_the_first_answer(
    store: Store,
) -> None:
    await store.create_configuration(wanted_configuration())
    (first,) = await accept(store, new_event())
    (again,) = await accept(store, new_event())

    assert (again.event_id, again.deliveries, again.repeated) == (first.event_id, 1, True)
    assert len(await claim_all(store)) == 1


async def test_r2_twins_published_at_once_become_one_event(store: Store) -> None:
    await store.create_configuration(wanted_configuration())
    receipts = await asyncio.gather(*(accept(store, new_event()) for _ in range(50)))

    assert sorted(receipt.repeated for (receipt,) in receipts) == [False] + [True] * 49
    assert len(await claim_all(store)) == 1


async def test_r2_the_same_event_id_in_two_accounts_is_two_events(store: Store) -> None:
    await accept(store, new_event())
    (other,) = await accept(store, new_event(), account_id=OTHER_ACCOUNT)
    assert not other.repeated


async def test_an_event_id_with_another_content_is_refused_and_its_batch_with_it(
    store: Store,
) -> None:
    await store.create_configuration(wanted_configuration())
    await accept(store, new_event(event_id="one"))
    changed = new_event("envelope-completed", event_id="one")

    with pytest.raises(EventConflict, match="one was published before"):
        await accept(store, new_event(event_id="two"), changed)

    assert [claim.event.event_id for claim in await claim_all(store)] == ["one"]


async def test_r1_an_accept_is_refused_when_configurations_changed_after_the_match(
    store: Store,
) -> None:
    before = await store.configurations(ACCOUNT)
    await store.create_configuration(wanted_configuration())
    event = new_event()

    with pytest.raises(ConfigurationsChanged):
        await store.accept(ACCOUNT, before.version, [(event, match_all(before.all, event))])
    assert await claim_all(store) == []


async def test_a_paused_configuration_holds_its_deliveries_until_it_resumes(
    store: Store,
) -> None:
    made = await store.create_configuration(wanted_configuration(pausePublish="true"))
    await accept(store, new_event())
    assert await claim_all(store) == []

    assert await store.update_configuration(wanted_configuration(connect_id=made.connect_id))
    assert len(await claim_all(store)) == 1


async def test_waiting_deliveries_are_held_while_publishing_is_off_and_then_go_out(
    store: Store,
) -> None:
    made = await store.create_configuration(wanted_configuration())
    await accept(store, new_event())
    await store.update_configuration(
        wanted_configuration(connect_id=made.connect_id, allowEnvelopePublish="false")
    )
    assert await claim_all(store) == []
    known = await store.configurations(ACCOUNT)
    assert not known.all[0].publishing

    await store.update_configuration(wanted_configuration(connect_id=made.connect_id))
    assert len(await claim_all(store)) == 1


async def test_r4_deleting_a_configuration_leaves_its_unfinished_work_as_visible_failures(
    store: Store,
) -> None:
    made = await store.create_configuration(wanted_configuration())
    await accept(store, new_event())

    assert await store.delete_configuration(ACCOUNT, made.connect_id)

    (failure,) = (await store.failures(ACCOUNT, LogQuery(), 10)).entries
    assert failure.error == "claim: the configuration was deleted"
    (refused,) = await store.requeue_envelopes(ACCOUNT, ["env-1"])
    assert "was deleted" in refused.note
    assert await claim_all(store) == []


async def test_republishing_to_a_paused_configuration_holds_the_delivery(store: Store) -> None:
    made = await store.create_configuration(wanted_configuration())
    await accept(store, new_event())
    await give_up(store, await claim_all(store))
    await store.update_configuration(
        wanted_configuration(connect_id=made.connect_id, pausePublish="true")
    )

    (requeued,) = await store.requeue_envelopes(ACCOUNT, ["env-1"])

    assert requeued.state is DeliveryState.HELD
    assert await claim_all(store) == []
    await store.update_configuration(wanted_configuration(connect_id=made.connect_id))
    assert len(await claim_all(store)) == 1


async def test_the_newest_summary_of_an_envelope_is_kept(store: Store) -> None:
    newer = new_event("envelope-completed", generatedDateTime="2026-11-23T09:30:00Z")
    await accept(store, newer)
    late = new_event("envelope-sent", generatedDateTime="2026-11-23T09:00:00Z")
    await accept(store, late)

    envelope = await store.envelope(ACCOUNT, "env-1")
    assert envelope is not None
    assert (envelope.status, envelope.subject) == ("Completed", "Lease of 12 Harbour Street")
    assert await store.envelope(OTHER_ACCOUNT, "env-1") is None
