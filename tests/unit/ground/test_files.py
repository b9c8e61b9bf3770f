"""Files that appear whole or not at all, and what is left of runs that were killed."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from heliograph import files

DEAD = "unfinished-0123456789abcdef"


def dead_room(path: Path) -> Path:
    """What a process that was killed leaves."""
    folder = path.with_name(f"{path.name}.{DEAD}")
    folder.mkdir()
    (folder / path.name).write_bytes(b"half")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_whole_with_its_mode_and_nothing_else_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a"
    dead_room(path)
    files.write(path, b"first")
    files.write(path, b"second", 0o644)
    assert path.read_bytes() == b"second"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert names(tmp_path) == ["a"]


def test_what_fails_leaves_the_old_file_and_names_the_place(tmp_path: Path) -> None:
    path = tmp_path / "a"
    files.write(path, b"old")

    def fail() -> None:
        with files.room(path) as room, room.new("a") as file:
            file.write(b"new")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space") as raised:
        fail()
    assert raised.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]
    with pytest.raises(FileNotFoundError) as missing:
        files.write(tmp_path / "none" / "a", b"")
    assert missing.value.filename == str(tmp_path / "none" / "a")


def test_a_new_file_replaces_nothing_also_beside_a_dead_room(tmp_path: Path) -> None:
    path = tmp_path / "a"
    files.write_new(path, b"first")
    os.link(path, dead_room(path) / "again")
    with pytest.raises(FileExistsError):
        files.write_new(path, b"second")
    assert path.read_bytes() == b"first"


def test_only_what_a_killed_run_placed_is_placed_again(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "a", tmp_path / "b"
    room = dead_room(ours)
    os.link(room / "a", ours)
    theirs.write_bytes(b"theirs")
    with files.room(ours, again=True) as made:
        assert made.placed_before == {"a"}
        for name in ("a", "b"):
            with made.new(name) as file:
                file.write(b"whole")
        made.place("a")
        with pytest.raises(FileExistsError):
            made.place("b")
    assert (ours.read_bytes(), theirs.read_bytes()) == (b"whole", b"theirs")
    assert names(tmp_path) == ["a", "b"]


def test_names_are_taken_back_when_what_follows_fails(tmp_path: Path) -> None:
    path = tmp_path / "a"

    def fail() -> None:
        with files.room(path, again=True) as room:
            with room.new("a") as file:
                file.write(b"whole")
            room.place("a")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert names(tmp_path) == []


def test_a_room_whose_process_lives_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with files.room(path) as live:
        (live.folder / "a").write_bytes(b"in the making")
        files.write(path, b"other")
        files.clear(tmp_path)
        assert not files.left(path)
        assert files.cut_short(path)
        assert names(live.folder) == ["a"]
    assert names(tmp_path) == ["a"]


def test_a_killed_run_is_finished_where_everything_has_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a"
    room = dead_room(path)
    assert files.left(path)
    assert files.cut_short(path)
    os.link(room / "a", path)
    assert not files.cut_short(path)
    assert names(tmp_path) == ["a"]


def test_what_is_cleared_is_ours(tmp_path: Path) -> None:
    dead_room(tmp_path / "a")
    for name in ("a.unfinished", "a.unfinished-notes", "b"):
        (tmp_path / name).mkdir()
    files.clear(tmp_path)
    assert names(tmp_path) == ["a.unfinished", "a.unfinished-notes", "b"]
