"""What differs from DocuSign is one list: each row has a test, and the page says what they say."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import msgspec
import pytest

from heliograph.settings import Settings
from tests.fidelity import table

TESTS = Path(__file__).parents[1]
DOCS = TESTS.parent / "docs"
SUBJECTS = table.read()
ROWS = [row for rows in SUBJECTS.values() for row in rows]
NAMES = [
    name
    for file in sorted(TESTS.rglob("test_*.py"))
    for name in re.findall(r"def (test_\w+)\(", file.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_each_row_has_a_test_that_is_named_after_it(row: table.Row) -> None:
    assert any(name == row.test or name.startswith(row.test + "_") for name in NAMES), row.test


def test_each_test_of_a_row_names_one_that_is_there() -> None:
    known = {row.test for row in ROWS}
    for name in NAMES:
        if name.startswith("test_fidelity_"):
            assert any(name == test or name.startswith(test + "_") for test in known), name


def test_the_page_is_what_the_rows_say() -> None:
    said = table.page(SUBJECTS)
    assert table.PAGE.read_text(encoding="utf-8") == said, "uv run python -m tests.fidelity"


def test_each_option_that_the_page_names_is_a_setting() -> None:
    known = {setting.name.replace("_", "-") for setting in fields(Settings)}
    named = set(re.findall(r"`--([a-z-]+)", table.PAGE.read_text(encoding="utf-8")))
    assert named - known == set()
    assert len(named) > 5


def test_a_difference_is_a_line_of_the_page_and_a_choice_too() -> None:
    rows = [
        table.Row("a", "A is there", "yes", table.Evidence.DOCS, "no", "same"),
        table.Row("b", "B is there", "yes", table.Evidence.DOCS, "same", "same"),
        table.Row("c", "C is there", "yes", table.Evidence.CHOSEN, "same", "same"),
        table.Row("d", "D is there", "yes", table.Evidence.RECORDED, "no", "no"),
    ]
    said = table.page({"Things": rows})
    assert "| A is there | yes | docs | no | same |" in said
    assert "B is there" not in said
    assert "| C is there | yes |\n" in said
    assert "| D is there | yes | recorded | no | likewise |" in said


@pytest.mark.parametrize(
    "wrong",
    [
        'id = "Not Kebab"',
        'id = "x"\nevidence = "hearsay"',
        'id = "x"\nright = "a | b"',
        'id = "x"\nelse = "?"',
        'id = "twice"\n[[row]]\nid = "twice"',
    ],
)
def test_a_row_that_cannot_be_right_is_refused(wrong: str, tmp_path: Path) -> None:
    given = {"what": "W", "right": "R", "evidence": "docs", "docusign": "same", "relaxed": "same"}
    texts = [
        text + "".join(f'\n{key} = "{value}"' for key, value in given.items() if key not in text)
        for text in wrong.split("\n[[row]]\n")
    ]
    (tmp_path / "x.toml").write_text("".join(f"[[row]]\n{text}\n" for text in texts))
    with pytest.raises((msgspec.ValidationError, ValueError)):
        table.read(tmp_path)


SAYS_A_DIFFERENCE = re.compile(
    r"where DocuSign|DocuSign has no such|unlike DocuSign|[Ww]hat differs"
)


@pytest.mark.parametrize(
    "page",
    sorted([*DOCS.glob("reference/*.md"), *DOCS.glob("how-to/*.md")]),
    ids=lambda page: page.stem,
)
def test_a_page_that_tells_of_a_difference_leads_to_all_of_them(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if page != table.PAGE and SAYS_A_DIFFERENCE.search(text):
        assert "differences.md" in text
