"""Each event is wanted by several: accepting must not starve sending (R23)."""

from __future__ import annotations

from heliograph.bench import throughput
from heliograph.bench.listeners import USUAL, Listeners
from heliograph.bench.report import Run
from heliograph.bench.rig import Bench


def measure(bench: Bench) -> Run:
    """Full load, for each number of listeners that want an event."""
    return throughput.compared(
        bench,
        {
            f"{wanting} a time": Listeners(wanting * max(1, USUAL // wanting), wanting)
            for wanting in bench.size.fanouts
        },
    )
