"""How publishing grows with the account's configurations."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from heliograph.bench import throughput
from heliograph.bench.listeners import Listeners
from heliograph.bench.names import Figure
from heliograph.bench.orders import Called
from heliograph.bench.report import Measured, Run
from heliograph.bench.rig import Bench, Rig, run_of, serving


@dataclass(frozen=True, slots=True)
class Found:
    """What was seen at full load, one publish at a time, and of calls about configurations."""

    load: throughput.Found
    one: Called
    listed: Called
    update: float
    after: Called


def measure(bench: Bench) -> Run:
    """A new installation for each number of configurations."""
    measured: list[Measured] = []
    rigs: list[Rig] = []
    for number in bench.size.configurations:
        bench.say(f"{number:,} configurations")
        with serving(bench, Listeners(number)) as made:
            load = throughput.load(bench, made)
            one = made.publish(calls=bench.size.listed, connections=1).called
            listed = made.call(made.connect, calls=1, connections=1)
            update = _update(made)
            after = made.publish(calls=1, connections=1).called
        rigs.append(made)
        measured += figures(Found(load, one, listed, update, after), f"{number:,}")
    return run_of(measured, *rigs)


def figures(found: Found, at: str) -> Sequence[Measured]:
    """What is told."""
    return [
        *throughput.figures(found.load, at),
        *throughput.one_at_a_time(found.one, at),
        Measured(Figure.ANSWER, found.one.bytes / 1000, at),
        Measured(Figure.LISTING, found.listed.took[0] * 1000, at),
        Measured(Figure.UPDATE, found.update * 1000, at),
        Measured(Figure.AFTER_UPDATE, found.after.took[0] * 1000, at),
    ]


def _update(made: Rig) -> float:
    """The seconds that an update of the last configuration takes."""
    last = made.ask("GET", "")["configurations"][-1]["connectId"]
    began = time.perf_counter()
    made.ask("PUT", "", {"connectId": last, "name": "renamed"})
    return time.perf_counter() - began
