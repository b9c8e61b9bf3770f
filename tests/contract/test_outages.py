"""What waits behind an outage, or behind a pause, is in the failure log before anybody tried it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.deliveries import PENDING, SKIPPED, DeliveryState
from heliograph.model.logs import LogEntry, LogQuery, Order
from heliograph.store import Store
from tests.contract.traffic import Traffic
from tests.support import (
    ACCOUNT,
    OTHER_ACCOUNT,
    START,
    ManualClock,
    new_event,
    wanted_configuration,
)

FIRST_FAILED = "status: 500 Internal Server Error: the listener must answer 200 to 299"


async def failures(store: Store, error: str | None = None) -> list[LogEntry]:
    query = LogQuery(order=Order.OLDEST_FIRST, error=error)
    return list((await store.failures(ACCOUNT, query, 100)).entries)


async def reconfigure(store: Store, made: ConnectConfiguration, **fields: Any) -> None:
    wanted = wanted_configuration(connect_id=made.connect_id, **fields)
    assert await store.update_configuration(wanted)


async def down(store: Store, traffic: Traffic, seconds: float = 60) -> int:
    """One message has failed, and is tried again after so many seconds; its configuration."""
    made = await traffic.configure(retrySchedule=["docusign"])
    await traffic.publish()
    (claim,) = await traffic.claim_all()
    await traffic.retry(claim, seconds)
    await store.queue_behind(ACCOUNT, made.connect_id, START + timedelta(seconds=seconds))
    return made.connect_id


async def test_fidelity_pending_while_a_listener_is_down(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    connect_id = await down(store, traffic)
    await traffic.accept(*(new_event(envelope_id=f"env-{number}") for number in (2, 3)))
    # Of its own envelope's first, which waits itself.
    await traffic.publish("envelope-completed", "env-2")
    listed = await failures(store)
    assert [(one.envelope_id, one.error) for one in listed] == [
        ("env-1", FIRST_FAILED),
        ("env-2", PENDING),
        ("env-3", PENDING),
        ("env-2", PENDING),
    ]
    assert [one.retry_count for one in listed] == [0] * 4
    waiting, held = DeliveryState.WAITING, DeliveryState.HELD
    assert [one.state for one in listed] == [waiting, waiting, waiting, held]
    assert [one.envelope_id for one in await failures(store, "pending")] == [
        "env-2",
        "env-3",
        "env-2",
    ]
    assert (await store.failure(ACCOUNT, listed[1].failure_id or 0)) == listed[1]
    # What has not been tried has not failed.
    assert (await store.statistics()).failures == 1
    assert await traffic.claim_all() == []
    clock.move(60)
    # The one that failed is the probe, and the others come in their order.
    claims = await traffic.claim_all(room=3)
    assert [claim.event.envelope_id for claim in claims] == ["env-1", "env-2", "env-3"]
    await traffic.deliver(claims)
    (last,) = await failures(store)
    assert (last.envelope_id, last.state, last.error) == ("env-2", waiting, PENDING)
    # The listener is up: nothing is queued any more.
    await traffic.publish(envelope_id="env-4")
    assert len(await failures(store)) == 1
    await traffic.deliver(await traffic.claim_all())
    await store.queue_behind(ACCOUNT, connect_id, START + timedelta(days=1))
    await traffic.publish(envelope_id="env-5")
    assert await failures(store) == []
    await traffic.deliver(await traffic.claim_all())


async def test_fidelity_order_after_an_outage_is_kept_when_the_probe_fails_again(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    connect_id = await down(store, traffic)
    await traffic.accept(*(new_event(envelope_id=f"env-{number}") for number in (2, 3)))
    clock.move(60)
    (probe,) = (await store.claim(1, 1)).claims
    await traffic.retry(probe, 120)
    await store.queue_behind(ACCOUNT, connect_id, START + timedelta(seconds=120))
    await traffic.publish(envelope_id="env-4")
    assert await traffic.claim_all() == []
    clock.move(60)
    claims = await traffic.claim_all()
    assert [claim.event.envelope_id for claim in claims] == ["env-1", "env-2", "env-3", "env-4"]
    assert [claim.number for claim in claims] == [3, 1, 1, 1]
    await traffic.deliver(claims)


async def test_s8_an_outage_of_another_account_queues_nothing(
    store: Store, traffic: Traffic
) -> None:
    made = await traffic.configure()
    await traffic.publish()
    (claim,) = await traffic.claim_all()
    await traffic.retry(claim, 60)
    await store.queue_behind(OTHER_ACCOUNT, made.connect_id, START + timedelta(days=1))
    await traffic.publish(envelope_id="env-2")
    assert [one.envelope_id for one in await failures(store)] == ["env-1"]
    (claim,) = await traffic.claim_all()
    await traffic.deliver([claim])


async def test_what_is_pending_can_be_deleted_and_republished_like_any_failure(
    store: Store, traffic: Traffic
) -> None:
    await down(store, traffic)
    await traffic.accept(*(new_event(envelope_id=f"env-{number}") for number in (2, 3)))
    _, second, _ = await failures(store)
    assert await store.delete_failure(ACCOUNT, second.failure_id or 0, "somebody")
    (again,) = await store.requeue_envelopes(ACCOUNT, ["env-3"])
    assert again.state is DeliveryState.WAITING
    (claim,) = await traffic.claim_all()
    assert claim.event.envelope_id == "env-3"
    await traffic.deliver([claim])
    assert [one.envelope_id for one in await failures(store)] == ["env-1"]


@pytest.mark.parametrize("paused_first", [True, False])
async def test_fidelity_skipped_in_a_pause(
    store: Store, traffic: Traffic, paused_first: bool
) -> None:
    made = await traffic.configure(pausePublish="true" if paused_first else "false")
    await traffic.accept(new_event("envelope-sent"), new_event("envelope-completed"))
    if not paused_first:
        await reconfigure(store, made, pausePublish="true")
    listed = await failures(store)
    assert [(one.event_name, one.error) for one in listed] == [
        ("envelope-sent", SKIPPED),
        ("envelope-completed", SKIPPED),
    ]
    assert {one.state for one in listed} == {DeliveryState.HELD}
    assert (await store.statistics()).failures == 0
    await reconfigure(store, made, pausePublish="false")
    for _ in listed:
        await traffic.deliver(await traffic.claim_all())
    assert await failures(store) == []


async def test_what_a_disabled_listener_misses_is_held_and_listed_nowhere(
    store: Store, traffic: Traffic
) -> None:
    made = await traffic.configure()
    await traffic.publish()
    await reconfigure(store, made, allowEnvelopePublish="false")
    assert await failures(store) == []
