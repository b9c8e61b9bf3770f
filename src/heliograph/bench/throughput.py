"""Full load: what `single`, `batch` and `fanout` measure and tell alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from heliograph.bench.listeners import Listeners
from heliograph.bench.names import MEMORY, PROCESSOR, Figure
from heliograph.bench.report import Measured, Run, percentile
from heliograph.bench.rig import BATCHED, Bench, Rig, Seen, run_of, serving


@dataclass(frozen=True, slots=True)
class Found:
    """What was seen at full load, and the memory that processes had at its end."""

    seen: Seen
    memory: Mapping[str, float]


def measure(bench: Bench, listeners: Listeners, *, batched: bool = False) -> Run:
    """Every connection publishes one call after the other."""
    with serving(bench, listeners) as made:
        found = load(bench, made, batched=batched)
    return run_of(figures(found), made)


def load(bench: Bench, made: Rig, *, batched: bool = False) -> Found:
    """Full load on what is running, after it was warm."""
    made.warm(bench.size.warm)
    seen = made.publish(seconds=bench.size.seconds, **(BATCHED if batched else {}))
    return Found(seen, made.memory())


def figures(found: Found, at: str = "") -> Sequence[Measured]:
    """What is told."""
    seen, called, told = found.seen, found.seen.called, found.seen.told
    milliseconds = [second * 1000 for second in called.took]
    lasted = called.ended - called.began
    events = max(1, seen.published)
    product = sum(seen.used.processor.get(name, 0.0) for name in ("server", "database"))
    return [
        Measured(figure, value, at)
        for figure, value in (
            (Figure.ACCEPTED, seen.published / lasted),
            (Figure.ACCEPT_P50, percentile(milliseconds, 50)),
            (Figure.ACCEPT_P99, percentile(milliseconds, 99)),
            (Figure.DELIVERED, told.arrived / max(1e-9, told.last - called.began)),
            (Figure.DELIVERED_MEANWHILE, told.meanwhile / lasted),
            (Figure.CPU_PRODUCT, product * 1000 / events),
            *(
                (PROCESSOR[name], used * 1000 / events)
                for name, used in seen.used.processor.items()
            ),
            (Figure.CORES, sum(seen.used.processor.values()) / seen.used.seconds),
            (Figure.CORES_OTHERS, seen.used.others / seen.used.seconds),
            *((MEMORY[name], size) for name, size in found.memory.items()),
        )
    ]
