"""What everybody waits for: a command, and a server until it answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from heliograph.bench.names import Figure
from heliograph.bench.processes import command
from heliograph.bench.report import Measured, Run
from heliograph.bench.rig import Bench, run_of, serving


@dataclass(frozen=True, slots=True)
class Found:
    """Seconds, and MB; `idle` are seconds of the processor in each second with nothing to do."""

    help: float
    ready: float
    idle: float
    memory: float


def measure(bench: Bench) -> Run:
    """Each once, with nothing in the database."""
    told = command("--help")
    with serving(bench) as made:
        ready = made.nodes[0].seconds
        memory = made.memory().get("server", 0.0)
        with made.watching() as used:
            time.sleep(bench.size.alone)
    idle = used.processor["server"] / used.seconds
    return run_of(figures(Found(told, ready, idle, memory)), made)


def figures(found: Found) -> Sequence[Measured]:
    """What is told."""
    return [
        Measured(Figure.HELP, found.help),
        Measured(Figure.READY, found.ready),
        Measured(Figure.IDLE, found.idle * 1000),
        Measured(Figure.MEMORY_SERVER, found.memory),
    ]
