"""What listeners that do not read cost (S17): `uv run python -m tests.bench.stalled --help`.

A real server process, one event of 24 MiB, 200 listeners that take connections and read nothing.
Shown is how much memory the server has at the most, and that every delivery has ended after.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, cast

import uvloop

from tests.bench import command
from tests.bench.capacity import Bench, serving
from tests.support import published

MOST_MIB: Final = 600
_PATIENCE: Final = 900.0


@dataclass(frozen=True, slots=True)
class Figures:
    """MiB of resident memory: before, and at the most; of `listeners` deliveries, those failed."""

    engine: str
    size: int
    listeners: int
    before: float
    most: float
    failed: int

    @property
    def kept(self) -> bool:
        """Whether memory is bounded and nothing is left over."""
        return self.most <= MOST_MIB and self.failed == self.listeners


class Stalled(asyncio.Protocol):
    """Takes a connection, which it puts among the others, and reads nothing of it."""

    def __init__(self, connections: list[asyncio.Transport]) -> None:
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connections.append(cast(asyncio.Transport, transport))
        self._connections[-1].pause_reading()


def memory(process: int, name: str) -> float:
    """A figure of /proc/<process>/status (proc(5)), in MiB."""
    text = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    found = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


async def measure(
    engine: str, folder: Path, options: Sequence[str], *, mib: int, listeners: int, seconds: float
) -> Figures:
    """All of it on one server; an attempt may take so many seconds, and there is one each."""
    processes: list[int] = []
    options = ["--attempt-timeout", str(seconds), *options]
    async with serving(folder, options, processes.append) as credentials:
        (process,) = processes
        bench = Bench(credentials)
        stalled: list[asyncio.Transport] = []
        listening = await asyncio.get_running_loop().create_server(
            lambda: Stalled(stalled), "127.0.0.1", 0
        )
        port = listening.sockets[0].getsockname()[1]
        await bench.connect()
        for number in range(listeners):
            wanted = {
                "name": f"stalled {number}",
                "urlToPublishTo": f"http://127.0.0.1:{port}/{number}",
                "allowEnvelopePublish": "true",
                "allUsers": "true",
                "requiresAcknowledgement": "false",
                "events": ["envelope-sent"],
            }
            await bench.ask("POST", "", wanted)
        before = memory(process, "VmRSS")
        event = published()
        event["data"]["envelopeSummary"]["filler"] = "x" * (mib * 2**20)
        await bench.ask("POST", "/events", event)
        failed = 0
        async with asyncio.timeout(_PATIENCE):
            while failed < listeners:
                await asyncio.sleep(1.0)
                status, answer = await bench.clients[0].call(
                    "GET", f"{bench.base}/failures?count={listeners}", b""
                )
                assert status == 200, answer
                failed = int(json.loads(answer)["totalRecords"])
        most = memory(process, "VmHWM")
        listening.close()
        for connection in stalled:
            connection.abort()  # who does not read sees no end of it
    return Figures(engine, mib, listeners, before, most, failed)


def table(found: Figures) -> str:
    """The figures for a person."""
    kept = "kept" if found.kept else "NOT KEPT"
    return "\n".join(
        [
            f"{found.engine}, one event of {found.size} MiB to {found.listeners} that do not read",
            f"  memory before               {found.before:6.0f} MiB",
            f"  at the most                 {found.most:6.0f} MiB",
            f"  ended as failures after     {found.failed:6}",
            f"  S17: up to {MOST_MIB} MiB, all ended: {kept}",
        ]
    )


def main() -> None:
    parser = command.parser("stalled", __doc__)
    parser.add_argument("--mib", type=int, default=24)
    parser.add_argument("--listeners", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0, help="of an attempt")
    given = parser.parse_args()
    with command.place(given) as (folder, options):
        measuring = measure(
            given.engine,
            folder,
            options,
            mib=given.mib,
            listeners=given.listeners,
            seconds=given.seconds,
        )
        found = uvloop.run(measuring)
    print(json.dumps(asdict(found), indent=2) if given.json else table(found))  # noqa: T201
    if not found.kept:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
