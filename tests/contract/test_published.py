"""The store contract: every event and every delivery is listed, in any state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from heliograph.model.deliveries import AttemptOutcome, Delivered, DeliveryState, GaveUp, Phase
from heliograph.model.events import HeldReason
from heliograph.model.logs import LogQuery, Order
from heliograph.model.published import DeliveryEntry, DeliveryQuery, EventEntry, EventQuery
from heliograph.model.throughput import Backlog
from heliograph.store import Store
from heliograph.store.pages import every_page
from tests.contract.traffic import Traffic
from tests.support import (
    ACCOUNT,
    OTHER_ACCOUNT,
    START,
    WHY,
    ManualClock,
    new_event,
    published,
    wanted_configuration,
)

MINUTE = timedelta(minutes=1)


def event_from(sender: str | None, subject: str | None, number: int) -> Any:
    """An event of an envelope of its own, with this sender's e-mail and subject."""
    name = "envelope-completed" if number % 2 else "envelope-sent"
    data = published(name, f"env-{number}")["data"]
    data["envelopeSummary"] |= {"emailSubject": subject, "sender": {"email": sender}}
    return new_event(name, f"env-{number}", data=data)


@pytest.fixture
async def listed(store: Store, traffic: Traffic, clock: ManualClock) -> Store:
    """Six events a minute apart for two configurations, their deliveries in all six states.

    Of the first event they are delivered, of the second failed, of the third cancelled; that of the
    fourth wait for another try, of the fifth one is held, and of the sixth they are in flight.
    """
    crm, erp = [await traffic.configure(name=name) for name in ("crm", "erp")]
    senders = ("ada@example.com", "Bob@example.com", None)
    for number in range(6):
        await traffic.accept(event_from(senders[number % 3], f"Lease {number // 2}", number))
        if number != 4:
            claims = await traffic.claim_all()
        if number == 0:
            await traffic.deliver(claims)
        elif number in (1, 2):
            await traffic.give_up(claims)
        elif number == 3:
            for claim in claims:
                await traffic.retry(claim, 3600, clock.now())
        elif number == 4:
            paused = wanted_configuration(
                connect_id=erp.connect_id, name="erp", pausePublish="true"
            )
            await store.update_configuration(paused)
            await traffic.deliver(await traffic.claim_all())
        if number == 2:
            await store.delete_failures(ACCOUNT, LogQuery(envelope_id="env-2"), "alice")
        clock.move(60)
    assert crm.connect_id == 1
    return store


async def deliveries(store: Store, **query: Any) -> list[DeliveryEntry]:
    page = await store.published.deliveries(ACCOUNT, DeliveryQuery(**query), 100)
    return list(page.entries)


async def of(store: Store, **query: Any) -> list[tuple[str, int]]:
    """The envelope and the configuration of each delivery."""
    return [(one.event.envelope_id, one.connect_id) for one in await deliveries(store, **query)]


async def events(store: Store, **query: Any) -> list[str]:
    page = await store.published.events(ACCOUNT, EventQuery(**query), 100)
    return [event.envelope_id for event in page.entries]


def both(*numbers: int) -> list[tuple[str, int]]:
    """Those of these events, newest first, as they are listed."""
    return [(f"env-{number}", connect_id) for number in numbers for connect_id in (2, 1)]


async def test_deliveries_are_listed_in_any_state_newest_first_or_oldest_first(
    listed: Store,
) -> None:
    assert await of(listed) == both(5, 4, 3, 2, 1, 0)
    assert await of(listed, order=Order.OLDEST_FIRST) == both(5, 4, 3, 2, 1, 0)[::-1]
    states = {
        (one.event.envelope_id, one.connect_id): one.state for one in await deliveries(listed)
    }
    assert states == {
        ("env-0", 1): DeliveryState.DELIVERED,
        ("env-0", 2): DeliveryState.DELIVERED,
        ("env-1", 1): DeliveryState.FAILED,
        ("env-1", 2): DeliveryState.FAILED,
        ("env-2", 1): DeliveryState.CANCELLED,
        ("env-2", 2): DeliveryState.CANCELLED,
        ("env-3", 1): DeliveryState.WAITING,
        ("env-3", 2): DeliveryState.HELD,
        ("env-4", 1): DeliveryState.DELIVERED,
        ("env-4", 2): DeliveryState.HELD,
        ("env-5", 1): DeliveryState.IN_FLIGHT,
        ("env-5", 2): DeliveryState.HELD,
    }


