"""The report: what was run, what came of it, and what could not be run and why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.chaos.bench import Result
from tests.chaos.catalogue import Fault

PASSED, FAILED, SKIPPED = "passed", "FAILED", "not done"
SEEN, UNSEEN = "seen to fail", "NOT SEEN"


@dataclass(frozen=True)
class Line:
    """One fault on one kind of installation."""

    fault: str
    name: str
    kind: str
    holds: str
    control: bool
    seed: int
    seconds: float
    result: Result | None
    why: str = ""

    @classmethod
    def of(
        cls,
        one: Fault,
        kind: str,
        seed: int,
        seconds: float = 0.0,
        result: Result | None = None,
        why: str = "",
    ) -> Line:
        """A line for a fault that was run, or was not for the reason `why`."""
        return cls(one.id, one.name, kind, one.holds, one.control, seed, seconds, result, why)

    @property
    def verdict(self) -> str:
        """In a word. A control is good when its planted defect was seen."""
        if self.result is None:
            return SKIPPED
        if self.control:
            return UNSEEN if self.result.passed else SEEN
        return PASSED if self.result.passed else FAILED

    @property
    def good(self) -> bool:
        return self.verdict not in (FAILED, UNSEEN)

    def document(self) -> dict[str, Any]:
        """For report.json."""
        fields = {name: value for name, value in asdict(self).items() if name != "result"}
        figures = {} if self.result is None else asdict(self.result)
        return {**fields, **figures, "verdict": self.verdict}


def write(folder: Path, lines: Sequence[Line], facts: dict[str, str], selection: str) -> None:
    """Write report.json and report.md into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    document = {
        "date": when,
        "selection": selection,
        "host": facts,
        "results": [line.document() for line in lines],
    }
    _replace(folder / "report.json", json.dumps(document, indent=2) + "\n")
    _replace(folder / "report.md", markdown(lines, facts, selection, when))


def _replace(path: Path, text: str) -> None:
    temporary = path.with_suffix(path.suffix + ".new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def markdown(lines: Sequence[Line], facts: dict[str, str], selection: str, when: str) -> str:
    """The report for people."""
    runs = [line for line in lines if line.result is not None and not line.control]
    controls = [line for line in lines if line.control and line.result is not None]
    skipped = [line for line in lines if line.result is None]
    bad = [line for line in lines if not line.good]
    parts = [
        "# Reliability report",
        "",
        f"Made on {when} by `uv run python -m tests.chaos.command {selection}`; "
        "[how to read it](README.md).",
        "",
        _summary(runs, controls, skipped, bad),
        "",
        "## What was done to the server",
        "",
        "| fault | what was done | installation | cycles | acked | delivered | failed | lost "
        "| duplicates / bound | reordered | recovery, s | seed | verdict |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|",
        *(_row(line) for line in runs),
    ]
    if controls:
        parts += ["", "## Controls", "", "Planted defects, which the checker must see.", ""]
        parts += [
            "| control | defect | installation | verdict | what was seen |",
            "|---|---|---|---|---|",
        ]
        parts += [_control(line) for line in controls]
    if notes := [line for line in runs if line.result and (line.result.notes or not line.good)]:
        parts += ["", "## Notes", ""]
        parts += [
            f"- {line.fault} on {line.kind}: {text}" for line in notes for text in _notes(line)
        ]
    if skipped:
        parts += ["", "## Not done", ""]
        parts += [f"- {line.fault} ({line.name}) on {line.kind}: {line.why}" for line in skipped]
    parts += ["", "## The machine", "", "| | |", "|---|---|"]
    parts += [f"| {name} | {value} |" for name, value in facts.items()]
    parts += ["", "## What must hold", ""]
    about = {line.fault: f"- **{line.fault}** {line.name}: {line.holds}" for line in lines}
    return "\n".join([*parts, *about.values(), ""])


def _summary(
    runs: Sequence[Line], controls: Sequence[Line], skipped: Sequence[Line], bad: Sequence[Line]
) -> str:
    results = [line.result for line in runs if line.result is not None]
    text = (
        f"{len(runs)} runs with {sum(one.cycles for one in results):,} faults: "
        f"{sum(one.acked for one in results):,} events acknowledged, "
        f"{sum(one.lost for one in results)} deliveries lost, "
        f"{sum(one.duplicates for one in results):,} duplicates "
        f"(at most {sum(one.bound for one in results):,} allowed). "
        f"{sum(line.good for line in controls)} of {len(controls)} controls seen to fail, "
        f"{len(skipped)} not done."
    )
    if bad:
        text += f" **{len(bad)} not as promised: {', '.join(one.fault for one in bad)}.**"
    return text


def _row(line: Line) -> str:
    one = line.result
    assert one is not None
    recovery = f"{one.recovery:.1f}" if one.recovery else ""
    return (
        f"| {line.fault} | {line.name} | {line.kind} | {one.cycles} | {one.acked:,} "
        f"| {one.delivered:,} | {one.failed} | {one.lost} | {one.duplicates} / {one.bound} "
        f"| {one.reordered} | {recovery} | {line.seed} | {line.verdict} |"
    )


def _control(line: Line) -> str:
    assert line.result is not None
    seen = "; ".join(line.result.problems)[:160].replace("|", "/")
    word = f"control: {line.verdict}"
    return f"| {line.fault} | {line.name} | {line.kind} | {word} | {seen} |"


def _notes(line: Line) -> list[str]:
    assert line.result is not None
    return [*line.result.notes, *(f"**{text}**" for text in line.result.problems)]
