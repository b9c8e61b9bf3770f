"""Runs scenarios, each as often as is wanted, and reports what they come to."""

from __future__ import annotations

import importlib
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime

import heliograph
from heliograph.bench import host
from heliograph.bench.options import shown
from heliograph.bench.report import Report, Result, Run
from heliograph.bench.rig import Bench


def run(
    bench: Bench, scenarios: Sequence[str], repeat: int, tell: Callable[[Result], None]
) -> Report:
    """Every scenario by name; `tell` gets each result when all of its runs are over."""
    facts = _facts(bench)
    results = []
    for name in scenarios:
        measure: Callable[[Bench], Run] = importlib.import_module(
            f"{__package__}.scenarios.{name}"
        ).measure
        runs = []
        for number in range(1, repeat + 1):
            what = name if repeat == 1 else f"{name}, run {number} of {repeat}"
            bench.say(what)
            runs.append(measure(replace(bench, say=_saying(bench, what))))
        results.append(Result(name, runs))
        tell(results[-1])
    return Report(facts, results)


def _saying(bench: Bench, what: str) -> Callable[[str], None]:
    """What a scenario says stands behind its own name."""
    return lambda text: bench.say(f"{what}: {text}" if text else what)


def _facts(bench: Bench) -> Mapping[str, str]:
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        **host.facts(),
        "Heliograph": f"{heliograph.__version__}, Python {platform.python_version()}",
        "database": bench.engine.name,
        "durability": "; ".join(
            f"{check.name}: {check.found}" for check in bench.engine.checks() if check.found
        ),
        "options of serve": shown(bench.options) or "none: the defaults",
        "sizes": ", ".join(f"{name} {value}" for name, value in asdict(bench.size).items()),
    }
