"""What configurations cost each other: `uv run python -m tests.bench.configurations --help`.

A real server process whose account has 16 configurations, and then 5,000, each of which wants the
events of one user; one call at a time. Shown is how long a call waits for its answer and how long
that is, and of publishes, delivery included, the processor time that they take the server.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import uvloop

from tests.bench import command
from tests.bench.capacity import Bench, serving
from tests.bench.http import Client, Sink
from tests.bench.notifications import cpu_of
from tests.support import published

FEW: Final = 16
_UNLIMITED: Final = ("--hourly-limit", "0", "--burst-limit", "0", "--token-limit", "0")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one kind of call came to, with so many configurations.

    `milliseconds` is the median wait for the answer, `answer` its length in bytes, `processor` the
    milliseconds of processor time of a call and of what follows from it.
    """

    configurations: int
    call: str
    milliseconds: float
    processor: float
    answer: int


class Calls:
    """Calls on one server, and what each kind costs."""

    def __init__(self, bench: Bench, processes: Sequence[int], readings: int) -> None:
        self._bench = bench
        self._processes = processes
        self._readings = readings
        self._events = 0
        self.count = 0

    async def create(self, sink: str, most: int) -> None:
        """Make configurations until there are so many, one for each user."""

        async def work(client: Client) -> None:
            while self.count < most:
                self.count += 1
                wanted = {
                    "name": f"bench {self.count}",
                    "urlToPublishTo": f"{sink}/{self.count}",
                    "allowEnvelopePublish": "true",
                    "enableLog": "true",
                    "userIds": [f"user-{self.count}"],
                    "events": ["envelope-sent", "envelope-completed"],
                }
                body = json.dumps(wanted).encode()
                status, answer = await client.call("POST", self._bench.base, body)
                assert status == 201, answer

        await asyncio.gather(*map(work, self._bench.clients[:8]))

    async def publish(self, user: str = "", query: str = "") -> int:
        """Publish an event of a user; the length of the answer."""
        self._events += 1
        event = published(envelope_id=f"env-{self._events}")
        event["data"]["userId"] = user or f"user-{1 + self._events % self.count}"
        return await self._ask("POST", f"/events{query}", event)

    async def update(self) -> int:
        return await self._ask("PUT", "", {"connectId": "1", "name": f"event {self._events}"})

    async def _ask(self, method: str, path: str, body: Any = None) -> int:
        sent = b"" if body is None else json.dumps(body).encode()
        status, answer = await self._bench.clients[0].call(
            method, f"{self._bench.base}{path}", sent
        )
        assert status < 300, answer
        return len(answer)

    async def costs(self) -> list[Cost]:
        """Of each kind of call, with the configurations that there are now."""
        nobody = "nobody"
        await self.publish()
        return [
            await self._cost("publish, wanted by one", self.publish),
            await self._cost("publish, wanted by none", lambda: self.publish(nobody)),
            await self._cost("publish, explained", lambda: self.publish(nobody, "?explain=true")),
            await self._cost("update one", self.update),
            await self._cost("publish after an update", self.publish, self.update),
            await self._cost("show one", lambda: self._ask("GET", "/1")),
            await self._cost("list all", lambda: self._ask("GET", "")),
        ]

    async def _cost(
        self,
        name: str,
        call: Callable[[], Awaitable[int]],
        before: Callable[[], Awaitable[int]] | None = None,
    ) -> Cost:
        waits, used, answer = [], 0.0, 0
        for _ in range(self._readings):
            if before is not None:
                await before()
            had, began = cpu_of(*self._processes), time.perf_counter()
            answer = await call()
            waits.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(0.01)  # what follows from a call is its own
            used += cpu_of(*self._processes) - had
        return Cost(self.count, name, median(waits), used / self._readings, answer)


async def measure(
    folder: Path, options: Sequence[str], *, many: int = 5_000, readings: int = 50
) -> list[Cost]:
    """All of it on one server, with few configurations and with many."""
    processes: list[int] = []
    found: list[Cost] = []
    async with serving(folder, [*options, *_UNLIMITED], processes.append) as credentials:
        bench = Bench(credentials)
        listening = await asyncio.get_running_loop().create_server(
            lambda: Sink(lambda body, when: None), "127.0.0.1", 0
        )
        sink = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        await bench.connect()
        calls = Calls(bench, processes, readings)
        for count in (min(FEW, many), many):
            await calls.create(sink, count)
            found += await calls.costs()
        listening.close()
    return found


def table(engine: str, found: Sequence[Cost]) -> str:
    """The figures for a person."""
    lines = [f"{engine:<28}{'wait':>10}{'processor':>12}{'answer':>16}"]
    lines += [
        f"{cost.configurations:>5,} {cost.call:<24}{cost.milliseconds:>7.1f} ms"
        f"{cost.processor:>9.1f} ms{cost.answer:>10,} bytes"
        for cost in found
    ]
    return "\n".join(lines)


def main() -> None:
    parser = command.parser("configurations", __doc__)
    parser.add_argument("--many", type=int, default=5_000)
    parser.add_argument("--readings", type=int, default=50)
    given = parser.parse_args()
    with command.place(given) as (folder, options):
        found = uvloop.run(measure(folder, options, many=given.many, readings=given.readings))
    costs = [asdict(cost) for cost in found]
    print(json.dumps(costs, indent=2) if given.json else table(given.engine, found))  # noqa: T201


if __name__ == "__main__":
    main()
