"""F16, F33, F34: clocks that are wrong, while a server runs and when it starts."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.parse
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.busy import hang
from tests.chaos.bench import Bench, Result
from tests.chaos.catalogue import Context, NotHere, fault
from tests.chaos.engines import Postgres
from tests.chaos.host import libfaketime
from tests.chaos.installation import Node
from tests.chaos.ledger import entries

YEAR = 365 * 86_400
CACHED = 1
"""Seconds after which a process reads again how far its clock is to be ahead."""

MANY = 12
PUBLISHERS = 2


class Clocks:
    """Wall clocks of processes, which are moved by the files in a folder.

    Raises:
        NotHere: nothing on this machine can move them.
    """

    def __init__(self, folder: Path) -> None:
        self._library = libfaketime()
        if self._library is None:
            raise NotHere("libfaketime is not installed (Debian: faketime)")
        self._folder = folder / "offsets"
        self._folder.mkdir()
        self._files: dict[str, Path] = {}

    def of_node(self, node: Node) -> None:
        """Let this node be started with a clock that can be moved."""
        node.environment |= self._of(node.name, self._folder / node.name)

    async def of_database(self, engine: Postgres) -> None:
        """Start a server again with a clock that can be moved."""
        file = engine.server.folder / "offset"  # its user may read nothing else of ours
        engine.server.environment |= self._of("database", file)
        file.chmod(0o644)
        await asyncio.to_thread(engine.server.stop)
        await asyncio.to_thread(engine.server.start)

    def show(self, seconds: int, *names: str) -> None:
        """Let these clocks, or all, be so much ahead."""
        for name in names or self._files:
            self._files[name].write_text(f"{seconds:+d}")

    def _of(self, name: str, file: Path) -> dict[str, str]:
        self._files[name] = file
        file.write_text("+0")
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            # Seconds: reading the file each time would cost five times as much as serving.
            "FAKETIME_CACHE_DURATION": str(CACHED),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


JUMPS = (3600, -3600, 86_400, 10, -10, -86_400)


@fault(
    "F16",
    "the clock of a node jumps",
    quick={},
    full={"sqlite-1": 12, "postgres-1": 12, "postgres-3": 12},
)
async def clock(context: Context) -> Result:
    """By up to a day, forwards and back: nothing is lost or repeated, events are delivered on,
    and nothing is sent before it is due by more than the jump (R12)."""
    result, clocks = Result(), Clocks(context.folder)
    async with context.bench(change=clocks.of_node) as bench:
        async with bench.load() as load:
            for cycle in range(context.cycles):
                await load.accepts(seconds=60)
                node = bench.nemesis.random.choice(bench.installation.nodes)
                async with bench.nemesis.fault("jump", node=node.name) as noted:
                    noted["seconds"] = JUMPS[cycle % len(JUMPS)]
                    clocks.show(noted["seconds"], node.name)
                    await asyncio.sleep(2.0)
                    began = time.monotonic()
                    await load.accepts(5, seconds=60)
                    await bench.delivers(60)
                    result.recovered(time.monotonic() - began, 5.0)
                    clocks.show(0, node.name)
                    await bench.delivers(60)
                    if cycle % 3 == 2:  # the clock of a restart is behind that of the crash
                        await node.kill()
                        noted["in_flight"] = await asyncio.to_thread(node.in_flight)
                        await node.start()
        await bench.judge(result)
    return result


@fault(
    "F33",
    "a clock a year ahead at the start",
    quick={"sqlite-1": 1, "postgres-1": 1},
    full={"sqlite-1": 3, "postgres-1": 3},
)
async def year_ahead(context: Context) -> Result:
    """The machine's clock, and the database's: retention deletes nothing, and the ids of all
    events are known, while it is wrong and when it is right again (R22)."""
    return await start_a_year_ahead(context, lambda _: None)


async def start_a_year_ahead(context: Context, plant: Callable[[Node], None]) -> Result:
    """The run of F33, with what `plant` changes of each node."""
    result = Result()
    async with _bench_with_clocks(context, plant) as (bench, clocks):
        for _ in range(context.cycles):
            async with bench.load(PUBLISHERS) as load:
                await load.accepts(MANY, seconds=60)
            await bench.heal()
            result.expect(await bench.node.stop() == 0, "the node did not stop in order")
            async with bench.nemesis.fault("year ahead") as noted:
                noted["in_flight"] = 0
                clocks.show(YEAR)
                await asyncio.sleep(CACHED + 0.5)  # or the database still shows the old time
                await bench.node.start()
                await _retention_looked(bench.node)
                await _publish_again(bench)
                clocks.show(0)
                await _publish_again(bench)
        await bench.judge(result)
    return result


@asynccontextmanager
async def _bench_with_clocks(
    context: Context, plant: Callable[[Node], None]
) -> AsyncIterator[tuple[Bench, Clocks]]:
    """A bench whose clocks, the database's too, can be moved; `plant` changes each node."""
    clocks = Clocks(context.folder)

    def change(node: Node) -> None:
        clocks.of_node(node)
        plant(node)

    async with context.bench(change=change) as bench:
        if isinstance(bench.installation.engine, Postgres):
            await clocks.of_database(bench.installation.engine)
        yield bench, clocks


