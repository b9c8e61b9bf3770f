"""What the failure log answers when there is a lot in it: a page of 100 by each filter, incidents,
and what a republish job of one would be about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from heliograph.bench import events
from heliograph.bench.listeners import Listeners
from heliograph.bench.names import MEMORY, Figure
from heliograph.bench.orders import Called
from heliograph.bench.report import Measured, Run, percentiles
from heliograph.bench.rig import Bench, Rig, rig, run_of

_WANTING: Final = 40
"""Failures of one event: each listener's."""

_COUNT: Final = "count=100"


@dataclass(frozen=True, slots=True)
class Found:
    """Failures that there were, what making them took, and the calls by filter."""

    failures: int
    seconds: float
    calls: Mapping[str, Called]
    memory: Mapping[str, float]


def measure(bench: Bench) -> Run:
    """Failures as attempts leave them, and then one call after the other for each filter."""
    with rig(bench, Listeners(_WANTING, _WANTING)) as made:
        with made.serving():
            pass  # the account and its configurations are there
        bench.say("making failures")
        seeded = made.seed(-(-bench.size.failures // _WANTING), failed=True)
        with made.serving():
            calls = {
                name: made.call(
                    f"{made.connect}/{path}",
                    "POST" if path.startswith("republish_jobs") else "GET",
                    calls=bench.size.listed,
                    connections=1,
                )
                for name, path in _paths(made, bench).items()
            }
            memory = made.memory()
    return run_of(figures(Found(seeded.deliveries, seeded.seconds, calls, memory)), made)


def figures(found: Found) -> Sequence[Measured]:
    """What is told."""
    measured = [
        Measured(Figure.FAILURES, found.failures),
        Measured(Figure.SEEDED, found.failures / found.seconds),
        *(Measured(MEMORY[name], size) for name, size in found.memory.items()),
    ]
    for name, called in found.calls.items():
        milliseconds = [second * 1000 for second in called.took]
        measured += percentiles(Figure.LISTED_P50, Figure.LISTED_P99, milliseconds, name)
    return measured


def _paths(made: Rig, bench: Bench) -> Mapping[str, str]:
    """What is called, by what it is about."""
    of_filters = {
        name: f"failures?{_COUNT}{query}" for name, query in _filters(made, bench).items()
    }
    largest = max(made.ask("GET", "/incidents")["incidents"], key=lambda one: int(one["failures"]))
    incident_id = largest["incidentId"]
    return {
        **of_filters,
        "incidents": "incidents",
        "one incident": f"incidents/{incident_id}",
        "incident_id": f"failures?{_COUNT}&incident_id={incident_id}",
        "cause of most": f"failures?{_COUNT}&cause=status:%20HTTP%20500",
        "phase of 1 in 100": f"failures?{_COUNT}&phase=connect",
        "preview of an incident": f"republish_jobs?incident_id={incident_id}&dry_run=true",
        "preview of 1 in 100": "republish_jobs?phase=connect&dry_run=true",
        "preview of all": "republish_jobs?all=true&dry_run=true",
    }


def _filters(made: Rig, bench: Bench) -> Mapping[str, str]:
    """The queries by what they select."""
    connect_id = made.ask("GET", "")["configurations"][0]["connectId"]
    envelope_id = events.envelope_id(bench.size.failures // _WANTING // 2)
    return {
        "any": "",
        "oldest first": "&order=asc",
        "connect_id": f"&connect_id={connect_id}",
        "envelope_id": f"&envelope_id={envelope_id}",
        "status of 1 in 100": f"&status={events.RARE_STATUS}",
        "error of most": "&error=Internal",
        "error of 1 in 100": "&error=refused",
        "error of none": "&error=nothing%20like%20it",
        "from_date, to_date": "&from_date=2026-01-01T00:00:00Z&to_date=2100-01-01T00:00:00Z",
        "dates of none": "&to_date=2026-01-01T00:00:00Z",
    }
