"""S16: no floor of a declared dependency admits a version with a hole that is known."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Any, Final

import pytest

_HERE: Final = Path(__file__)
_PROJECT: Final = tomllib.loads((_HERE.parents[2] / "pyproject.toml").read_text())
_ADVISORIES: Final = tomllib.loads(_HERE.with_name("advisories.toml").read_text())
_REQUIREMENT: Final = re.compile(r"([a-z0-9-]+)(?:\[[a-z,]+\])?(.*)")


def _version(text: str) -> tuple[int, ...]:
    """A version of numbers and dots alone, zeros at its end left out: 3.14 is 3.14.0."""
    parts = [int(part) for part in text.split(".")]
    while parts and not parts[-1]:
        parts.pop()
    return tuple(parts)


def _declared() -> dict[str, dict[str, str]]:
    """Of each dependency of the wheel: its bounds by their sign."""
    extras = _PROJECT["project"]["optional-dependencies"].values()
    found = {}
    for text in (*_PROJECT["project"]["dependencies"], *(one for extra in extras for one in extra)):
        name, bounds = _REQUIREMENT.fullmatch(text).groups()  # type: ignore[union-attr]
        found[name] = dict(re.findall(r"(>=|<)([0-9.]+)", bounds))
    return found


DECLARED: Final = _declared()
PINNED: Final = dict(
    pin.split("==") for pin in _PROJECT["tool"]["uv"]["constraint-dependencies"] if "==" in pin
)
HOLES: Final[dict[str, dict[str, str]]] = {
    name: holes for name, holes in _ADVISORIES.items() if isinstance(holes, dict)
}


def _first_sound(name: str) -> str:
    return max(HOLES[name].values(), key=_version)


def test_s16_every_declared_dependency_was_looked_up() -> None:
    looked: Any = _ADVISORIES["looked"]
    assert isinstance(looked, date)
    assert DECLARED.keys() == HOLES.keys() | set(_ADVISORIES["none_known"])
    assert not HOLES.keys() & set(_ADVISORIES["none_known"])


@pytest.mark.parametrize("name", sorted(DECLARED))
def test_s16_a_floor_is_without_known_holes_and_what_is_tested_fits(name: str) -> None:
    bounds, pinned = DECLARED[name], _version(PINNED[name])
    assert ">=" in bounds, f"{name} has no floor"
    if name in HOLES:
        assert _version(bounds[">="]) >= _version(_first_sound(name)), _first_sound(name)
    assert _version(bounds[">="]) <= pinned
    assert "<" not in bounds or pinned < _version(bounds["<"])


def test_versions_are_compared_by_their_numbers() -> None:
    assert _version("3.14.0") == _version("3.14") < _version("3.14.3") < _version("3.100")