async def test_a_delivery_says_why_it_is_as_it_is(listed: Store) -> None:
    found = {(one.event.envelope_id, one.connect_id): one for one in await deliveries(listed)}
    delivered, failed = found["env-0", 1], found["env-1", 1]
    cancelled, waiting, held = found["env-2", 1], found["env-3", 1], found["env-5", 2]
    assert (delivered.attempts, delivered.last_try, delivered.error) == (1, START, None)
    assert not delivered.is_failure
    assert (failed.attempts, failed.error, failed.is_failure) == (1, str(WHY), True)
    assert (failed.last_try, failed.next_try) == (START, None)
    assert (cancelled.cancelled_by, cancelled.is_failure) == ("alice", False)
    assert (cancelled.last_try, cancelled.error) == (START, None)
    assert waiting.next_try == START + 3 * MINUTE + timedelta(hours=1)
    assert waiting.is_failure
    assert (held.held, held.attempts, held.last_try) == (HeldReason.PAUSED, 0, None)
    assert held.next_try is None
    assert (found["env-5", 1].attempts, found["env-5", 1].last_try) == (1, None)
    assert (waiting.config_name, waiting.config_url) == (
        "crm",
        "https://listener.example.com/connect",
    )
    event = waiting.event
    assert (event.event_id, event.name) == ("envelope-completed:env-3", "envelope-completed")
    assert (event.sender_email, event.subject, event.status) == (
        *("ada@example.com", "Lease 1"),
        "Completed",
    )
    assert (event.created_at, event.deliveries) == (START + 3 * MINUTE, 2)


async def test_each_filter_of_deliveries_narrows_the_listing(listed: Store) -> None:
    assert await of(listed, from_date=START + 4 * MINUTE) == both(5, 4)
    assert await of(listed, to_date=START) == both(0)
    assert await of(listed, connect_id=2, from_date=START, to_date=START + MINUTE) == [
        *(("env-1", 2), ("env-0", 2))
    ]
    assert await of(listed, connect_id=1) == [(f"env-{n}", 1) for n in (5, 4, 3, 2, 1, 0)]
    assert await of(listed, envelope_id="env-2") == both(2)
    assert await of(listed, event_id="envelope-sent:env-4") == both(4)
    assert await of(listed, event_id="no such event") == []
    assert await of(listed, name="Envelope-Completed") == both(5, 3, 1)
    assert await of(listed, sender="bob@EXAMPLE.com") == both(4, 1)
    assert await of(listed, subject="lease 1") == both(3, 2)
    assert await of(listed, subject="lease") == []
    assert await of(listed, subject="Lease 1", sender="ada@example.com", connect_id=2) == [
        ("env-3", 2)
    ]
    assert await of(listed, name="envelope-sent", connect_id=1, state=DeliveryState.DELIVERED) == [
        *(("env-4", 1), ("env-0", 1))
    ]


@pytest.mark.parametrize("state", list(DeliveryState))
async def test_deliveries_of_a_state_are_those_that_are_in_it(
    listed: Store, state: DeliveryState
) -> None:
    wanted = [one for one in await deliveries(listed) if one.state is state]
    assert wanted
    assert await deliveries(listed, state=state) == wanted
    of_erp = [one for one in wanted if one.connect_id == 2]
    assert await deliveries(listed, state=state, connect_id=2) == of_erp


async def test_each_filter_of_events_narrows_the_listing(listed: Store) -> None:
    assert await events(listed) == [f"env-{number}" for number in (5, 4, 3, 2, 1, 0)]
    assert await events(listed, order=Order.OLDEST_FIRST, to_date=START + MINUTE) == [
        *("env-0", "env-1")
    ]
    assert await events(listed, from_date=START + 5 * MINUTE) == ["env-5"]
    assert await events(listed, envelope_id="env-3") == ["env-3"]
    assert await events(listed, name="ENVELOPE-sent") == ["env-4", "env-2", "env-0"]
    assert await events(listed, sender="ADA@example.com") == ["env-3", "env-0"]
    assert await events(listed, subject="Lease 2") == ["env-5", "env-4"]


async def test_events_that_nobody_wants_are_listed_with_no_delivery(
    store: Store, traffic: Traffic
) -> None:
    await traffic.publish("envelope-voided")
    (event,) = (await store.published.events(ACCOUNT, EventQuery(), 10)).entries
    assert (event.name, event.deliveries) == ("envelope-voided", 0)
    assert await deliveries(store) == []


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("narrowed", [{}, {"name": "envelope-sent"}, {"connect_id": 2}])
async def test_pages_of_deliveries_follow_each_other_while_others_come(
    listed: Store, traffic: Traffic, order: Order, narrowed: dict[str, Any]
) -> None:
    query = DeliveryQuery(order=order, **narrowed)
    whole = (await listed.published.deliveries(ACCOUNT, query, 100)).entries
    seen: list[DeliveryEntry] = []
    async for page in every_page(listed.published.deliveries, ACCOUNT, query, size=5):
        seen += page.entries
        await traffic.publish("envelope-sent", f"new-{len(seen)}")
    # What comes meanwhile is newer: it is before the first page, or behind the last.
    assert [one.delivery_id for one in seen if not one.event.envelope_id.startswith("new")] == [
        one.delivery_id for one in whole
    ]
    ids = [one.delivery_id for one in seen]
    assert len(ids) == len(set(ids))
    assert sorted(ids, reverse=order is Order.NEWEST_FIRST) == ids


