"""Each operation has a section in the reference, with its path, role, parameters and examples."""

from __future__ import annotations

import re

import pytest

from heliograph.model.accounts import Role
from tests.docs import pages
from tests.docs.pages import Page
from tests.docs.reference import INTRODUCTION, OPERATIONS, PAGES

ROLES = {Role.VIEWER: "viewer", Role.ADMINISTRATOR: "administrator"}


def sections() -> dict[str, tuple[Page, str]]:
    """The page of each operation, and its text there."""
    return {
        heading.strip("`"): (page, text)
        for page in PAGES.values()
        for heading, text in page.sections.items()
        if heading[:1] == "`"
    }


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_has_its_path_status_role_parameters_and_an_example(name: str) -> None:
    operation = OPERATIONS[name]
    page, text = sections()[name]
    path = re.sub(r":path(?=})", "", operation.path)
    about = f"`{operation.method} /v2.1{path}` · {operation.status} · {ROLES[operation.role]}"
    assert about + " · extension" * operation.extension in text.splitlines()
    for parameter in (*operation.query, *operation.headers):
        assert f"`{parameter.name}" in text, parameter.name
    examples = {one.language for one in page.blocks if one.operation == name}
    assert "bash" in examples
    assert f"[`{name}`]({page.path.name}#{name})" in INTRODUCTION.path.read_text()


def test_no_section_is_about_an_operation_that_there_is_not() -> None:
    assert sections().keys() - OPERATIONS.keys() == set()


def test_s18_the_page_about_lifetimes_names_what_makes_something_lasting() -> None:
    page = pages.read(pages.DOCS / "reference" / "people.md")
    table = [line for line in page.sections["Lifetimes"].splitlines() if line[:1] == "|"]
    named = set(re.findall(r"`(\w+)`", "\n".join(table)))
    assert named == {name for name, operation in OPERATIONS.items() if operation.lasting}
