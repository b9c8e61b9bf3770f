"""Each event is wanted by several: accepting must not starve sending (R23)."""

from __future__ import annotations

from typing import Final

from heliograph.bench import throughput
from heliograph.bench.listeners import Listeners
from heliograph.bench.report import Run
from heliograph.bench.rig import Bench

WANTING: Final = 5

figures = throughput.figures


def measure(bench: Bench) -> Run:
    """Full load."""
    return throughput.measure(bench, Listeners(3 * WANTING, WANTING))
