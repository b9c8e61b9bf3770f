"""The figures of the SDKs' generations are of all of them, and Java's page has what they need."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.generations.__main__ import PAGE, row
from tests.generations.catalogue import GENERATIONS, HERE, Generation
from tests.generations.plan import Figures

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("one", GENERATIONS, ids=lambda one: one.name)
def test_each_generation_has_a_line_and_all_its_calls_hold(one: Generation) -> None:
    name = row(Figures(one, missing="x")).split("|")[1].strip()
    (line,) = re.findall(rf"^\| {re.escape(name)} \| .*$", PAGE.read_text(), re.MULTILINE)
    _, _, api, has, made, hold, signs_in, wrong, _ = line.split("|")
    assert api.strip() == ("v2" if one.v2 else "v2.1")
    assert int(has) == int(made) == int(hold) > 10
    assert (signs_in.strip(), wrong.strip()) == ("yes", "")


def test_javas_page_names_the_dependencies_that_the_generations_are_tried_with() -> None:
    def named(text: str) -> set[tuple[str, ...]]:
        parts = ("groupId", "artifactId", "version")
        pattern = r"<dependency>\s*" + r"\s*".join(f"<{part}>([^<]*)</{part}>" for part in parts)
        return set(re.findall(pattern, text))

    page = (ROOT / "docs" / "how-to" / "use-the-java-sdk.md").read_text()
    assert named(page) == named((HERE / "java" / "pom-6.4.0.xml").read_text())
    assert len(named(page)) > 10
