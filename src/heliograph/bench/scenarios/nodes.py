"""How one PostgreSQL's installation grows with its nodes, the publishers spread over them."""

from __future__ import annotations

from typing import Final

from heliograph.bench import throughput
from heliograph.bench.report import Measured, Run
from heliograph.bench.rig import Bench, Rig, run_of, serving

_ALONE: Final = ("--processes", "1")
"""A node is one process here, whatever the machine has."""


def measure(bench: Bench) -> Run:
    """A new installation for each number of nodes."""
    measured: list[Measured] = []
    rigs: list[Rig] = []
    for number in bench.size.nodes:
        bench.say(at := f"{number} node{'' if number == 1 else 's'}")
        with serving(bench, None, *_ALONE, nodes=number) as made:
            found = throughput.load(bench, made)
        rigs.append(made)
        measured += throughput.figures(found, at)
    return run_of(measured, *rigs)
