"""Moving a whole installation from SQLite to PostgreSQL: resumable, and compared at the end."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import apsw

from heliograph.clock import SystemClock
from heliograph.errors import UnsafeStorage
from heliograph.store import BATCH_MOST, sql
from heliograph.store.file_lock import FileLock
from heliograph.store.keyring import KeyRing
from heliograph.store.postgres import node
from heliograph.store.postgres.connection import (
    Connection,
    Database,
    fetch,
    fetch_first,
    fetch_only,
    run,
)
from heliograph.store.postgres.queries import QUERIES as POSTGRES
from heliograph.store.rows import storable
from heliograph.store.sqlite import connection as sqlite
from heliograph.store.sqlite.node import file_id
from heliograph.store.sqlite.store import SqliteStore
from heliograph.store.times import to_microseconds

_Q: Final = sql.named_queries("copying.sql")

TABLES: Final = (
    "account",
    "account_user",
    "user_group",
    "group_member",
    "token",
    "application",
    "application_key",
    "application_secret",
    "consent",
    "authorization_code",
    "refresh_token",
    "used_assertion",
    "sign_in_session",
    "console_session",
    "hmac_key",
    "client_certificate",
    "connect_oauth",
    "relay",
    "connect_configuration",
    "envelope",
    "envelope_notification",
    "publish_transaction",
    "republish_job",
    "event",
    "incident",
    "delivery",
    "attempt",
    "relay_message",
    "relay_part",
    "relay_refusal",
    "clock_leap",
    "audit_entry",
)
_BY_NUMBER: Final = {
    *("user_group", "connect_configuration", "republish_job"),
    *("event", "incident", "delivery", "attempt", "audit_entry"),
}
_LARGE: Final = {"event": 200, "attempt": 1000, "relay_part": 10}
"""Rows of a batch where rows may be large (documents of up to 25 MB)."""

_ENDED: Final = ("delivered", "cancelled")
_KEPT_OF_ENDED: Final = {0, 1, 2, 3, 4, 5, 7, 10, 11, 13, 21}
"""Columns of `read_delivery` that an ended delivery keeps on PostgreSQL."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One table on both sides; a digest stands for all its rows, in whatever order."""

    name: str
    rows: int
    digest: str


OnProgress = Callable[[str, int, int], None]


def _nobody(name: str, done: int, total: int) -> None:
    """Where nobody watches."""


async def copy(source: Path, url: str, on_progress: OnProgress = _nobody) -> Sequence[Compared]:
    """Copy an installation, or go on with a copy that was cut short.

    Args:
        source: The SQLite database; its master.key lies beside it. No server may run on it.
        url: An empty PostgreSQL database, or one with an unfinished copy of this source.
        on_progress: Called with the table, the rows done and all rows.

    Raises:
        UnsafeStorage: the source is in use or no database, the target has something else in
            it, or the two sides differ at the end.
        StorageUnavailable: a database went away; run it again.
    """
    keyring = KeyRing.load(source.parent / "master.key", make=False)
    # As after a crash: what was in flight waits again, and the newest migration is applied.
    store = await SqliteStore.open(source, keyring, SystemClock())
    await store.close()
    lock = FileLock(source.with_name(source.name + ".lock"))
    try:
        with closing(apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READONLY)) as read:
            database = await Database(url).open()
            try:
                return await _Copy(read, database, keyring, on_progress).run(file_id(source))
            finally:
                await database.close()
    finally:
        lock.release()