async def _retention_looked(node: Node) -> None:
    """Wait until retention has said what it did, or why not."""
    async with hang(60):
        while not any(
            json.loads(line).get("event") in ("retention_waits", "retired")
            for line in node.log.read_text().splitlines()
            if line.startswith("{") and line.endswith("}")
        ):
            await asyncio.sleep(0.05)


async def _publish_again(bench: Bench) -> None:
    """Repeat the first events: they are known, so that nobody gets anything."""
    events = [line["event"] for line in entries(bench.folder / "published") if line["kind"] == "ok"]
    async with bench.load(publishers=1) as load:
        for event in events[:MANY]:
            envelope, _, sequence = event.rpartition(".")
            await load.publish(envelope, int(sequence))


@fault(
    "F34",
    "a clock 2 h ahead for a while",
    quick={"sqlite-1": 1, "postgres-1": 1},
    full={"sqlite-1": 3, "postgres-1": 3},
)
async def two_hours_ahead(context: Context) -> Result:
    """The machine's clock, and the database's: once it is right again, also after a restart,
    signatures carry the right time, and a listing up to now hides no failure (R22)."""
    return await run_two_hours_ahead(context, lambda _: None)


async def run_two_hours_ahead(context: Context, plant: Callable[[Node], None]) -> Result:
    """The run of F34, with what `plant` changes of each node."""
    result = Result()
    async with _bench_with_clocks(context, plant) as (bench, clocks):
        for _ in range(context.cycles):
            async with bench.nemesis.fault("two hours ahead") as noted:
                noted["in_flight"] = 0
                clocks.show(7200)
                await asyncio.sleep(3.0)  # a node asks its database within a second
                bench.sink.dead = {"/a"}
                async with bench.load(PUBLISHERS) as load:
                    await load.accepts(MANY, seconds=60)
                async with hang(60):
                    while not await _failures(bench):
                        await asyncio.sleep(0.05)
                clocks.show(0)
                await asyncio.sleep(2.0)  # until every process has read the file
            for restarted in (False, True):
                if restarted:
                    result.expect(await bench.node.stop() == 0, "the node did not stop in order")
                    await bench.node.start()
                await _expect_the_right_time(bench, result, restarted=restarted)
            bench.sink.dead = set()
        await bench.judge(result)
    return result


async def _expect_the_right_time(bench: Bench, result: Result, *, restarted: bool) -> None:
    when = "after a restart" if restarted else "when it was right again"
    async with bench.load(publishers=1):
        await bench.delivers()
    skew = bench.sink.stamped - time.time()
    result.expect(abs(skew) < 60, f"{when} webhook-timestamp was {skew:.0f} s off")
    shown, listed = await _failures(bench, until=datetime.now(UTC)), await _failures(bench)
    # New ones may come between the two calls, and none goes.
    result.expect(shown >= 1, f"{when} a listing up to now has {shown} of {listed} failures")


async def _failures(bench: Bench, until: datetime | None = None) -> int:
    to_date = "" if until is None else f"?to_date={urllib.parse.quote(until.isoformat())}"
    return len((await bench.client.done("GET", f"failures{to_date}"))["failures"])