async def test_pages_of_events_follow_each_other(listed: Store) -> None:
    pages = [
        page.entries
        async for page in every_page(listed.published.events, ACCOUNT, EventQuery(), size=4)
    ]
    assert [len(page) for page in pages] == [4, 2]
    seen = [event.envelope_id for page in pages for event in page]
    assert seen == await events(listed)


async def test_of_one_transaction_none_is_lost_between_pages(
    store: Store, traffic: Traffic
) -> None:
    for name in ("crm", "erp", "dms"):
        await traffic.configure(name=name)
    await traffic.accept(*(event_from("ada@example.com", "Lease", number) for number in range(7)))
    for narrowed in ({}, {"sender": "ada@example.com"}, {"state": DeliveryState.WAITING}):
        query = DeliveryQuery(**narrowed)
        seen: Sequence[DeliveryEntry] = [
            one
            async for page in every_page(store.published.deliveries, ACCOUNT, query, size=4)
            for one in page.entries
        ]
        assert [one.delivery_id for one in seen] == list(range(21, 0, -1))
    listed: Sequence[EventEntry] = [
        one
        async for page in every_page(store.published.events, ACCOUNT, EventQuery(), size=2)
        for one in page.entries
    ]
    assert sorted(one.envelope_id for one in listed) == [f"env-{number}" for number in range(7)]


async def test_they_are_counted_up_to_a_bound(listed: Store) -> None:
    count = listed.published.count_deliveries
    assert await count(ACCOUNT, DeliveryQuery(), 100) == 12
    assert await count(ACCOUNT, DeliveryQuery(), 5) == 5
    assert await count(ACCOUNT, DeliveryQuery(state=DeliveryState.HELD), 100) == 3
    assert await count(ACCOUNT, DeliveryQuery(connect_id=1, name="envelope-sent"), 100) == 3
    assert await count(ACCOUNT, DeliveryQuery(subject="Lease 0"), 100) == 4
    assert await listed.published.count_events(ACCOUNT, EventQuery(), 100) == 6
    assert await listed.published.count_events(ACCOUNT, EventQuery(sender="no@example.com"), 9) == 0


async def test_one_event_is_found_with_what_was_published(listed: Store) -> None:
    found = await listed.published.event(ACCOUNT, "envelope-sent:env-2")
    assert found is not None
    assert (found.entry.envelope_id, found.entry.subject) == ("env-2", "Lease 1")
    assert b'"emailSubject":"Lease 1"' in found.document
    assert await listed.published.event(ACCOUNT, "envelope-sent:env-1") is None


async def test_one_delivery_is_found_in_any_state_with_its_attempts(
    listed: Store, traffic: Traffic, clock: ManualClock
) -> None:
    for one in await deliveries(listed):
        assert await listed.published.delivery(ACCOUNT, one.delivery_id) == one
        ended = one.attempts - (one.state is DeliveryState.IN_FLIGHT)
        attempts = await listed.published.attempts(ACCOUNT, one.delivery_id)
        assert len(attempts) == ended
        if one.state is DeliveryState.DELIVERED:
            assert [attempt.outcome for attempt in attempts] == [AttemptOutcome.DELIVERED]
        elif attempts:
            assert [attempt.why and attempt.why.phase for attempt in attempts] == [Phase.STATUS]
    assert await listed.published.delivery(ACCOUNT, 99) is None
    assert await listed.published.attempts(ACCOUNT, 99) == []


