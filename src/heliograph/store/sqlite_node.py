"""One process owns one database file (R20): an OS lock, and a heartbeat for what it misses."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import apsw

from heliograph.errors import UnsafeStorage
from heliograph.store import sql
from heliograph.store.sqlite_connection import fetch
from heliograph.store.sqlite_queue import DELETED, QUERIES

_STALE_US: Final = 30 * 1_000_000

MOST_UNSETTLED_CLAIMS: Final = 3
"""A delivery that was claimed so often without a settle is parked as failed (R17)."""


class FileLock:
    """An exclusive lock on a side file; the system drops it when the process ends."""

    def __init__(self, path: Path) -> None:
        """Take the lock.

        Raises:
            UnsafeStorage: another process has it.
        """
        self._descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise UnsafeStorage(
                f"Another Heliograph (process {owner or 'unknown'}) has this data directory "
                "open: stop it first, or give this one a directory of its own."
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give the lock up."""
        os.close(self._descriptor)


def boot_id() -> str:
    """Names this run of this machine's kernel; empty where the kernel does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def refuse_live_node(row: tuple[apsw.SQLiteValue, ...] | None, now_us: int) -> None:
    """Refuse when a node that our lock cannot see still writes its heartbeat.

    Under the same boot id the lock decides: its owner is gone, also after kill -9. From
    another host or container the file may be shared without the lock being so.

    Raises:
        UnsafeStorage: with what to do.
    """
    if row is None:
        return
    _epoch, their_boot, host, process_id, beat_us, stopped_us = row
    fresh = stopped_us is None and now_us - int(str(beat_us)) < _STALE_US
    if fresh and their_boot != boot_id():
        raise UnsafeStorage(
            f"Process {process_id} on {host} wrote to this database less than "
            f"{_STALE_US // 1_000_000} s ago: stop it first. A database file must not be "
            "shared between machines."
        )


def start(db: apsw.Connection, now: Callable[[], int]) -> int:
    """Migrate, take the database over, and put what a crash left in flight back.

    All in one transaction. Returns the node's epoch, which fences older claims (R8).

    Raises:
        UnsafeStorage: a newer version made the database, or a live node has it.
    """
    db.execute("begin exclusive")
    try:
        _migrate(db, now)
        refuse_live_node(db.execute(QUERIES["node"]).fetchone(), now())
        epoch = int(
            db.execute(
                QUERIES["node_start"],
                {
                    "process_id": os.getpid(),
                    "boot_id": boot_id(),
                    "host": socket.gethostname(),
                    "now": now(),
                },
            ).get
        )
        _recover(db, now())
        db.execute("commit")
    except BaseException:
        db.execute("rollback")
        raise
    return epoch


def last_beat(db: apsw.Connection) -> int:
    """When this database was last known to be alive, in microseconds UTC; 0 when it is new."""
    if not db.table_exists(None, "node"):
        return 0
    row = db.execute(QUERIES["node"]).fetchone()
    return 0 if row is None else int(row[4])


def _migrate(db: apsw.Connection, now: Callable[[], int]) -> None:
    db.execute(QUERIES["migrations_table"])
    applied: list[Any] = fetch(db, QUERIES["migrations_applied"])
    for step in sql.pending(sql.migrations("sqlite"), applied):
        db.execute(step.sql)
        db.execute(QUERIES["migration_add"], (step.number, step.name, step.checksum, now()))


def _recover(db: apsw.Connection, now: int) -> None:
    db.execute(QUERIES["recover_attempts"])
    db.execute(
        QUERIES["recover_poison"],
        {
            "now": now,
            "most": MOST_UNSETTLED_CLAIMS,
            "error": f"claim: the process ended {MOST_UNSETTLED_CLAIMS} times while this was "
            "being sent",
        },
    )
    db.execute(QUERIES["recover_deliveries"], {"now": now})
    db.execute(QUERIES["recover_deleted"], {"now": now, "error": DELETED})
