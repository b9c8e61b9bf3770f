"""What gathered goes out as fast as listeners take it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from heliograph.bench.names import Figure
from heliograph.bench.orders import Tell, Told
from heliograph.bench.report import Measured, Run
from heliograph.bench.rig import BATCH, BATCHED, Bench, run_of, serving


@dataclass(frozen=True, slots=True)
class Found:
    """Deliveries that waited, and the seconds until they had arrived."""

    backlog: int
    seconds: float


def measure(bench: Bench) -> Run:
    """Publish while every configuration is paused; then let them go on."""
    with serving(bench) as made:
        made.publish(seconds=bench.size.warm)
        made.pause(True)
        before = made.expected
        made.fill(calls=-(-bench.size.backlog // BATCH), **BATCHED)
        backlog = made.expected - before
        began = time.monotonic()
        made.pause(False)
        made.arrived()
        told = made.sink.ask(Tell(), Told)
    return run_of(figures(Found(backlog, told.last - began)), made)


def figures(found: Found) -> Sequence[Measured]:
    """What is told."""
    return [
        Measured(Figure.BACKLOG, found.backlog),
        Measured(Figure.DRAIN, found.seconds),
        Measured(Figure.DRAINED, found.backlog / found.seconds),
    ]
