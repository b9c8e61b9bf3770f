"""How long a message takes when the server is busy and not overloaded."""

from __future__ import annotations

from collections.abc import Sequence

from heliograph.bench import throughput
from heliograph.bench.names import Figure
from heliograph.bench.report import Measured, Run, percentiles
from heliograph.bench.rig import Bench, Seen, run_of, serving


def measure(bench: Bench) -> Run:
    """Full load for a while, then half of what was accepted and delivered."""
    with serving(bench) as made:
        full = throughput.load(bench, made).seen
        seconds = full.told.last - full.called.began
        rate = max(2.0, full.published / max(seconds, 1e-9))
        seen = made.publish(seconds=bench.size.seconds, rate=rate / 2)
    return run_of(figures(seen), made)


def figures(seen: Seen) -> Sequence[Measured]:
    """What is told."""
    accepts = [second * 1000 for second in seen.called.took]
    return [
        Measured(Figure.RATE, seen.rate),
        *percentiles(Figure.ACCEPT_P50, Figure.ACCEPT_P99, accepts),
        *throughput.arrivals(seen),
        Measured(Figure.CORES_OTHERS, seen.used.others / seen.used.seconds),
    ]
