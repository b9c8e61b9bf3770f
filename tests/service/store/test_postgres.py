"""What only PostgreSQL has: many nodes, leases, take-over, a pooler in between."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from heliograph.delivery.publisher import Publisher
from heliograph.delivery.signals import Signals
from heliograph.errors import ConfigurationsChanged, StorageUnavailable, UnsafeStorage
from heliograph.model.accounts import Account
from heliograph.model.checks import Check
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.deliveries import Claim, Delivered, GaveUp, Phase, Why
from heliograph.model.incidents import IncidentQuery
from heliograph.model.logs import LogQuery
from heliograph.store import Store
from heliograph.store.keyring import KeyRing
from heliograph.store.postgres import connection
from heliograph.store.postgres.doctor import database_checks
from heliograph.store.postgres.engine import VERBS
from heliograph.store.postgres.queries import QUERIES
from heliograph.store.postgres.store import PostgresStore
from heliograph.store.sql import migrations
from heliograph.store.verbs import PATIENCE
from tests.busy import hang
from tests.contract.tables import change
from tests.postgres_server import DURABLE, postgres_server
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

LEASE = 30.0

OpenNode = Callable[[str], Awaitable[PostgresStore]]


@pytest.fixture
async def open_node(
    database_url: str, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[OpenNode]:
    """Opens another node on the test's database."""
    opened: list[PostgresStore] = []

    async def open_it(instance: str) -> PostgresStore:
        opened.append(
            await PostgresStore.open(
                *(database_url, KeyRing.load(tmp_path / "master.key"), clock),
                instance=instance,
                lease=LEASE,
                accept_data_loss=True,
            )
        )
        return opened[-1]

    yield open_it
    for store in opened:
        await store.close()


async def two_nodes(open_node: OpenNode) -> tuple[PostgresStore, PostgresStore]:
    first, second = await open_node("one"), await open_node("two")
    await first.create_account(Account(ACCOUNT, 1, "First"))
    await first.create_configuration(wanted_configuration())
    return first, second


async def publish(store: Store, number: int) -> None:
    for place in range(number):
        await accept(store, new_event(envelope_id=f"env-{place}", event_id=f"event-{place}"))


async def test_r8_two_nodes_never_claim_the_same_delivery_and_share_one_configuration(
    open_node: OpenNode,
) -> None:
    first, second = await two_nodes(open_node)
    await publish(first, 40)

    async def work(node: Store) -> list[Claim]:
        return [claim for _ in range(3) for claim in (await node.claim(8, 8)).claims]

    ones, others = await asyncio.gather(work(first), work(second))
    claims = ones + others
    assert len({claim.delivery_id for claim in claims}) == len(claims)
    assert (len(ones), len(others)) == (8, 8)  # each up to its cap
    assert len({claim.epoch for claim in claims}) == 2


async def test_r6_order_holds_between_nodes(open_node: OpenNode) -> None:
    first, second = await two_nodes(open_node)
    for event_id in ("a", "b"):
        await accept(first, new_event(event_id=event_id))
    (claim,) = await claim_all(first)
    assert await claim_all(second) == []
    await deliver(first, [claim])
    (later,) = await claim_all(second)
    assert later.event.event_id == "b"


async def test_r8_a_node_that_does_not_renew_is_taken_over_and_settles_nothing_more(
    open_node: OpenNode, clock: ManualClock
) -> None:
    dead, alive = await two_nodes(open_node)
    await publish(dead, 3)
    claims = await claim_all(dead)
    clock.move(LEASE - 1)
    assert await alive.renew_lease()
    assert await alive.take_over() == 0  # its lease still holds
    clock.move(2)
    assert await alive.take_over() == 3
    assert await alive.take_over() == 0

    retried = await claim_all(alive)
    assert [claim.number for claim in retried] == [2, 2, 2]
    assert await deliver(dead, claims) == [False, False, False]
    assert await claim_all(dead) == []  # nothing is claimed without a lease
    assert await deliver(alive, retried) == [True, True, True]
    assert not list(await alive.orphans())

    assert not await dead.renew_lease()  # it begins a new epoch
    await accept(dead, new_event(envelope_id="env-9", event_id="later"))
    (claim,) = await claim_all(dead)
    assert claim.epoch > retried[0].epoch
    assert await deliver(dead, [claim]) == [True]


