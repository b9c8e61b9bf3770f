"""An accept hands over what can be sent at once, already claimed; all else waits as ever."""

from __future__ import annotations

from typing import Any

import pytest

from heliograph.errors import ConfigurationsChanged
from heliograph.model.accounts import Secret
from heliograph.model.deliveries import AttemptOutcome, Delivered, DeliveryState
from heliograph.model.logs import LogQuery
from heliograph.store import Store
from tests.conftest import OpenStore
from tests.contract.traffic import Traffic
from tests.support import ACCOUNT, OTHER_ACCOUNT, new_event
from tests.taking import Sending


async def test_r1_r5_what_can_be_sent_at_once_is_handed_over_as_a_claim(
    store: Store, traffic: Traffic
) -> None:
    configuration = await traffic.configure()
    sending = Sending(store)
    await traffic.publish()
    (claim,) = sending.taken
    assert (claim.number, claim.schedule_number, claim.configuration) == (1, 1, configuration)
    assert await traffic.claim_all() == []
    assert (await store.statistics()).in_flight == 1
    assert list(await store.orphans()) == []

    assert await traffic.settle(claim, Delivered())
    (entry,) = (await store.logs(ACCOUNT, LogQuery(), 10)).entries
    assert (entry.state, entry.retry_count, entry.log_id) == (
        DeliveryState.DELIVERED,
        0,
        claim.attempt_id,
    )


async def test_r5_it_is_claimed_as_the_usual_way_would_have_it(
    store: Store, traffic: Traffic
) -> None:
    await traffic.configure()
    await store.add_hmac_key(ACCOUNT, "key", Secret("0123456789abcdef0123456789abcdef"))
    await traffic.publish(envelope_id="waits")
    (usual,) = await traffic.claim_all()
    sending = Sending(store)
    await traffic.publish(envelope_id="is handed over")
    (claim,) = sending.taken
    for name in ("configuration", "proofs", "epoch", "gathered", "resent_by", "recipient"):
        assert getattr(claim, name) == getattr(usual, name)
    assert claim.schedule_started_at == usual.schedule_started_at
    assert claim.attempt_id > usual.attempt_id
    assert claim.delivery_id > usual.delivery_id
    assert claim.event.generated_at == usual.event.generated_at


async def test_r3_r5_what_was_handed_over_before_a_crash_waits_again_and_is_unknown(
    open_store: OpenStore, store: Store, traffic: Traffic
) -> None:
    await traffic.configure()
    sending = Sending(store)
    await traffic.publish()
    await store.close()

    again = await open_store()
    (entry,) = (await again.logs(ACCOUNT, LogQuery(), 10)).entries
    detail = await again.log(ACCOUNT, entry.log_id or 0)
    assert detail is not None
    assert detail.outcome is AttemptOutcome.UNKNOWN
    (claim,) = await Traffic(again).claim_all()
    assert claim.number == 2
    assert not await Traffic(again).settle(sending.taken[0], Delivered())
    assert await Traffic(again).settle(claim, Delivered())


async def test_r6_what_is_not_the_first_of_its_lane_is_held(store: Store, traffic: Traffic) -> None:
    await traffic.configure()
    sending = Sending(store)
    sent, completed = new_event("envelope-sent"), new_event("envelope-completed")
    await traffic.accept(sent, completed)
    (first,) = sending.taken
    assert first.event.name == "envelope-sent"
    assert await traffic.claim_all() == []
    await traffic.settle(first, Delivered())
    (second,) = await traffic.claim_all()
    assert second.event.name == "envelope-completed"


async def test_r6_nothing_overtakes_what_waits_for_the_configuration(
    store: Store, traffic: Traffic
) -> None:
    await traffic.configure()
    await traffic.publish(envelope_id="waits")
    sending = Sending(store)
    await traffic.publish(envelope_id="comes later")
    assert sending.taken == []
    assert [claim.event.envelope_id for claim in await traffic.claim_all()] == [
        "waits",
        "comes later",
    ]


