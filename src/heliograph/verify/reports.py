"""What a trial came to, for programs, CI and people: JSON, JUnit XML, HTML, a badge. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from lxml import etree

from heliograph.plain import harmless
from heliograph.verify.checks import GROUPS
from heliograph.verify.plays import Outcome, Verdict
from heliograph.wire import dates

_GROUP_OF: Final = {check.name: group for group, checks in GROUPS.items() for check in checks}
_LABEL: Final = "connect listener"
_COLOURS: Final = {True: "#2e7d32", False: "#c62828"}
_LETTER: Final = 6.6
"""Units that a letter of the badge is wide, on the average."""


@dataclass(frozen=True, slots=True)
class Report:
    """A trial: which listener, when (UTC), for how long (s), and the verdicts in order."""

    url: str
    at: datetime
    seconds: float
    verdicts: Sequence[Verdict]

    def of(self, outcome: Outcome) -> Sequence[Verdict]:
        """The verdicts that came to this."""
        return [verdict for verdict in self.verdicts if verdict.outcome is outcome]

    @property
    def well(self) -> bool:
        """Whether something was checked, and nothing failed."""
        return bool(self.of(Outcome.PASSED)) and not self.of(Outcome.FAILED)

    @property
    def score(self) -> str:
        """`41 of 43`: how many of those that were played have passed."""
        passed = len(self.of(Outcome.PASSED))
        return f"{passed} of {passed + len(self.of(Outcome.FAILED))}"


def document(report: Report) -> Mapping[str, Any]:
    """For programs; docs/reference/verify.md names the fields."""
    return {
        "url": report.url,
        "at": dates.render(report.at),
        "seconds": round(report.seconds, 3),
        "well": report.well,
        **{outcome.value: len(report.of(outcome)) for outcome in Outcome},
        "checks": [
            {
                "name": verdict.check.name,
                "group": _GROUP_OF[verdict.check.name],
                "verdict": verdict.check.kind.value,
                "outcome": verdict.outcome.value,
                "said": verdict.said,
                "seconds": round(verdict.seconds, 3),
                "sends": verdict.check.title,
                "why": verdict.check.why,
                "page": verdict.check.page,
            }
            for verdict in report.verdicts
        ],
    }


def junit(report: Report) -> bytes:
    """For CI: a `testsuite` whose cases are the checks."""
    suite = etree.Element(
        "testsuite",
        name=f"heliograph verify {harmless(report.url)}",
        tests=str(len(report.verdicts)),
        failures=str(len(report.of(Outcome.FAILED))),
        errors="0",
        skipped=str(len(report.of(Outcome.SKIPPED))),
        time=f"{report.seconds:.3f}",
        timestamp=dates.render(report.at)[:19],
    )
    for verdict in report.verdicts:
        case = etree.SubElement(
            suite,
            "testcase",
            classname=_GROUP_OF[verdict.check.name],
            name=verdict.check.name,
            time=f"{verdict.seconds:.3f}",
        )
        said = harmless(verdict.said)
        if verdict.outcome is Outcome.FAILED:
            failure = etree.SubElement(case, "failure", message=said, type=verdict.check.kind.value)
            failure.text = (
                f"Sent: {verdict.check.title}.\nWhy: {verdict.check.why}.\n{verdict.check.page}"
            )
        elif verdict.outcome is Outcome.SKIPPED:
            etree.SubElement(case, "skipped", message=said)
    return etree.tostring(suite, xml_declaration=True, encoding="utf-8", pretty_print=True)


def html(report: Report) -> str:
    """For people: a page that needs nothing else."""
    groups = {
        group: [verdict for verdict in report.verdicts if _GROUP_OF[verdict.check.name] == group]
        for group in GROUPS
    }
    shown = {group: verdicts for group, verdicts in groups.items() if verdicts}
    return (
        _pages()
        .get_template("report.html")
        .render(report=report, groups=shown, at=dates.render(report.at)[:19], harmless=harmless)
    )


def badge(report: Report) -> str:
    """A picture for a README: how many of the checks passed."""
    left, right = (round(len(text) * _LETTER + 12) for text in (_LABEL, report.score))
    return (
        _pages()
        .get_template("badge.svg")
        .render(
            label=_LABEL, score=report.score, left=left, right=right, colour=_COLOURS[report.well]
        )
    )


@cache
def _pages() -> Environment:
    return Environment(
        loader=PackageLoader("heliograph.verify"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
