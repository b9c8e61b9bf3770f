"""Full load: what `single`, `batch` and `fanout` measure and tell alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from heliograph.bench.listeners import Listeners
from heliograph.bench.names import MEMORY, PROCESSOR, Figure
from heliograph.bench.orders import Called, Told
from heliograph.bench.report import Measured, Run, percentile, percentiles
from heliograph.bench.rig import Bench, Rig, Seen, run_of, serving

_SHORTEST: Final = 0.5
"""Seconds of which a rate says something."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was seen at full load, and the memory that processes had at its end."""

    seen: Seen
    memory: Mapping[str, float]


def compared(bench: Bench, listeners: Mapping[str, Listeners], **how: Any) -> Run:
    """Full load on a new installation with each of the listeners; `how` are fields of `Calls`."""
    measured: list[Measured] = []
    rigs: list[Rig] = []
    for at, some in listeners.items():
        bench.say(at)
        with serving(bench, some) as made:
            measured += figures(load(bench, made, **how), at)
        rigs.append(made)
    return run_of(measured, *rigs)


def load(bench: Bench, made: Rig, **how: Any) -> Found:
    """Every connection publishes one call after the other, on what is running, once it is warm."""
    made.publish(**{"seconds": bench.size.warm, **how})
    seen = made.publish(**{"seconds": bench.size.seconds, **how})
    return Found(seen, made.memory())


def figures(found: Found, at: str = "") -> Sequence[Measured]:
    """What is told."""
    seen, called, told = found.seen, found.seen.called, found.seen.told
    milliseconds = [second * 1000 for second in called.took]
    lasted = called.ended - called.began
    events = max(1, seen.published)
    return [
        Measured(figure, value, at)
        for figure, value in (
            (Figure.ACCEPTED, seen.published / lasted),
            (Figure.ACCEPT_P50, percentile(milliseconds, 50)),
            (Figure.ACCEPT_P99, percentile(milliseconds, 99)),
            (Figure.DELIVERED, told.arrived / max(1e-9, told.last - called.began)),
            (Figure.DELIVERED_MEANWHILE, told.meanwhile / lasted),
            *_after(called, told),
            (Figure.CPU_PRODUCT, seen.used.product * 1000 / events),
            *(
                (PROCESSOR[name], used * 1000 / events)
                for name, used in seen.used.processor.items()
            ),
            (Figure.CPU_BUSIEST, seen.used.busiest * 1000 / events),
            (Figure.CORES, sum(seen.used.processor.values()) / seen.used.seconds),
            (Figure.CORES_OTHERS, seen.used.others / seen.used.seconds),
            *((MEMORY[name], size) for name, size in found.memory.items()),
        )
    ]


def _after(called: Called, told: Told) -> Sequence[tuple[Figure, float]]:
    """What is told of deliveries that nothing was published beside, where there were some."""
    seconds = told.last - called.ended
    if seconds < _SHORTEST:
        return []
    return [(Figure.DELIVERED_AFTER, (told.arrived - told.meanwhile) / seconds)]


def one_at_a_time(called: Called, at: str = "") -> Sequence[Measured]:
    """What is told of calls on one connection."""
    milliseconds = [second * 1000 for second in called.took]
    return percentiles(Figure.ONE_P50, Figure.ONE_P99, milliseconds, at)


def arrivals(seen: Seen, at: str = "") -> Sequence[Measured]:
    """What is told of messages of events that came at a rate."""
    return [
        *percentiles(Figure.ARRIVAL_P50, Figure.ARRIVAL_P99, seen.lags, at),
        *percentiles(Figure.JOURNEY_P50, Figure.JOURNEY_P99, seen.journeys, at),
    ]
