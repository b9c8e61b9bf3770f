"""F31: what a delivery has held back, when that ends and nothing else goes on."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from tests.busy import hang
from tests.chaos.bench import Bench, Result
from tests.chaos.catalogue import Context, fault
from tests.chaos.publisher import Load

_STUCK = "/stuck"
_PROMPT = 2.0
_WAITED_FOR = 30.0


@fault(
    "F31",
    "a lane that is stuck behind a failure, which is ended while all is quiet",
    quick={"sqlite-1": 3, "postgres-1": 3},
    full={"sqlite-1": 30, "postgres-1": 30, "postgres-3": 30, "postgres-1x2": 30},
)
async def stuck_lane(context: Context) -> Result:
    """Whether its first is deleted, alone or in bulk, or republished: what it has held back is sent
    within 2 s, and not at the time at which the first would have been due (R21)."""
    result = Result()
    async with context.bench() as bench:
        await stuck(bench, result, context.cycles)
        await bench.judge(result)
    return result


async def stuck(bench: Bench, result: Result, cycles: int) -> None:
    """As many lanes, one after the other; each is stuck, and let go in its own way."""
    bench.sink.broken = 0.0
    wanted = {**bench.wanted(_STUCK), "retrySchedule": ["3600"]}
    await bench.client.done("POST", "", wanted)
    ways = (_delete_one, _delete_in_bulk, _republish)
    with contextlib.closing(Load(bench.client, bench.folder / "published")) as load:
        for cycle in range(cycles):
            way = ways[cycle % len(ways)]
            await _stick(bench, load, f"lane-{cycle}")
            async with bench.nemesis.fault(way.__name__.strip("_")):
                await way(bench)
                try:
                    seconds = await bench.delivers(_WAITED_FOR, to=[_STUCK])
                except TimeoutError:
                    said = f"{way.__name__}: what it held back came not in {_WAITED_FOR:g} s"
                    result.expect(False, said)
                else:
                    result.recovered(seconds, _PROMPT, f"{way.__name__}: what it held back")
        await load.publish("over", 0)  # wakes whoever slept


async def _stick(bench: Bench, load: Load, envelope: str) -> None:
    """The first event of an envelope fails and waits for an hour, the second one behind it."""
    # What the lane before had still to send would fail in place of that.
    with contextlib.suppress(TimeoutError):
        async with hang(10):
            while await _unfinished(bench):
                await asyncio.sleep(0.02)
    asked = bench.sink.asked(_STUCK)
    bench.sink.dead.add(_STUCK)
    await load.publish(envelope, 0)
    await bench.sink.until_asked(_STUCK, asked + 1)
    bench.sink.dead.discard(_STUCK)
    await load.publish(envelope, 1)
    async with hang(60):
        while not await _failures(bench) or await _unfinished(bench) > 2:  # these two
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)  # and whoever was woken by the others rests


async def _failures(bench: Bench) -> list[Any]:
    listed: list[Any] = (await bench.client.done("GET", "failures"))["failures"]
    return listed


async def _unfinished(bench: Bench) -> int:
    return await asyncio.to_thread(bench.installation.engine.unfinished)


async def _delete_one(bench: Bench) -> None:
    (failure,) = await _failures(bench)
    await bench.client.done("DELETE", f"failures/{failure['failureId']}")


async def _delete_in_bulk(bench: Bench) -> None:
    await bench.client.done("DELETE", "failures?all=true")


async def _republish(bench: Bench) -> None:
    await bench.client.done("PUT", "failures/retry_queue?all=true")
