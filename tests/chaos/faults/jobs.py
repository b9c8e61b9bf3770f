"""F37: kills in the middle of republish jobs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from typing import Any

from heliograph.failpoints import VARIABLE
from tests.busy import hang, hang_times
from tests.chaos.bench import Bench, Result
from tests.chaos.catalogue import Context, fault
from tests.chaos.installation import DidNotStart
from tests.chaos.publisher import Load

PATH = "/job"
_DELIVERIES = 120
_RATE = 80
"""Deliveries a second, so that a job takes some seconds."""

_ENDS = 120.0
"""Seconds within which a job has asked for all, kills included."""

_AT_STEP = ("job.step.commit.before", "job.step.commit.after")


@fault(
    "F37",
    "kill -9 in the middle of republish jobs",
    quick={"sqlite-1": 3, "postgres-3": 2},
    full={"sqlite-1": 100, "postgres-1": 50, "postgres-3": 100, "postgres-1x2": 30},
)
async def in_jobs(context: Context) -> Result:
    """Each delivery that a job selects is asked for exactly once, failures and what was delivered:
    none is lost, none asked for twice, and the job ends (R24)."""
    return await kill_in_jobs(context)


async def kill_in_jobs(context: Context, **options: Any) -> Result:
    """Kill in one job after the other, until there were as many kills as cycles."""
    result = Result()
    async with context.bench(**options) as bench:
        bench.sink.broken = 0.0
        # Whatever fails is tried again by jobs alone.
        wanted = {**bench.wanted(PATH), "retrySchedule": ["86400"]}
        connect_id = (await bench.client.done("POST", "", wanted))["connectId"]
        await _fail(bench, connect_id)
        kills, jobs = 0, 0
        while kills < context.cycles or jobs < 2:
            of = "failures" if jobs == 0 else "delivered"
            kills += await _one_job(bench, connect_id, of, context.cycles - kills, result)
            jobs += 1
            await _judge_job(bench, connect_id, jobs, result)
        await bench.judge(result)
    return result


async def _fail(bench: Bench, connect_id: str) -> None:
    """So many deliveries that their listener has not taken."""
    bench.sink.dead.add(PATH)
    with contextlib.closing(Load(bench.client, bench.folder / "published")) as load:
        await asyncio.gather(*(load.publish(f"job-{n}", 0) for n in range(_DELIVERIES)))
    async with hang(60):
        while len(await _listed(bench, "failures", connect_id)) < _DELIVERIES:
            await asyncio.sleep(0.1)
    bench.sink.dead.discard(PATH)


async def _one_job(bench: Bench, connect_id: str, of: str, most_kills: int, result: Result) -> int:
    """Start a job, and kill nodes until it has an end; how often."""
    query = f"connect_id={connect_id}&of={of}&rate={_RATE}"
    job = await bench.client.done("POST", f"republish_jobs?{query}")
    kills, deadline = 0, time.monotonic() + _ENDS * hang_times()
    # What it sends again, somebody asked for: it is not what a kill has made arrive twice.
    sent_again = {"in_flight": _DELIVERIES} if of == "delivered" else {}
    async with bench.nemesis.fault("job", of=of, **sent_again):
        while True:
            known = await bench.client.done("GET", f"republish_jobs/{job['jobId']}")
            if known["state"] != "running":
                break
            if time.monotonic() > deadline:
                result.problems.append(f"a job of {of} had no end: {known}")
                break
            if kills < min(most_kills, 3):
                await bench.nemesis.moment(0.1, 0.6)
                await _kill(bench, at_step=kills % 2 == 1)
                kills += 1
            else:
                await asyncio.sleep(0.2)
    figures = {name: known[name] for name in ("state", "asked", "delivered", "passedOver", "gone")}
    meant = {"asked": known["total"], "delivered": known["total"], "passedOver": "0", "gone": "0"}
    result.expect(figures == {"state": "finished", **meant}, f"a job of {of} came to {figures}")
    result.expect(known["total"] == str(_DELIVERIES), f"a job of {of} selected {known['total']}")
    return kills


async def _kill(bench: Bench, *, at_step: bool) -> None:
    """Kill a node, and let it start again; `at_step`: within the next step that it takes there."""
    node = bench.nemesis.random.choice(bench.installation.nodes)
    trap = {VARIABLE: f"{bench.nemesis.random.choice(_AT_STEP)}:kill"} if at_step else {}
    async with bench.nemesis.fault("kill", node=node.name) as noted:
        await node.kill()
        noted["in_flight"] = await asyncio.to_thread(node.in_flight)
        if trap:
            # It may be gone before it has answered; or another node has the job.
            with contextlib.suppress(DidNotStart, TimeoutError):
                await node.start(**trap)
                await node.ended(3.0)
            await node.kill()
            noted["in_flight"] += await asyncio.to_thread(node.in_flight)
        await node.start()


async def _judge_job(bench: Bench, connect_id: str, jobs: int, result: Result) -> None:
    """After so many jobs each delivery was delivered so often, whatever a kill left unknown."""
    delivered = Counter(
        entry["envelopeId"]
        for entry in await _listed(bench, "logs", connect_id)
        if "error" not in entry
    )
    wrong = {one: count for one, count in delivered.items() if count != jobs}
    result.expect(len(delivered) == _DELIVERIES, f"{len(delivered)} were delivered at all")
    result.expect(not wrong, f"after {jobs} jobs were delivered: {dict(list(wrong.items())[:3])}")


async def _listed(bench: Bench, kind: str, connect_id: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (
        await bench.client.done("GET", f"{kind}?connect_id={connect_id}")
    )[kind]
    return listed
