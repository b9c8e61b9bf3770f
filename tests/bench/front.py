"""What the HTTP front costs: `uv run python -m tests.bench.front --help`.

A real server process with its default settings, and in this process connections that are kept and
call it one after the other. Shown is the processor time of the server alone, of all its threads,
for one call; the least of several rounds, since what else the machine does only adds.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import uvloop

from tests.bench import command
from tests.bench.capacity import Bench, serving
from tests.bench.http import Client
from tests.cost import processor_seconds
from tests.support import published

CALLS: Final = 1000
ROUNDS: Final = 5
CONNECTIONS: Final = 16

_WARM: Final = 500
"""Calls of each kind before those that are measured."""


async def measure(
    folder: Path,
    options: Sequence[str],
    calls: int = CALLS,
    rounds: int = ROUNDS,
    connections: int = CONNECTIONS,
) -> dict[str, float]:
    """Microseconds of processor for a call of each kind."""
    process = 0

    def started(number: int) -> None:
        nonlocal process
        process = number

    async with serving(folder, options, started) as credentials:
        bench = Bench(credentials)
        bench.head += "Accept: application/json\r\n"  # as most clients say
        await bench.connect()
        clients = bench.clients[:connections]
        event = json.dumps(published(envelope_id="front")).encode()
        kinds = {
            "GET /healthz": ("GET", "/healthz", b""),
            "a call that reads nothing": ("GET", f"{bench.base}/mobile_notifiers", b""),
            "a listing of nothing": ("GET", bench.base, b""),
            "a publish that nobody wants": ("POST", f"{bench.base}/events", event),
        }
        least = dict.fromkeys(kinds, float("inf"))
        for call in kinds.values():
            await _every(clients, _WARM, *call)
        for _ in range(rounds):
            for kind, call in kinds.items():
                before = processor_seconds(process)
                made = await _every(clients, calls, *call)
                spent = processor_seconds(process) - before
                least[kind] = min(least[kind], spent / made * 1e6)
    return least


async def _every(clients: Sequence[Client], calls: int, method: str, path: str, body: bytes) -> int:
    """Have the clients make about so many calls together; how many they were."""
    each = -(-calls // len(clients))

    async def work(client: Client) -> None:
        for _ in range(each):
            status, answer = await client.call(method, path, body)
            assert status < 300, answer

    await asyncio.gather(*map(work, clients))
    return each * len(clients)


def table(found: dict[str, float]) -> str:
    """The figures for a person."""
    lines = ["processor time of the server for one call"]
    return "\n".join([*lines, *(f"  {kind:<30}{cost:>6.0f} µs" for kind, cost in found.items())])


def main() -> None:
    parser = command.parser("front", __doc__)
    parser.add_argument("--calls", type=int, default=CALLS, help="of each kind, in a round")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--connections", type=int, default=CONNECTIONS, help="at most 64")
    given = parser.parse_args()
    with command.place(given) as (folder, options):
        measured = measure(folder, options, given.calls, given.rounds, given.connections)
        found = uvloop.run(measured)
    print(json.dumps(found, indent=2) if given.json else table(found))  # noqa: T201


if __name__ == "__main__":
    main()
