"""The rows of `rows/`, read and checked, and the page that is made of them."""

from __future__ import annotations

import re
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

ROWS: Final = Path(__file__).parent / "rows"
PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "differences.md"
SAME: Final = "same"

_ID: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class Evidence(StrEnum):
    """How it is known what DocuSign does."""

    DOCS = "docs"
    RECORDED = "recorded"
    THIRD_PARTY = "third party"
    SDK = "sdk"
    CHOSEN = "chosen"


MEANING: Final = {
    Evidence.DOCS: "DocuSign's pages or OpenAPI documents say it",
    Evidence.RECORDED: "messages and answers of DocuSign that others recorded in public show it",
    Evidence.THIRD_PARTY: "others who use DocuSign say it",
    Evidence.SDK: "DocuSign's SDKs or example programs do it",
    Evidence.CHOSEN: "nobody says it, or they disagree: chosen",
}


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that DocuSign does, or, where nobody says, that was chosen.

    `docusign` and `relaxed` say how Heliograph does it under each `--fidelity`: `same`, or the
    difference. `shown_by` names a test that was there before the row.
    """

    id: str
    what: str
    right: str
    evidence: Evidence
    docusign: str
    relaxed: str
    shown_by: str = ""

    @property
    def test(self) -> str:
        """How the name of a test that shows it begins."""
        return self.shown_by or f"test_fidelity_{self.id.replace('-', '_')}"

    @property
    def differs(self) -> bool:
        return not self.docusign == self.relaxed == SAME


class Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of rows."""

    row: list[Row]
    title: str = ""


def read(folder: Path = ROWS) -> dict[str, list[Row]]:
    """The rows of each subject, by its title. ValueError for a row that cannot be right."""
    subjects: dict[str, list[Row]] = {}
    seen: set[str] = set()
    for file in sorted(folder.glob("*.toml")):
        subject = msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), Subject)
        for row in subject.row:
            _check(row, seen)
        subjects[subject.title or file.stem.replace("-", " ").capitalize()] = subject.row
    return subjects


def _check(row: Row, seen: set[str]) -> None:
    if not _ID.fullmatch(row.id):
        raise ValueError(f"{row.id!r} is not an id in kebab case")
    if row.id in seen:
        raise ValueError(f"{row.id} stands twice")
    seen.add(row.id)
    for text in (row.what, row.right, row.docusign, row.relaxed):
        if not text.strip() or "\n" in text or "|" in text:
            raise ValueError(f"{row.id}: {text!r} is not a cell of a table")


def page(subjects: dict[str, list[Row]]) -> str:
    """The text of docs/reference/differences.md."""
    differing = {title: [row for row in rows if row.differs] for title, rows in subjects.items()}
    chosen = [
        row
        for rows in subjects.values()
        for row in rows
        if row.evidence is Evidence.CHOSEN and not row.differs
    ]
    lines = [_HEAD, "| evidence | what it means |", "|---|---|"]
    lines += [f"| {evidence} | {meaning} |" for evidence, meaning in MEANING.items()]
    for title, rows in differing.items():
        if rows:
            lines += ["", f"## {title}", ""]
            lines += ["| what | DocuSign | evidence | `docusign` | `relaxed` |"]
            lines += ["|---|---|---|---|---|", *map(_difference, rows)]
    lines += ["", _TAIL, "", "| what | as it is here |", "|---|---|"]
    lines += [f"| {row.what} | {row.right} |" for row in chosen]
    return "\n".join(lines) + "\n"


def _difference(row: Row) -> str:
    relaxed = "likewise" if row.relaxed == row.docusign else row.relaxed
    return f"| {row.what} | {row.right} | {row.evidence} | {row.docusign} | {relaxed} |"


_HEAD: Final = """\
# What differs from DocuSign

Heliograph does as DocuSign Connect does, but for what stands here. Each line is of a list of what
was found in public of DocuSign, and tests hold the list against the server (`tests/fidelity/rows`):
how Heliograph does it under each [`--fidelity`](settings.md), where `same` is as on DocuSign. What
is the same under both is not here. Operations, parameters and fields that DocuSign does not have
are marked as extensions in the [reference](operations/README.md) and `x-heliograph` in the
[OpenAPI document](api.md#the-openapi-document), error codes of ours in [errors](errors.md).
"""

_TAIL: Final = """\
## Chosen where DocuSign says nothing

What may be otherwise there, since nothing public says so;
[decision 4](../decisions/0004-defaults-where-docusign-is-silent.md) has the reasons of some."""
