"""What an event costs each engine, counted: a slow path must not come back unseen.

Statements are what the engine runs, the rows of a statement with many values and the triggers
included on SQLite; round trips are what the other side of PostgreSQL's socket is asked. Where a
number here goes down, write the lower one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any, TextIO, TypeVar

import apsw

from heliograph.delivery.matching import match_all
from heliograph.model.accounts import Account
from heliograph.store import Store
from heliograph.store.keyring import KeyRing
from heliograph.store.postgres.store import PostgresStore
from heliograph.store.sqlite.store import SqliteStore
from tests.conftest import YEARS
from tests.support import (
    ACCOUNT,
    ManualClock,
    accept,
    claim_all,
    deliver,
    new_event,
    wanted_configuration,
)
from tests.taking import Sending

T = TypeVar("T")

MANY = 64

_PREPARED = '"_pg3_'
"""What psycopg begins the names of prepared statements with."""


class Flushes(apsw.VFS):
    """SQLite's own files; counts how often one is flushed."""

    def __init__(self) -> None:
        super().__init__("counting", "unix")
        self.count = 0

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 (apsw's name)
        return _File(self, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, flushes: Flushes, name: Any, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self._flushes = flushes

    def xSync(self, flags: int) -> None:  # noqa: N802 (apsw's name)
        self._flushes.count += 1
        super().xSync(flags)


@contextlib.contextmanager
def counted_flushes() -> Iterator[Flushes]:
    """Files that SQLite opens in the block are flushed by what counts it."""
    usual, flushes = apsw.vfs_names()[0], Flushes()
    apsw.set_default_vfs("counting")
    try:
        yield flushes
    finally:
        apsw.set_default_vfs(usual)
        flushes.unregister()


class Sqlite:
    """Counts the statements and the flushes of what is awaited."""

    def __init__(self, store: SqliteStore, flushes: Flushes) -> None:
        self._flushes = flushes
        self._seen: list[str] = []
        store._writer._connection.trace_v2(
            apsw.SQLITE_TRACE_STMT, lambda event: self._seen.append(str(event["sql"]))
        )

    async def of(self, work: Awaitable[T]) -> tuple[T, tuple[int, int]]:
        self._seen.clear()
        before = self._flushes.count
        result = await work
        return result, (len(self._seen), self._flushes.count - before)


class Postgres:
    """Counts the statements and the round trips of what is awaited, from libpq's own trace.

    The hint that other nodes get of an accept is among them: three of each. There is none where all
    that was accepted was claimed at once. A statement that is prepared costs a round trip once for
    each connection, and which one of the pool has run it often enough is a matter of luck.
    """

    def __init__(self, store: PostgresStore, trace: TextIO) -> None:
        self._store, self._trace = store, trace
        for connection in store._database._pool._pool:
            connection.pgconn.trace(trace.fileno())

    async def of(self, work: Awaitable[T]) -> tuple[T, tuple[int, int]]:
        self._trace.seek(0)
        self._trace.truncate()
        result = await work
        if (hint := self._store._hints._giving) is not None:
            await hint
        self._trace.seek(0)
        # Time, who sends, bytes, name, content; a statement's own lines are no lines of it.
        lines = [line.rstrip().split("\t") for line in self._trace]
        asked = [parts for parts in lines if parts[1:2] == ["F"]]
        names = Counter(parts[3] for parts in asked)
        prepared = sum(parts[3] == "Parse" and _PREPARED in parts[4] for parts in asked)
        statements = names["Query"] + names["Execute"]
        return result, (statements, names["Query"] + names["Sync"] - prepared)


async def ready(store: Store) -> None:
    """One listener that has taken a message before: what is read once, was read."""
    await store.create_account(Account(ACCOUNT, 1, "First"))
    await store.create_configuration(wanted_configuration())
    await accept(store, new_event(envelope_id="before"))
    await deliver(store, await claim_all(store))


async def costs(store: Store, counting: Sqlite | Postgres) -> dict[str, tuple[int, int]]:
    """What each step takes: of one event alone, and of 64 that are published at once."""
    store.hand_to(None)
    known = await store.configurations(ACCOUNT)
    taken = {}
    for size in (1, MANY):
        events = [new_event(envelope_id=f"{n} of {size}") for n in range(size)]
        matched = [(event, match_all(known.all, event, known.groups)) for event in events]
        calls = [store.accept(ACCOUNT, known.version, [one]) for one in matched]
        _, taken[f"accept {size}"] = await counting.of(asyncio.gather(*calls))
        claims, taken[f"claim {size}"] = await counting.of(claim_all(store))
        assert len(claims) == size
        _, taken[f"settle {size}"] = await counting.of(deliver(store, claims))
    return taken


async def costs_of_handing_over(
    store: Store, counting: Sqlite | Postgres
) -> dict[str, tuple[int, int]]:
    """The same where what is accepted is sent at once: nothing claims it."""
    known = await store.configurations(ACCOUNT)
    taken = {}
    for size in (1, MANY):
        sending = Sending(store)
        events = [new_event(envelope_id=f"{n} of {size} handed over") for n in range(size)]
        matched = [(event, match_all(known.all, event, known.groups)) for event in events]
        calls = [store.accept(ACCOUNT, known.version, [one]) for one in matched]
        _, taken[f"accept {size}"] = await counting.of(asyncio.gather(*calls))
        assert len(sending.taken) == size
        _, taken[f"settle {size}"] = await counting.of(deliver(store, sending.taken))
    return taken


async def test_what_an_event_costs_sqlite(tmp_path: Path, clock: ManualClock) -> None:
    with counted_flushes() as flushes:
        keyring = KeyRing.load(tmp_path / "master.key")
        store = await SqliteStore.open(tmp_path / "heliograph.db", keyring, clock)
        await ready(store)
        # Statements, and flushes.
        assert await costs(store, Sqlite(store, flushes)) == {
            "accept 1": (11, 1),
            "claim 1": (9, 1),
            "settle 1": (9, 1),
            "accept 64": (263, 1),
            "claim 64": (135, 1),
            "settle 64": (261, 1),
        }
        assert await costs_of_handing_over(store, Sqlite(store, flushes)) == {
            "accept 1": (12, 1),
            "settle 1": (9, 1),
            "accept 64": (264, 1),
            "settle 64": (261, 1),
        }
        await store.close()


async def test_what_an_event_costs_postgres(
    database_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    keyring = KeyRing.load(tmp_path / "master.key")
    store = await PostgresStore.open(
        *(database_url, keyring, clock), instance="test", lease=YEARS, accept_data_loss=True
    )
    await ready(store)
    with (tmp_path / "trace").open("w+") as trace:
        counting = Postgres(store, trace)
        # Statements, and round trips.
        assert await costs(store, counting) == {
            "accept 1": (13, 13),
            "claim 1": (8, 8),
            "settle 1": (7, 7),
            "accept 64": (13, 13),
            "claim 64": (8, 8),
            "settle 64": (8, 8),
        }
        assert await costs_of_handing_over(store, counting) == {
            "accept 1": (12, 12),
            "settle 1": (7, 7),
            "accept 64": (12, 12),
            "settle 64": (8, 8),
        }
    await store.close()
