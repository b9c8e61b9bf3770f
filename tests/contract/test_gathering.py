"""The store contract: aggregate mode, where one message stands for several events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from heliograph.delivery.attempt import attempt
from heliograph.delivery.matching import GATHERING
from heliograph.model.accounts import Secret
from heliograph.model.configurations import ScheduleName
from heliograph.model.deliveries import Answer, Claim, DeliveryState
from heliograph.model.events import NewEvent
from heliograph.model.logs import LogQuery
from heliograph.store import Store
from tests.support import (
    ACCOUNT,
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

EVENTS = ["envelope-sent", "envelope-delivered", "envelope-completed"]


def aggregate(**fields: Any) -> Any:
    return wanted_configuration(**{"deliveryMode": "aggregate", "events": EVENTS, **fields})


async def publish(store: Store, *names: str, envelope_id: str = "env-1") -> list[NewEvent]:
    events = [new_event(f"envelope-{name}", envelope_id) for name in names]
    for event in events:
        await accept(store, event)
    return events


def shown(claims: Sequence[Claim]) -> list[str]:
    return [claim.shown.name.partition("-")[2] for claim in claims]


async def states(store: Store, count: int) -> list[str]:
    """The states of the first deliveries that were made."""
    known = await store.progress(ACCOUNT, range(1, count + 1))
    return [known[number].state.value for number in sorted(known)]


async def test_r6_events_within_seconds_become_one_message_with_the_newest_state(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(aggregate())
    await publish(store, "sent")
    clock.move(GATHERING - 1)
    await publish(store, "delivered", "completed")
    assert await claim_all(store) == []

    clock.move(1)
    claims = await claim_all(store)
    assert shown(claims) == ["completed"]
    assert await deliver(store, claims) == [True]
    assert await claim_all(store) == []
    clock.move(60)
    assert await claim_all(store) == []
    assert await states(store, 3) == ["delivered", "cancelled", "cancelled"]


async def test_other_envelopes_and_configurations_have_messages_of_their_own(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(aggregate(name="a"))
    await store.create_configuration(aggregate(name="b"))
    await publish(store, "sent", "completed")
    await publish(store, "sent", envelope_id="env-2")
    clock.move(GATHERING)

    claims = await claim_all(store)
    assert sorted(shown(claims)) == ["completed", "completed", "sent", "sent"]
    await deliver(store, claims)
    assert await claim_all(store) == []


async def test_what_comes_while_a_message_is_on_its_way_gets_another(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(aggregate())
    await publish(store, "sent")
    clock.move(GATHERING)
    first = await claim_all(store)
    await publish(store, "delivered", "completed")
    await deliver(store, first)
    assert await claim_all(store) == []

    clock.move(GATHERING)
    second = await claim_all(store)
    assert (shown(first), shown(second)) == (["sent"], ["completed"])
    await deliver(store, second)
    assert await states(store, 3) == ["delivered", "delivered", "cancelled"]


async def test_r9_a_later_message_does_not_wait_for_a_failed_one_and_settles_it(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(aggregate())
    await publish(store, "sent")
    clock.move(GATHERING)
    (failed,) = await claim_all(store)
    await store.settle([settled(failed, retry_in(86_400, clock.now()))])
    await publish(store, "completed")
    clock.move(GATHERING)

    later = await claim_all(store)
    assert shown(later) == ["completed"]
    assert len((await store.failures(ACCOUNT, LogQuery(), 10)).entries) == 1
    await deliver(store, later)
    assert (await store.failures(ACCOUNT, LogQuery(), 10)).entries == ()
    assert await states(store, 2) == ["cancelled", "delivered"]


async def test_a_retry_shows_the_state_of_its_own_time(store: Store, clock: ManualClock) -> None:
    await store.create_configuration(aggregate(events=["envelope-sent"]))
    await publish(store, "sent")
    clock.move(GATHERING)
    claims = await claim_all(store)
    await store.settle([settled(claims[0], retry_in(60, clock.now()))])
    await publish(store, "completed")  # which the configuration does not want
    clock.move(60)

    again = await claim_all(store)
    assert (shown(claims), shown(again)) == (["sent"], ["completed"])
    assert again[0].event.name == "envelope-sent"
    await deliver(store, again)


async def test_an_older_event_that_comes_late_does_not_replace_a_newer_one(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(aggregate())
    await publish(store, "completed")
    late = new_event("envelope-sent", generatedDateTime="2026-11-23T08:00:00Z")
    await accept(store, late)
    clock.move(GATHERING)

    claims = await claim_all(store)
    assert shown(claims) == ["completed"]
    await deliver(store, claims)
    claims = await claim_all(store)  # accepted later, so that it was not stood for
    assert shown(claims) in ([], ["completed"])
    await deliver(store, claims)


async def test_r4_what_was_gathered_behind_a_message_that_failed_for_good_goes_out(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(aggregate())
    await publish(store, "sent", "completed")
    clock.move(GATHERING)
    await give_up(store, await claim_all(store))

    claims = await claim_all(store)
    assert shown(claims) == ["completed"]
    await deliver(store, claims)
    (open_failure,) = (await store.failures(ACCOUNT, LogQuery(), 10)).entries
    assert open_failure.event_name == "envelope-sent"
    assert open_failure.state is DeliveryState.FAILED


async def test_a_pause_gathers_too(store: Store, clock: ManualClock) -> None:
    made = await store.create_configuration(aggregate(pausePublish="true"))
    await publish(store, "sent", "delivered", "completed")
    clock.move(3600)
    assert await claim_all(store) == []
    await store.update_configuration(aggregate(connect_id=made.connect_id))

    claims = await claim_all(store)
    assert shown(claims) == ["completed"]
    await deliver(store, claims)
    assert await claim_all(store) == []


async def test_a_republished_failure_shows_what_is_newest_and_settles_the_rest(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(aggregate())
    await publish(store, "sent")
    clock.move(GATHERING)
    await give_up(store, await claim_all(store))
    await publish(store, "completed")
    await store.requeue_envelopes(ACCOUNT, ["env-1"])

    claims = await claim_all(store)
    assert shown(claims) == ["completed"]
    await deliver(store, claims)
    clock.move(GATHERING)
    assert await claim_all(store) == []
    assert await states(store, 2) == ["delivered", "cancelled"]


async def test_the_message_is_rendered_from_what_is_newest_under_an_id_of_its_own(
    store: Store, clock: ManualClock
) -> None:
    posts: list[tuple[str, Any]] = []

    class Listener:
        async def post(
            self, _: object, headers: Sequence[tuple[str, str]], body: bytes, *__: object
        ) -> Answer:
            posts.append((dict(headers)["webhook-id"], json.loads(body)))
            return Answer(500, "Busy", (), b"")

    await store.add_hmac_key(ACCOUNT, "key-1", Secret("a key that signs"))
    await store.create_configuration(aggregate(events=["envelope-sent"], includeHMAC="true"))
    await publish(store, "sent")
    clock.move(GATHERING)
    for later in ("delivered", "completed"):
        (claim,) = await claim_all(store)
        await attempt(claim, Listener(), clock, ScheduleName.STANDARD)
        await store.settle([settled(claim, retry_in(60, clock.now()))])
        await publish(store, later)
        clock.move(60)
    assert [said["status"] for _, said in posts] == ["sent", "delivered"]
    assert len({name for name, _ in posts}) == 2
