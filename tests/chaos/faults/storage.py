"""F3, F11 to F14, F24: what happens to the disk under the database."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

from heliograph.store.sqlite.backup import back_up, restore
from tests.chaos.bench import Bench, Result, answers
from tests.chaos.catalogue import Context, NotHere, fault
from tests.chaos.engines import Postgres, Sqlite
from tests.chaos.host import must, no_loops, no_mounts, no_strace, run
from tests.chaos.installation import DidNotStart, Node
from tests.chaos.power import Disk, disk
from tests.chaos.processes import go_on, stand_still
from tests.chaos.publisher import Load
from tests.postgres_server import DURABLE, PostgresServer

RESUMED = 5.0
"""Seconds from the end of a fault of the storage to the next accepted event (R11)."""

DETECTED = 5.0
"""Seconds until a database file that is gone has ended the process (F14)."""

STORAGE_STATUS = 74


# ------------------------------------------------------------------------------ power cut


@fault(
    "F3",
    "power cut",
    quick={"sqlite-1": 4},
    full={"sqlite-1": 100, "postgres-1": 40},
)
async def power_cut(context: Context) -> Result:
    """What was acknowledged is there when the power comes back, and the database is whole
    (R1, R2, R4)."""
    result = Result()
    with disk(context.folder / "power", 96 if context.kind == "sqlite-1" else 400) as on:
        if context.kind == "sqlite-1":
            await cut_sqlite(context, on, result)
        else:
            await _cut_postgres(context, on, result)
    return result


async def cut_sqlite(
    context: Context, on: Disk, result: Result, change: Callable[[Node], None] | None = None
) -> None:
    """Power cuts of a disk with the SQLite database; `change` is given the node."""
    async with context.bench(place=on.folder, change=change) as bench:
        engine = bench.installation.engine
        assert isinstance(engine, Sqlite)
        await asyncio.to_thread(os.sync)  # what was configured is long on the disk
        async with bench.load() as load:
            for _ in range(context.cycles):
                await load.accepts()
                await bench.nemesis.moment(0.3, 1.2)
                async with bench.nemesis.fault("power cut") as noted:
                    bench.node.pause()  # nothing is acknowledged after this moment
                    await asyncio.to_thread(on.cut)
                    await bench.node.kill()
                    await asyncio.to_thread(on.come_back)
                    noted["in_flight"] = await asyncio.to_thread(bench.node.in_flight)
                    began = time.monotonic()
                    await bench.node.start()
                await bench.delivers()
                result.recovery = max(result.recovery, time.monotonic() - began)
        await bench.judge(result)
        said = engine.integrity()
        result.expect(said == "ok", f"integrity_check: {said}")


async def _cut_postgres(context: Context, on: Disk, result: Result) -> None:
    engine = _postgres_on(on.folder)
    try:
        async with context.bench(engine=engine) as bench:
            async with bench.load() as load:
                for _ in range(context.cycles):
                    await load.accepts()
                    await bench.nemesis.moment(0.3, 1.2)
                    async with bench.nemesis.fault("power cut") as noted:
                        noted["in_flight"] = await asyncio.to_thread(
                            _cut_server, engine.server, on, bench.node
                        )
                        began = time.monotonic()
                    await load.accepts()
                    await bench.delivers()
                    result.recovery = max(result.recovery, time.monotonic() - began)
            await bench.judge(result)
    finally:
        await asyncio.to_thread(engine.close)


def _cut_server(server: PostgresServer, on: Disk, node: Node) -> int:
    """Cut the power of the database alone; what it has in flight when it comes back."""
    processes = stand_still(server)
    on.cut()
    server.kill()
    go_on(processes)
    _until(lambda: not any(Path(f"/proc/{one}").exists() for one in processes))
    on.come_back()
    (server.data / "postmaster.pid").unlink(missing_ok=True)
    node.pause()  # or it would settle some before they are counted
    try:
        server.start()
        return node.in_flight()
    finally:
        node.resume()


def _until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)


def _postgres_on(folder: Path, **settings: str) -> Postgres:
    """A PostgreSQL server whose data and WAL are in this folder."""
    place = folder / "pg"
    place.mkdir()
    if os.geteuid() == 0:
        shutil.chown(place, "nobody")
    for above in (folder, *folder.parents):
        if above.stat().st_mode & 0o001 == 0:
            above.chmod(above.stat().st_mode | 0o011)
    small = {"max_wal_size": "64MB", "min_wal_size": "32MB", "shared_buffers": "32MB"}
    server = PostgresServer(place, {**DURABLE, **small, **settings})
    server.initialize()
    os.sync()  # initdb was told not to
    server.start()
    engine = Postgres(server)
    engine.closes_with(server)
    return engine


# ------------------------------------------------------------------------------ full disk


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of that size for the time of the block."""
    if reason := no_mounts():
        raise NotHere(reason)
    folder.mkdir(parents=True)
    must("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        if run("umount", str(folder)).returncode:
            run("umount", "-l", str(folder))


def fill(folder: Path) -> Path:
    """Take all the room that is left in a file system; the file that took it."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        for size in (2**20, 4096, 512):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size) == size:
                    pass
    return filler


@fault(
    "F11",
    "disk full, then freed",
    quick={"sqlite-1": 2},
    full={"sqlite-1": 20, "postgres-1": 8},
)
async def disk_full(context: Context) -> Result:
    """Publish answers 503 and reads go on while there is no room; nothing that was answered
    202 is lost; work resumes by itself within 5 s (R11)."""
    result = Result()
    megabytes = 48 if context.kind == "sqlite-1" else 240
    with small_disk(context.folder / "small", megabytes) as folder:
        engine = None if context.kind == "sqlite-1" else _postgres_on(folder)
        try:
            place = folder if engine is None else None
            async with context.bench(place=place, engine=engine) as bench:
                async with bench.load() as load:
                    for _ in range(context.cycles):
                        await load.accepts()
                        await _full(bench, load, folder, result)
                await bench.judge(result)
        finally:
            if engine is not None:
                await asyncio.to_thread(engine.close)
    return result


async def _full(bench: Bench, load: Load, folder: Path, result: Result) -> None:
    engine = bench.installation.engine
    refused = load.refused
    async with bench.nemesis.fault("disk full") as noted:
        # What is sent before its claim could be committed again is not known to be settled.
        filler = await asyncio.to_thread(fill, folder)
        deadline = time.monotonic() + 10
        while load.refused < refused + 5 and time.monotonic() < deadline:
            await asyncio.to_thread(fill, folder)
            await asyncio.sleep(0.1)
        result.expect(load.refused > refused, "nothing was refused while the disk was full")
        reads = await answers(bench, bench.node)
        if isinstance(engine, Sqlite):
            result.expect(reads, "reads did not go on while the disk was full")
        filler.unlink()
        if isinstance(engine, Postgres):
            await asyncio.to_thread(_start_again, engine.server)
            noted["in_flight"] = await asyncio.to_thread(bench.node.in_flight)
        began = time.monotonic()
    await load.accepts(seconds=60)
    result.recovered(time.monotonic() - began, RESUMED)


def _start_again(server: PostgresServer) -> None:
    """PostgreSQL ends itself when there is no room for its WAL: then it is started again."""
    with contextlib.suppress(RuntimeError):
        server.run("pg_ctl", "-D", str(server.data), "-s", "status")
        return
    server.start()


# ------------------------------------------------------------------------------ I/O errors


@fault("F12", "a flush that fails with EIO", quick={"sqlite-1": 2}, full={"sqlite-1": 60})
async def flush_fails(context: Context) -> Result:
    """The process ends with status 74 at the first one, since later flushes may falsely
    succeed; after the restart nothing is lost and repeats add nothing (R1, R2)."""
    return await _injected(context, "fdatasync", "EIO", STORAGE_STATUS)


async def _injected(context: Context, call: str, error: str, status: int) -> Result:
    if reason := no_strace():
        raise NotHere(reason)
    result = Result()
    async with context.bench() as bench:
        node = bench.node
        async with bench.load() as load:
            for _ in range(context.cycles):
                when = bench.nemesis.random.randint(30, 150)
                async with bench.nemesis.fault(f"{call} {error}", when=when) as noted:
                    await node.kill()
                    noted["in_flight"] = await asyncio.to_thread(node.in_flight)
                    inject = f"inject={call}:error={error}:when={when}+"
                    node.prefix = traced(call, inject)
                    await node.start()
                    ended = await node.ended(60)
                    result.expect(ended == status, f"it ended with {ended}, not with {status}")
                    noted["in_flight"] += await asyncio.to_thread(node.in_flight)
                    node.prefix = ()
                    began = time.monotonic()
                    await node.start()
                await load.accepts()
                result.recovery = max(result.recovery, time.monotonic() - began)
        await bench.judge(result)
    return result


def traced(calls: str, inject: str) -> tuple[str, ...]:
    """What stands before a server some of whose system calls fail or take long."""
    quiet = ("-qq", "-o", "/dev/null", "--seccomp-bpf", "-f")
    return ("strace", *quiet, "-e", f"trace={calls}", "-e", inject)


@fault("F13", "each flush takes 200 ms", full={"sqlite-1": 4, "postgres-1": 4})
async def slow_flush(context: Context) -> Result:
    """More events share a flush: the accept's p99 stays below 1 s and nothing is refused."""
    if reason := no_strace():
        raise NotHere(reason)
    result, slow = Result(), "inject=fdatasync,fsync:delay_enter=200000"

    def slowly(node: Node) -> None:
        if context.kind == "sqlite-1":
            node.prefix = traced("fdatasync,fsync", slow)

    async with context.bench(change=slowly) as bench:
        engine = bench.installation.engine
        async with bench.load(publishers=16) as load, contextlib.AsyncExitStack() as tracing:
            if isinstance(engine, Postgres):
                pids = [engine.server.postmaster(), *engine.server.children()]
                await tracing.enter_async_context(attached("fdatasync,fsync", slow, pids))
            load.seconds.clear()
            async with bench.nemesis.fault("slow flush"):
                await asyncio.sleep(5.0 * context.cycles)
            took = sorted(load.seconds)
            p99 = took[int(len(took) * 0.99)] if took else 99.0
            result.expect(p99 <= 1.0, f"the accept's p99 was {p99:.2f} s")
            result.expect(load.refused == 0, f"{load.refused} were refused")
            result.notes.append(f"accept p99 {p99:.2f} s, {len(took)} accepted")
        await bench.judge(result)
    return result


@contextlib.asynccontextmanager
async def attached(calls: str, injection: str, pids: Sequence[int]) -> AsyncIterator[None]:
    """strace on processes that run, and on those that they start meanwhile."""
    process = await asyncio.create_subprocess_exec(
        *("strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={calls}", "-e", injection),
        *(word for pid in pids for word in ("-p", str(pid))),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await asyncio.sleep(1.0)  # until it is attached everywhere
        yield
        if process.returncode is not None:
            raise RuntimeError(f"strace ended with {process.returncode}")
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


# --------------------------------------------------------------------- a file that is gone


@fault(
    "F14",
    "database file unlinked, replaced, or read-only",
    full={"sqlite-1": 6},
)
async def file_gone(context: Context) -> Result:
    """It is noticed within 5 s and the process ends with a message; what was acknowledged
    before is in the file, and nothing was acknowledged into a file that has no name."""
    if reason := no_loops():
        raise NotHere(reason)
    result = Result()
    ways = (_unlink, _replace, _read_only)
    for cycle in range(context.cycles):
        with small_ext4(context.folder / f"gone-{cycle}", 96) as folder:
            await _gone(context, folder, cycle, ways[cycle % len(ways)], result)
    return result


@contextlib.contextmanager
def small_ext4(folder: Path, megabytes: int) -> Iterator[Path]:
    """A disk with ext4 that turns read-only at its first error."""
    image = folder.with_suffix(".img")
    folder.mkdir(parents=True)
    must("truncate", "-s", f"{megabytes}M", str(image))
    must("mkfs.ext4", "-q", "-e", "remount-ro", str(image))
    must("mount", "-o", "loop,errors=remount-ro", str(image), str(folder))
    try:
        yield folder
    finally:
        if run("umount", str(folder)).returncode:
            run("umount", "-l", str(folder))
        image.unlink()


def _unlink(file: Path) -> None:
    file.rename(file.with_suffix(".kept"))


def _replace(file: Path) -> None:
    copy = file.with_suffix(".copy")
    shutil.copy(file, copy)
    file.rename(file.with_suffix(".kept"))
    copy.rename(file)


def _read_only(file: Path) -> None:
    device = Path(must("findmnt", "-n", "-o", "SOURCE", "-T", str(file))).name
    trigger = Path(f"/sys/fs/ext4/{device}/trigger_fs_error")
    if not trigger.exists():
        raise NotHere("this kernel cannot make an ext4 fail")
    trigger.write_text("1")


async def _gone(
    context: Context, folder: Path, cycle: int, way: Callable[[Path], None], result: Result
) -> None:
    async with context.bench(f"run-{cycle}", place=folder) as bench:
        engine = bench.installation.engine
        assert isinstance(engine, Sqlite)
        async with bench.load(publishers=2, pace=0.02) as load:
            await load.accepts(5)
            name = way.__name__.strip("_")
            async with bench.nemesis.fault(name) as noted:
                await asyncio.to_thread(way, engine.file)
                began = time.monotonic()
                try:
                    status = await bench.node.ended(4 * DETECTED)
                except TimeoutError:
                    status = -1
                result.expect(status > 0, f"{name}: the process went on, or was killed")
                result.recovered(time.monotonic() - began, DETECTED, f"{name}: noticing it")
                await bench.node.kill()
                load.over.set()
                await asyncio.to_thread(_mend, engine.file, folder)
                noted["in_flight"] = await asyncio.to_thread(bench.node.in_flight)
                await bench.node.start()
        await bench.judge(result)


def _mend(file: Path, folder: Path) -> None:
    kept = file.with_suffix(".kept")
    if kept.exists():
        kept.replace(file)
    device = must("findmnt", "-n", "-o", "SOURCE", "-T", str(folder))
    if ",ro," in must("findmnt", "-n", "-o", "OPTIONS", "-T", str(folder)) + "," or not _writes(
        folder
    ):
        must("umount", str(folder))
        run("e2fsck", "-fy", device)
        backing = folder.with_suffix(".img")
        must("mount", "-o", "loop,errors=remount-ro", str(backing), str(folder))


def _writes(folder: Path) -> bool:
    try:
        (folder / "probe").write_text("x")
    except OSError:
        return False
    return True


# ------------------------------------------------------------------------- flipped bytes


@fault("F24", "flipped bytes in the database file", quick={}, full={"sqlite-1": 40})
async def flipped(context: Context) -> Result:
    """Either the damage is where nothing is read, or the server says so and ends or refuses
    to start: a damaged page never reads as an empty one. The backup from before brings all
    back."""
    result, came = Result(), {"unharmed": 0, "refused": 0, "ended": 0}
    async with context.bench() as bench:
        engine = bench.installation.engine
        assert isinstance(engine, Sqlite)
        async with bench.load(publishers=2) as load:
            await load.accepts(200)
        await bench.heal()
        saved = context.folder / "saved.db"
        await asyncio.to_thread(back_up, engine.file, saved)  # while the server runs
        await bench.node.stop()
        whole = engine.file.read_bytes()
        for _ in range(context.cycles):
            async with bench.nemesis.fault("flip"):
                engine.file.write_bytes(_flip(whole, bench))
                came[await _start_on_damage(bench, result)] += 1
                for side in ("-wal", "-shm"):
                    engine.file.with_name(engine.file.name + side).unlink(missing_ok=True)
        engine.file.unlink()
        await asyncio.to_thread(restore, saved, bench.node.folder, engine.file.name)
        await bench.node.start()
        await bench.judge(result)
    result.notes.append(", ".join(f"{count} {name}" for name, count in came.items()))
    return result


def _flip(whole: bytes, bench: Bench) -> bytes:
    page, damaged = 4096, bytearray(whole)
    start = bench.nemesis.random.randrange(len(whole) // page) * page
    # A header or the beginning of a page: what decides how the rest is read.
    for place in range(start, start + 16):
        damaged[place] ^= 0xFF
    return bytes(damaged)


async def _start_on_damage(bench: Bench, result: Result) -> str:
    node = bench.node
    try:
        await node.start()
    except DidNotStart as refusal:
        words = str(refusal).lower()
        result.expect("traceback" not in words, f"no clear refusal: {str(refusal)[-200:]}")
        return "refused"
    with contextlib.suppress(TimeoutError):
        await bench.client.done("GET", "logs?count=10000")
    if not node.running:
        return "ended"
    await node.kill()
    with contextlib.closing(sqlite3.connect(bench.node.folder / "heliograph.db")) as file:
        ((said, *_), *_rest) = file.execute("pragma quick_check").fetchall()
    result.expect(said == "ok", f"the server runs on a damaged file: {str(said)[:120]}")
    return "unharmed"
