"""How publishing grows with what an event brings, documents in the end."""

from __future__ import annotations

from typing import Final

from heliograph.bench import throughput
from heliograph.bench.names import Figure
from heliograph.bench.report import Measured, Run
from heliograph.bench.rig import CONNECTIONS, Bench, Rig, run_of, serving

_LARGE: Final = 100_000
_FEW: Final = 8
"""Connections that publish what is large: nobody publishes 64 MB at once."""


def measure(bench: Bench) -> Run:
    """A new installation for each size."""
    measured: list[Measured] = []
    rigs: list[Rig] = []
    for size in bench.size.payloads:
        bench.say(at := f"{size:,} bytes")
        with serving(bench) as made:
            found = throughput.load(
                bench,
                made,
                templates=made.listeners.templates(size),
                connections=CONNECTIONS if size < _LARGE else _FEW,
            )
        rigs.append(made)
        measured.append(Measured(Figure.MESSAGE, found.seen.told.bytes / 1000, at))
        measured += throughput.figures(found, at)
    return run_of(measured, *rigs)
