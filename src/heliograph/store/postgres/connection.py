"""PostgreSQL as Heliograph uses it: a pool, and transactions that are tried again.

Works behind PgBouncer in transaction mode: nothing depends on a session, and statements are
prepared only where no pooler stands between (see `behind_pooler`).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import lru_cache
from typing import Any, Final, Self, TypeVar, cast

import psycopg
from psycopg import AsyncConnection, AsyncCursor, errors
from psycopg.conninfo import make_conninfo
from psycopg.rows import namedtuple_row
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from heliograph.errors import StorageUnavailable
from heliograph.failpoints import failpoint
from heliograph.model.deliveries import LEASE_SECONDS
from heliograph.store.postgres.url import parameters_of, unusable_parameter
from heliograph.store.verbs import PATIENCE

T = TypeVar("T")

_CONNECTIONS: Final = 10

CONNECTIONS_OF_A_NODE: Final = _CONNECTIONS + 1
"""At the most: those of the pool, and the one that hears hints."""

_OPENED_WITHIN: Final = 5.0
"""Seconds for the pool's first connections. Nobody waits for an answer yet, and a server that has
taken one connection already is busy, not away."""

_CHANGES_DELIVERIES: Final = re.compile(r"\b(?:insert into|update|delete from)\s+delivery\b")

_PARAMETERS: Final = {
    "application_name": "heliograph",
    "connect_timeout": "2",
    # A host that vanished without a word is noticed within about 10 s.
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}


class Connection(AsyncConnection[tuple[Any, ...]]):
    """One that knows whether its transaction has changed deliveries: see `_note`."""

    deliveries_changed = False


class Raced(Exception):
    """Another transaction was faster with the same thing: this one must look again."""


class Database:
    """Connections to one PostgreSQL."""

    def __init__(self, url: str, lease: float = LEASE_SECONDS) -> None:
        """`lease` is the node's, in seconds.

        Raises:
            UnusableSetting: the URL cannot be read.
        """
        # Half of the lease, as far as PostgreSQL can count.
        self._idle_milliseconds = min(round(lease * 500), 2**31 - 1)
        # What the URL gives wins.
        self.conninfo = make_conninfo("", **cast(Any, {**_PARAMETERS, **parameters_of(url)}))
        self._prepare: int | None = 2
        self.deliveries_changed: Callable[[str], None] = lambda _: None
        """Is called after each commit of which that is true, with the transaction's name."""
        self._pool = AsyncConnectionPool(
            self.conninfo,
            connection_class=Connection,
            kwargs={"autocommit": True},
            min_size=2,
            max_size=_CONNECTIONS,
            timeout=PATIENCE,
            # After an outage the pool's own attempts would lie up to minutes apart: it
            # gives up at once, and the next caller makes it try again (R11: within 5 s).
            reconnect_timeout=1.0,
            configure=self._configure,
            open=False,
        )

    async def open(self) -> Self:
        """Connect.

        Raises:
            StorageUnavailable: no server answers, or it refuses us.
            UnusableSetting: a parameter of the URL has a value that means nothing.
        """
        try:
            async with await Connection.connect(self.conninfo, autocommit=True) as first:
                self.behind_pooler = await behind_pooler(first)
        except psycopg.Error as error:
            if (unusable := unusable_parameter(error)) is not None:
                raise unusable from None
            raise translate(error) from error
        if self.behind_pooler:
            self._prepare = None
        await self._pool.open()
        with contextlib.suppress(PoolTimeout):  # who asks for a connection says what is wrong
            await self._pool.wait(_OPENED_WITHIN)
        return self

    async def _configure(self, connection: Connection) -> None:
        connection.prepare_threshold = self._prepare
        if not self.behind_pooler:
            # A node that is frozen inside of a transaction gives its locks up before its lease
            # has run out, so that it can be taken over (R8).
            await connection.execute(
                "select set_config('idle_in_transaction_session_timeout', %s, false)",
                (str(self._idle_milliseconds),),
            )

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    async def transact(self, work: Callable[[Connection], Awaitable[T]], name: str = "other") -> T:
        """Run `work` in a transaction and commit it; again where that is safe.

        Deadlocks and connections that break before the commit are tried again. A commit
        without an answer is not: its outcome is unknown. `name` is for the chaos suite.

        Raises:
            StorageUnavailable: nothing was committed, or the outcome is unknown.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        while True:
            committing = False
            try:
                async with self._pool.connection(timeout=PATIENCE) as connection:
                    connection.deliveries_changed = False
                    async with connection.transaction():
                        result = await work(connection)
                        failpoint(f"{name}.commit.before")
                        committing = True
                    failpoint(f"{name}.commit.after")
                    if connection.deliveries_changed:
                        self.deliveries_changed(name)
                    return result
            except Raced:
                if loop.time() > deadline:
                    raise StorageUnavailable("Too many publish the same event.") from None
            except (psycopg.Error, PoolTimeout, PoolClosed, TooManyRequests, OSError) as error:
                conflict = isinstance(error, errors.DeadlockDetected | errors.SerializationFailure)
                again = conflict or (not committing and _connection_lost(error))
                if not again or loop.time() > deadline:
                    raise translate(error, committing=committing) from error

    async def bounded(self, running: Awaitable[T], patience: float = PATIENCE) -> T:
        """Wait for `running`, but not for ever; it goes on when we do not wait any more.

        A commit is never cancelled: on a stopped server it may still succeed later.

        Raises:
            StorageUnavailable: the database did not answer in time.
        """
        task = asyncio.ensure_future(running)
        try:
            done, _ = await asyncio.wait({task}, timeout=patience)
        except asyncio.CancelledError:
            task.add_done_callback(_forget)
            raise
        if not done:
            task.add_done_callback(_forget)
            raise StorageUnavailable(
                "The database did not answer in time: whether this was stored is unknown."
            )
        return task.result()

    async def read(
        self, work: Callable[[Connection], Awaitable[T]], patience: float = PATIENCE
    ) -> T:
        """Run a read within `patience` seconds."""
        return await self.bounded(self.transact(work), patience)

    @contextlib.asynccontextmanager
    async def dedicated(self) -> AsyncIterator[Connection]:
        """A connection outside the pool, for listening."""
        try:
            connection = await Connection.connect(self.conninfo, autocommit=True)
            async with connection:
                yield connection
        except psycopg.Error as error:
            raise translate(error) from error


async def execute(
    connection: Connection, statement: str, values: Any = None, *, quiet: bool = False
) -> AsyncCursor[Any]:
    """The cursor of a statement of our own; the columns of its rows have names.

    A `quiet` one makes nothing due, whatever it changes.
    """
    cursor = connection.cursor(row_factory=namedtuple_row)
    await cursor.execute(statement, values, binary=True)
    if not quiet:
        _note(connection, statement, cursor.rowcount)
    return cursor


async def fetch(
    connection: Connection, statement: str, values: Any = None, *, quiet: bool = False
) -> list[Any]:
    """All rows of a statement of our own; see `execute`."""
    return await (await execute(connection, statement, values, quiet=quiet)).fetchall()


async def fetch_first(connection: Connection, statement: str, values: Any = None) -> Any:
    """The first row of a statement, or None."""
    return await (await execute(connection, statement, values)).fetchone()


async def fetch_only(connection: Connection, statement: str, values: Any = None) -> Any:
    """The row of a statement that always has one."""
    found = await fetch_first(connection, statement, values)
    if found is None:
        raise LookupError(f"no row came from: {statement}")
    return found


async def run(connection: Connection, statement: str, values: Any = None) -> int:
    """Run a statement; how many rows it changed."""
    cursor = await connection.execute(statement, values)
    _note(connection, statement, cursor.rowcount)
    return cursor.rowcount


def _note(connection: Connection, statement: str, changed: int) -> None:
    """Its text tells that a statement is about deliveries: no verb can forget to (R21)."""
    if changed > 0 and _changes_deliveries(statement):
        connection.deliveries_changed = True


@lru_cache(maxsize=1024)
def _changes_deliveries(statement: str) -> bool:
    return _CHANGES_DELIVERIES.search(statement) is not None


def translate(error: BaseException, *, committing: bool = False) -> Exception:
    """Say in our words what PostgreSQL reports; a bug of ours stays what it is."""
    if committing:
        return StorageUnavailable(
            f"The database went away during a commit, whether it holds is unknown: {_short(error)}"
        )
    if isinstance(error, errors.DiskFull):
        return StorageUnavailable(
            "The disk of the database is full: free space, nothing else needs doing."
        )
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return StorageUnavailable(
            "The database takes no writes: it is a standby. Point --database-url at the primary, "
            "or name both with target_session_attrs=read-write."
        )
    if isinstance(error, PoolTimeout | PoolClosed | TooManyRequests):
        return StorageUnavailable("The database does not answer, or has no connection left.")
    if isinstance(error, errors.RaiseException):
        return error
    if isinstance(
        error, psycopg.OperationalError | psycopg.InterfaceError | psycopg.InternalError | OSError
    ):
        return StorageUnavailable(f"The database cannot be used now: {_short(error)}")
    return error if isinstance(error, Exception) else RuntimeError(str(error))


def _connection_lost(error: BaseException) -> bool:
    if isinstance(error, psycopg.InterfaceError | OSError):
        return True
    return isinstance(error, psycopg.OperationalError) and (
        error.sqlstate is None or error.sqlstate.startswith(("08", "57P"))
    )


def _short(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


async def behind_pooler(connection: Connection) -> bool:
    """Whether a pooler answers: then the server process is not the one that we were told of."""
    found = await fetch_first(connection, "select pg_backend_pid()")
    return found is None or found[0] != connection.info.backend_pid


def _forget(task: asyncio.Future[Any]) -> None:
    """Take the outcome of what nobody waits for any more."""
    if not task.cancelled():
        task.exception()
