"""F1, F2, F4, F22, F23, F28, F36: what happens to the server's processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import time
from pathlib import Path

import heliograph
from heliograph.cli.signals import STOPPING
from heliograph.failpoints import VARIABLE
from heliograph.store.sql import migrations
from tests.chaos import sink as sinks
from tests.chaos.bench import Bench, Result
from tests.chaos.catalogue import Context, NotHere, fault
from tests.chaos.engines import Postgres, Sqlite
from tests.chaos.installation import LEASE_SECONDS, DidNotStart, Node, make
from tests.chaos.publisher import UNREACHABLE, Load

RESTARTED = 3.0
"""Seconds from the start of the process to its first delivery (F1)."""

TAKEN_OVER = LEASE_SECONDS + 5.0
"""Seconds until another node has what a dead one had in flight (R8)."""


@fault(
    "F1",
    "kill -9 under load",
    quick={"sqlite-1": 30, "postgres-1": 3, "postgres-3": 2},
    full={"sqlite-1": 200, "postgres-1": 100, "postgres-3": 100, "postgres-1x2": 50},
)
async def kill(context: Context) -> Result:
    """Nothing accepted is lost; at most what was in flight at a kill arrives again; the first
    delivery comes within 3 s of the restart."""
    result = Result()
    async with context.bench() as bench:
        async with bench.load() as load:
            for _ in range(context.cycles):
                await load.accepts()
                await bench.nemesis.moment()
                node = bench.nemesis.random.choice(bench.installation.nodes)
                await _kill_and_restart(bench, node, result)
        await bench.judge(result)
    return result


async def _kill_and_restart(bench: Bench, node: Node, result: Result) -> None:
    async with bench.nemesis.fault("kill", node=node.name) as noted:
        await node.kill()
        noted["in_flight"] = await asyncio.to_thread(node.in_flight)
        began = time.monotonic()
        await node.start()
    await bench.delivers()
    if len(bench.installation.nodes) == 1:
        result.recovered(time.monotonic() - began, RESTARTED)


@fault(
    "F2",
    "killed at each failpoint",
    quick={"sqlite-1": 2},
    full={"sqlite-1": 100, "postgres-1": 100},
)
async def failpoints(context: Context) -> Result:
    """As F1 at every named place, before and after; likewise for an error and for a hang
    there. `cycles` bounds how many of the places are visited."""
    places = placed()
    if not places:
        raise NotHere("no failpoint is placed in this version")
    result, passed = Result(), 0
    async with context.bench() as bench:
        plans = [
            (place, action)
            for action in ("kill", "raise", "hang")
            for place in places
            # Not the server's: migrations are F21's, a backup is a command of its own.
            if not place.startswith(("migrate.", "backup."))
        ]
        if context.cycles < len(plans):
            plans = bench.nemesis.random.sample(plans, context.cycles)
        # A trap of a post would go off in a process beside: that is F36's.
        bench.node.options = (*bench.node.options, "--senders", "0")
        async with bench.load(pace=0.005) as load:
            for place, action in plans:
                passed += await _at_failpoint(bench, load, place, action)
        await bench.judge(result)
    result.notes.append(f"{passed} of {len(plans)} traps went off, {len(places)} places")
    result.expect(passed > 0, "no trap went off")
    return result


COMMITS = (
    *("accept", "claim", "settle", "lease.renew", "lease.steal"),
    *("config.update", "retention.batch", "job.step"),
)
"""The transactions that have a place of their own before and after the commit."""

SELDOM = ("config.", "job.", "retention.", "retry.", "republish.", "lease.steal", "backup.")
"""What does not pass again and again by itself: the trap is set for the first time."""


def placed() -> list[str]:
    """The names of the failpoints in the package's source."""
    text = "".join(
        file.read_text()
        for file in Path(heliograph.__file__).parent.rglob("*.py")
        if file.name != "failpoints.py"
    )
    names = set(re.findall(r'\bfailpoint\(\s*"([a-z_.]+)"', text))
    if ".commit.before" in text:
        names |= {f"{name}.commit.{when}" for name in COMMITS for when in ("before", "after")}
    return sorted(names)


