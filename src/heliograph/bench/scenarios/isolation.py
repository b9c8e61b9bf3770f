"""What listeners that hang do to the others (R7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from heliograph.bench import throughput
from heliograph.bench.listeners import Listeners
from heliograph.bench.names import Figure
from heliograph.bench.report import Measured, Run
from heliograph.bench.rig import Bench, Seen, run_of, serving

_ATTEMPT: Final = ("--attempt-timeout", "10", "--grace", "1")
"""An attempt at a listener that hangs takes that many seconds, so that slots are taken for long."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was seen while all listeners answer, and while half of them hang."""

    well: Seen
    hanging: Seen


def measure(bench: Bench) -> Run:
    """Each listener gets events at a steady rate; then every second one is silent."""
    number, size = bench.size.listeners, bench.size
    with serving(bench, Listeners(number), *_ATTEMPT) as made:
        rate = float(number)
        made.publish(seconds=size.warm, rate=rate)
        well = made.publish(seconds=size.steady, rate=rate)
        made.hang(range(1, number, 2))
        hanging = made.publish(seconds=size.steady, rate=rate)
    return run_of(figures(Found(well, hanging)), made)


def figures(found: Found) -> Sequence[Measured]:
    """What is told: of the listeners that answer alone."""
    measured = []
    for seen, at in ((found.well, "all answer"), (found.hanging, "half hang")):
        measured += [Measured(Figure.RATE, seen.rate, at), *throughput.arrivals(seen, at)]
    return measured
