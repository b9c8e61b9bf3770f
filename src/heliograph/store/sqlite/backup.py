"""Backup and restore of an SQLite installation, while its server runs (R19)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import apsw

from heliograph.errors import UnsafeStorage
from heliograph.failpoints import failpoint

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
) -> None:
    """Copy a database as it is at one moment, also under load; whole or not at all.

    Args:
        database: The file of the installation.
        target: A file that does not exist yet.
        with_secrets: Also copy `SECRETS` beside it, with the target's name before theirs.
        on_progress: Called with the pages done and all pages.

    Raises:
        UnsafeStorage: there is no database, the target exists, or the copy is damaged.
    """
    if not database.exists():
        raise UnsafeStorage(f"There is no database at {database}.")
    _refuse_existing(target)
    unfinished = target.with_name(target.name + ".unfinished")
    unfinished.unlink(missing_ok=True)
    try:
        _copy_pages(database, unfinished, on_progress)
        _check(unfinished)
        _flush(unfinished)
        # A link, not a rename: somebody else's file of that name would be replaced.
        os.link(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)
    if with_secrets:
        for name in SECRETS:
            _copy_private(database.parent / name, target.with_name(f"{target.name}.{name}"))
    _flush_folder(target.parent)


def restore(backup: Path, data_dir: Path, database: str) -> bool:
    """Put a backup into a data directory without a database; True when its secrets are there.

    Where the backup came without them, those that the directory has are kept: only the
    database was damaged.

    Raises:
        UnsafeStorage: the directory has a database already, or a key where the backup brings
            one; or the backup is damaged.
    """
    _check(backup)
    brought = {name: backup.with_name(f"{backup.name}.{name}") for name in SECRETS}
    brought = {name: beside for name, beside in brought.items() if beside.exists()}
    for name in (database, f"{database}-wal", *brought):
        _refuse_existing(data_dir / name)
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, beside in brought.items():
        _copy_private(beside, data_dir / name)
    unfinished = data_dir / f"{database}.unfinished"
    unfinished.unlink(missing_ok=True)
    try:
        _copy_private(backup, unfinished)
        with closing(apsw.Connection(str(unfinished))) as restored:
            # It is meant to be started here: no copy that strayed (F23).
            restored.execute("update node set file_id = null, stopped_us = beat_us")
        _flush(unfinished)
        unfinished.rename(data_dir / database)
    finally:
        unfinished.unlink(missing_ok=True)
    _flush_folder(data_dir)
    return all((data_dir / name).exists() for name in SECRETS)


def _copy_pages(database: Path, target: Path, on_progress: Callable[[int, int], None]) -> None:
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    os.close(descriptor)
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


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise UnsafeStorage(f"{path} exists already: give another place, nothing is overwritten.")


def _copy_private(source: Path, target: Path) -> None:
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with source.open("rb") as read, os.fdopen(descriptor, "wb") as written:
        shutil.copyfileobj(read, written)
        written.flush()
        os.fsync(written.fileno())


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