async def _at_failpoint(bench: Bench, load: Load, place: str, action: str) -> bool:
    """Start with one trap, see it go off under load, start again without; whether it did."""
    node = bench.node
    async with bench.nemesis.fault("failpoint", place=place, action=action) as noted:
        await node.kill()
        noted["in_flight"] = await asyncio.to_thread(node.in_flight)
        try:
            count = 1 if place.startswith(SELDOM) else bench.nemesis.random.randint(2, 6)
            await node.start(**{VARIABLE: f"{place}:{action}:{count}"})
        except DidNotStart:
            await node.start()
            return True
        # An error of ours after the answer has come costs one more try.
        noted["in_flight"] += action != "kill"
        lapses = len(node.lapses())
        await _call_what_is_seldom_called(bench)
        try:
            await node.ended({"kill": 2.0, "raise": 0.7, "hang": 1.0}[action])
            went_off = True
        except TimeoutError:
            went_off = action != "kill"
        if action == "hang":
            noted["in_flight"] += await asyncio.to_thread(node.in_flight)
            await asyncio.sleep(5.0)
        await node.kill()
        noted["in_flight"] += await asyncio.to_thread(node.in_flight)
        # One that an error ends says what it gives up, and then lets it go.
        noted["in_flight"] += sum(lapse.deliveries for lapse in node.lapses()[lapses:])
        await node.start()
    await load.accepts()
    return went_off


async def _call_what_is_seldom_called(bench: Bench) -> None:
    """The API's own transactions; whatever they answer, the server may be gone by then."""
    connect_id, path = bench.configurations[0], sinks.PATHS[0]
    for method, uri, body in (
        ("PUT", "", bench.wanted(path, connectId=connect_id)),
        ("PUT", "envelopes/e1-0/retry_queue", None),
        ("PUT", "failures/retry_queue?all=true", None),
        ("POST", "republish_jobs?all=true", None),
    ):
        with contextlib.suppress(*UNREACHABLE):
            await bench.client.call(method, uri, body, node=bench.node, seconds=2.0)


@fault("F21", "killed while it migrates", full={"sqlite-1": 6, "postgres-1": 2})
async def migration(context: Context) -> Result:
    """A new database whose first start ended before any of its migrations starts the next time
    and loses nothing (R16)."""
    result, names = Result(), ("kill", "raise")
    for cycle in range(context.cycles):
        steps = len(migrations(context.kind.partition("-")[0]))
        name, action, step = f"run-{cycle}", names[cycle % 2], cycle // 2 % steps + 1
        folder = context.folder / name
        engine = Sqlite(folder) if context.kind == "sqlite-1" else Postgres.started()
        try:
            (node,) = make(context.kind, folder, engine=engine).nodes
            try:
                await node.start(**{VARIABLE: f"migrate.each:{action}:{step}"})
                await node.kill()
                result.problems.append(f"there was no migration {step} to end it at")
            except DidNotStart:
                pass
            async with context.bench(name, engine=engine) as bench:
                async with bench.nemesis.fault("migration"), bench.load() as load:
                    await load.accepts(20)
                await bench.judge(result)
        finally:
            await asyncio.to_thread(engine.close)
    return result


@fault(
    "F4",
    "a node stands still longer than its lease, then goes on",
    quick={"postgres-3": 1},
    full={"postgres-3": 40},
)
async def zombie(context: Context) -> Result:
    """The other nodes take over; what the zombie settles afterwards has no effect (R8), and
    it causes no more duplicates than it had in flight."""
    return await _zombies(context, inside=False)


@fault(
    "F4b",
    "a node stands still inside a transaction",
    full={"postgres-3": 10},
)
async def zombie_inside(context: Context) -> Result:
    """As F4: locks that it holds keep the others from nothing for longer than a lease."""
    return await _zombies(context, inside=True)


