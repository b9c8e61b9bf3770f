"""What comes from npm is what was published, each with its licence, and in the wheel's list."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.console import vendor


@pytest.mark.parametrize("listed", vendor.LISTS, ids=["served", "tests"])
def test_files_of_others_are_those_that_were_published_and_no_more(listed: Path) -> None:
    assert list(vendor.problems(listed)) == []


def test_licences_of_what_is_served_are_in_the_wheel() -> None:
    project = tomllib.loads((vendor.ROOT / "pyproject.toml").read_text())["project"]
    wanted = {
        file.relative_to(vendor.ROOT)
        for pattern in project["license-files"]
        for file in vendor.ROOT.glob(pattern)
    }
    served = vendor.LISTS[0].parent
    licences = {file.relative_to(vendor.ROOT) for file in served.rglob("LICENSE*")}
    assert len(licences) == len(vendor.packages(vendor.LISTS[0]))
    assert licences <= wanted
