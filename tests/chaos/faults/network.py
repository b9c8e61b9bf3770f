"""F8: partitions and bad links between nodes and their database."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from tests.chaos.bench import Bench, Result
from tests.chaos.catalogue import Context, NotHere, fault
from tests.chaos.engines import Postgres
from tests.chaos.faults.process import observed
from tests.chaos.installation import LEASE_SECONDS, Node
from tests.chaos.proxy import Proxy, proxy

RESUMED = 6.0

PARTITIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("nothing passes", {"to": False, "back": False}),
    ("reset and refused", {"refusing": True}),
    ("nothing comes back", {"back": False}),
    ("nothing gets there", {"to": False}),
    ("50 ms late", {"delay": 0.05}),
    ("flapping", {}),
)


@fault(
    "F8",
    "a node is cut off from PostgreSQL",
    quick={"postgres-3": 1},
    full={"postgres-1": 12, "postgres-3": 30},
)
async def partition(context: Context) -> Result:
    """Longer than the lease, one way or both: the others take over, the cut-off node settles
    nothing that was taken from it (R8), and everything resumes when the link is back."""
    result = Result()
    engine = await asyncio.to_thread(Postgres.started)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(asyncio.to_thread, engine.close)
        path = f"{engine.server.folder}/.s.PGSQL.5432"
        count = int(context.kind.rpartition("-")[2])
        links = [await stack.enter_async_context(proxy(path)) for _ in range(count)]
        waiting = iter(links)

        def behind(node: Node) -> None:
            observed(node)
            url = f"postgresql://postgres@127.0.0.1:{next(waiting).port}/postgres"
            node.options = ("--database-url", url)

        bench = await stack.enter_async_context(context.bench(engine=engine, change=behind))
        async with bench.load(pace=0.005) as load:
            for cycle in range(context.cycles):
                await load.accepts(seconds=60)
                await _cut(bench, links, cycle, result)
        await bench.judge(result)
    return result


@fault(
    "F8b",
    "partitions and slow links between network namespaces",
    full={"postgres-3": 1},
)
async def namespaces(context: Context) -> Result:
    """As F8, with packets dropped by the kernel instead of connections held by a proxy."""
    raise NotHere("not written yet: F8 cuts the links with a proxy in user space")


async def _cut(bench: Bench, links: list[Proxy], cycle: int, result: Result) -> None:
    place = bench.nemesis.random.randrange(len(links))
    node, link = bench.installation.nodes[place], links[place]
    name, change = PARTITIONS[cycle % len(PARTITIONS)]
    async with bench.nemesis.fault(name, node=node.name) as noted:
        # What it claimed until the cut is noticed may be sent by it and by another one.
        noted["in_flight"] = 0
        if name == "flapping":
            for _ in range(6):
                await link.set(refusing=True)
                noted["in_flight"] += await asyncio.to_thread(node.in_flight)
                await asyncio.sleep(0.3)
                await link.set()
                await asyncio.sleep(0.3)
        else:
            await link.set(**change)
            noted["in_flight"] = await _most_in_flight(node, LEASE_SECONDS + 2)
            await link.set()
    began = time.monotonic()
    await bench.delivers(60)
    result.recovered(time.monotonic() - began, RESUMED)


async def _most_in_flight(node: Node, seconds: float) -> int:
    """The most that the node had in flight in this time."""
    deadline, most = time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        most = max(most, await asyncio.to_thread(node.in_flight))
        await asyncio.sleep(0.1)
    return most
