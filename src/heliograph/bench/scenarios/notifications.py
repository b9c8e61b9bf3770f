"""How publishing grows with envelopes that have listeners of their own (eventNotification)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from heliograph.bench import events, throughput
from heliograph.bench.names import Figure
from heliograph.bench.report import Measured, Run, percentile
from heliograph.bench.rig import BATCHED, Bench, Rig, Seen, run_of, serving

_NOBODY: Final = "nobody"
"""Whose events go to nobody but the listener that they bring."""

_READINGS: Final = 10
"""Times the calls that are listed elsewhere: processor time comes in steps of 10 ms."""


@dataclass(frozen=True, slots=True)
class Found:
    """Full load of plain events, and events one at a time that each bring a new notification."""

    load: throughput.Found
    new: Seen


def measure(bench: Bench) -> Run:
    """One installation, whose notifications grow from one number to the next."""
    measured: list[Measured] = []
    stored = 0
    with serving(bench) as made:
        notify = _notifying(made)
        for number in bench.size.notifications:
            bench.say(f"{number:,} notifications")
            if stored < number:
                calls = -(-(number - stored) // BATCHED["size"])
                made.fill(templates=notify, deliveries=1, calls=calls, **BATCHED)
                stored += calls * BATCHED["size"]
            made.arrived()
            load = throughput.load(bench, made)
            readings = bench.size.listed * _READINGS
            new = made.publish(templates=notify, deliveries=1, calls=readings, connections=1)
            stored += readings
            measured += figures(Found(load, new), f"{number:,}")
    return run_of(measured, made)


def figures(found: Found, at: str) -> Sequence[Measured]:
    """What is told."""
    milliseconds = [second * 1000 for second in found.new.called.took]
    product = found.new.used.product * 1000 / max(1, found.new.published)
    return [
        *throughput.figures(found.load, at),
        Measured(Figure.NEW_P50, percentile(milliseconds, 50), at),
        Measured(Figure.NEW_CPU, product, at),
    ]


def _notifying(made: Rig) -> Sequence[Sequence[str]]:
    """Events that each bring a listener's URL of its own: the event's number is its path."""
    return [events.template(_NOBODY, notify=f"http://127.0.0.1:{made.port}/")]
