"""What one node can do on this machine: `uv run python -m tests.bench.capacity --help`.

A real server process with its default settings, and in this process 64 publishing clients and
the listeners. 16 configurations share the events, each event going to one of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import re
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any, Final
from urllib.parse import urlsplit

import uvloop

from heliograph.access.credentials_file import Credentials
from tests.bench import command
from tests.bench.http import Client, Sink
from tests.support import published

CLIENTS: Final = 64
CONFIGURATIONS: Final = 16
_BATCH: Final = 1000
_PATIENCE: Final = 600.0
"""Seconds after which a step is called stuck."""

_ENVELOPE: Final = re.compile(rb'"envelopeId": ?"([^"]+)"')


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured. Rates are events a second, times are milliseconds."""

    engine: str
    machine: str
    accepted_per_second: float
    accept_p50: float
    accept_p99: float
    delivered_meanwhile_per_second: float
    half_load_per_second: float
    arrival_p50: float
    arrival_p99: float
    backlog: int
    drained_per_second: float


class Bench:
    """A running server, its clients, and what has arrived."""

    def __init__(self, credentials: Credentials, configurations: int = CONFIGURATIONS) -> None:
        self._configurations = configurations
        self.base = f"/restapi/v2.1/accounts/{credentials.account_id}/connect"
        self.head = (
            "Host: bench\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {credentials.access_token.reveal()}\r\n"
        )
        address = urlsplit(credentials.base_uri)
        self.host, self.port = str(address.hostname), address.port or 80
        self.arrived: dict[str, float] = {}
        self.answered: dict[str, float] = {}
        self.clients: list[Client] = []
        self._awaited: tuple[int, asyncio.Event] = (0, asyncio.Event())
        self._numbers = 0

    def came(self, body: bytes, when: float) -> None:
        """A message is at the sink."""
        found = _ENVELOPE.search(body)
        assert found is not None
        self.arrived.setdefault(found[1].decode(), when)
        if len(self.arrived) >= self._awaited[0]:
            self._awaited[1].set()

    async def all_arrived(self) -> None:
        """Wait until the sink has seen every event."""
        self._awaited = (self._numbers, asyncio.Event())
        if len(self.arrived) < self._numbers:
            async with asyncio.timeout(_PATIENCE):
                await self._awaited[1].wait()

    async def connect(self) -> None:
        """Open the clients' connections."""
        loop = asyncio.get_running_loop()
        for _ in range(CLIENTS):
            _, client = await loop.create_connection(
                lambda: Client(self.head), self.host, self.port
            )
            self.clients.append(client)

    async def configure(self, sink: str) -> None:
        """One configuration for each user."""
        for number in range(self._configurations):
            wanted = {
                "name": f"bench {number}",
                "urlToPublishTo": f"{sink}/{number}",
                "allowEnvelopePublish": "true",
                "enableLog": "true",
                "userIds": [f"user-{number}"],
                "events": ["envelope-sent"],
            }
            await self.ask("POST", "", wanted)

    async def ask(self, method: str, path: str, body: Any) -> Any:
        """A call beside the measured ones."""
        status, answer = await self.clients[0].call(
            method, f"{self.base}{path}", json.dumps(body).encode()
        )
        assert status < 300, answer
        return json.loads(answer or b"null")

    def events(self, count: int) -> list[dict[str, Any]]:
        """New events, for the users in turn."""
        made = []
        for _ in range(count):
            self._numbers += 1
            event = published(envelope_id=f"env-{self._numbers}")
            event["data"]["userId"] = f"user-{self._numbers % self._configurations}"
            made.append(event)
        return made

    async def publish_one(self, client: Client) -> float:
        """Publish one event; the seconds until its 202."""
        (event,) = self.events(1)
        body = json.dumps(event).encode()
        began = time.perf_counter()
        status, answer = await client.call("POST", f"{self.base}/events", body)
        ended = time.perf_counter()
        assert status == 202, answer
        self.answered[event["data"]["envelopeId"]] = ended
        return ended - began

    # ---------------------------------------------------------------------- the steps

    async def full_load(self, seconds: float) -> tuple[list[float], float, float]:
        """Every client publishes one event after another: times, accepts/s, deliveries/s."""
        took: list[float] = []
        began, before = time.perf_counter(), len(self.arrived)

        async def work(client: Client) -> None:
            while time.perf_counter() - began < seconds:
                took.append(await self.publish_one(client))

        await asyncio.gather(*map(work, self.clients))
        lasted = time.perf_counter() - began
        return took, len(took) / lasted, (len(self.arrived) - before) / lasted

    async def paced(
        self, rate: float, seconds: float, counts: Callable[[int], bool] = lambda user: True
    ) -> list[float]:
        """Publish at a rate; the seconds from each 202 to the arrival at the sink.

        `counts` says for the number of an event's user whether its arrival is waited for.
        """
        self.answered.clear()
        idle: asyncio.Queue[Client] = asyncio.Queue()
        for client in self.clients:
            idle.put_nowait(client)

        async def one(client: Client) -> None:
            await self.publish_one(client)
            idle.put_nowait(client)

        began = time.perf_counter()
        async with asyncio.TaskGroup() as calls:
            for number in range(max(2, int(rate * seconds))):
                await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
                calls.create_task(one(await idle.get()))
        wanted = {
            name: at
            for name, at in self.answered.items()
            if counts(int(name.removeprefix("env-")) % self._configurations)
        }
        async with asyncio.timeout(_PATIENCE):
            while any(name not in self.arrived for name in wanted):
                await asyncio.sleep(0.05)
        return [max(0.0, self.arrived[name] - at) for name, at in wanted.items()]

    async def drain(self, backlog: int) -> float:
        """Let events gather behind paused configurations, resume: deliveries a second."""
        await self._pause("true")
        for start in range(0, backlog, _BATCH):
            await self.ask("POST", "/events", self.events(min(_BATCH, backlog - start)))
        began = time.perf_counter()
        await self._pause("false")
        await self.all_arrived()
        return backlog / (max(self.arrived.values()) - began)

    async def _pause(self, paused: str) -> None:
        for number in range(1, self._configurations + 1):
            await self.ask("PUT", "", {"connectId": str(number), "pausePublish": paused})