async def _zombies(context: Context, *, inside: bool) -> Result:
    result = Result()
    async with context.bench(change=observed) as bench:
        async with bench.load(pace=0.005) as load:
            for _ in range(context.cycles):
                await load.accepts(seconds=60)
                bench.sink.delay = 1.0
                await bench.nemesis.moment(0.3, 0.8)
                node = bench.nemesis.random.choice(bench.installation.nodes)
                async with bench.nemesis.fault("zombie", node=node.name) as noted:
                    await freeze(bench, node, inside=inside)
                    noted["in_flight"] = await asyncio.to_thread(node.in_flight)
                    bench.sink.delay = 0.0
                    began = time.monotonic()
                    while await asyncio.to_thread(node.in_flight):
                        if time.monotonic() - began > 2 * TAKEN_OVER:
                            break
                        await asyncio.sleep(0.1)
                    result.recovered(time.monotonic() - began, TAKEN_OVER, "the take-over")
                    left = await asyncio.to_thread(node.in_flight)
                    result.expect(not left, f"{left} deliveries were not taken over at all")
                    await asyncio.sleep(max(0.0, LEASE_SECONDS - (time.monotonic() - began)))
                    node.resume()
        await bench.judge(result)
    return result


async def freeze(bench: Bench, node: Node, *, inside: bool) -> None:
    """Stop a node where it stands: inside a transaction of its own, or outside of any."""
    engine = bench.installation.engine
    assert isinstance(engine, Postgres)
    for _ in range(200):
        node.pause()
        await asyncio.sleep(0.3)
        ((waiting,),) = await asyncio.to_thread(
            engine.ask,
            "select count(*) from pg_stat_activity where state like 'idle in transaction%' "
            "and now() - state_change > interval '250 ms'",
        )
        if inside == bool(waiting):
            return
        node.resume()
        await bench.nemesis.moment(0.05, 0.3)
    raise NotHere(f"no moment {'inside' if inside else 'outside'} a transaction was met")


def observed(node: Node) -> None:
    """Let the node write down each claim and each settlement that took effect."""
    node.module = "tests.chaos.controls"
    node.environment["HELIOGRAPH_CHAOS_OBSERVE"] = str(node.folder / "settles")


@fault(
    "F22",
    "SIGTERM under load; rolling restart",
    quick={"sqlite-1": 5, "postgres-3": 3, "postgres-1x2": 2},
    full={"sqlite-1": 20, "postgres-1": 20, "postgres-3": 20, "postgres-1x2": 20},
)
async def stop(context: Context) -> Result:
    """Nothing is lost and nothing arrives twice; the process ends with status 0 (R15)."""
    result = Result()
    async with context.bench() as bench:
        async with bench.load() as load:
            for cycle in range(context.cycles):
                await load.accepts()
                await bench.nemesis.moment()
                node = bench.installation.nodes[cycle % len(bench.installation.nodes)]
                async with bench.nemesis.fault("stop", node=node.name) as noted:
                    status = await node.stop()
                    result.expect(status == 0, f"SIGTERM ended with status {status}")
                    noted["in_flight"] = await asyncio.to_thread(node.in_flight)
                    result.expect(noted["in_flight"] == 0, "something was left in flight")
                    began = time.monotonic()
                    await node.start()
                await bench.delivers()
                result.recovery = max(result.recovery, time.monotonic() - began)
        await bench.judge(result)
    return result


@fault(
    "F22b",
    "every signal but SIGKILL and SIGSTOP, under load",
    quick={"sqlite-1": 2},
    full={"sqlite-1": 24, "postgres-1": 24, "postgres-1x2": 24},
)
async def signalled(context: Context) -> Result:
    """Nothing is lost and nothing arrives twice: what says that the process must end stops it in
    order, everything else is ignored (R15). `cycles` is how many stops there are."""
    result = Result()
    ending = {*STOPPING, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}
    others = set(signal.Signals) - ending - {signal.SIGKILL, signal.SIGSTOP}
    async with context.bench() as bench:
        async with bench.load() as load:
            for number in sorted(others):
                await load.accepts()
                async with bench.nemesis.fault("signal", number=int(number), in_flight=0):
                    bench.node.signal(number)
            await bench.delivers()
            for number in bench.nemesis.random.choices(sorted(ending), k=context.cycles):
                await load.accepts()
                await bench.nemesis.moment()
                await _end_by(bench, number, result)
        await bench.judge(result)
    return result


