"""Every command that writes can be run again, wherever it was cut short."""

from __future__ import annotations

import itertools
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from heliograph import files
from heliograph.store.opening import DATABASE
from tests.conftest import new_database
from tests.cutting import KILLED, Commands, Ended, commands
from tests.postgres_server import PostgresServer
from tests.process import started

STATUSES = {1, 2, 3, 4, 5, 74}
"""Of docs/reference/cli.md, for what was not done."""

SEARCHES = "HELIOGRAPH_EXAMPLES" in os.environ
"""Every write is the first that finds the disk full; else some of them."""


@dataclass(frozen=True)
class Place:
    """What a scene is made of."""

    runs: Commands
    installation: Path
    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def with_data(self) -> Path:
        """A data directory that may be started."""
        well(self.runs.run("restore", "--from", self.installation / "b", "--data-dir", self.data))
        return self.data


def first_start(place: Place) -> Sequence[object]:
    return ("serve", "--port", "0", "--data-dir", place.data)


def next_start(place: Place) -> Sequence[object]:
    return ("serve", "--port", "0", "--data-dir", place.with_data())


def backup(place: Place) -> Sequence[object]:
    return ("backup", "--data-dir", place.with_data(), "--to", place.folder / "b", "--with-secrets")


def restore(place: Place) -> Sequence[object]:
    return ("restore", "--from", place.installation / "b", "--data-dir", place.data)


def restore_beside_a_key(place: Place) -> Sequence[object]:
    place.data.mkdir()
    shutil.copy2(place.installation / "data" / "master.key", place.data)
    return ("restore", "--from", place.installation / "only", "--data-dir", place.data)


def rotate(place: Place) -> Sequence[object]:
    return ("secrets", "rotate", "--data-dir", place.with_data())


def add_key(place: Place) -> Sequence[object]:
    return ("secrets", "add-key", "--data-dir", place.with_data())


def retention(place: Place) -> Sequence[object]:
    return ("retention", "--data-dir", place.with_data())


def dev_cert(place: Place) -> Sequence[object]:
    return ("dev-cert", "--folder", place.folder / "tls")


def renewed_dev_cert(place: Place) -> Sequence[object]:
    well(place.runs.run(*dev_cert(place)))
    return dev_cert(place)


SCENES: Sequence[Callable[[Place], Sequence[object]]] = (
    first_start,
    next_start,
    backup,
    restore,
    restore_beside_a_key,
    rotate,
    add_key,
    retention,
    dev_cert,
    renewed_dev_cert,
)
"""Each makes what its command needs in an empty folder, and gives the command's words."""

each_scene = pytest.mark.parametrize("scene", SCENES, ids=[scene.__name__ for scene in SCENES])


@pytest.fixture(scope="module")
def runs() -> Iterator[Commands]:
    with commands() as started:
        yield started


