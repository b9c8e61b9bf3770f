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
from tests.contract.traffic import Traffic
from tests.support import ACCOUNT, ManualClock, new_event, wanted_configuration

EVENTS = ["envelope-sent", "envelope-delivered", "envelope-completed"]


def aggregate(**fields: Any) -> Any:
    return wanted_configuration(**{"deliveryMode": "aggregate", "events": EVENTS, **fields})


async def publish(traffic: Traffic, *names: str, envelope_id: str = "env-1") -> list[NewEvent]:
    events = [new_event(f"envelope-{name}", envelope_id) for name in names]
    for event in events:
        await traffic.accept(event)
    return events


def shown(claims: Sequence[Claim]) -> list[str]:
    return [claim.shown.name.partition("-")[2] for claim in claims]


async def states(store: Store, count: int) -> list[str]:
    """The states of the first deliveries that were made."""
    known = await store.progress(ACCOUNT, range(1, count + 1))
    return [known[number].state.value for number in sorted(known)]


async def test_r6_events_within_seconds_become_one_message_with_the_newest_state(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await store.create_configuration(aggregate())
    await publish(traffic, "sent")
    clock.move(GATHERING - 1)
    await publish(traffic, "delivered", "completed")
    assert await traffic.claim_all() == []

    clock.move(1)
    claims = await traffic.claim_all()
    assert shown(claims) == ["completed"]
    assert await traffic.deliver(claims) == [True]
    assert await traffic.claim_all() == []
    clock.move(60)
    assert await traffic.claim_all() == []
    assert await states(store, 3) == ["delivered", "cancelled", "cancelled"]


async def test_other_envelopes_and_configurations_have_messages_of_their_own(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await store.create_configuration(aggregate(name="a"))
    await store.create_configuration(aggregate(name="b"))
    await publish(traffic, "sent", "completed")
    await publish(traffic, "sent", envelope_id="env-2")
    clock.move(GATHERING)

    claims = await traffic.claim_all()
    assert sorted(shown(claims)) == ["completed", "completed", "sent", "sent"]
    await traffic.deliver(claims)
    assert await traffic.claim_all() == []


async def test_what_comes_while_a_message_is_on_its_way_gets_another(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await store.create_configuration(aggregate())
    await publish(traffic, "sent")
    clock.move(GATHERING)
    first = await traffic.claim_all()
    await publish(traffic, "delivered", "completed")
    await traffic.deliver(first)
    assert await traffic.claim_all() == []

    clock.move(GATHERING)
    second = await traffic.claim_all()
    assert (shown(first), shown(second)) == (["sent"], ["completed"])
    await traffic.deliver(second)
    assert await states(store, 3) == ["delivered", "delivered", "cancelled"]


async def test_r9_a_later_message_does_not_wait_for_a_failed_one_and_settles_it(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await store.create_configuration(aggregate())
    await publish(traffic, "sent")
    clock.move(GATHERING)
    (failed,) = await traffic.claim_all()
    await traffic.retry(failed, 86_400, clock.now())
    await publish(traffic, "completed")
    clock.move(GATHERING)

    later = await traffic.claim_all()
    assert shown(later) == ["completed"]
    assert len((await store.failures(ACCOUNT, LogQuery(), 10)).entries) == 1
    await traffic.deliver(later)
    assert (await store.failures(ACCOUNT, LogQuery(), 10)).entries == ()
    assert await states(store, 2) == ["cancelled", "delivered"]


async def test_a_retry_shows_the_state_of_its_own_time(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await store.create_configuration(aggregate(events=["envelope-sent"]))
    await publish(traffic, "sent")
    clock.move(GATHERING)
    claims = await traffic.claim_all()
    await traffic.retry(claims[0], 60, clock.now())
    await publish(traffic, "completed")  # which the configuration does not want
    clock.move(60)

    again = await traffic.claim_all()
    assert (shown(claims), shown(again)) == (["sent"], ["completed"])
    assert again[0].event.name == "envelope-sent"
    await traffic.deliver(again)


async def test_an_older_event_that_comes_late_does_not_replace_a_newer_one(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await store.create_configuration(aggregate())
    await publish(traffic, "completed")
    late = new_event("envelope-sent", generatedDateTime="2026-11-23T08:00:00Z")
    await traffic.accept(late)
    clock.move(GATHERING)

    claims = await traffic.claim_all()
    assert shown(claims) == ["completed"]
    await traffic.deliver(claims)
    claims = await traffic.claim_all()  # accepted later, so that it was not stood for
    assert shown(claims) in ([], ["completed"])
    await traffic.deliver(claims)


async def test_r4_what_was_gathered_behind_a_message_that_failed_for_good_goes_out(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await store.create_configuration(aggregate())
    await publish(traffic, "sent", "completed")
    clock.move(GATHERING)
    await traffic.give_up(await traffic.claim_all())

    claims = await traffic.claim_all()
    assert shown(claims) == ["completed"]
    await traffic.deliver(claims)
    (open_failure,) = (await store.failures(ACCOUNT, LogQuery(), 10)).entries
    assert open_failure.event_name == "envelope-sent"
    assert open_failure.state is DeliveryState.FAILED


async def test_a_pause_gathers_too(store: Store, traffic: Traffic, clock: ManualClock) -> None:
    made = await store.create_configuration(aggregate(pausePublish="true"))
    await publish(traffic, "sent", "delivered", "completed")
    clock.move(3600)
    assert await traffic.claim_all() == []
    await store.update_configuration(aggregate(connect_id=made.connect_id))

    claims = await traffic.claim_all()
    assert shown(claims) == ["completed"]
    await traffic.deliver(claims)
    assert await traffic.claim_all() == []


async def test_a_republished_failure_shows_what_is_newest_and_settles_the_rest(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await store.create_configuration(aggregate())
    await publish(traffic, "sent")
    clock.move(GATHERING)
    await traffic.give_up(await traffic.claim_all())
    await publish(traffic, "completed")
    await store.requeue_envelopes(ACCOUNT, ["env-1"])

    claims = await traffic.claim_all()
    assert shown(claims) == ["completed"]
    await traffic.deliver(claims)
    clock.move(GATHERING)
    assert await traffic.claim_all() == []
    assert await states(store, 2) == ["delivered", "cancelled"]


async def test_the_message_is_rendered_from_what_is_newest_under_an_id_of_its_own(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    posts: list[tuple[str, Any]] = []

    class Listener:
        async def post(
            self,
            _: object,
            headers: Sequence[tuple[str, str]],
            body: bytes,
            *__: object,
            last: bool,
        ) -> Answer:
            posts.append((dict(headers)["webhook-id"], json.loads(body)))
            return Answer(500, "Busy", (), b"")

    await store.add_hmac_key(ACCOUNT, "key-1", Secret("a key that signs"))
    await store.create_configuration(aggregate(events=["envelope-sent"], includeHMAC="true"))
    await publish(traffic, "sent")
    clock.move(GATHERING)
    for later in ("delivered", "completed"):
        (claim,) = await traffic.claim_all()
        await attempt(claim, Listener(), clock, ScheduleName.STANDARD)
        await traffic.retry(claim, 60, clock.now())
        await publish(traffic, later)
        clock.move(60)
    assert [said["status"] for _, said in posts] == ["sent", "delivered"]
    assert len({name for name, _ in posts}) == 2
