"""Where the processor time of an event goes: each stage alone, and the whole server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from heliograph.bench import host, throughput
from heliograph.bench.listeners import Listeners
from heliograph.bench.names import Figure
from heliograph.bench.orders import Called, Stage, Staged
from heliograph.bench.processes import Child
from heliograph.bench.report import Measured, Run
from heliograph.bench.rig import Bench, Rig, rig, run_of, serving

_STAGES: Final = {
    "parse": Figure.STAGE_PARSE,
    "match": Figure.STAGE_MATCH,
    "accept": Figure.STAGE_ACCEPT,
    "settle": Figure.STAGE_SETTLE,
    "compose": Figure.STAGE_COMPOSE,
    "post": Figure.STAGE_POST,
}
"""In the order in which an event goes through them; `stages.Stages` has each by its name."""


@dataclass(frozen=True, slots=True)
class Found:
    """Seconds of processors by name, of the process itself and of its database, and of how many
    events or calls."""

    events: int
    stages: Mapping[Figure, tuple[float, float]]
    calls: Mapping[Figure, tuple[float, float, int]]


def measure(bench: Bench) -> Run:
    """The stages without a server, calls that deliver nothing, and full load."""
    events = bench.size.staged
    with rig(bench) as made:
        with made.serving():
            pass  # the account and its configurations are there
        with made.inside() as inside:
            stages = {
                figure: _stage(made, inside, name, events) for name, figure in _STAGES.items()
            }
        made.expected += events
    with serving(bench, Listeners(0)) as idle:
        calls = _calls(bench, idle)
    with serving(bench) as whole:
        seen = throughput.load(bench, whole).seen
        used = seen.used.processor
        calls[Figure.STAGE_WHOLE] = (used["server"], used.get("database", 0.0), seen.published)
    return run_of(figures(Found(events, stages, calls)), made, idle, whole)


def figures(found: Found) -> Sequence[Measured]:
    """What is told."""
    each = {
        **{figure: (*used, found.events) for figure, used in found.stages.items()},
        Figure.STAGE_SUM: (
            *(sum(used[at] for used in found.stages.values()) for at in (0, 1)),
            found.events,
        ),
        **found.calls,
    }
    with_database = any(database for _, database, _ in each.values())
    measured = []
    for figure, (own, database, number) in each.items():
        measured.append(Measured(figure, own * 1e6 / number, "server"))
        if with_database:
            measured.append(Measured(figure, database * 1e6 / number, "database"))
    return measured


def _stage(made: Rig, inside: Child, name: str, events: int) -> tuple[float, float]:
    before = _database(made)
    own = inside.ask(Stage(name, events), Staged).processor
    return own, _database(made) - before


def _database(made: Rig) -> float:
    return 0.0 if made.place.database is None else host.processor_seconds(made.place.database)


def _calls(bench: Bench, made: Rig) -> dict[Figure, tuple[float, float, int]]:
    """Each kind of call that delivers nothing, at full load."""
    kinds: Mapping[Figure, Callable[[], Called]] = {
        Figure.STAGE_HEALTHZ: lambda: made.call("/healthz", seconds=bench.size.alone),
        Figure.STAGE_LISTING: lambda: made.call(made.connect, seconds=bench.size.alone),
        Figure.STAGE_UNWANTED: lambda: made.fill(seconds=bench.size.alone),
    }
    found = {}
    for figure, call in kinds.items():
        with made.watching() as used:
            called = call()
        server, database = used.processor["server"], used.processor.get("database", 0.0)
        found[figure] = (server, database, max(1, called.calls))
    return found
