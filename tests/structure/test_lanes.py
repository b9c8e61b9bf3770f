"""The tests are laid out as the rooms are."""

from __future__ import annotations

from pathlib import Path

import pytest

import heliograph

SOURCE = Path(heliograph.__file__).parent
TESTS = Path(__file__).parents[1]
GROUND = "ground"
"""Stands in the tests for the modules that lie in no room."""


@pytest.mark.parametrize("lane", ["unit", "service"])
def test_each_folder_of_a_lane_is_a_room_and_a_package(lane: str) -> None:
    folders = {file.parent.relative_to(TESTS / lane) for file in (TESTS / lane).rglob("*.py")}
    assert len(folders) > 5
    for folder in folders - {Path(GROUND)}:
        assert (SOURCE / folder / "__init__.py").exists(), f"{lane}/{folder} is no room"
    for folder in folders:
        assert (TESTS / lane / folder / "__init__.py").exists(), f"{lane}/{folder} is no package"
