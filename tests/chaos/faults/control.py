"""C1 to C12: planted defects, which the suite must see: each of these runs has to fail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from heliograph.failpoints import VARIABLE
from tests.chaos import controls
from tests.chaos.bench import Bench, Result
from tests.chaos.catalogue import Context, fault
from tests.chaos.faults.clocks import run_two_hours_ahead, start_a_year_ahead
from tests.chaos.faults.database import fail_over
from tests.chaos.faults.jobs import kill_in_jobs
from tests.chaos.faults.network import first_address_dead
from tests.chaos.faults.process import freeze, observed
from tests.chaos.faults.several import kill_some
from tests.chaos.faults.storage import cut_sqlite
from tests.chaos.faults.waking import stuck
from tests.chaos.installation import LEASE_SECONDS, DidNotStart, Node
from tests.chaos.power import disk


def planted(plant: Callable[[], None]) -> Callable[[Node], None]:
    """Lets a node run with a defect of `controls`."""

    def change(node: Node) -> None:
        observed(node)
        node.environment[controls.PLANT] = plant.__name__

    return change


@fault(
    "C1",
    "SQLite does not flush, and the power is cut",
    quick={"sqlite-1": 2},
    full={"sqlite-1": 3},
    control=True,
)
async def sync_off(context: Context) -> Result:
    """Acknowledged events are lost."""
    result = Result()
    with disk(context.folder / "power", 96) as on:
        try:
            await cut_sqlite(context, on, result, planted(controls.sync_off))
        except DidNotStart as broken:
            result.problems.append(f"the database could not be opened: {str(broken)[-120:]}")
    return result


@fault(
    "C2",
    "settlements are not fenced",
    full={"postgres-3": 2},
    control=True,
)
async def unfenced(context: Context) -> Result:
    """A node that was taken for dead settles what another one has claimed since."""
    result = Result()

    def change(node: Node) -> None:
        planted(controls.unfenced)(node)
        # Room for the others to claim at once what the node had.
        node.options = ("--per-configuration", "200", "--attempt-timeout", "20")

    async with context.bench(change=change) as bench:
        for _ in range(context.cycles):
            async with bench.load(pace=0.005):
                bench.sink.delay = 10.0
                await asyncio.sleep(1.0)
                node = bench.installation.nodes[1]
                async with bench.nemesis.fault("zombie") as noted:
                    await freeze(bench, node, inside=False)
                    noted["in_flight"] = await asyncio.to_thread(node.in_flight)
                    deadline = time.monotonic() + 3 * LEASE_SECONDS
                    while await asyncio.to_thread(node.in_flight) and time.monotonic() < deadline:
                        await asyncio.sleep(0.05)
                    # Within 5 s the others send it again, and wait for the slow listener.
                    await asyncio.sleep(6.0)
                    node.resume()
                    await asyncio.sleep(3.0)
                bench.sink.delay = 0.0
        await bench.judge(result)
    return result


@fault(
    "C3",
    "event ids are not unique",
    quick={"sqlite-1": 2},
    full={"sqlite-1": 3},
    control=True,
)
async def no_unique_key(context: Context) -> Result:
    """A publish that is repeated because its answer was lost makes a second event."""
    result = Result()
    async with context.bench(change=planted(controls.no_unique_key)) as bench:
        async with bench.load() as load:
            for _ in range(context.cycles):
                await load.accepts()
                async with bench.nemesis.fault("answer lost") as noted:
                    await _die_before_the_answer(bench, noted)
                await load.accepts()
        await bench.judge(result)
    return result


async def _die_before_the_answer(bench: Bench, noted: dict[str, int]) -> None:
    node = bench.node
    await node.kill()
    noted["in_flight"] = await asyncio.to_thread(node.in_flight)
    await node.start(**{VARIABLE: "accept.reply:kill:20"})
    await node.ended()
    noted["in_flight"] += await asyncio.to_thread(node.in_flight)
    await node.start()


@fault(
    "C4",
    "202 before the commit",
    quick={"sqlite-1": 2},
    full={"sqlite-1": 3},
    control=True,
)
async def early_reply(context: Context) -> Result:
    """Acknowledged events are lost at a kill."""
    result = Result()
    async with context.bench(change=planted(controls.early_reply)) as bench:
        async with bench.load() as load:
            for _ in range(context.cycles):
                await load.accepts(20)
                await bench.nemesis.moment(0.3, 0.6)
                async with bench.nemesis.fault("kill") as noted:
                    await bench.node.kill()
                    noted["in_flight"] = await asyncio.to_thread(bench.node.in_flight)
                    await bench.node.start()
        await bench.judge(result)
    return result


@fault(
    "C5",
    "order within an envelope is ignored",
    quick={"sqlite-1": 1},
    full={"sqlite-1": 1},
    control=True,
)
async def no_order(context: Context) -> Result:
    """Later events of an envelope overtake one that waits for its retry."""
    result = Result()
    async with context.bench(change=planted(controls.no_order)) as bench:
        bench.sink.broken = 0.2
        async with bench.load() as load:
            await load.accepts(100)
        await bench.judge(result)
    return result


@fault(
    "C8",
    "only the first address of a name is tried",
    quick={"sqlite-1": 1, "postgres-1": 1},
    full={"sqlite-1": 1, "postgres-1": 1},
    control=True,
)
async def first_address(context: Context) -> Result:
    """A listener whose first address is dead gets nothing."""
    return await first_address_dead(context, planted(controls.first_address))


@fault(
    "C6",
    "an asynchronous standby is promoted",
    full={"postgres-1": 1},
    control=True,
)
async def async_standby(context: Context) -> Result:
    """What the standby had not received is lost: that is why R1 asks for a synchronous one."""
    return await fail_over(context, synchronous=False)


@fault(
    "C7",
    "a deleted failure wakes nobody",
    quick={"sqlite-1": 1, "postgres-1": 1},
    full={"sqlite-1": 1, "postgres-1": 1},
    control=True,
)
async def unwoken(context: Context) -> Result:
    """What it has held back waits for something else to happen."""
    result = Result()
    async with context.bench(change=planted(controls.unwoken)) as bench:
        await stuck(bench, result, context.cycles)
        await bench.judge(result)
    return result


@fault(
    "C9",
    "whatever a clock shows is believed",
    quick={"sqlite-1": 1, "postgres-1": 1},
    full={"sqlite-1": 1, "postgres-1": 1},
    control=True,
)
async def trusting(context: Context) -> Result:
    """After a start a year ahead retention has deleted events, whose repeats are sent anew."""
    return await start_a_year_ahead(context, planted(controls.trusting))


@fault(
    "C10",
    "others are told the time of the store's clock",
    quick={"sqlite-1": 1, "postgres-1": 1},
    full={"sqlite-1": 1, "postgres-1": 1},
    control=True,
)
async def one_clock(context: Context) -> Result:
    """Long after the clock was ahead, signatures are of the future."""
    return await run_two_hours_ahead(context, planted(controls.one_clock))


@fault(
    "C11",
    "who comes in the place of a dead process is taken for another node",
    quick={"postgres-1x2": 1},
    full={"postgres-1x2": 1},
    control=True,
)
async def nameless(context: Context) -> Result:
    """What the dead one had in flight waits until its lease has run out."""
    return await kill_some(context, planted(controls.nameless))


@fault(
    "C12",
    "a republish job's cursor moves before what it asks for",
    quick={"sqlite-1": 3},
    full={"sqlite-1": 6, "postgres-1": 6},
    control=True,
)
async def cursor_first(context: Context) -> Result:
    """A kill between both loses what the job had come to."""
    return await kill_in_jobs(context, change=planted(controls.cursor_first))
