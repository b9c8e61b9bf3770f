"""Backup and restore of an SQLite installation, while its server runs (R19)."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import apsw

from heliograph import files
from heliograph.errors import UnsafeStorage
from heliograph.failpoints import failpoint
from heliograph.files import Room
from heliograph.store.sqlite.connection import is_full, translate

_PAGES: Final = 256
"""Pages copied in one step (1 MiB): the server's writer never waits for longer."""

SECRETS: Final = ("master.key", "credentials.json")
"""What is not in the database: without the master key its secrets do not open."""


def back_up(
    database: Path,
    target: Path,
    *,
    with_secrets: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    on_placed: Callable[[], None] = lambda: None,
) -> None:
    """Copy a database as it is at one moment, also under load; whole or not at all.

    Args:
        database: The file of the installation.
        target: A file that does not exist yet.
        with_secrets: Also copy `SECRETS` beside it, with the target's name before theirs.
        on_progress: Called with the pages done and all pages.
        on_placed: Called when the target is there; what it raises takes it away again.

    Raises:
        UnsafeStorage: there is no database, the target exists, or the copy is damaged.
        OSError: something cannot be read or written; the target is as it was.
    """
    if not database.exists():
        raise UnsafeStorage(f"There is no database at {database}.")
    secrets = {f"{target.name}.{name}": database.parent / name for name in SECRETS if with_secrets}
    with files.room(target, again=True) as room:
        _refuse_existing(room, target.name, *secrets)
        files.clear(target.parent)  # backups that were cut short, and have other names
        _forget_halves(target)
        made = room.folder / target.name
        with room.new(target.name):
            pass
        with _told(target):
            _copy_pages(database, made, on_progress)
        _check(made)
        files.flush(made)
        for name, source in secrets.items():
            _copy_private(source, room, name)
        for name in (target.name, *secrets):
            room.place(name)
        room.flush()
        on_placed()


def restore(
    backup: Path,
    data_dir: Path,
    database: str,
    on_placed: Callable[[bool], None] = lambda with_secrets: None,
) -> bool:
    """Put a backup into a data directory without a database; True when its secrets are there.

    Where the backup came without them, those that the directory has are kept: only the
    database was damaged. `on_placed` is given the same, and is else as that of `back_up`.

    Raises:
        UnsafeStorage: the directory has a database already, or a key where the backup brings
            one; or the backup is damaged.
        OSError: something cannot be read or written; the directory is as it was.
    """
    _check(backup)
    brought = {name: backup.with_name(f"{backup.name}.{name}") for name in SECRETS}
    brought = {name: beside for name, beside in brought.items() if beside.exists()}
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with files.room(data_dir / database, again=True) as room:
        _refuse_existing(room, database, f"{database}-wal", *brought)
        _forget_halves(data_dir / database)
        made = room.folder / database
        _copy_private(backup, room, database)
        with _told(data_dir / database), closing(apsw.Connection(str(made))) as restored:
            # It is meant to be started here: no copy that strayed (F23).
            restored.execute("update node set file_id = null, stopped_us = beat_us")
        files.flush(made)
        for name, beside in brought.items():
            _copy_private(beside, room, name)
        # The key comes last: without it no server starts on what is there already.
        for name in (database, *reversed(brought)):
            room.place(name)
        room.flush()
        with_secrets = all((data_dir / name).exists() for name in SECRETS)
        on_placed(with_secrets)
    return with_secrets


def _copy_pages(database: Path, target: Path, on_progress: Callable[[int, int], None]) -> None:
    # One read transaction holds the moment: the copy never begins anew under load.
    source = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    with closing(source), closing(apsw.Connection(str(target))) as copy:
        source.set_busy_timeout(1500)
        source.execute("begin")
        source.execute("select count(*) from sqlite_schema").fetchall()
        with copy.backup("main", source, "main") as step:
            while not step.done:
                step.step(_PAGES)
                failpoint("backup.step")
                on_progress(step.page_count - step.remaining, step.page_count)
        source.execute("rollback")
        # One file, that can be read where nothing can be written: no WAL beside it.
        copy.execute("pragma journal_mode = delete").fetchall()


def _check(database: Path) -> None:
    try:
        with closing(apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
            # Read without a -wal file, wherever the backup lies.
            found = str(connection.execute("pragma quick_check(1)").get)
            known = connection.table_exists(None, "schema_migration")
    except apsw.Error as error:
        raise UnsafeStorage(f"{database} cannot be read as a backup: {error}.") from None
    if found != "ok" or not known:
        problem = found if found != "ok" else "it is no database of Heliograph"
        raise UnsafeStorage(f"{database} is no good backup: {problem}.")


def _refuse_existing(room: Room, *names: str) -> None:
    for name in names:
        path = room.folder.parent / name
        if path.exists() and name not in room.placed_before:
            raise UnsafeStorage(
                f"{path} exists already: give another place, nothing is overwritten."
            )


def _forget_halves(path: Path) -> None:
    """Remove what earlier versions left of a run that was cut short."""
    for side in ("", "-journal", "-wal", "-shm"):
        path.with_name(f"{path.name}.unfinished{side}").unlink(missing_ok=True)


def _copy_private(source: Path, room: Room, name: str) -> None:
    with source.open("rb") as read, room.new(name) as written:
        shutil.copyfileobj(read, written)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What SQLite says of a copy is said of the place that it is for."""
    try:
        yield
    except apsw.Error as error:
        if is_full(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from None
        raise translate(error) from error
