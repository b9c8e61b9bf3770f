"""The store contract: what follows a listing gets each row that comes, once, whenever it comes."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from pathlib import Path

import psycopg

from heliograph.model.accounts import Account
from heliograph.model.logs import LogEntry, LogQuery
from heliograph.model.published import EventQuery
from heliograph.store import Store
from heliograph.store.keyring import KeyRing
from heliograph.store.postgres.store import PostgresStore
from heliograph.store.tails import Passage, Place
from tests.busy import hang
from tests.contract.traffic import Traffic
from tests.support import ACCOUNT, OTHER_ACCOUNT, ManualClock, new_event

LONG = 10
"""Seconds after which whatever was written lies before the end of what is there for good."""

ALL = LogQuery()
EVENTS = EventQuery()


async def beginning(store: Store, clock: ManualClock) -> Place:
    """Where who follows the log begins."""
    clock.move(LONG)
    return (await store.tails.logs(ACCOUNT, ALL, None, 100)).place


async def of_log(store: Store, clock: ManualClock, place: Place) -> Passage[LogEntry]:
    clock.move(LONG)
    return await store.tails.logs(ACCOUNT, ALL, place, 100)


def envelopes(passage: Passage[LogEntry]) -> list[str]:
    return [entry.envelope_id for entry, _ in passage.entries]


async def test_events_come_from_now_on_or_since_a_time_and_of_this_account_alone(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    since = clock.now()
    await traffic.publish(envelope_id="env-0")
    clock.move(LONG)
    begun = await store.tails.events(ACCOUNT, EVENTS, None, 100)
    assert begun.entries == ()
    await traffic.publish(envelope_id="env-1")
    await Traffic(store, OTHER_ACCOUNT).publish(envelope_id="theirs")
    await traffic.publish("envelope-completed", envelope_id="env-2")
    clock.move(LONG)
    came = await store.tails.events(ACCOUNT, EVENTS, begun.place, 100)
    assert [event.envelope_id for event, _ in came.entries] == ["env-1", "env-2"]
    assert (await store.tails.events(ACCOUNT, EVENTS, came.place, 100)).entries == []
    again = await store.tails.events(ACCOUNT, EVENTS, came.entries[0][1], 100)
    assert [event.envelope_id for event, _ in again.entries] == ["env-2"]
    first = await store.tails.events(ACCOUNT, EventQuery(from_date=since), None, 2)
    assert [event.envelope_id for event, _ in first.entries] == ["env-0", "env-1"]
    assert first.more
    rest = await store.tails.events(ACCOUNT, EVENTS, first.place, 2)
    assert ([event.envelope_id for event, _ in rest.entries], rest.more) == (["env-2"], False)
    named = EventQuery(name="envelope-completed", envelope_id="env-2")
    found = await store.tails.events(ACCOUNT, named, begun.place, 100)
    assert [event.envelope_id for event, _ in found.entries] == ["env-2"]


async def test_a_post_that_took_longer_than_later_ones_comes_when_it_has_ended(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await traffic.configure(enableLog="true")
    await traffic.publish(envelope_id="slow")
    (slow,) = await traffic.claim_all()
    began = clock.now()
    place = await beginning(store, clock)
    await traffic.publish(envelope_id="slower")
    (slower,) = await traffic.claim_all()
    clock.move(1)
    await traffic.publish(envelope_id="quick")
    (quick,) = await traffic.claim_all()
    await traffic.retry(quick, 3600, clock.now())
    came = await of_log(store, clock, place)
    assert envelopes(came) == ["quick"]
    assert envelopes(await of_log(store, clock, came.place)) == []
    await traffic.retry(slow, 3600, began)
    after_slow = await of_log(store, clock, came.entries[0][1])
    assert envelopes(after_slow) == ["slow"]
    # It waited for its turn: when it began others had been told of.
    await traffic.publish(envelope_id="last")
    (last,) = await traffic.claim_all()
    began = clock.now()
    await traffic.retry(last, 3600, began)
    after_last = await of_log(store, clock, after_slow.place)
    assert envelopes(after_last) == ["last"]
    await traffic.retry(slower, 3600, clock.now())
    ((entry, place),) = (await of_log(store, clock, after_last.place)).entries
    assert (entry.envelope_id, place.pending) == ("slower", ())


async def test_the_log_is_followed_with_its_filters(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    first, second = [
        await traffic.configure(name=name, enableLog="true") for name in ("crm", "erp")
    ]
    await traffic.configure(name="dms", enableLog="false")
    place = await beginning(store, clock)
    await traffic.publish()
    claims = await traffic.claim_all()
    only = LogQuery(connect_id=second.connect_id, error="internal")
    while_in_flight = await store.tails.logs(ACCOUNT, only, place, 100)
    for claim in claims:
        await traffic.retry(claim, 3600, clock.now())
    clock.move(LONG)
    came = await store.tails.logs(ACCOUNT, only, while_in_flight.place, 100)
    assert [entry.connect_id for entry, _ in came.entries] == [second.connect_id]
    everything = await of_log(store, clock, place)
    assert {entry.connect_id for entry, _ in everything.entries} == {
        first.connect_id,
        second.connect_id,
    }
    assert (await of_log(store, clock, everything.place)).place.pending == ()


async def test_whatever_the_order_and_wherever_it_is_cut_each_row_comes_once(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await traffic.configure(enableLog="true")
    place = (await store.tails.logs(ACCOUNT, ALL, None, 3)).place
    chance = random.Random(46)
    flying, told, published = [], [], 0
    for _ in range(150):
        clock.move(chance.choice((0, 0.3, 5)))
        what = chance.randrange(3)
        if what == 0:
            await traffic.accept(
                *(new_event(envelope_id=f"env-{published + n}") for n in range(chance.randrange(5)))
            )
            claimed = await traffic.claim_all()
            published += len(claimed)
            flying += [(claim, clock.now()) for claim in claimed]
        elif what == 1 and flying:
            claim, began = flying.pop(chance.randrange(len(flying)))
            # Some waited for their turn.
            await traffic.retry(claim, 1e6, chance.choice((began, clock.now())))
        else:
            passage = await store.tails.logs(ACCOUNT, ALL, place, 3)
            read = chance.randrange(len(passage.entries) + 1)
            told += envelopes(passage)[:read]
            if read == len(passage.entries):
                place = passage.place
            elif read:
                place = passage.entries[read - 1][1]
    for claim, began in flying:
        await traffic.retry(claim, 1e6, began)
    clock.move(LONG)
    more = True
    while more:
        passage = await store.tails.logs(ACCOUNT, ALL, place, 3)
        told, place, more = told + envelopes(passage), passage.place, passage.more
    assert sorted(told) == sorted(f"env-{number}" for number in range(published))
    assert published > 50


async def test_behind_many_posts_in_flight_the_log_waits_until_some_end(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await traffic.configure(enableLog="true")
    place = await beginning(store, clock)
    await traffic.accept(*(new_event(envelope_id=f"env-{number}") for number in range(1001)))
    claims = await traffic.claim_all(2000, 2000)
    began = clock.now()
    clock.move(1)
    await traffic.publish(envelope_id="quick")
    (quick,) = await traffic.claim_all(2000, 2000)
    await traffic.retry(quick, 1e6, clock.now())
    waits = await of_log(store, clock, place)
    assert (envelopes(waits), len(waits.place.pending)) == ([], 1000)
    last = next(claim for claim in claims if claim.attempt_id == max(c.attempt_id for c in claims))
    await traffic.retry(last, 1e6, began)
    came = await of_log(store, clock, waits.place)
    assert (envelopes(came), len(came.place.pending)) == (["env-1000", "quick"], 1000)


async def test_what_another_node_commits_late_is_not_left_out(
    database_url: str, tmp_path: Path
) -> None:
    """Its transaction took the time before one that was committed first."""
    keyring = KeyRing.load(tmp_path / "master.key")
    nodes = [
        await PostgresStore.open(database_url, keyring, instance=name, accept_data_loss=True)
        for name in ("first", "second")
    ]
    follower, other = nodes
    await follower.create_account(Account(ACCOUNT, 1, "First"))
    place = (await follower.tails.events(ACCOUNT, EVENTS, None, 100)).place
    told: list[str] = []

    async def read() -> None:
        nonlocal place
        passage = await follower.tails.events(ACCOUNT, EVENTS, place, 100)
        told.extend(event.event_id for event, _ in passage.entries)
        place = passage.place

    async with await psycopg.AsyncConnection.connect(database_url) as holding:
        await holding.execute(
            "insert into event_key (account_id, event_id, digest, deliveries, created_us) "
            "values (%s, 'late', 'x', 0, 0)",
            (ACCOUNT,),
        )
        late = asyncio.create_task(Traffic(other).publish(event_id="late"))
        async with hang(20):
            waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
            while await (await holding.execute(waiting)).fetchone() != (1,):
                await holding.execute("select pg_stat_clear_snapshot()")
            await Traffic(follower).publish(event_id="early")
            until = follower.clock.now() + timedelta(seconds=2)
            while follower.clock.now() < until:
                await read()
        assert told == []
        await holding.rollback()
    async with hang(20):
        await late
        while len(told) < 2:
            await read()
    # On a slow machine its first try was given up, and it is the second that is told of.
    assert sorted(told) == ["early", "late"]
    for node in nodes:
        await node.close()
