"""How publishing, and the log, grow with what lies in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from heliograph.bench import throughput
from heliograph.bench.names import Figure
from heliograph.bench.orders import Called
from heliograph.bench.report import Measured, Run, percentiles
from heliograph.bench.rig import Bench, rig, run_of

_ROWS: Final = 3
"""Of an event of one listener: itself, its delivery, an attempt."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was seen at full load, one publish at a time, and of pages of the log."""

    load: throughput.Found
    one: Called
    log: Called


def measure(bench: Bench) -> Run:
    """One installation, whose history grows from one size to the next."""
    measured: list[Measured] = []
    events = 0
    with rig(bench) as made:
        with made.serving():
            pass  # the account and its configurations are there
        for rows in bench.size.histories:
            bench.say(f"{rows:,} rows")
            made.seed(rows // _ROWS - events, failed=False)
            events = rows // _ROWS
            with made.serving():
                load = throughput.load(bench, made)
                one = made.publish(calls=bench.size.listed, connections=1).called
                log = made.call(
                    f"{made.connect}/logs?count=100", calls=bench.size.listed, connections=1
                )
            measured += figures(Found(load, one, log), f"{rows:,} rows")
    return run_of(measured, made)


def figures(found: Found, at: str) -> Sequence[Measured]:
    """What is told."""
    milliseconds = [second * 1000 for second in found.log.took]
    return [
        *throughput.figures(found.load, at),
        *throughput.one_at_a_time(found.one, at),
        *percentiles(Figure.LOG_P50, Figure.LOG_P99, milliseconds, at),
    ]
