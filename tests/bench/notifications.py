"""What notifications of envelopes cost: `uv run python -m tests.bench.notifications --help`.

A real server process whose account gets a listener's URL of its own for each envelope. Shown is
what processor time a publish with one new notification, and its delivery, take the server where 10
are stored and where 10,000 are, and what four plain publishers are answered meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import uvloop

from heliograph.bench import host
from tests.bench import command
from tests.bench.capacity import Bench, serving
from tests.bench.http import Client, Sink
from tests.cost import processor_seconds
from tests.support import published

FEW: Final = 10
PUBLISHERS: Final = 4
_OF_A_CALL: Final = 1_000
_PATIENCE: Final = 600.0
_READINGS: Final = 3
"""Of which the least counts: what else runs on the machine only adds."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Milliseconds of processor time of a publish with one new notification and its delivery.

    `call` is how many a call with 1,000 new ones took at the most, until its answer; `beside`
    counts the answers to plain publishes by status.
    """

    engine: str
    stored: int
    at_few: float
    at_many: float
    call: float
    beside: dict[int, int]

    @property
    def kept(self) -> bool:
        """Whether the cost is at most twice that, and all plain publishes were taken."""
        return self.at_many <= 2 * self.at_few and set(self.beside) == {202}


class Envelopes:
    """Events of new envelopes, each with a listener of its own."""

    def __init__(self, sink: str) -> None:
        self._sink = sink
        self.count = 0
        self._came = 0
        self._all_came = asyncio.Event()

    def came(self) -> None:
        """A message is at a listener."""
        self._came += 1
        if self._came == self.count:
            self._all_came.set()

    async def all_came(self) -> None:
        """Wait until each listener has its message."""
        self._all_came.clear()
        if self._came < self.count:
            async with asyncio.timeout(_PATIENCE):
                await self._all_came.wait()

    def event(self) -> dict[str, Any]:
        self.count += 1
        hook = {"url": f"{self._sink}/{self.count}", "events": ["envelope-sent"]}
        return published(envelope_id=f"env-{self.count}", eventNotification=hook)


async def _publish(client: Client, path: str, body: Any) -> tuple[int, float]:
    """The status, and the milliseconds until it."""
    sent = json.dumps(body).encode()
    began = time.perf_counter()
    status, _ = await client.call("POST", path, sent)
    return status, (time.perf_counter() - began) * 1000


def cpu_of(process: int) -> float:
    """Milliseconds that a process, and those that it has started, were on a processor."""
    return sum(map(processor_seconds, host.tree(process))) * 1000


async def measure(
    engine: str, folder: Path, options: Sequence[str], *, stored: int, readings: int = 100
) -> Figures:
    """All of it on one server."""
    beside: Counter[int] = Counter()
    stopped = asyncio.Event()
    processes: list[int] = []
    async with serving(folder, options, processes.append) as credentials:
        bench = Bench(credentials)
        listening = await asyncio.get_running_loop().create_server(
            lambda: Sink(lambda body, when: envelopes.came()), "127.0.0.1", 0
        )
        envelopes = Envelopes(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
        path = f"{bench.base}/events"
        await bench.connect()
        first, *others = bench.clients

        async def plainly(client: Client) -> None:
            while not stopped.is_set():
                status, _ = await _publish(client, path, published("envelope-voided"))
                beside[status] += 1

        async def one_new() -> float:
            costs = []
            for _ in range(_READINGS):
                await envelopes.all_came()
                before = cpu_of(*processes)
                for _ in range(readings):
                    status, _ = await _publish(first, path, envelopes.event())
                    assert status == 202, status
                await envelopes.all_came()
                costs.append((cpu_of(*processes) - before) / readings)
            return min(costs)

        for _ in range(FEW):
            await _publish(first, path, envelopes.event())
        at_few = await one_new()
        calls = []
        async with asyncio.TaskGroup() as publishers:
            for client in others[:PUBLISHERS]:
                publishers.create_task(plainly(client))
            while envelopes.count < stored:
                size = min(_OF_A_CALL, stored - envelopes.count)
                body = [envelopes.event() for _ in range(size)]
                status, milliseconds = await _publish(first, path, body)
                assert status == 202, status
                calls.append(milliseconds)
            stopped.set()
        at_many = await one_new()
        listening.close()
    return Figures(engine, stored, at_few, at_many, max(calls), dict(beside))


def table(found: Figures) -> str:
    """The figures for a person."""
    answers = ", ".join(f"{count:,} times {status}" for status, count in found.beside.items())
    rows = (
        (f"one new at {FEW} stored", f"{found.at_few:.1f} ms"),
        (f"one new at {found.stored:,} stored", f"{found.at_many:.1f} ms"),
        (f"{_OF_A_CALL:,} new in a call", f"at most {found.call:.0f} ms"),
        (f"{PUBLISHERS} plain publishers beside", answers),
    )
    lines = [f"  {name:<28}{figure}" for name, figure in rows]
    kept = "kept" if found.kept else "NOT KEPT"
    return "\n".join([found.engine, *lines, f"  at most twice the cost, all taken: {kept}"])


def main() -> None:
    parser = command.parser("notifications", __doc__)
    parser.add_argument("--stored", type=int, default=10_000)
    given = parser.parse_args()
    with command.place(given) as (folder, options):
        found = uvloop.run(measure(given.engine, folder, options, stored=given.stored))
    print(json.dumps(asdict(found), indent=2) if given.json else table(found))  # noqa: T201
    if not found.kept:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
