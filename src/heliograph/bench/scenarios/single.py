"""One event a request: what most publishers do."""

from __future__ import annotations

from heliograph.bench import throughput
from heliograph.bench.listeners import Listeners
from heliograph.bench.report import Run
from heliograph.bench.rig import Bench


def measure(bench: Bench) -> Run:
    """Full load."""
    return throughput.compared(bench, {"": Listeners()})