class _Copy:
    def __init__(
        self, source: apsw.Connection, target: Database, keyring: KeyRing, on_progress: OnProgress
    ) -> None:
        self._source = source
        self._target = target
        self._keyring = keyring
        self._on_progress = on_progress

    async def run(self, source: str) -> Sequence[Compared]:
        await self._target.transact(lambda db: self._begin(db, source))
        for name in TABLES:
            await self._copy_table(name, source)
        compared = [await self._compare(name) for name in TABLES]

        async def finish(db: Connection) -> None:
            await fetch(db, _Q["numbers_go_on"])
            await run(db, _Q["newest_events_placed"])
            await run(db, _Q["progress_drop"])

        await self._target.transact(finish)
        return compared

    async def _begin(self, db: Connection, source: str) -> None:
        (unfinished,) = await fetch_only(db, POSTGRES["copy_unfinished"])
        if not unfinished and not await node.is_new(db):
            raise UnsafeStorage(
                "The target has an installation already: give an empty database, made with "
                "`createdb`."
            )
        now = to_microseconds(SystemClock().now())
        await node.migrate(db, lambda: now)
        await node.check_key(db, self._keyring, now)
        await run(db, _Q["progress_table"])
        known = {text for (text,) in await fetch(db, _Q["progress_source"])}
        if known - {source}:
            raise UnsafeStorage("The target has an unfinished copy of another installation.")
        await node.make_days(db, now)
        for (day,) in sqlite.fetch(self._source, _Q["days_of_source"]):
            await run(db, POSTGRES["make_day"], (day,))

    async def _copy_table(self, name: str, source: str) -> None:
        total = int(self._source.execute(_Q["count"].format(table=name)).get)
        most = _LARGE.get(name, BATCH_MOST)
        copied = 0

        async def batch(db: Connection) -> int:
            known = await fetch_first(db, _Q["progress"], (name,))
            done = known.done if known else 0
            found = sqlite.fetch(self._source, _Q[f"read_{name}"], {"most": most, "done": done})
            if not found:
                return 0
            columns = [[_value(row[place]) for row in found] for place in range(len(found[0]))]
            await run(db, _Q[f"write_{name}"], columns)
            done = found[-1][0] if name in _BY_NUMBER else done + len(found)
            await run(db, _Q["progress_write"], (name, source, done))
            return len(found)

        self._on_progress(name, copied, total)
        while written := await self._target.transact(batch):
            copied += written
            self._on_progress(name, min(copied, total), total)
        self._on_progress(name, total, total)

    async def _compare(self, name: str) -> Compared:
        here = _digest(self._all_read(name), name)
        there = await self._digest_back(name)
        if here != there:
            raise UnsafeStorage(
                f"The copies of {name} differ ({here.rows} rows, {there.rows} copied): drop the "
                "target database, make it anew and copy again."
            )
        return here

    def _all_read(self, name: str) -> Iterator[tuple[Any, ...]]:
        done = 0
        most = _LARGE.get(name, BATCH_MOST)
        while found := sqlite.fetch(self._source, _Q[f"read_{name}"], {"most": most, "done": done}):
            yield from found
            done = found[-1][0] if name in _BY_NUMBER else done + len(found)

    async def _digest_back(self, name: str) -> Compared:
        async def read(db: Connection) -> Compared:
            total = _Sum(name)
            async with db.cursor(name="compared", binary=True) as cursor:
                cursor.itersize = _LARGE.get(name, BATCH_MOST)
                await cursor.execute(_Q[f"back_{name}"])
                async for found in cursor:
                    total.add(found)
            return total.result()

        return await self._target.transact(read)


class _Sum:
    """A digest of rows that does not depend on their order."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rows = 0
        self._sum = 0

    def add(self, found: Sequence[Any]) -> None:
        kept = [_canonical(value) for value in found]
        if self._name == "delivery" and found[7] in _ENDED:
            kept = [value for place, value in enumerate(kept) if place in _KEPT_OF_ENDED]
        text = hashlib.sha256(repr(kept).encode("utf-8", "surrogatepass")).digest()
        self._sum = (self._sum + int.from_bytes(text)) % 2**256
        self._rows += 1

    def result(self) -> Compared:
        return Compared(self._name, self._rows, f"{self._sum:064x}"[:16])


def _digest(found: Iterator[tuple[Any, ...]], name: str) -> Compared:
    total = _Sum(name)
    for row in found:
        total.add(row)
    return total.result()


def _value(value: Any) -> Any:
    return storable(value) if isinstance(value, str) else value


def _canonical(value: Any) -> Any:
    return bytes(value) if isinstance(value, bytes | memoryview) else _value(value)