async def _end_by(bench: Bench, number: signal.Signals, result: Result) -> None:
    node = bench.node
    async with bench.nemesis.fault("signal", number=int(number)) as noted:
        node.up.clear()
        node.signal(number)
        status = await node.ended()
        result.expect(status == 0, f"{number.name} ended with status {status}")
        noted["in_flight"] = await asyncio.to_thread(node.in_flight)
        result.expect(noted["in_flight"] == 0, f"{number.name} left something in flight")
        await node.start()
    await bench.delivers()


@fault(
    "F36",
    "sender processes are killed, or stand still, under load",
    quick={"sqlite-1": 2, "postgres-1": 1},
    full={"sqlite-1": 40, "postgres-1": 20},
)
async def senders(context: Context) -> Result:
    """Nothing is lost; what such a process had in flight is tried again (R5), and the server goes
    on without it and with another one."""
    result = Result()

    def change(node: Node) -> None:
        node.options = ("--senders", "2", "--per-configuration", "100")

    async with context.bench(change=change) as bench:
        async with bench.load():
            bench.sink.delay = 0.2  # so that many are in flight
            for number in range(context.cycles):
                process = bench.nemesis.random.choice(await bench.node.senders())
                async with bench.nemesis.fault("sender", process=process) as noted:
                    noted["in_flight"] = await asyncio.to_thread(bench.node.in_flight)
                    os.kill(process, signal.SIGSTOP if number % 2 else signal.SIGKILL)
                    await bench.node.without(process)
                await bench.delivers()
            bench.sink.delay = 0.0
        await bench.judge(result)
    return result


@fault("F23", "a second server on one file", quick={"sqlite-1": 1}, full={"sqlite-1": 5})
async def second(context: Context) -> Result:
    """It refuses to start with status 5, and the first one goes on unharmed (R20)."""
    result = Result()
    async with context.bench() as bench:
        async with bench.load(publishers=2) as load:
            for _ in range(context.cycles):
                await load.accepts()
                async with bench.nemesis.fault("second server"):
                    twin = Node("twin", bench.node.folder, bench.installation.engine)
                    try:
                        await twin.start()
                        await twin.kill()
                        result.problems.append("a second server started on the same file")
                    except DidNotStart:
                        status = twin.process and twin.process.returncode
                        result.expect(status == 5, f"the second server ended with {status}")
                await load.accepts(3)
        await bench.judge(result)
    return result


@fault(
    "F28",
    "a delivery that ends the process each time",
    quick={"sqlite-1": 1},
    full={"sqlite-1": 3, "postgres-1": 3},
)
async def poison(context: Context) -> Result:
    """It is parked as a failure after three claims, and all others are delivered (R17)."""
    if "send.begin" not in placed():
        raise NotHere("the failpoint send.begin is not placed in this version")
    result = Result()
    async with context.bench() as bench:
        bench.sink.broken = 0.0
        for cycle in range(context.cycles):
            async with bench.load(publishers=2, pace=0.02) as load:
                await _poisoned(bench, load, f"poison-{cycle}", result)
        await bench.judge(result)
    return result


async def _poisoned(bench: Bench, load: Load, envelope: str, result: Result) -> None:
    node, trap = bench.node, {VARIABLE: f"send.begin:kill:id={envelope}"}
    async with bench.nemesis.fault("poison") as noted:
        noted["in_flight"] = 0
        await node.kill()
        noted["in_flight"] += await asyncio.to_thread(node.in_flight)
        await node.start(**trap)
        await load.publish(envelope, 0)
        deaths = 0
        while True:
            try:
                await node.ended(4.0)
            except TimeoutError:
                break
            deaths += 1
            noted["in_flight"] += await asyncio.to_thread(node.in_flight)
            if deaths > 8:
                break
            await node.start(**trap)
        # Two configurations have it: three claims each, perhaps at the same time.
        result.expect(3 <= deaths <= 6, f"the process ended {deaths} times before it was parked")
        node.signal(signal.SIGCONT)
        await node.kill()
        noted["in_flight"] += await asyncio.to_thread(node.in_flight)
        await node.start()
    await load.accepts(3)