@contextlib.asynccontextmanager
async def serving(
    folder: Path, options: Sequence[str], started: Callable[[int], None] = lambda process: None
) -> AsyncIterator[Credentials]:
    """A server process in a new data directory; `started` is told its id."""
    with (folder / "server.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "heliograph.cli", "serve", "--port", "0"),
            *("--data-dir", str(folder / "data"), "--egress", "emulator"),
            *("--fidelity", "relaxed", *options),
            stdout=PIPE,
            stderr=log,
        )
    try:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            if b"http://" in line:
                break
        else:
            raise RuntimeError((folder / "server.log").read_text())
        started(process.pid)
        yield Credentials.read(folder / "data")
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def measure(
    engine: str, folder: Path, options: Sequence[str], seconds: float, backlog: int
) -> Figures:
    """All steps, one after the other, on one server."""
    loop = asyncio.get_running_loop()
    async with serving(folder, options) as credentials:
        bench = Bench(credentials)
        listening = await loop.create_server(lambda: Sink(bench.came), "127.0.0.1", 0)
        sink = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        await bench.connect()
        await bench.configure(sink)
        await bench.full_load(min(2.0, seconds))  # warm
        await bench.all_arrived()
        took, accepted, delivered = await bench.full_load(seconds)
        await bench.all_arrived()
        half = max(1.0, min(accepted, delivered) / 2)
        lags = await bench.paced(half, seconds)
        drained = await bench.drain(backlog)
        listening.close()
    return Figures(
        engine,
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        accepted,
        *percentiles(took),
        delivered,
        half,
        *percentiles(lags),
        backlog,
        drained,
    )


def percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """p50 and p99 in milliseconds."""
    hundredths = quantiles(seconds, n=100)
    return hundredths[49] * 1000, hundredths[98] * 1000


def table(found: Figures) -> str:
    """The figures for a person."""
    rows = (
        ("durable accepts", f"{found.accepted_per_second:,.0f}/s"),
        ("  until the 202", f"p50 {found.accept_p50:.1f} ms, p99 {found.accept_p99:.1f} ms"),
        ("  deliveries meanwhile", f"{found.delivered_meanwhile_per_second:,.0f}/s"),
        ("at half of that", f"{found.half_load_per_second:,.0f}/s"),
        ("  202 to arrival", f"p50 {found.arrival_p50:.1f} ms, p99 {found.arrival_p99:.1f} ms"),
        (f"a backlog of {found.backlog:,}", f"drained at {found.drained_per_second:,.0f}/s"),
    )
    lines = [f"{found.engine} on {found.machine}"]
    return "\n".join([*lines, *(f"  {name:<26}{text}" for name, text in rows)])


def main() -> None:
    parser = command.parser("capacity", __doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load")
    parser.add_argument("--backlog", type=int, default=10_000)
    parser.add_argument("options", nargs="*", help="after --: options of heliograph serve")
    given = parser.parse_args()
    with command.place(given) as (folder, options):
        options.extend(given.options)
        found = uvloop.run(measure(given.engine, folder, options, given.seconds, given.backlog))
    print(json.dumps(asdict(found), indent=2) if given.json else table(found))  # noqa: T201


if __name__ == "__main__":
    main()
