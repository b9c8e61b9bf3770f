"""One of many nodes on a PostgreSQL: its checks at the start, its lease, its clock."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg import errors

from heliograph.clock import SystemClock
from heliograph.errors import UnsafeStorage
from heliograph.failpoints import failpoint
from heliograph.store import sql
from heliograph.store.keyring import KeyRing
from heliograph.store.postgres.connection import Connection, fetch, fetch_first, fetch_only, run
from heliograph.store.postgres.engine import run_verb
from heliograph.store.postgres.queries import QUERIES
from heliograph.store.times import from_microseconds
from heliograph.store.verbs.store import resealing

OLDEST_SERVER: Final = 15
"""Major version of PostgreSQL that Heliograph is tested with from."""

DAYS_AHEAD: Final = 14
"""Days for which partitions are made before they begin."""

DAY_US: Final = 86_400_000_000

_KNOWN: Final = b"heliograph"
_PLACE: Final = "installation:1:sealed"


class DatabaseClock(SystemClock):
    """The database's clock, carried forward by this machine's monotonic one (R12).

    Wall clocks of nodes do not matter: every node shows the database's time, as of its last
    `adjust`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._at_us = 0
        self._monotonic = 0.0

    @property
    def adjusted(self) -> bool:
        """Whether it has ever been told the database's time."""
        return self._at_us > 0

    def adjust(self, database_us: int) -> None:
        """Take over what the database shows now."""
        self._at_us, self._monotonic = database_us, self.monotonic()

    def now(self) -> datetime:
        passed = self.monotonic() - self._monotonic
        return from_microseconds(self._at_us + round(passed * 1_000_000))


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What durability rests on (R18), as the server says it."""

    fsync: str
    full_page_writes: str
    synchronous_commit: str
    version: int
    synchronous_standby_names: str
    in_recovery: bool
    encoding: str

    @classmethod
    async def read(cls, db: Connection) -> ServerSettings:
        """Ask the server."""
        settings = await fetch_only(db, QUERIES["server_settings"])
        return cls(**settings._asdict())

    def problems(self) -> Sequence[tuple[str, str, str]]:
        """(name, what was found, how to mend it) of each setting that loses data."""
        found = [
            (
                name,
                f"PostgreSQL runs with {name}=off, so that a crash loses what was accepted",
                f"run `ALTER SYSTEM SET {name} = on` and `SELECT pg_reload_conf()`, and see that "
                "no role or database sets it otherwise",
            )
            for name in ("fsync", "full_page_writes", "synchronous_commit")
            if getattr(self, name) == "off"
        ]
        if self.version // 10_000 < OLDEST_SERVER:
            found.append(
                (
                    "version",
                    f"PostgreSQL {self.version // 10_000} is too old",
                    f"upgrade to PostgreSQL {OLDEST_SERVER} or newer",
                )
            )
        if self.encoding != "UTF8":
            found.append(
                (
                    "encoding",
                    f"the database is in {self.encoding}",
                    "create it with ENCODING 'UTF8'",
                )
            )
        return found


async def migrate(db: Connection, now: Callable[[], int]) -> None:
    """Apply what is pending; of nodes that start at once, one does it (R16).

    Raises:
        UnsafeStorage: a newer version made the database.
    """
    await run(db, QUERIES["migrations_lock"])
    await run(db, QUERIES["migrations_table"])
    applied = [
        (number, name, checksum)
        for number, name, checksum in await fetch(db, QUERIES["migrations_applied"])
    ]
    for step in sql.pending(sql.migrations("postgres"), applied):
        failpoint("migrate.each")
        await db.execute(step.sql)
        await run(db, QUERIES["migration_add"], step.row(now()))


async def is_new(db: Connection) -> bool:
    """Whether no node has ever started on this database."""
    known = await fetch_first(db, QUERIES["migrations_known"])
    if known is None or not known[0]:
        return True
    return await fetch_first(db, QUERIES["installation"]) is None


async def check_key(db: Connection, keyring: KeyRing, now: int) -> None:
    """See that this node's master key is the installation's.

    Raises:
        UnsafeStorage: it is another one.
    """
    await run(db, QUERIES["installation_add"], (keyring.seal(_KNOWN, _PLACE), now))
    (sealed,) = await fetch_only(db, QUERIES["installation"])
    try:
        keyring.open(sealed, _PLACE)
    except UnsafeStorage:
        raise UnsafeStorage(
            "The master.key in this data directory is not the one that this database's secrets "
            "are sealed with: copy master.key from a node that runs."
        ) from None


async def reseal(db: Connection, keyring: KeyRing, now: int) -> int:
    """Seal every secret with the ring's first key, which `check_key` then asks for; `now` is
    microseconds UTC."""
    count = await run_verb(db, resealing(keyring, now))
    await run(db, QUERIES["reseal_installation"], {"sealed": keyring.seal(_KNOWN, _PLACE)})
    return count


async def refuse_unfinished_copy(db: Connection) -> None:
    """See that no copy into this database is under way.

    Raises:
        UnsafeStorage: one is.
    """
    (unfinished,) = await fetch_only(db, QUERIES["copy_unfinished"])
    if unfinished:
        raise UnsafeStorage(
            "A copy into this database is not finished: run `heliograph copy` again, it goes on "
            "where it stopped."
        )


async def start(db: Connection, instance: str, now: int, lease_us: int) -> int:
    """Begin an epoch, which fences older claims (R8); returns it.

    The process that had this data directory before is gone, for its lock was free: what it
    had in flight need not wait for its lease to run out.
    """
    await run(db, QUERIES["node_of_instance_ends"], {"instance": instance, "now": now})
    (epoch,) = await fetch_only(
        db,
        QUERIES["node_start"],
        {
            "instance": instance,
            "process_id": os.getpid(),
            "host": socket.gethostname(),
            "now": now,
            "until": now + lease_us,
        },
    )
    return int(epoch)


async def make_days(db: Connection, now: int) -> None:
    """See that history has a partition for each of the coming days.

    Somebody who reads history for hours would make this wait, and everyone behind it: it
    gives up after half a second, and the next renewal tries again. Until there is a day,
    its rows go to the rest partition.
    """
    today = now // DAY_US * DAY_US
    coming = (today, today + DAYS_AHEAD * DAY_US)
    for (day,) in await fetch(db, QUERIES["days_missing"], coming):
        try:
            async with db.transaction():
                await run(db, QUERIES["brief_lock_wait"])
                await run(db, QUERIES["make_day"], (day,))
        except errors.LockNotAvailable:
            return