async def test_r3_a_process_that_starts_in_the_same_directory_takes_over_at_once(
    open_node: OpenNode,
) -> None:
    dead, _ = await two_nodes(open_node)
    await publish(dead, 1)
    (claim,) = await claim_all(dead)

    again = await open_node("one")  # its lock was free, so that the one before it is gone
    assert await again.take_over() == 1
    (retried,) = await claim_all(again)
    assert (retried.delivery_id, retried.number) == (claim.delivery_id, 2)


async def test_r15_a_node_that_stops_hands_over_at_once(open_node: OpenNode) -> None:
    leaving, staying = await two_nodes(open_node)
    await publish(leaving, 2)
    claims = await claim_all(leaving)
    assert await deliver(leaving, claims[:1]) == [True]
    await leaving.close()
    assert len(await claim_all(staying)) == 1


async def test_r17_a_delivery_that_ends_its_node_three_times_is_parked(
    open_node: OpenNode,
) -> None:
    node, _ = await two_nodes(open_node)
    await accept(node, new_event(event_id="poison"))
    await accept(node, new_event(event_id="next"))
    for _ in range(3):
        (claim,) = await claim_all(node)
        assert claim.event.event_id == "poison"
        node = await open_node("one")
        assert await node.take_over() == 1

    (failure,) = (await node.failures(ACCOUNT, LogQuery(), 10)).entries
    assert failure.error is not None
    assert "ended 3 times" in failure.error
    (after,) = await claim_all(node)  # its lane goes on
    assert after.event.event_id == "next"


async def test_r4_a_claim_whose_answer_was_lost_is_put_back_and_does_not_count(
    open_node: OpenNode,
) -> None:
    node, _ = await two_nodes(open_node)
    await publish(node, 2)
    # Committed, and then the connection breaks: the node does not learn of it.
    await node._database.transact(lambda db: node._queue.claim(db, 10, 10, {}))
    node._queue.claim_failed()

    assert [claim.number for claim in await claim_all(node)] == [1, 1]


async def test_r4_a_claim_that_is_committed_long_after_its_answer_was_lost_is_put_back(
    open_node: OpenNode, clock: ManualClock
) -> None:
    node, _ = await two_nodes(open_node)
    await publish(node, 2)
    late = await claim_late(node)
    # The next claim finds nothing to put back: the server is not done with that commit.
    assert await claim_all(node) == []
    await late.commit()
    await late.close()

    assert await claim_all(node) == []
    clock.move(6)
    assert [claim.number for claim in await claim_all(node)] == [1, 1]


async def claim_late(node: PostgresStore) -> connection.Connection:
    """Claim in a transaction that is open still, while the node believes the connection lost."""
    late = await connection.Connection.connect(node._database.conninfo)
    assert (await node._queue.claim(late, 10, 10, {})).claims
    node._queue.claim_failed()
    return late


