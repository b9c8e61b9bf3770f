"""A day after an outage: many failures are looked at and republished, while others publish."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from heliograph.bench import events
from heliograph.bench.listeners import Listeners
from heliograph.bench.names import MEMORY, Figure
from heliograph.bench.orders import Called, Tell, Told
from heliograph.bench.processes import command
from heliograph.bench.report import Measured, Run, percentiles
from heliograph.bench.rig import Bench, Rig, rig, run_of

_WANTING: Final = 40
_RATE: Final = 20.0
"""Events a second that others publish meanwhile, and nobody wants."""


@dataclass(frozen=True, slots=True)
class Found:
    """Seconds of a listing, an export and a republish; what others saw, and memory in MB."""

    failures: int
    listed: float
    exported: float
    republished: float
    beside: Called
    memory: dict[str, float]


def measure(bench: Bench) -> Run:
    """Failures as attempts leave them; then as an operator would go about them."""
    with rig(bench, Listeners(_WANTING, _WANTING)) as made:
        with made.serving():
            pass  # the account and its configurations are there
        failures = made.seed(-(-bench.size.outage // _WANTING), failed=True).deliveries
        with made.serving():
            listed = made.call(f"{made.connect}/failures", calls=1, connections=1).took[0]
            exported = command("failures", "export", "-", "--data-dir", str(made.place.data_dir))
            began = time.monotonic()
            made.begin(templates=[events.template("nobody")], seconds=bench.size.steady, rate=_RATE)
            _republish(made)
            made.expected += failures
            beside = made.answered(deliveries=0)
            made.arrived()
            republished = made.sink.ask(Tell(), Told).last - began
            memory = dict(made.memory())
    return run_of(figures(Found(failures, listed, exported, republished, beside, memory)), made)


def figures(found: Found) -> Sequence[Measured]:
    """What is told."""
    milliseconds = [second * 1000 for second in found.beside.took]
    return [
        Measured(Figure.FAILURES, found.failures),
        Measured(Figure.FAILURES_LISTED, found.listed),
        Measured(Figure.EXPORTED, found.exported),
        Measured(Figure.REPUBLISHED, found.republished),
        *percentiles(Figure.BESIDE_P50, Figure.BESIDE_P99, milliseconds),
        *(Measured(MEMORY[name], size) for name, size in found.memory.items()),
    ]


def _republish(made: Rig) -> None:
    """All of them, 5,000 a call."""
    query = "all=true"
    while query:
        cursor = made.ask("PUT", f"/failures/retry_queue?{query}").get("nextCursor")
        query = f"all=true&cursor={cursor}" if cursor else ""
