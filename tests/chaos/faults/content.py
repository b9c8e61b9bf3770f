"""F27: configurations change while their deliveries are on their way."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from itertools import cycle as endless

from tests.chaos.bench import Bench, Result
from tests.chaos.catalogue import Context, fault
from tests.chaos.ledger import entries


@fault(
    "F27",
    "configurations paused, moved, deleted while in flight",
    quick={"sqlite-1": 3, "postgres-1": 3},
    full={"sqlite-1": 12, "postgres-1": 12, "postgres-3": 12, "postgres-1x2": 12},
)
async def changed(context: Context) -> Result:
    """Nothing is sent to a paused or deleted configuration, nor to an old URL, after the
    change was acknowledged and what was in flight has ended; what was waiting is kept, or
    listed as a failure (R4)."""
    result = Result()
    async with context.bench() as bench:
        changes = endless((_pause, _move, _delete))
        async with bench.load(pace=0.01) as load:
            for _ in range(context.cycles):
                await load.accepts()
                change = next(changes)
                async with bench.nemesis.fault(change.__name__.strip("_")):
                    await change(bench, result)
                await load.accepts()
        await _judge(bench, result)
    return result


async def _silence(bench: Bench, path: str, result: Result, what: str) -> None:
    """Nothing comes to this path once what was in flight has ended."""
    acknowledged = time.time_ns()
    bench.sink.delay = 0.0
    await asyncio.sleep(1.5)
    late = [
        line
        for line in entries(bench.folder / "received")
        if line["path"] == path and line["ns"] > acknowledged + 1_000_000_000
    ]
    result.expect(not late, f"{len(late)} requests came to {what} a second later")


async def _pause(bench: Bench, result: Result) -> None:
    """Pause the first configuration, see it silent, let it go on."""
    first = bench.configurations[0]
    bench.sink.delay = 0.3
    wanted = {**bench.wanted("/a"), "connectId": first}
    await bench.client.done("PUT", "", {**wanted, "pausePublish": "true"})
    await _silence(bench, "/a", result, "a paused configuration")
    await bench.client.done("PUT", "", {**wanted, "pausePublish": "false"})


async def _move(bench: Bench, result: Result) -> None:
    """Another URL for the second configuration, and back."""
    second = bench.configurations[1]
    bench.sink.delay = 0.3
    moved = {**bench.wanted("/moved"), "connectId": second}
    await bench.client.done("PUT", "", moved)
    await _silence(bench, "/b", result, "an old URL")
    await bench.client.done("PUT", "", {**bench.wanted("/b"), "connectId": second})


async def _delete(bench: Bench, result: Result) -> None:
    """A third configuration, deleted while it has much to get: all of that becomes failures."""
    bench.sink.dead.add("/doomed")
    made = await bench.client.done("POST", "", bench.wanted("/doomed"))
    await asyncio.sleep(0.5)
    bench.sink.delay = 0.3
    await bench.client.done("DELETE", made["connectId"])
    await _silence(bench, "/doomed", result, "a deleted configuration")


async def _judge(bench: Bench, result: Result) -> None:
    """Heal what still has a configuration; what has none must be listed, all of it."""
    bench.sink.broken, bench.sink.delay = 0.0, 0.0
    await bench.client.done("PUT", "failures/retry_queue?all=true")
    await _settle_down(bench)
    for node in bench.installation.nodes:
        await node.stop()
    dump = await asyncio.to_thread(bench.installation.engine.dump)
    ours = set(bench.configurations)
    orphaned = [one for one in dump.deliveries if one[1] not in ours]
    unlisted = {(event, connect) for event, connect, _ in orphaned} - set(dump.failures)
    result.expect(not unlisted, f"{len(unlisted)} deliveries of deleted ones are not listed")
    result.notes.append(f"{len(orphaned)} deliveries of deleted configurations are failures")
    kept = replace(dump, failures=[one for one in dump.failures if one[1] in ours])
    result.cycles += bench.nemesis.count
    result.add(bench.verdict(kept), bench.in_flight())


async def _settle_down(bench: Bench) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if not await asyncio.to_thread(bench.installation.engine.unfinished):
            return
        await bench.client.done("PUT", "failures/retry_queue?all=true")
        await asyncio.sleep(0.3)