async def test_r8_a_lease_whose_loss_was_noticed_in_a_commit_without_an_answer_is_told_lost(
    open_node: OpenNode, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, other = await two_nodes(open_node)
    clock.move(LEASE + 1)
    await other.renew_lease()
    await other.take_over()

    def answer_lost(name: str, row: object = None) -> None:
        if name == "lease.renew.commit.after":
            raise psycopg.OperationalError("the connection is gone")

    with monkeypatch.context() as patch:
        patch.setattr(connection, "failpoint", answer_lost)
        with pytest.raises(StorageUnavailable):
            await node.renew_lease()
    assert not await node.renew_lease()
    assert await node.renew_lease()


async def test_r2_twins_on_two_nodes_become_one_event(open_node: OpenNode) -> None:
    first, second = await two_nodes(open_node)
    for number in range(50):
        event = new_event(envelope_id=f"env-{number}", event_id=f"twin-{number}")
        twins = await asyncio.gather(accept(first, event), accept(second, event))
        assert sorted(one.repeated for (one,) in twins) == [False, True]
    assert len(await claim_all(first, 1000, 1000)) == 50


async def test_f27_a_configuration_that_another_node_changed_is_matched_again(
    open_node: OpenNode,
) -> None:
    first, second = await two_nodes(open_node)
    known = await first.configurations(ACCOUNT)
    await second.update_configuration(
        wanted_configuration(
            connect_id=known.all[0].connect_id, urlToPublishTo="https://new.example"
        )
    )
    with pytest.raises(ConfigurationsChanged):
        await first.accept(ACCOUNT, known.version, [(new_event(), ())])
    await accept(first, new_event())
    (claim,) = await claim_all(first)
    assert claim.configuration.url == "https://new.example"


async def test_f27_what_another_node_changed_is_published_to_though_most_is_known(
    open_node: OpenNode,
) -> None:
    first, second = await two_nodes(open_node)
    by = Publisher(first, Signals())
    (made,) = (await first.configurations(ACCOUNT)).all

    async def deliveries(envelope_id: str) -> int:
        (receipt,) = await by.publish(ACCOUNT, [new_event(envelope_id=envelope_id)])
        return receipt.accepted.deliveries

    assert await deliveries("before") == 1
    new = await second.create_configuration(wanted_configuration(name="of the second"))
    assert await deliveries("with a new one") == 2
    await second.update_configuration(
        wanted_configuration(connect_id=made.connect_id, events=["envelope-voided"])
    )
    assert await deliveries("with one that wants another event") == 1
    await second.delete_configuration(ACCOUNT, new.connect_id)
    assert await deliveries("with none") == 0


async def test_a_claim_reads_the_configurations_that_it_needs_and_again_those_that_changed(
    open_node: OpenNode,
) -> None:
    first, second = await two_nodes(open_node)
    (one,) = (await first.configurations(ACCOUNT)).all
    other = await second.create_configuration(wanted_configuration(events=["envelope-voided"]))
    await second.create_configuration(wanted_configuration(events=["envelope-declined"]))
    kept = first._queue._configurations

    async def claimed(name: str, envelope_id: str) -> ConnectConfiguration:
        await accept(second, new_event(name, envelope_id))
        (claim,) = await claim_all(first)
        await deliver(first, [claim])
        return claim.configuration

    assert await claimed("envelope-sent", "env-1") == one
    assert await claimed("envelope-voided", "env-2") == other
    assert set(kept) == {one.connect_id, other.connect_id}
    changed = wanted_configuration(
        connect_id=other.connect_id, name="changed", events=["envelope-voided"]
    )
    await second.update_configuration(changed)
    before = await claimed("envelope-sent", "env-3")
    assert before is await claimed("envelope-sent", "env-4")
    assert set(kept) == {one.connect_id}
    assert await claimed("envelope-voided", "env-5") == changed
    # What was forgotten of the account may have changed in any way since.
    first._queue._accounts.clear()
    again = await claimed("envelope-sent", "env-6")
    assert again == before
    assert again is not before


async def test_what_has_changed_of_many_configurations_is_looked_up(
    open_node: OpenNode, database_url: str
) -> None:
    await two_nodes(open_node)
    added = """
    insert into connect_configuration
    (account_id, name, url, publishing, paused, document, created_us, changed_us, version)
    select %s, '', '', true, false, '{}', 0, 0, n from generate_series(1, 2000) as n
    """
    values = {"account_id": ACCOUNT, "version": 1_990}
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(added, (ACCOUNT,))
        connection.execute("analyze connect_configuration")
        for query in (VERBS["configurations_since"], QUERIES["configurations_changed"]):
            plan = "\n".join(row[0] for row in connection.execute(f"explain {query}", values))
            assert "connect_configuration_changed" in plan, plan


async def test_r4_settling_while_another_node_pauses_leaves_nothing_waiting(
    open_node: OpenNode,
) -> None:
    first, second = await two_nodes(open_node)
    (made,) = (await first.configurations(ACCOUNT)).all
    await publish(first, 20)
    claims = await claim_all(first, 100, 100)
    paused = wanted_configuration(connect_id=made.connect_id, pausePublish="true")
    await asyncio.gather(
        *(first.settle([settled(claim, Delivered())]) for claim in claims[:10]),
        second.update_configuration(paused),
        *(first.settle([settled(claim, retry_in(0))]) for claim in claims[10:]),
    )
    assert not list(await first.orphans())
    assert await claim_all(second, 100, 100) == []


async def test_r18_a_server_that_does_not_flush_is_refused(
    database_url: str, tmp_path: Path
) -> None:
    with pytest.raises(UnsafeStorage, match=r"fsync=off.*ALTER SYSTEM SET fsync = on"):
        await PostgresStore.open(database_url, KeyRing.load(tmp_path / "master.key"), instance="x")


async def test_s7_a_node_with_another_master_key_is_refused(
    open_node: OpenNode, database_url: str, tmp_path: Path
) -> None:
    await open_node("one")
    with pytest.raises(UnsafeStorage, match=r"copy master\.key from a node that runs"):
        await PostgresStore.open(
            *(database_url, KeyRing.load(tmp_path / "other.key")),
            instance="two",
            accept_data_loss=True,
        )


async def test_r16_nodes_that_start_at_once_on_a_new_database_migrate_it_once(
    empty_database_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    keyring = KeyRing.load(tmp_path / "master.key")
    nodes = await asyncio.gather(
        *(
            PostgresStore.open(
                *(empty_database_url, keyring, clock),
                instance=f"node-{number}",
                accept_data_loss=True,
            )
            for number in range(4)
        )
    )
    assert len({node._queue.epoch for node in nodes}) == 4
    with psycopg.connect(empty_database_url) as connection:
        applied = connection.execute("select number from schema_migration").fetchall()
    assert applied == [(step.number,) for step in migrations("postgres")]
    for node in nodes:
        await node.close()


async def test_r12_the_databases_clock_counts_and_leases_follow_it(
    database_url: str, tmp_path: Path
) -> None:
    store = await PostgresStore.open(
        *(database_url, KeyRing.load(tmp_path / "master.key")),
        instance="one",
        accept_data_loss=True,
    )
    with psycopg.connect(database_url) as connection:
        row = connection.execute("select clock_timestamp()").fetchone()
    assert row is not None
    assert abs((store.clock.now() - row[0]).total_seconds()) < 2
    assert await store.renew_lease()
    await store.close()


async def test_r18_doctor_names_each_setting_of_the_server_that_loses_data(
    database_url: str,
) -> None:
    checks = {check.name: check for check in await database_checks(database_url)}
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        assert not checks[name].passed
        assert f"{name}=off" in checks[name].found
        assert f"ALTER SYSTEM SET {name} = on" in checks[name].mend
    assert "no synchronous standby" in checks["failover"].found


async def test_r18_doctor_passes_a_server_that_flushes_and_says_when_none_answers() -> None:
    with postgres_server(**DURABLE) as server:
        checks = await database_checks(server.url)
    assert all(check.passed for check in checks), checks
    (refused,) = await database_checks(server.url)
    assert (refused.name, refused.passed) == ("database", False)


async def test_doctor_names_the_nodes_that_run_and_counts_what_connections_they_want(
    open_node: OpenNode, database_url: str, clock: ManualClock
) -> None:
    async def nodes() -> str:
        (found,) = (one for one in await database_checks(database_url) if one.name == "nodes")
        assert found.passed
        return found.found

    clock.jump((datetime.now(UTC) - clock.now()).total_seconds() - LEASE - 60)
    both = await two_nodes(open_node)
    assert await nodes() == "none runs"  # their leases have run out
    clock.move(LEASE + 60)
    for node in both:
        await node.renew_lease()
    process = os.getpid()
    assert await nodes() == f"2: {socket.gethostname()}, processes {process}, {process}"
    for number in range(4):
        await open_node(f"further-{number}")
    assert (await nodes()).startswith("WARNING: they may want 66 connections of 60 there are. 6: ")


async def test_r4_doctor_shows_what_is_orphaned(open_node: OpenNode, database_url: str) -> None:
    await two_nodes(open_node)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "insert into delivery (created_us, event_row, account_id, connect_id, envelope_id, "
            "state, epoch, attempt_id, claimed_us, seed, schedule_started_us) "
            "values (1, 1, 'a', 1, 'e', 'in_flight', 999, 1, 1, 1, 1)"
        )
    (found,) = [c for c in await database_checks(database_url) if c.name == "deliveries"]
    assert not found.passed
    assert "in flight for a node that is gone" in found.found


async def test_f20_r14_someone_who_reads_history_for_long_holds_up_neither_days_nor_retention(
    open_node: OpenNode, database_url: str, clock: ManualClock
) -> None:
    node, _ = await two_nodes(open_node)
    await publish(node, 3)
    await deliver(node, await claim_all(node))
    with psycopg.connect(database_url) as reader:
        reader.execute("set transaction isolation level repeatable read")
        assert reader.execute("select count(*) from attempt").fetchone() == (3,)
        clock.move(100 * 86_400)
        assert await node.renew_lease()  # new days cannot be made, and nobody waits
        done = await node.retire(clock.now() - timedelta(days=90))
        assert (done.deliveries, done.attempts) == (0, 0)  # the old ones are still read
        await accept(node, new_event(envelope_id="env-new", event_id="new"))
        later = await claim_all(node)
        settlements = [settled(claim, Delivered(), clock.now()) for claim in later]
        assert await node.settle(settlements) == [True]
        reader.rollback()
    assert await node.renew_lease()
    with psycopg.connect(database_url) as connection:
        rest = connection.execute("select count(*) from attempt_rest").fetchone()
    assert rest == (0,)  # what had no day yet has moved to it
    done = await node.retire(clock.now() - timedelta(days=90))
    assert (done.deliveries, done.attempts) == (3, 3)


async def test_r21_what_was_locked_when_a_node_looked_is_found_within_half_a_minute(
    open_node: OpenNode, database_url: str, clock: ManualClock
) -> None:
    node, _ = await two_nodes(open_node)
    await publish(node, 1)
    clock.move(600)  # it is due for long, so that no look for what is new finds it
    await node.renew_lease()
    async with await psycopg.AsyncConnection.connect(database_url) as other:
        await other.execute("select from delivery for update")
        assert await claim_all(node) == []
    for _ in range(30):
        if claims := await claim_all(node):
            break
        clock.move(1)
        await node.renew_lease()
    assert len(claims) == 1


async def look(node: Store) -> int:
    return len(await node.incidents.tend())


async def name_causes(node: Store) -> int:
    return await node.incidents.name_causes()


@pytest.mark.parametrize("verb", [look, name_causes])
async def test_what_a_slow_look_at_incidents_finds_is_told(
    open_node: OpenNode, database_url: str, verb: Callable[[Store], Awaitable[int]]
) -> None:
    node, _ = await two_nodes(open_node)
    await publish(node, 1)
    await give_up(node, await claim_all(node))
    if verb is name_causes:
        await change(node, "update delivery set phase = null, what = null")
    async with await psycopg.AsyncConnection.connect(database_url) as other:
        await other.execute("lock table incident in access exclusive mode")
        looking = asyncio.ensure_future(verb(node))
        await asyncio.wait({looking}, timeout=PATIENCE + 0.5)
        await other.rollback()
    async with hang(10):
        assert await looking == 1


async def delete_one(node: Store) -> None:
    (failure,) = (await node.failures(ACCOUNT, LogQuery(), 10)).entries
    assert failure.failure_id is not None
    assert await node.delete_failure(ACCOUNT, failure.failure_id, "ada")


async def delete_in_bulk(node: Store) -> None:
    assert await node.delete_failures(ACCOUNT, LogQuery(), "ada") == 1


async def hasten(node: Store) -> None:
    assert await node.hasten(ACCOUNT, 1) == 1


async def resume(node: Store) -> None:
    await node.update_configuration(wanted_configuration(connect_id=1))


@pytest.mark.parametrize("verb", [delete_one, delete_in_bulk, hasten, resume])
async def test_r21_other_nodes_are_told_of_what_has_become_due(
    open_node: OpenNode, database_url: str, verb: Callable[[Store], Awaitable[None]]
) -> None:
    _, node = await two_nodes(open_node)
    for event_id in ("a", "b"):
        await accept(node, new_event(event_id=event_id))
    (claim,) = await claim_all(node)
    await node.settle([settled(claim, retry_in(3600))])
    if verb is resume:
        await node.update_configuration(wanted_configuration(connect_id=1, pausePublish="true"))
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other:
        await node._hints.close()  # what was told before
        await other.execute("listen heliograph_work")
        await verb(node)
        async with hang(10):
            async for _ in other.notifies(stop_after=1):
                pass


async def test_r21_what_is_taken_over_wakes_who_took_it(
    open_node: OpenNode, clock: ManualClock
) -> None:
    dead, alive = await two_nodes(open_node)
    await publish(dead, 1)
    assert await claim_all(dead)
    woken: list[bool] = []
    alive.when_due(lambda: woken.append(True))
    clock.move(LEASE + 1)
    await alive.renew_lease()
    assert woken == []
    assert await alive.take_over() == 1
    assert woken == [True]


async def test_r21_doctor_tells_when_something_is_due_and_no_node_looks(
    open_node: OpenNode, database_url: str, clock: ManualClock
) -> None:
    async def due() -> Check:
        (found,) = (one for one in await database_checks(database_url) if one.name == "due")
        return found

    clock.jump((datetime.now(UTC) - clock.now()).total_seconds() - 300)
    node, other = await two_nodes(open_node)
    assert (await due()).found == "nothing is overdue"
    await publish(node, 2)
    clock.move(10)
    for one in (node, other):
        await one.renew_lease()
    assert "no server runs" in (await due()).found  # their leases have run out
    clock.move(290)
    for one in (node, other):
        await one.renew_lease()
    found = await due()
    assert (found.passed, "no node has looked for it for 30" in found.found) == (False, True)
    assert len((await other.claim(1, 1)).claims) == 1
    await other.renew_lease()
    found = await due()
    assert (found.passed, "has been due for 30" in found.found) == (True, True)


@pytest.mark.parametrize("delivered", [1, 2])
async def test_an_accept_and_a_settle_do_not_wait_for_each_other_crosswise(
    open_node: OpenNode, database_url: str, delivered: int
) -> None:
    """An accept asks the lanes of an envelope in turn: who waits for its first holds none of the
    others, also where those are delivered and so end before what is tried again."""
    _, node = await two_nodes(open_node)
    await node.create_configuration(wanted_configuration())
    await accept(node, new_event())
    again = retry_in(60)
    settlements = [
        settled(claim, Delivered() if claim.configuration.connect_id > 2 - delivered else again)
        for claim in reversed(await claim_all(node))
    ]
    lane = "select delivery_id from delivery where connect_id = %s for share"
    async with await psycopg.AsyncConnection.connect(database_url) as accepting:
        await accepting.execute(lane, (1,))
        settling = asyncio.create_task(node.settle(settlements))
        async with (
            hang(20),
            await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other,
        ):
            waiting = "select count(*) from pg_locks where not granted"
            while await (await other.execute(waiting)).fetchone() == (0,):
                await asyncio.sleep(0.01)
        found = await accepting.execute(f"{lane} nowait", (2,))
        assert len(await found.fetchall()) == 1
        await accepting.commit()
        assert await settling == [True, True]


async def test_nodes_that_open_the_same_incidents_do_not_wait_for_each_other_crosswise(
    open_node: OpenNode, database_url: str
) -> None:
    """Who waits for the first of several holds none of the others, in whichever order they fail."""
    _, node = await two_nodes(open_node)
    await publish(node, 2)
    first, second = sorted(await claim_all(node), key=lambda one: one.delivery_id)
    whys = (Why(Phase.TLS, "the listener's certificate has expired"), Why(Phase.DNS, "no such"))
    settlements = [
        settled(claim, GaveUp(why)) for claim, why in zip((first, second), whys, strict=True)
    ]
    opens = "select incident_of(%s, 1, %s, %s, 0)"
    async with await psycopg.AsyncConnection.connect(database_url) as opening:
        await opening.execute(opens, (ACCOUNT, "dns", "other"))
        settling = asyncio.create_task(node.settle(settlements))
        async with (
            hang(20),
            await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other,
        ):
            waiting = "select count(*) from pg_locks where not granted"
            while await (await other.execute(waiting)).fetchone() == (0,):
                await asyncio.sleep(0.01)
        async with hang(20):
            await opening.execute(opens, (ACCOUNT, "tls", "certificate expired"))
        await opening.commit()
        assert await settling == [True, True]
    listed = (await node.incidents.page(ACCOUNT, IncidentQuery(), 10)).entries
    assert [(one.cause.phase, one.failures) for one in listed] == [("tls", 1), ("dns", 1)]
