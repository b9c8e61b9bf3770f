"""F15, F30: too little memory, too few descriptors, too much load."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.bench import Bench, Result
from tests.chaos.catalogue import Context, NotHere, fault
from tests.chaos.host import lacks
from tests.chaos.installation import Node

CGROUP = Path("/sys/fs/cgroup/memory")
MEBI = 2**20


@fault(
    "F15",
    "memory limit, few descriptors",
    quick={},
    full={"sqlite-1": 4, "postgres-1": 4},
)
async def limits(context: Context) -> Result:
    """Being killed for memory is as kill -9; with 64 descriptors calls may fail and nothing
    accepted is lost."""
    result = Result()
    async with context.bench() as bench:
        async with bench.load() as load:
            for cycle in range(context.cycles):
                await load.accepts(seconds=60)
                await (_few_files if cycle % 2 else _little_memory)(bench, result)
                await load.accepts(seconds=60)
        await bench.judge(result)
    return result


async def _little_memory(bench: Bench, result: Result) -> None:
    """The limit falls below what the process has: the kernel kills it."""
    node = bench.node
    assert node.process is not None
    with _group() as group:
        (group / "cgroup.procs").write_text(str(node.process.pid))
        async with bench.nemesis.fault("out of memory") as noted:
            await bench.nemesis.moment()
            limit = group / "memory.limit_in_bytes"
            await asyncio.to_thread(_squeeze, limit, node)
            try:
                status = await node.ended(20)
                result.expect(status == -9, f"it ended with {status}, not by the kernel")
            except TimeoutError:
                result.notes.append("the kernel found memory to take back, and killed nothing")
                await node.kill()
            noted["in_flight"] = await asyncio.to_thread(node.in_flight)
            await node.start()


def _squeeze(limit: Path, node: Node) -> None:
    """Lower the limit until the kernel refuses, which is when it has to kill."""
    for megabytes in (64, 48, 32, 24, 16, 8, 4, 2):
        if not node.running:
            return
        with contextlib.suppress(OSError):
            limit.write_text(str(megabytes * MEBI))
        time.sleep(0.3)


@contextlib.contextmanager
def _group() -> Iterator[Path]:
    if not os.access(CGROUP, os.W_OK) or not (CGROUP / "memory.limit_in_bytes").exists():
        raise NotHere("no memory cgroup (version 1) that may be written")
    group = CGROUP / f"heliograph-chaos-{os.getpid()}"
    group.mkdir(exist_ok=True)
    try:
        yield group
    finally:
        for process in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                (CGROUP / "cgroup.procs").write_text(process)
        with contextlib.suppress(OSError):
            group.rmdir()


async def _few_files(bench: Bench, result: Result) -> None:
    """A limit on descriptors, with more connections than it admits."""
    if reason := lacks("prlimit"):
        raise NotHere(reason)
    node = bench.node
    await node.stop()
    node.prefix = ("prlimit", "--nofile=64:64")
    await node.start()
    async with bench.nemesis.fault("few descriptors") as noted:
        port = int(node.base_uri.rpartition(":")[2])
        idle = []
        for _ in range(80):
            with contextlib.suppress(OSError):
                idle.append(await asyncio.open_connection("127.0.0.1", port))
        await asyncio.sleep(3.0)
        for _, writer in idle:
            writer.close()
        await asyncio.sleep(1.0)
        # An attempt that finds no descriptor is a failed one; a crash would be as kill -9.
        result.expect(node.running, "it ended for want of descriptors")
        noted["in_flight"] = await asyncio.to_thread(node.in_flight)
        await node.kill()
        noted["in_flight"] += await asyncio.to_thread(node.in_flight)
        node.prefix = ()
        await node.start()


@fault(
    "F30",
    "more load than it can take",
    quick={},
    full={"sqlite-1": 1, "postgres-1": 1},
)
async def overload(context: Context) -> Result:
    """Many more publishers than it can serve: nothing accepted is lost, memory stays bounded,
    the p99 of what is accepted stays below 1 s, and the pace is normal again within 5 s."""
    result = Result()
    async with context.bench() as bench:
        for _ in range(context.cycles):
            async with bench.load(publishers=4) as load:
                await load.accepts(100, seconds=60)
            before = _memory(bench.node)
            async with (
                bench.nemesis.fault("overload"),
                bench.load(publishers=200) as load,
            ):
                load.seconds.clear()
                await asyncio.sleep(20)
                took = sorted(load.seconds)
                grown = _memory(bench.node) - before
                refused = load.refused
            async with bench.load(publishers=2) as load:
                began = time.monotonic()
                await load.accepts(20, seconds=60)
                result.recovered(time.monotonic() - began, 5.0)
            result.expect(grown < 300 * MEBI, f"memory grew by {grown // MEBI} MiB")
            p99 = took[int(len(took) * 0.99)]
            result.expect(p99 < 1.0, f"the p99 of accepting was {p99:.2f} s")
            result.notes.append(
                f"{len(took) / 20:.0f} accepted/s, p99 {p99:.2f} s, {refused} refused, "
                f"memory +{grown // MEBI} MiB"
            )
        await bench.judge(result)
    return result


def _memory(node: Node) -> int:
    """Bytes that the process has in memory."""
    assert node.process is not None
    pages = Path(f"/proc/{node.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
