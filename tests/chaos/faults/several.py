"""F35: what happens to one of several processes behind a port."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable

from tests.busy import hang
from tests.chaos.bench import Bench, Result
from tests.chaos.catalogue import Context, fault
from tests.chaos.engines import Postgres
from tests.chaos.installation import Node

TAKEN_OVER = 3.0
"""Seconds until what a dead process had in flight is another's, whatever its lease (R8)."""

_LEASE = "60"


@fault(
    "F35",
    "one of several processes behind a port is killed, or the one that watches over them",
    quick={"postgres-1x2": 3},
    full={"postgres-1x2": 120},
)
async def one_of_several(context: Context) -> Result:
    """Nothing accepted is lost; at most what the killed process had in flight arrives again, within
    3 s, and another one comes in its place. Those that nobody watches stop in order."""
    return await kill_some(context, lambda _: None)


async def kill_some(context: Context, change: Callable[[Node], None]) -> Result:
    """Kill one after the other, and at each third time the one that watches."""
    result = Result()

    def long_lease(node: Node) -> None:
        change(node)
        node.options = ("--lease", _LEASE)

    async with context.bench(change=long_lease) as bench:
        async with bench.load() as load:
            for number in range(context.cycles):
                await load.accepts()
                await bench.nemesis.moment()
                if number % 3 == 2:
                    await _kill_watcher(bench, result)
                else:
                    await _kill_one(bench, result)
                await bench.delivers()
        await bench.judge(result)
    return result


async def _kill_one(bench: Bench, result: Result) -> None:
    node, engine = bench.node, bench.installation.engine
    assert isinstance(engine, Postgres)
    process = bench.nemesis.random.choice(node.behind_port())
    async with bench.nemesis.fault("kill one", node=node.name, process=process) as noted:
        # Counted while it stands still: another one has it soon after the end.
        os.kill(process, signal.SIGSTOP)
        noted["in_flight"] = await asyncio.to_thread(engine.in_flight_of, process)
        os.kill(process, signal.SIGKILL)
        began = time.monotonic()
        while await asyncio.to_thread(engine.in_flight_of, process):
            if time.monotonic() - began > float(_LEASE) / 2:
                break
            await asyncio.sleep(0.05)
        result.recovered(time.monotonic() - began, TAKEN_OVER, "the take-over")
        async with hang(30):
            while len(node.behind_port()) < 2:
                await asyncio.sleep(0.05)


async def _kill_watcher(bench: Bench, result: Result) -> None:
    node, others = bench.node, bench.node.behind_port()
    async with bench.nemesis.fault("kill the one that watches", node=node.name) as noted:
        node.up.clear()
        os.kill(node.process_id, signal.SIGKILL)
        await node.ended()
        for process in others:
            await node.without(process)
        noted["in_flight"] = await asyncio.to_thread(node.in_flight)
        result.expect(noted["in_flight"] == 0, "something was left in flight")
        await node.start()
