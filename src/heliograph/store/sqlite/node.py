"""One process owns one database file (R20): beside the lock, a heartbeat for what it misses."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import apsw

from heliograph.clock import StoreClock, boot_id
from heliograph.errors import UnsafeStorage
from heliograph.failpoints import failpoint
from heliograph.store import MOST_UNSETTLED_CLAIMS, rows, sql
from heliograph.store.sqlite.connection import fetch, is_full
from heliograph.store.sqlite.engine import run_verb
from heliograph.store.sqlite.queries import QUERIES
from heliograph.store.sqlite.queue import leave_unknown, release
from heliograph.store.times import from_microseconds, to_microseconds
from heliograph.store.verbs import clock as steps

_STALE_US: Final = 30 * 1_000_000

_CHECKED_AT_START: Final = 256 * 2**20
"""Bytes up to which a database is looked through at every start: under a second."""


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


def is_alive(nodes: Sequence[Any], now_us: int) -> bool:
    """Whether a process has the database now: it was not stopped, and its heart beats.

    `nodes` are the rows of `node`. A process with a long lease beats twice a minute.
    """
    return any(one.stopped_us is None and now_us - one.beat_us < 2 * _STALE_US for one in nodes)


def file_id(path: Path) -> str:
    """Names a file, whatever its path: its inode; empty when it is gone."""
    try:
        return str(path.stat().st_ino)
    except FileNotFoundError:
        return ""


def refuse_copy(known: str | None, path: Path) -> None:
    """Refuse a copy: the original may still send what both hold.

    Raises:
        UnsafeStorage: with what to do.
    """
    if known is not None and known != file_id(path):
        raise UnsafeStorage(
            f"{path} was copied here from another file: whichever of the two runs sends what "
            "waits in both. See that the other never starts again, and start this one once "
            "with --adopt."
        )


def check_whole(db: apsw.Connection, path: Path) -> None:
    """Look for damage in a database that is small enough to be read at every start.

    Raises:
        UnsafeStorage: some was found; nothing was changed.
    """
    if path.stat().st_size > _CHECKED_AT_START:
        return
    try:
        found = str(db.execute("pragma quick_check(1)").get)
    except (apsw.CorruptError, apsw.NotADBError, apsw.IOError) as error:
        if is_full(error):
            raise
        found = str(error)
    if found != "ok":
        raise damaged(path, found)


def damaged(path: Path, found: str) -> UnsafeStorage:
    """What to say of a database that cannot be trusted (F24)."""
    return UnsafeStorage(
        f"{path} is damaged ({found.splitlines()[0]}): keep a copy of it and its -wal file, and "
        "restore a backup."
    )


def start(db: apsw.Connection, clock: StoreClock, path: Path, *, adopt: bool = False) -> int:
    """Migrate, take the database over, and put what a crash left in flight back.

    All in one transaction. Returns the node's epoch, which fences older claims (R8).

    Raises:
        UnsafeStorage: a newer version made the database, a live node has it, it is a copy
            that nobody told us to adopt, or it is damaged.
    """

    def now() -> int:
        return to_microseconds(clock.now())

    check_whole(db, path)
    if beat := last_beat(db):
        clock.go_on(from_microseconds(beat), None)
    # A migration may make a table anew that others refer to; what it leaves is checked.
    db.pragma("foreign_keys", "off")
    db.execute("begin exclusive")
    try:
        _migrate(db, now)
        run_verb(db, steps.go_on(clock))
        refuse_live_node(db.execute(QUERIES["node"]).fetchone(), to_microseconds(clock.machine()))
        if not adopt:
            refuse_copy(db.execute(QUERIES["node_file"]).get, path)
        epoch = int(
            db.execute(
                QUERIES["node_start"],
                {
                    "process_id": os.getpid(),
                    "boot_id": boot_id(),
                    "host": socket.gethostname(),
                    "file_id": file_id(path),
                    "now": now(),
                },
            ).get
        )
        _recover(db, now())
        run_verb(db, steps.beat(clock))
        db.execute("commit")
    except BaseException:
        if db.in_transaction:  # SQLite has rolled back itself where the disk is full
            db.execute("rollback")
        raise
    finally:
        db.pragma("foreign_keys", "on")
    return epoch


def last_beat(db: apsw.Connection) -> int:
    """When this database was last known to be alive, in microseconds UTC; 0 when it is new."""
    if not db.table_exists(None, "node"):
        return 0
    nodes = fetch(db, QUERIES["node"])
    return int(nodes[0].beat_us) if nodes else 0


def _migrate(db: apsw.Connection, now: Callable[[], int]) -> None:
    db.execute(QUERIES["migrations_table"])
    applied: list[Any] = fetch(db, QUERIES["migrations_applied"])
    steps = sql.pending(sql.migrations("sqlite"), applied)
    for step in steps:
        failpoint("migrate.each")
        db.execute(step.sql)
        db.execute(QUERIES["migration_add"], step.row(now()))
    if steps and (broken := db.execute("pragma foreign_key_check").fetchone()):
        raise UnsafeStorage(f"The database has a row that refers to nothing: {broken}.")


def _recover(db: apsw.Connection, now: int) -> None:
    in_flight = [delivery_id for (delivery_id,) in fetch(db, QUERIES["recover_in_flight"])]
    leave_unknown(db, in_flight, "the process ended before the outcome was known")
    db.execute(
        QUERIES["recover_poison"],
        {
            "now": now,
            "most": MOST_UNSETTLED_CLAIMS,
            **rows.because(rows.POISON),
        },
    )
    db.execute(QUERIES["recover_deliveries"], {"now": now})
    db.execute(QUERIES["recover_deleted"], {"now": now, **rows.because(rows.DELETED)})
    for connect_id, lane in fetch(db, QUERIES["lanes_held"]):
        release(db, connect_id, lane, now)