@pytest.fixture(scope="module")
def installation(runs: Commands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that was served, and two backups of it."""
    folder = tmp_path_factory.mktemp("installation")
    data = ("--data-dir", folder / "data")
    well(runs.run("serve", "--port", "0", *data))
    well(runs.run("backup", *data, "--to", folder / "b", "--with-secrets"))
    well(runs.run("backup", *data, "--to", folder / "only"))
    return folder


@pytest.fixture
def places(runs: Commands, installation: Path, tmp_path: Path) -> Iterator[Place]:
    """A new place each time."""

    def make(number: int) -> Place:
        folder = tmp_path / str(number)
        folder.mkdir()
        return Place(runs, installation, folder)

    return map(make, itertools.count())


def well(ended: Ended) -> None:
    assert ended.status == 0, ended.said
    assert "Traceback" not in ended.said


def below(folder: Path) -> dict[str, int]:
    """The files below a folder and their modes, but for those that SQLite keeps as it likes."""
    return {
        str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode)
        for path in folder.rglob("*")
        if path.name not in (f"{DATABASE}-wal", f"{DATABASE}-shm")
    }


def untouched(place: Place, scene: Callable[[Place], Sequence[object]]) -> dict[str, int]:
    well(place.runs.run(*scene(place)))
    return below(place.folder)


@each_scene
def test_r16_r19_a_command_that_is_killed_at_any_flush_is_run_again(
    scene: Callable[[Place], Sequence[object]], places: Iterator[Place]
) -> None:
    expected = untouched(next(places), scene)
    for number in itertools.count(1):
        place = next(places)
        words = scene(place)
        ended = place.runs.run(*words, flush=number)
        if not ended.cut:
            assert number > 1
            break
        assert ended.status == KILLED
        well(place.runs.run(*words))
        assert below(place.folder) == expected, f"after a kill at flush {number}"


EARLIER = {"data": 0o700, "tls": 0o700, "data/heliograph.db-journal": 0o600}
"""What may be there before a command is done; SQLite rolls its journal back at the next start."""


@each_scene
def test_r16_r19_a_command_that_finds_the_disk_full_at_any_write_is_run_again(
    scene: Callable[[Place], Sequence[object]], places: Iterator[Place]
) -> None:
    expected = untouched(next(places), scene)
    number = 1
    while True:
        place = next(places)
        words = scene(place)
        before = below(place.folder)
        ended = place.runs.run(*words, write=number)
        if not ended.cut:
            assert number > 1
            break
        assert "Traceback" not in ended.said, ended.said
        if ended.status:  # else only what SQLite does at its leisure was refused
            assert ended.status in STATUSES, ended.said
            assert "rror: " in ended.said
            assert (
                scene in (first_start, next_start)
                or below(place.folder).items() <= (before | EARLIER).items() | expected.items()
            )
            well(place.runs.run(*words))
        assert below(place.folder) == expected, f"after a full disk at write {number}"
        number += 1 if SEARCHES or number < 6 else number // 2


@pytest.mark.parametrize("scene", [backup, restore, add_key, dev_cert])
def test_r19_a_command_whose_output_finds_the_disk_full_is_run_again(
    scene: Callable[[Place], Sequence[object]], places: Iterator[Place]
) -> None:
    expected = untouched(next(places), scene)
    place = next(places)
    words = scene(place)
    ended = place.runs.run(*words, out="/dev/full")
    assert (ended.status, ended.said.count("No space left on device")) == (74, 1), ended.said
    assert "Traceback" not in ended.said
    well(place.runs.run(*words))
    assert below(place.folder) == expected


def test_r19_no_server_starts_on_a_restore_that_is_not_finished(places: Iterator[Place]) -> None:
    place = next(places)
    for flush in itertools.count(1):
        killed = place.runs.run(*restore(place), flush=flush)
        if killed.status != KILLED:
            break
        refused = place.runs.run(*first_start(place))
        if refused.status == 0:  # everything had its name: it is as if the run had ended
            assert (place.data / "master.key").exists()
            again = place.runs.run(*restore(place))
            assert (again.status, "exists already" in again.said) == (5, True)
            break
        assert (refused.status, "run `heliograph restore` again" in refused.said) == (5, True)
    assert flush > 3


def test_r19_what_a_server_is_asked_for_is_written_whole_or_not_at_all(
    runs: Commands, tmp_path: Path
) -> None:
    with started(tmp_path) as server:
        data = ("--data-dir", tmp_path / "data")
        added = server.call("POST", f"{server.connect[:-8]}/applications", {"name": "CRM"})
        key = added.json["integrationKey"]
        for number, (words, name) in enumerate(
            (
                (("failures", "export", *data), "failures.csv"),
                (("applications", "add-key", key, *data, "--make"), "private.pem"),
            )
        ):
            traps: list[dict[str, Any]] = [{"flush": 1}, {"flush": 2}, {"write": 1}]
            for trap in traps:
                folder = tmp_path / "-".join((str(number), *trap))
                folder.mkdir(exist_ok=True)
                cut = runs.run(*words, folder / name, **trap)
                assert cut.cut
                assert cut.status in {KILLED, 74}, cut.said
                assert "Traceback" not in cut.said
                well(runs.run(*words, folder / name))
                assert below(folder) == {name: 0o600}
                (folder / name).unlink()


def test_s7_a_rotation_of_many_nodes_that_is_cut_short_keeps_the_old_key(
    runs: Commands, tmp_path: Path, postgres: PostgresServer
) -> None:
    """The other nodes seal with it until they have been given the new one."""
    old = b"k" * 32
    for flush in itertools.count(1):
        folder = tmp_path / str(flush)
        folder.mkdir()
        key = folder / "master.key"
        files.write(key, old)
        data, database = ("--data-dir", folder), ("--database-url", new_database(postgres))
        well(runs.run("secrets", "add-key", *data))
        killed = runs.run("secrets", "rotate", *data, *database, flush=flush)
        if not killed.cut:
            break
        well(runs.run("secrets", "rotate", *data, *database))
        assert key.read_bytes()[32:] == old
        assert {path.name for path in folder.iterdir()} == {"master.key", "node-id", "node.lock"}
        for last in range(1, 5):  # the next run forgets the old one, and may be cut short too
            killed = runs.run("secrets", "rotate", *data, *database, flush=last)
            assert killed.status == KILLED
        well(runs.run("secrets", "rotate", *data, *database))
        assert len(key.read_bytes()) == 32
    assert flush > 2
