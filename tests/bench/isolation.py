"""What listeners that hang do to the others (R7): `uv run python -m tests.bench.isolation --help`.

A real server process and 200 configurations, each with events of its own at a steady rate. First
all listeners answer; then every second one takes messages and never answers, for longer than an
attempt may take. Shown is how long the other listeners' messages take from the 202 to arrival.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import uvloop

from tests.bench import command
from tests.bench.capacity import Bench, percentiles, serving
from tests.bench.http import Sink

LISTENERS: Final = 200
ATTEMPT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Milliseconds from the 202 to arrival at the listeners that answer."""

    engine: str
    listeners: int
    hanging: int
    rate: float
    all_answer_p50: float
    all_answer_p99: float
    half_hang_p50: float
    half_hang_p99: float

    @property
    def promised_p99(self) -> float:
        """The most that the p99 may be while half of the listeners hang (R7)."""
        return max(1.5 * self.all_answer_p99, self.all_answer_p99 + 100.0)


class Moody(Sink):
    """A listener that hangs on some paths: it reads, and never answers."""

    def __init__(self, came: Callable[[bytes, float], None], hanging: set[bytes]) -> None:
        super().__init__(came)
        self._hanging = hanging

    def got(self, head: bytes, body: bytes) -> None:
        if head.split(b" ", 2)[1] not in self._hanging:
            super().got(head, body)


async def measure(
    engine: str,
    folder: Path,
    options: Sequence[str],
    *,
    seconds: float,
    rate: float,
    listeners: int = LISTENERS,
) -> Figures:
    """Both halves on one server, each for `seconds` at `rate` events a second."""
    hanging: set[bytes] = set()
    options = ["--attempt-timeout", str(ATTEMPT_SECONDS), *options]
    async with serving(folder, options) as credentials:
        bench = Bench(credentials, listeners)
        listening = await asyncio.get_running_loop().create_server(
            lambda: Moody(bench.came, hanging), "127.0.0.1", 0
        )
        await bench.connect()
        await bench.configure(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
        await bench.paced(rate, min(seconds, 3.0))  # listeners have earned their attempts
        before = await bench.paced(rate, seconds)
        hanging |= {f"/{number}".encode() for number in range(1, listeners, 2)}
        after = await bench.paced(
            rate, seconds, counts=lambda user: f"/{user}".encode() not in hanging
        )
        listening.close()
    return Figures(
        engine,
        listeners,
        len(hanging),
        rate,
        *percentiles(before),
        *percentiles(after),
    )


def table(found: Figures) -> str:
    """The figures for a person."""
    rows = (
        ("all answer", found.all_answer_p50, found.all_answer_p99),
        (f"{found.hanging} hang", found.half_hang_p50, found.half_hang_p99),
    )
    kept = "kept" if found.half_hang_p99 <= found.promised_p99 else "NOT KEPT"
    head = f"{found.engine}, {found.listeners} listeners, {found.rate:g} events/s"
    lines = [f"  {name:<12}p50 {p50:8.1f} ms   p99 {p99:8.1f} ms" for name, p50, p99 in rows]
    return "\n".join([head, *lines, f"  R7: p99 up to {found.promised_p99:.1f} ms: {kept}"])


def main() -> None:
    parser = command.parser("isolation", __doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each half")
    parser.add_argument("--rate", type=float, default=200.0, help="events a second, in all")
    given = parser.parse_args()
    with command.place(given) as (folder, options):
        found = uvloop.run(
            measure(given.engine, folder, options, seconds=given.seconds, rate=given.rate)
        )
    print(json.dumps(asdict(found), indent=2) if given.json else table(found))  # noqa: T201
    if found.half_hang_p99 > found.promised_p99:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
