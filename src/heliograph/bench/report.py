"""What a bench tells: medians of figures, as tables, Markdown and JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any, Final

from heliograph.bench.names import SCENARIOS, Figure

_MOST_COLUMNS: Final = 4


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure of one run; `at` says under which of several circumstances."""

    figure: Figure
    value: float
    at: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a scenario: its figures, and what came of the deliveries it was answered 202 for.

    `lost` did not arrive, `repeated` came more than once. `refused` counts events that were
    answered otherwise, by status (0: not at all): who publishes them again loses nothing.
    """

    measured: Sequence[Measured]
    lost: int = 0
    repeated: int = 0
    refused: Mapping[int, int] = field(default_factory=dict)

    @property
    def well(self) -> bool:
        """Whether every delivery that was answered for arrived once."""
        return not (self.lost or self.repeated)


@dataclass(frozen=True, slots=True)
class Result:
    """All runs of a scenario."""

    scenario: str
    runs: Sequence[Run]

    @property
    def well(self) -> bool:
        """Whether all runs were."""
        return all(run.well for run in self.runs)

    @property
    def values(self) -> Mapping[tuple[Figure, str], Sequence[float]]:
        """The values of each figure, one a run, in the order in which they were measured."""
        found: dict[tuple[Figure, str], list[float]] = {}
        for run in self.runs:
            for one in run.measured:
                found.setdefault((one.figure, one.at), []).append(one.value)
        return found

    @property
    def counted(self) -> Mapping[str, int]:
        """What was lost, repeated and refused in all runs."""
        return {
            "lost": sum(run.lost for run in self.runs),
            "repeated": sum(run.repeated for run in self.runs),
            "refused": sum(sum(run.refused.values()) for run in self.runs),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """Everything: the circumstances, by name, and the results."""

    facts: Mapping[str, str]
    results: Sequence[Result]

    @property
    def well(self) -> bool:
        """Whether nothing was lost or repeated."""
        return all(result.well for result in self.results)


def percentile(values: Sequence[float], of_hundred: int) -> float:
    """The value that so many in a hundred stay below, or 0 where there is none."""
    if len(values) < 2:
        return values[0] if values else 0.0
    return quantiles(values, n=100, method="inclusive")[of_hundred - 1]


def percentiles(
    middle: Figure, most: Figure, values: Sequence[float], at: str = ""
) -> Sequence[Measured]:
    """What half of the values, and 99 in a hundred, stay below."""
    return [
        Measured(middle, percentile(values, 50), at),
        Measured(most, percentile(values, 99), at),
    ]


def shown(value: float, unit: str = "") -> str:
    """A value with three digits that count, and its unit."""
    size = abs(value)
    places = 0 if size >= 100 or value == int(value) else 1 if size >= 10 else 2 if size >= 1 else 3
    gap = "" if unit.startswith("/") or not unit else " "
    return f"{value:,.{places}f}{gap}{unit}"


Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""The heads of columns, and rows of as many cells."""


def tables(result: Result) -> Sequence[Table]:
    """What was measured once a run, and then what was measured under several circumstances.

    Circumstances are columns, or rows where there are many.
    """
    medians = {place: median(values) for place, values in result.values.items()}
    told = [
        (
            ["figure", "value"],
            [
                [figure.title, shown(value, figure.unit)]
                for (figure, at), value in medians.items()
                if not at
            ],
        )
    ]
    ats = list(dict.fromkeys(at for _, at in medians if at))
    figures = list(dict.fromkeys(figure for figure, at in medians if at))
    cells = {(figure, at): shown(value, figure.unit) for (figure, at), value in medians.items()}
    if len(ats) <= _MOST_COLUMNS:
        rows = [[figure.title, *(cells.get((figure, at), "") for at in ats)] for figure in figures]
        told.append((["figure", *ats], rows))
    else:
        rows = [[at, *(cells.get((figure, at), "") for figure in figures)] for at in ats]
        told.append((["", *(figure.title for figure in figures)], rows))
    return [table for table in told if table[1]]


def counts(result: Result) -> str:
    """What became of the deliveries, in a sentence."""
    told = ", ".join(f"{number:,} {name}" for name, number in result.counted.items())
    statuses = sorted({status for run in result.runs for status in run.refused})
    if statuses:
        told += f" ({', '.join(map(str, statuses))})"
    return f"{told}, in {len(result.runs)} {'run' if len(result.runs) == 1 else 'runs'}"


def markdown(report: Report) -> str:
    """The report as a page."""
    lines = [
        "# Measured",
        "",
        "Made by `heliograph bench`. Medians, where there are several runs.",
        "",
    ]
    lines += ["| circumstance | |", "|---|---|"]
    lines += [f"| {name} | {_cell(fact)} |" for name, fact in report.facts.items()]
    for result in report.results:
        lines += [
            "",
            f"## {result.scenario}",
            "",
            f"{_sentence(result.scenario)}: {counts(result)}.",
        ]
        for heads, rows in tables(result):
            lines += ["", _line(heads), "|---|" + "--:|" * (len(heads) - 1)]
            lines += [_line(row) for row in rows]
    return "\n".join(lines) + "\n"


def document(report: Report) -> dict[str, Any]:
    """The report for programs."""
    return {
        "well": report.well,
        "facts": dict(report.facts),
        "scenarios": [
            {
                "name": result.scenario,
                **result.counted,
                "figures": [
                    {
                        "name": figure.name.lower(),
                        "title": figure.title,
                        "unit": figure.unit,
                        "at": at,
                        "median": median(values),
                        "runs": list(values),
                    }
                    for (figure, at), values in result.values.items()
                ],
            }
            for result in report.results
        ],
    }


def _sentence(scenario: str) -> str:
    about = SCENARIOS[scenario]
    return about[:1].upper() + about[1:]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
