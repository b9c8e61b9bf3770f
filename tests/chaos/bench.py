"""One run: an installation, listeners and load; then faults, healing and the verdict."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.busy import hang
from tests.chaos import sink as sinks
from tests.chaos.checker import Dump, Verdict, check, in_flight
from tests.chaos.engines import Engine
from tests.chaos.installation import LEASE_SECONDS, Installation, Node, make
from tests.chaos.ledger import Ledger, entries
from tests.chaos.publisher import PUBLISHERS, UNREACHABLE, Client, Load, publishing
from tests.chaos.sink import Sink

HEAL_SECONDS = 90.0

PATIENCE = float(os.environ.get("HELIOGRAPH_CHAOS_PATIENCE", "1"))
"""By how much times may be longer than promised: above 1 on a machine that does other work."""


@dataclass
class Result:
    """What one fault came to on one kind of installation; a line of the report."""

    cycles: int = 0
    acked: int = 0
    delivered: int = 0
    failed: int = 0
    lost: int = 0
    duplicates: int = 0
    bound: int = 0
    reordered: int = 0
    recovery: float = 0.0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.problems

    def add(self, verdict: Verdict, bound: int) -> None:
        """Count a verdict in; `bound` is how many duplicates its faults may have made."""
        self.acked += verdict.accepted
        self.delivered += verdict.delivered
        self.failed += verdict.failed
        self.lost += len(verdict.lost)
        self.duplicates += verdict.duplicates
        self.bound += bound + verdict.excused
        self.reordered += len(verdict.reordered)
        self.problems += verdict.problems(bound)

    def expect(self, holds: bool, what: str) -> None:
        """Note `what` as a problem unless it holds."""
        if not holds:
            self.problems.append(what)

    def recovered(self, seconds: float, most: float, what: str = "recovery") -> None:
        """Note a time to recover, which must be at most `most` seconds."""
        self.recovery = max(self.recovery, seconds)
        self.expect(
            seconds <= most * PATIENCE,
            f"{what} took {seconds:.1f} s, at most {most * PATIENCE:g} s are allowed",
        )


@dataclass
class Nemesis:
    """Faults, each written down with its time and what was in flight."""

    ledger: Ledger
    random: random.Random
    count: int = 0

    @asynccontextmanager
    async def fault(self, name: str, **details: Any) -> AsyncIterator[dict[str, Any]]:
        """A fault for the time of the block; what the block adds to the dict is logged."""
        noted: dict[str, Any] = {"start_ns": time.time_ns(), **details}
        try:
            yield noted
        finally:
            self.count += 1
            self.ledger.write(kind=name, end_ns=time.time_ns(), **noted)

    async def moment(self, least: float = 0.02, most: float = 0.4) -> None:
        """Wait for a random moment."""
        await asyncio.sleep(self.random.uniform(least, most))


class Bench:
    """Everything of a run. Made by `bench`."""

    def __init__(
        self,
        folder: Path,
        installation: Installation,
        sink: Sink,
        client: Client,
        nemesis: Nemesis,
    ) -> None:
        self.folder = folder
        self.installation = installation
        self.sink = sink
        self.client = client
        self.nemesis = nemesis
        self.configurations: list[str] = []
        self._loads = itertools.count(1)

    @property
    def node(self) -> Node:
        return self.installation.first

    @asynccontextmanager
    async def load(self, publishers: int = PUBLISHERS, pace: float = 0.0) -> AsyncIterator[Load]:
        """Load for the time of the block; begins once something was accepted."""
        prefix = f"e{next(self._loads)}"
        async with publishing(
            self.client, self.folder / "published", publishers, pace, prefix
        ) as load:
            await load.accepts(publishers)
            yield load

    async def configure(self, paths: Iterable[str] = sinks.PATHS) -> None:
        """One configuration for each path of the sink, and a key to sign with."""
        self.sink.keys.append((await self.client.done("POST", "secret"))["secret"])
        for path in paths:
            made = await self.client.done("POST", "", self.wanted(path))
            self.configurations.append(made["connectId"])

    def wanted(self, path: str, **over: str) -> dict[str, Any]:
        """A configuration as the API takes it."""
        return {
            "name": path,
            "urlToPublishTo": self.sink.base + path,
            "allowEnvelopePublish": "true",
            "allUsers": "true",
            "enableLog": "true",
            "events": ["envelope-sent"],
            **over,
        }

    async def delivers(self, seconds: float = 30.0, to: Collection[str] = ()) -> float:
        """Wait until the sink takes something more, or each of the paths `to` does; how many
        seconds that took."""
        began, before = time.monotonic(), self.sink.taken.copy()
        async with hang(seconds):
            while not (more := self.sink.taken - before) or not more.keys() >= set(to):
                await asyncio.sleep(0.01)
        return time.monotonic() - began

    async def serves_others(self, result: Result, most: float) -> None:
        """Each listener that no fault is about takes something, in `most` seconds (R7)."""
        before = self.sink.taken.copy()
        try:
            seconds = await self.delivers(to=sinks.PATHS)
        except TimeoutError:
            starved = sorted(set(sinks.PATHS) - (self.sink.taken - before).keys())
            raise TimeoutError(f"nothing reached {', '.join(starved)} in time") from None
        result.recovered(seconds, most, "a message to each of the other listeners")

    async def heal(self, seconds: float = HEAL_SECONDS) -> int:
        """All faults are over: republish until everything is delivered; how many are listed.

        The time is bounded: the checker then says what is missing.
        """
        self.sink.broken, self.sink.delay = 0.0, 0.0
        deadline = time.monotonic() + seconds
        while True:
            listed = await self._failures()
            unfinished = await asyncio.to_thread(self.installation.engine.unfinished)
            idle = not listed and not unfinished
            if idle or time.monotonic() > deadline:
                return listed
            if listed:
                await self.client.done("PUT", "failures/retry_queue?all=true")
            await asyncio.sleep(0.2)

    async def _failures(self) -> int:
        """How many open failures the API lists."""
        return len((await self.client.done("GET", "failures"))["failures"])

    async def judge(self, result: Result, *, heal: bool = True) -> None:
        """Heal, stop the servers, and count the verdict into `result`."""
        listed = await self.heal() if heal else await self._failures()
        for node in self.installation.nodes:
            if node.running:
                result.expect(await node.stop() == 0, f"{node.name} did not stop in order")
        dump = await asyncio.to_thread(self.installation.engine.dump)
        result.cycles += self.nemesis.count
        verdict = self.verdict(dump)
        result.expect(
            listed == min(verdict.failed, 10_000),
            f"the API lists {listed} failures, the database has {verdict.failed}",
        )
        if dump.unanswered:
            result.notes.append(f"{len(dump.unanswered)} attempts ended before an answer had come")
        result.add(verdict, self.in_flight())
        result.expect(verdict.accepted > 0, "nothing was accepted")

    def in_flight(self) -> int:
        """What was in flight at all faults so far, those included that nobody planned."""
        lapses = [lapse for node in self.installation.nodes for lapse in node.lapses()]
        return in_flight(entries(self.folder / "faults"), lapses, LEASE_SECONDS)

    def verdict(self, dump: Dump) -> Verdict:
        """What the ledgers and the database come to."""
        settles = sorted(
            itertools.chain.from_iterable(
                entries(path) for path in self.folder.glob("*/settles") if path.exists()
            ),
            key=lambda line: int(line["ns"]),
        )
        return check(
            entries(self.folder / "published"),
            entries(self.folder / "received"),
            configurations=self.configurations,
            dump=dump,
            settles=settles,
        )


@asynccontextmanager
async def bench(
    kind: str,
    folder: Path,
    seed: int,
    *,
    engine: Engine | None = None,
    change: Callable[[Node], None] | None = None,
    paths: Iterable[str] = sinks.PATHS,
    place: Path | None = None,
) -> AsyncIterator[Bench]:
    """A started installation with its listeners; everything ends with the block.

    The ledgers are in `folder`, the data directories in `place` where one is given. An engine
    that is given is its giver's to close.
    """
    folder.mkdir(parents=True, exist_ok=True)
    installation = await asyncio.to_thread(
        make, kind, place or folder, engine=engine, change=change
    )
    nemesis = Nemesis(Ledger(folder / "faults"), random.Random(seed))
    try:
        async with (
            sinks.listening(folder / "received", seed) as sink,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        ):
            client = Client(installation, session)
            made = Bench(folder, installation, sink, client, nemesis)
            await installation.start()
            await made.configure(paths)
            try:
                yield made
            finally:
                await installation.close()
    finally:
        await installation.close()
        nemesis.ledger.close()
        if engine is None:
            await asyncio.to_thread(installation.engine.close)


async def answers(bench_: Bench, node: Node, path: str = "failures") -> bool:
    """Whether a node answers a read now."""
    with contextlib.suppress(*UNREACHABLE):
        status, _ = await bench_.client.call("GET", path, node=node, seconds=3)
        return status == 200
    return False
