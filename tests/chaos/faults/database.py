"""F5, F6, F7, F10, F20: what happens to a PostgreSQL that nodes share."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tests.chaos import bench as benches
from tests.chaos.bench import Bench, Result
from tests.chaos.catalogue import Context, fault
from tests.chaos.engines import Postgres
from tests.chaos.processes import go_on, stand_still
from tests.chaos.publisher import Load
from tests.postgres_server import DURABLE, PostgresServer, new_folder

ANSWERED = 2.0
"""Seconds within which a publish is answered whatever the database does (R11)."""

SLACK = 0.4
"""Seconds more that this machine may take to schedule what is measured."""

RESUMED = 5.0


def _engine(bench: Bench) -> Postgres:
    engine = bench.installation.engine
    assert isinstance(engine, Postgres)
    return engine


async def _in_flight(bench: Bench) -> int:
    counts = [await asyncio.to_thread(node.in_flight) for node in bench.installation.nodes]
    return sum(counts)


async def _resumes(bench: Bench, load: Load, result: Result) -> None:
    """Events are accepted and delivered again within five seconds."""
    began = time.monotonic()
    await load.accepts(seconds=60)
    await bench.delivers(60)
    result.recovered(time.monotonic() - began, RESUMED)


def _answered(load: Load, result: Result) -> None:
    result.expect(
        load.slowest_refusal <= (ANSWERED + SLACK) * benches.PATIENCE,
        f"a publish was answered only after {load.slowest_refusal:.1f} s",
    )


@fault(
    "F5",
    "PostgreSQL stands still for 1 to 10 s",
    quick={"postgres-1": 1},
    full={"postgres-1": 12, "postgres-3": 12, "postgres-1x2": 12},
)
async def still(context: Context) -> Result:
    """Publish answers 503 within 2 s; work resumes within 5 s after it goes on (R11)."""
    result = Result()
    async with context.bench() as bench:
        async with bench.load() as load:
            for cycle in range(context.cycles):
                await load.accepts()
                await bench.nemesis.moment()
                async with bench.nemesis.fault("stand still") as noted:
                    noted["in_flight"] = await _in_flight(bench)
                    processes = stand_still(_engine(bench).server)
                    try:
                        await asyncio.sleep((3.0, 1.0, 10.0)[cycle % 3])
                    finally:
                        go_on(processes)
                    # A node that lost its lease meanwhile gives its sends up: they come again.
                    noted["in_flight"] += await _in_flight(bench)
                await _resumes(bench, load, result)
            _answered(load, result)
        await bench.judge(result)
    return result


@fault(
    "F6",
    "PostgreSQL restarts; connections and the checkpointer are killed",
    quick={"postgres-1": 2},
    full={"postgres-1": 20, "postgres-3": 20, "postgres-1x2": 20},
)
async def restart(context: Context) -> Result:
    """Work resumes within 5 s after the database accepts connections; nothing is lost."""
    result = Result()
    ways = (_immediate, _fast, _backends, _checkpointer)
    async with context.bench() as bench:
        async with bench.load() as load:
            for cycle in range(context.cycles):
                await load.accepts()
                await bench.nemesis.moment()
                way = ways[cycle % len(ways)]
                async with bench.nemesis.fault(way.__name__.strip("_")) as noted:
                    noted["in_flight"] = await _in_flight(bench)
                    await asyncio.to_thread(way, _engine(bench))
                    noted["in_flight"] += await _in_flight(bench)
                await _resumes(bench, load, result)
            _answered(load, result)
        await bench.judge(result)
    return result


def _fast(engine: Postgres) -> None:
    engine.server.stop("fast")
    engine.server.start()


def _immediate(engine: Postgres) -> None:
    engine.server.stop("immediate")
    engine.server.start()


def _backends(engine: Postgres) -> None:
    """Five times a second, every connection of ours."""
    for _ in range(20):
        engine.ask(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'heliograph'"
        )
        time.sleep(0.2)


def _checkpointer(engine: Postgres) -> None:
    """A process of the server dies: it restarts itself, from its WAL."""
    ((process,),) = engine.ask(
        "select pid from pg_stat_activity where backend_type = 'checkpointer'"
    )
    os.kill(process, signal.SIGKILL)
    deadline = time.monotonic() + 20
    time.sleep(0.2)
    while time.monotonic() < deadline:
        with contextlib.suppress(psycopg.OperationalError):
            engine.ask("select 1")
            return
        time.sleep(0.1)


@fault(
    "F10",
    "no connection is left",
    quick={"postgres-1": 1},
    full={"postgres-1": 4, "postgres-3": 4},
)
async def exhausted(context: Context) -> Result:
    """Publish answers 503 in time, nothing locks up, work resumes within 5 s."""
    result = Result()
    async with context.bench() as bench:
        async with bench.load() as load:
            for _ in range(context.cycles):
                await load.accepts()
                refused = load.refused
                async with bench.nemesis.fault("connections") as noted:
                    held = await asyncio.to_thread(_hold_all, _engine(bench))
                    await asyncio.sleep(4.0)
                    for connection in held:
                        connection.close()
                    noted["in_flight"] = await _in_flight(bench)
                result.expect(load.refused > refused, "nothing was refused")
                await _resumes(bench, load, result)
            _answered(load, result)
        await bench.judge(result)
    return result


def _hold_all(engine: Postgres) -> list[psycopg.Connection[object]]:
    """Take every connection, those of the nodes too."""
    held: list[psycopg.Connection[object]] = [psycopg.connect(engine.url, autocommit=True)]
    ours = "from pg_stat_activity where application_name = 'heliograph'"
    deadline, quiet = time.monotonic() + 20, 0
    # One that is just being made has no name yet: none may be seen for a while.
    while time.monotonic() < deadline and quiet < 5:
        try:
            held.append(psycopg.connect(engine.url, autocommit=True))
        except psycopg.OperationalError:
            ended = held[0].execute(f"select pg_terminate_backend(pid) {ours}".encode()).fetchall()
            quiet = 0 if ended else quiet + 1
            # What was ended needs a moment to go, and is soon replaced: take its place first.
            time.sleep(0.01 if ended else 0.1)
        else:
            quiet = 0
    return held


@fault("F20", "a snapshot is pinned", full={"postgres-1": 3})
async def pinned(context: Context) -> Result:
    """Deliveries go on at 70 % of the pace before, or more, while nothing can be vacuumed; the
    queue's table stays within three times its size."""
    result = Result()
    async with context.bench() as bench:
        engine = _engine(bench)
        async with bench.load(publishers=16):
            for _ in range(context.cycles):
                clean = await _pace(bench, 8.0)
                async with bench.nemesis.fault("pinned"):
                    with _pin(engine):
                        slow = await _pace(bench, 20.0)
                        ((size,),) = engine.ask("select pg_total_relation_size('delivery')")
                share = slow / clean if clean else 0.0
                result.expect(share >= 0.7, f"only {share:.0%} of the pace with a pinned snapshot")
                result.notes.append(
                    f"{clean:.0f} deliveries/s before, {slow:.0f} while pinned; "
                    f"queue {size // 1024} KiB"
                )
        await bench.judge(result)
    return result


