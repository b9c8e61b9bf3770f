"""Checks of the storage before it is trusted (R18), each with the sentence that mends it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import apsw

from heliograph.clock import SystemClock
from heliograph.errors import UnsafeStorage
from heliograph.model.checks import Check
from heliograph.store.attendance import attendance_check
from heliograph.store.sqlite.connection import check_library, connect, fetch
from heliograph.store.sqlite.engine import VERBS, run_verb
from heliograph.store.sqlite.node import is_alive
from heliograph.store.sqlite.queries import QUERIES
from heliograph.store.verbs import clock

MOUNTS: Final = Path("/proc/self/mountinfo")

_UNSAFE_FILE_SYSTEMS: Final = {
    "tmpfs": "is memory: it is gone at the next boot",
    "ramfs": "is memory: it is gone at the next boot",
    "overlay": "is a container's throw-away layer",
    "nfs": "is a network file system, where SQLite's locks do not hold",
    "nfs4": "is a network file system, where SQLite's locks do not hold",
    "cifs": "is a network file system, where SQLite's locks do not hold",
    "smb3": "is a network file system, where SQLite's locks do not hold",
    "ceph": "is a network file system, where SQLite's locks do not hold",
    "fuse.sshfs": "is a network file system, where SQLite's locks do not hold",
    "glusterfs": "is a network file system, where SQLite's locks do not hold",
    "lustre": "is a network file system, where SQLite's locks do not hold",
    "vboxsf": "is shared from a host, where a flush may not reach the disk",
    "9p": "is shared from a host, where a flush may not reach the disk",
    "virtiofs": "is shared from a host, where a flush may not reach the disk",
}

_OCTAL: Final = re.compile(r"\\([0-7]{3})")


def storage_checks(data_dir: Path, mounts: Path = MOUNTS) -> Sequence[Check]:
    """Look at the library, the file system and the files' modes; changes nothing."""
    return [_library(), _file_system(data_dir, mounts), *mode_checks(data_dir)]


def settings_check(database: Path) -> Check:
    """Open the database, when there is one, read back every setting, and look for damage."""
    if not database.exists():
        return Check("settings", True, "no database yet")
    try:
        with contextlib.closing(connect(database)) as connection:
            damage = str(connection.execute("pragma quick_check(1)").get)
    except UnsafeStorage as problem:
        return Check("settings", False, str(problem), str(problem))
    except apsw.Error as error:
        return Check("settings", False, str(error), "restore the database from a backup")
    if damage != "ok":
        return Check("settings", False, damage, "restore the database from a backup")
    return Check("settings", True, "WAL, synchronous=FULL, read back; no damage found")


def clock_check(database: Path) -> Check:
    """Whether the machine's clock agrees with what the database's showed last."""
    try:
        with contextlib.closing(
            apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
        ) as connection:
            if connection.table_exists(None, "clock_beat"):
                return run_verb(connection, clock.check(SystemClock()))
    except (apsw.CantOpenError, apsw.CorruptError, apsw.NotADBError, apsw.IOError):
        pass  # `settings_check` tells
    return Check("clock", True, "no server has run on this database yet")


def due_check(database: Path, now: int) -> Check:
    """Whether somebody looks for what is due (R21); `now` is in microseconds UTC."""
    if not database.exists():
        return Check("due", True, "no database yet")
    try:
        with contextlib.closing(connect(database)) as connection:
            (found,) = fetch(connection, VERBS["attendance"])
            alive = is_alive(fetch(connection, QUERIES["node"]), now)
    except UnsafeStorage as problem:
        return Check("due", False, str(problem), str(problem))
    except apsw.SQLError:
        return Check("due", True, "not known: this version has not started on it yet")
    except apsw.Error as error:
        return Check("due", False, str(error), "restore the database from a backup")
    return attendance_check(found.due_us, found.looked_us if alive else None, now)


def refuse_unsafe(checks: Sequence[Check], *, accept_data_loss: bool) -> Sequence[Check]:
    """The checks that failed, where those are accepted.

    Raises:
        UnsafeStorage: some failed and nobody accepted it.
    """
    failed = [check for check in checks if not check.passed]
    if failed and not accept_data_loss:
        raise UnsafeStorage(
            " ".join(
                f"{check.found[:1].upper()}{check.found[1:]}: {check.mend}." for check in failed
            )
            + " Or start with --i-accept-data-loss."
        )
    return failed


def _library() -> Check:
    version = apsw.sqlite_lib_version()
    try:
        check_library()
    except UnsafeStorage as problem:
        return Check("sqlite", False, f"SQLite {version} is too old", str(problem))
    return Check("sqlite", True, f"SQLite {version}")


def _file_system(data_dir: Path, mounts: Path) -> Check:
    existing = data_dir.absolute()
    while not existing.exists():
        existing = existing.parent
    kind = _kind_of(os.path.realpath(existing), mounts)
    reason = _UNSAFE_FILE_SYSTEMS.get(kind)
    if reason is None:
        return Check("file system", True, kind or "unknown")
    return Check(
        "file system",
        False,
        f"{data_dir} is on {kind}, which {reason}",
        "choose a --data-dir on a local disk",
    )


def _kind_of(path: str, mounts: Path) -> str:
    """The type of the file system that holds a path; empty where the kernel does not say.

    Source: proc(5), /proc/PID/mountinfo.
    """
    try:
        # As paths are read: a mount point may be in any encoding.
        lines = os.fsdecode(mounts.read_bytes()).rstrip("\n").split("\n")
    except OSError:
        return ""
    best, kind = "", ""
    for line in lines:
        before, dash, after = line.partition(" - ")
        if not dash:
            continue
        # Space, tab, newline and backslash in a mount point are written in octal.
        point = _OCTAL.sub(lambda found: chr(int(found[1], 8)), before.split(" ")[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        # The last of equals wins: it is mounted over the others.
        if inside and len(point) >= len(best):
            best, kind = point, after.split(" ")[0]
    return kind


def mode_checks(data_dir: Path) -> Sequence[Check]:
    """Whether others may read what only Heliograph should."""
    checks = []
    for name in ("master.key", "credentials.json", "heliograph.db"):
        path = data_dir / name
        if not path.exists():
            continue
        mode = path.stat().st_mode & 0o777
        private = mode & 0o077 == 0
        checks.append(
            Check(name, private, f"mode {mode:04o}", "" if private else f"run `chmod 600 {path}`")
        )
    return checks
