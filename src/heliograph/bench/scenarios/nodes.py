"""How one PostgreSQL's installation grows with its nodes, the publishers spread over them."""

from __future__ import annotations

from heliograph.bench import throughput
from heliograph.bench.report import Measured, Run
from heliograph.bench.rig import Bench, Rig, run_of, serving


def measure(bench: Bench) -> Run:
    """A new installation for each number of nodes."""
    measured: list[Measured] = []
    rigs: list[Rig] = []
    for number in bench.size.nodes:
        with serving(bench, nodes=number) as made:
            found = throughput.load(bench, made)
        rigs.append(made)
        measured += throughput.figures(found, f"{number} node{'' if number == 1 else 's'}")
    return run_of(measured, *rigs)