@contextlib.contextmanager
def _pin(engine: Postgres) -> Iterator[None]:
    with engine.connected() as other:
        other.execute("begin isolation level repeatable read")
        other.execute("select count(*) from delivery")
        yield
        other.execute("rollback")


async def _pace(bench: Bench, seconds: float) -> float:
    took = bench.sink.taken.total()
    await asyncio.sleep(seconds)
    return (bench.sink.taken.total() - took) / seconds


# ------------------------------------------------------------------------------- failover


@fault(
    "F7",
    "the primary dies, its synchronous standby is promoted",
    full={"postgres-1": 4, "postgres-3": 4},
)
async def failover(context: Context) -> Result:
    """Nothing accepted is lost, and the nodes find the new primary by themselves."""
    return await fail_over(context, synchronous=True)


async def fail_over(context: Context, *, synchronous: bool) -> Result:
    """Each cycle with a new pair; without `synchronous` the standby lags behind a little."""
    result = Result()
    for cycle in range(context.cycles):
        with new_folder() as primary_folder, new_folder() as standby_folder:
            primary, standby = await asyncio.to_thread(
                _pair, primary_folder, standby_folder, synchronous
            )
            engine = Postgres(primary)
            engine.url = (
                f"postgresql://postgres@/postgres?host={primary_folder},{standby_folder}"
                "&target_session_attrs=read-write"
            )
            try:
                async with context.bench(f"run-{cycle}", engine=engine) as bench:
                    await _promote(bench, engine, standby, result, synchronous)
            finally:
                for server in (primary, standby):
                    with contextlib.suppress(RuntimeError, OSError):
                        server.stop("immediate")
    return result


def _pair(
    primary_folder: Path, standby_folder: Path, synchronous: bool
) -> tuple[PostgresServer, PostgresServer]:
    primary = PostgresServer(primary_folder, DURABLE)
    primary.initialize()
    primary.start()
    standby = PostgresServer(standby_folder, DURABLE)
    standby.run(
        *("pg_basebackup", "-h", str(primary_folder), "-U", "postgres", "-D"),
        *(str(standby.data), "-R", "-X", "stream", "-c", "fast", "--no-sync"),
    )
    standby.start()
    with psycopg.connect(primary.url, autocommit=True) as asking:
        if synchronous:
            asking.execute("alter system set synchronous_standby_names = '*'")
            asking.execute("select pg_reload_conf()")
        wanted = "sync" if synchronous else "async"
        deadline = time.monotonic() + 20
        while asking.execute("select sync_state from pg_stat_replication").fetchall() != [
            (wanted,)
        ]:
            if time.monotonic() > deadline:
                raise TimeoutError("the standby does not follow")
            time.sleep(0.05)
    return primary, standby


async def _promote(
    bench: Bench, engine: Postgres, standby: PostgresServer, result: Result, synchronous: bool
) -> None:
    async with bench.load() as load:
        await load.accepts(20)
        await bench.nemesis.moment(0.3, 1.0)
        async with bench.nemesis.fault("failover") as noted:
            if not synchronous:
                await asyncio.to_thread(_fall_behind, standby)
                await load.accepts(20)
            await asyncio.to_thread(engine.server.kill)
            engine.server = standby
            await asyncio.to_thread(
                standby.run, "pg_ctl", "-D", str(standby.data), "-w", "-s", "promote"
            )
            noted["in_flight"] = await _in_flight(bench)
        await _resumes(bench, load, result)
    # Without the standby's consent an accepted event may be gone: healing cannot bring it back.
    await bench.judge(result)


def _fall_behind(standby: PostgresServer) -> None:
    """The standby hears nothing more of the primary, which does not mind."""
    with psycopg.connect(standby.url, autocommit=True) as asking:
        asking.execute("alter system set primary_conninfo = ''")
        asking.execute("select pg_reload_conf()")
        deadline = time.monotonic() + 10
        while asking.execute("select pid from pg_stat_wal_receiver").fetchall():
            if time.monotonic() > deadline:
                raise TimeoutError("the standby still follows")
            time.sleep(0.05)