async def test_r9_what_waits_for_its_next_try_holds_up_nobody(
    store: Store, traffic: Traffic
) -> None:
    await traffic.configure()
    await traffic.publish(envelope_id="fails")
    (claim,) = await traffic.claim_all()
    await traffic.retry(claim, 60)
    sending = Sending(store)
    await traffic.publish(envelope_id="comes later")
    assert sending.envelopes == ["comes later"]


@pytest.mark.parametrize(
    "bounds", [{"room": 2}, {"first": 2}, {"free": {1: 2}}], ids=["in all", "unknown", "known"]
)
async def test_r7_no_more_begins_than_there_is_room_for(
    store: Store, traffic: Traffic, bounds: dict[str, Any]
) -> None:
    await traffic.configure()
    sending = Sending(store, **bounds)
    await traffic.accept(*(new_event(envelope_id=f"env-{n}") for n in range(4)))
    assert sending.envelopes == ["env-0", "env-1"]
    assert [claim.event.envelope_id for claim in await traffic.claim_all()] == ["env-2", "env-3"]


async def test_r7_an_account_beside_others_has_its_share(store: Store, traffic: Traffic) -> None:
    await traffic.configure()
    sending = Sending(store, per_account=2)
    await traffic.accept(*(new_event(envelope_id=f"alone-{n}") for n in range(3)))
    assert sending.envelopes == ["alone-0", "alone-1", "alone-2"]
    other = Traffic(store, OTHER_ACCOUNT)
    await other.configure()
    await other.publish(envelope_id="other")
    await traffic.accept(*(new_event(envelope_id=f"both-{n}") for n in range(3)))
    assert sending.envelopes[3:] == ["other", "both-0", "both-1"]


async def test_s17_what_finds_no_room_for_its_bytes_waits(store: Store, traffic: Traffic) -> None:
    await traffic.configure()
    sending = Sending(store)
    await traffic.publish(envelope_id="heavy-1", padding="x" * 600_000)
    await traffic.publish(envelope_id="heavy-2", padding="x" * 600_000)
    assert sending.envelopes == ["heavy-1"]
    assert len(await traffic.claim_all()) == 1


@pytest.mark.parametrize("several", [False, True])
async def test_s17_r7_an_account_beside_others_leaves_them_room_for_their_bytes(
    store: Store, traffic: Traffic, *, several: bool
) -> None:
    await traffic.configure()
    sending = Sending(store)
    if several:
        other = Traffic(store, OTHER_ACCOUNT)
        await other.configure()
        await other.publish(envelope_id="other")
    for number in (1, 2):
        await traffic.publish(envelope_id=f"heavy-{number}", padding="x" * 100_000)
    assert sending.envelopes == (["other", "heavy-1"] if several else ["heavy-1", "heavy-2"])


async def test_what_is_held_or_gathers_is_not_handed_over(store: Store, traffic: Traffic) -> None:
    await traffic.configure(pausePublish="true")
    await traffic.configure(deliveryMode="aggregate")
    sending = Sending(store)
    await traffic.publish()
    assert sending.taken == []


async def test_r2_a_repeat_hands_nothing_over(store: Store, traffic: Traffic) -> None:
    await traffic.configure()
    sending = Sending(store)
    await traffic.publish()
    await traffic.publish()
    assert (len(sending.taken), sending.told) == (1, 2)


async def test_who_sends_is_told_of_a_refused_accept_too(store: Store, traffic: Traffic) -> None:
    await traffic.configure()
    sending = Sending(store)
    with pytest.raises(ConfigurationsChanged):
        await store.accept(ACCOUNT, 0, [(new_event(), [])])
    assert (sending.taken, sending.told) == ([], 1)
    store.hand_to(None)
    await traffic.publish()
    assert len(await traffic.claim_all()) == 1