async def test_what_is_sent_again_is_listed_once_and_says_who_asked(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await traffic.configure()
    await traffic.publish()
    await traffic.deliver(await traffic.claim_all())
    await store.resend_delivered(ACCOUNT, LogQuery(), "ada")
    (again,) = await deliveries(store)
    assert (again.state, again.resent_by, again.attempts) == (DeliveryState.WAITING, "ada", 1)
    assert again.last_try == START
    await traffic.deliver(await traffic.claim_all())
    (arrived,) = await deliveries(store)
    assert (arrived.state, arrived.resent_by, arrived.attempts) == (
        *(DeliveryState.DELIVERED, None),
        2,
    )
    attempts = await store.published.attempts(ACCOUNT, arrived.delivery_id)
    assert [attempt.entry.resent_by for attempt in attempts] == [None, "ada"]


async def test_what_another_message_stood_for_says_whose(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    events = ["envelope-sent", "envelope-completed"]
    await traffic.configure(deliveryMode="aggregate", events=events)
    for name in events:
        await traffic.publish(name)
    clock.move(60)
    await traffic.deliver(await traffic.claim_all())
    (gone,) = await deliveries(store, state=DeliveryState.CANCELLED)
    assert gone.cancelled_by == "merged into the message of event envelope-completed:env-1"


async def test_s8_another_account_sees_none_of_them(listed: Store) -> None:
    other, seen = OTHER_ACCOUNT, listed.published
    queries: list[dict[str, Any]] = [
        {},
        {"connect_id": 1},
        {"state": DeliveryState.FAILED},
        {"state": DeliveryState.IN_FLIGHT},
        {"envelope_id": "env-1"},
        {"event_id": "envelope-sent:env-0"},
    ]
    for query in queries:
        assert (await seen.deliveries(other, DeliveryQuery(**query), 10)).entries == ()
        assert await seen.count_deliveries(other, DeliveryQuery(**query), 10) == 0
    assert (await seen.events(other, EventQuery(), 10)).entries == ()
    assert await seen.count_events(other, EventQuery(), 10) == 0
    assert await seen.event(other, "envelope-sent:env-0") is None
    assert await seen.delivery(other, 1) is None
    assert await seen.attempts(other, 1) == []
    assert await listed.changes(other, [1, 2]) == {}


async def test_when_configurations_were_made_and_changed_is_known(listed: Store) -> None:
    known = await listed.changes(ACCOUNT, [1, 2, 99])
    assert {one: (found.created_at, found.changed_at) for one, found in known.items()} == {
        1: (START, START),
        2: (START, START + 4 * MINUTE),
    }


async def test_the_last_posts_are_those_that_were_logged_newest_first(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await traffic.configure(deliveryOrder="none")
    quiet = await traffic.configure(deliveryOrder="none", enableLog="false")
    third = await traffic.configure(deliveryOrder="none")
    times = []
    for number in range(3):
        await traffic.publish(envelope_id=f"env-{number}")
        for claim in await traffic.claim_all():
            fails = claim.configuration.connect_id == third.connect_id
            await traffic.settle(claim, GaveUp(WHY) if fails else Delivered(), clock.now())
        times.append(clock.now())
        clock.move(60)
    assert quiet.connect_id not in {1, third.connect_id}

    async def posts(connect_id: int | None, since: datetime, most: int = 10) -> list[Any]:
        found = await store.published.posts(ACCOUNT, connect_id, since, most)
        return [(one.began, one.delivered) for one in found]

    assert await posts(1, START) == [(at, True) for at in times[::-1]]
    assert await posts(third.connect_id, START) == [(at, False) for at in times[::-1]]
    assert await posts(quiet.connect_id, START) == []
    assert sorted(await posts(None, times[1])) == sorted(
        (at, way) for at in times[1:] for way in (True, False)
    )
    assert await posts(1, START, 2) == [(at, True) for at in times[:0:-1]]
    (newest,) = await store.published.posts(ACCOUNT, 1, START, 1)
    assert newest.seconds == 0.25
    assert await store.published.posts(OTHER_ACCOUNT, None, START, 10) == []


async def test_what_has_not_ended_is_counted_by_state_up_to_a_bound(listed: Store) -> None:
    async def backlog(connect_id: int | None, most: int = 9) -> Backlog:
        return await listed.published.backlog(ACCOUNT, connect_id, most)

    assert await backlog(None) == Backlog(waiting=1, held=3, in_flight=1)
    assert await backlog(None, 3) == Backlog(waiting=1, held=3, in_flight=1)
    assert await backlog(None, 2) == Backlog(waiting=1, held=2, in_flight=1, capped=True)
    assert await backlog(1) == Backlog(waiting=1, held=0, in_flight=1)
    assert await backlog(2) == Backlog(waiting=0, held=3, in_flight=0)
    assert await listed.published.backlog(OTHER_ACCOUNT, 2, 9) == Backlog(0, 0, 0)
    assert await listed.published.backlog(OTHER_ACCOUNT, None, 9) == Backlog(0, 0, 0)


async def test_servers_are_those_that_are_at_work(store: Store) -> None:
    assert await store.published.servers() == 1
