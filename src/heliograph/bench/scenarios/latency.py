"""How long a message takes when the server is busy and not overloaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from heliograph.bench import throughput
from heliograph.bench.names import Figure
from heliograph.bench.report import Measured, Run, percentile
from heliograph.bench.rig import Bench, Seen, run_of, serving


@dataclass(frozen=True, slots=True)
class Found:
    """The rate of full load, in events a second, and what was seen at half of it."""

    full: float
    seen: Seen


def measure(bench: Bench) -> Run:
    """Full load for a while, then half of what was accepted and delivered."""
    with serving(bench) as made:
        full = throughput.load(bench, made).seen
        seconds = full.told.last - full.called.began
        rate = max(2.0, full.published / max(seconds, 1e-9))
        seen = made.publish(seconds=bench.size.seconds, rate=rate / 2)
    return run_of(figures(Found(rate, seen)), made)


def figures(found: Found) -> Sequence[Measured]:
    """What is told."""
    seen = found.seen
    accepts, lags = [second * 1000 for second in seen.called.took], seen.lags
    return [
        Measured(Figure.RATE, seen.rate),
        Measured(Figure.ACCEPT_P50, percentile(accepts, 50)),
        Measured(Figure.ACCEPT_P99, percentile(accepts, 99)),
        Measured(Figure.ARRIVAL_P50, percentile(lags, 50)),
        Measured(Figure.ARRIVAL_P99, percentile(lags, 99)),
        Measured(Figure.JOURNEY_P50, percentile(seen.journeys, 50)),
        Measured(Figure.JOURNEY_P99, percentile(seen.journeys, 99)),
        Measured(Figure.CORES_OTHERS, seen.used.others / seen.used.seconds),
    ]
