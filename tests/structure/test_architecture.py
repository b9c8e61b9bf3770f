"""docs/architecture.md and docs/sources.md say what is so."""

from __future__ import annotations

import re
from configparser import ConfigParser
from itertools import pairwise
from pathlib import Path

from heliograph.model.deliveries import LEGAL_MOVES

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "heliograph"
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOMS_DRAWING, STATES_DRAWING = re.findall(r"```mermaid\n(.*?)```", ARCHITECTURE, re.DOTALL)


def rooms_by_floor() -> list[set[str]]:
    """The rooms as import-linter has them, the top floor first."""
    linter = ConfigParser()
    linter.read(ROOT / ".importlinter")
    floors = linter["importlinter:contract:rooms"]["layers"].strip().splitlines()
    return [{room.strip() for room in floor.split("|")} for floor in floors]


def test_r4_the_drawing_of_states_has_the_legal_moves_and_no_other() -> None:
    drawn = set(re.findall(r"^\s*(\w+) --> (\w+)$", STATES_DRAWING, re.MULTILINE))
    assert drawn == {(str(state), str(to)) for state, moves in LEGAL_MOVES.items() for to in moves}
    ends = set(re.findall(r"^\s*(\w+) --> \[\*\]$", STATES_DRAWING, re.MULTILINE))
    assert ends == {str(state) for state, moves in LEGAL_MOVES.items() if not moves}


def test_every_module_has_a_room_and_every_room_is_there() -> None:
    there = {
        path.stem
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    } - {"__init__"}
    assert set().union(*rooms_by_floor()) == there


def test_the_drawing_of_rooms_goes_only_downwards_and_leaves_no_room_out() -> None:
    floor_of = {room: number for number, floor in enumerate(rooms_by_floor()) for room in floor}
    ground = len(rooms_by_floor()) - 1
    drawn: set[str] = set()
    for line in ROOMS_DRAWING.splitlines():
        if "-->" not in line:
            continue
        for upper, lower in pairwise(part.strip() for part in line.split("-->")):
            drawn |= {upper, lower}
            assert floor_of[upper] < floor_of.get(lower, ground), (upper, lower)
    named = re.search(r'ground\["(.*?)"\]', ROOMS_DRAWING)
    assert named is not None
    listed = {*drawn, *re.split(r",\s*", named[1])} - {"ground"}
    assert listed == set(floor_of)


def test_the_story_names_files_that_are_there() -> None:
    named = re.findall(r"`((?:\w+/)+\w*(?:\.py)?|\w+\.py)`", ARCHITECTURE)
    assert len(named) > 40
    for name in named:
        places = [PACKAGE / name, ROOT / name, *PACKAGE.rglob(name), *PACKAGE.glob(f"*/{name}")]
        assert any(place.exists() for place in places), name


def test_every_rfc_that_the_code_cites_is_among_the_sources() -> None:
    sources = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8").partition("## Standards")
    listed = set(re.findall(r"\b\d{4}\b", sources[2]))
    cited = {
        number
        for path in PACKAGE.rglob("*")
        if path.suffix in (".py", ".sql")
        for number in re.findall(r"RFC (\d+)", path.read_text(encoding="utf-8"))
    }
    assert cited == listed
