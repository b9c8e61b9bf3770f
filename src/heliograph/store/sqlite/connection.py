"""SQLite as Heliograph uses it: checked settings, one writer with group commit, readers.

All writes go through one thread. It takes whatever work has gathered, runs each piece in a
savepoint of its own, and commits once: a flush to disk costs the same for one event as for
a hundred. Readers have connections of their own and never wait for the writer (WAL).
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections import namedtuple
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw

from heliograph.errors import StorageBroken, StorageUnavailable, UnsafeStorage
from heliograph.failpoints import failpoint

T = TypeVar("T")

OLDEST_LIBRARY: Final = (3, 51, 3)
"""Older SQLite can corrupt a database in WAL mode (R18)."""

PRAGMAS: Final = (
    # Milliseconds: a publish is answered within 2 s, whoever holds the file (R11).
    ("busy_timeout", 1500, 1500),
    ("journal_mode", "wal", "wal"),
    # FULL: a commit is flushed before it is reported, also in WAL mode (R1).
    ("synchronous", "full", 2),
    ("foreign_keys", "on", 1),
    ("temp_store", "memory", 2),
    # Damaged pages are noticed when they are read.
    ("cell_size_check", "on", 1),
    ("cache_size", -65536, -65536),
    ("journal_size_limit", 64 * 2**20, 64 * 2**20),
    # Pages in the WAL before a commit also copies them back: 16 MiB.
    ("wal_autocheckpoint", 4096, 4096),
)
"""Name, the value that is set, the value that must be read back (R18)."""

_BROKEN: Final = (
    apsw.IOError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
)

_MOST_IN_ONE_COMMIT: Final = 512
_READERS: Final = 4


def check_library() -> None:
    """Refuse an SQLite that is older than `OLDEST_LIBRARY` (R18).

    Raises:
        UnsafeStorage: with the sentence that says how to mend it.
    """
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < OLDEST_LIBRARY:
        wanted = ".".join(map(str, OLDEST_LIBRARY))
        raise UnsafeStorage(
            f"SQLite {apsw.sqlite_lib_version()} can lose data in WAL mode: install an apsw "
            f"that brings {wanted} or newer."
        )


def connect(path: Path) -> apsw.Connection:
    """Open a connection with every pragma set and read back.

    Raises:
        UnsafeStorage: a pragma did not take, as on a file system that cannot do WAL.
    """
    connection = apsw.Connection(str(path))
    path.chmod(0o600)
    try:
        connection.pragma("schema_version")
    except (apsw.NotADBError, apsw.CorruptError) as error:
        connection.close()
        raise UnsafeStorage(
            f"{path} is damaged or no SQLite database ({error}): restore a backup, or give "
            "another data directory."
        ) from None
    for name, value, expected in PRAGMAS:
        try:
            connection.pragma(name, value)
            found = connection.pragma(name)
        except (apsw.BusyError, apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError) as error:
            if is_full(error):
                connection.close()
                raise
            found = f"({error})"
        if found != expected:
            connection.close()
            raise UnsafeStorage(
                f"SQLite kept {name}={found} where {expected} is needed: put the data "
                "directory on a local file system such as ext4 or XFS."
            )
    return connection


def fetch(
    connection: apsw.Connection, statement: str, values: apsw.Bindings | None = None
) -> list[Any]:
    """All rows of a statement of our own; their columns have names."""
    return _named(connection.execute(statement, values), statement)


def fetch_many(
    connection: apsw.Connection, statement: str, values: Iterable[apsw.Bindings]
) -> list[Any]:
    """All rows of a statement of our own that runs once for each of the values."""
    return _named(connection.executemany(statement, values), statement)


def _named(cursor: apsw.Cursor, statement: str) -> list[Any]:
    make = _row_makers.get(statement)
    if make is None:
        try:
            columns = tuple(name for name, *_ in cursor.get_description())
        except apsw.ExecutionCompleteError:  # there is no row, and SQLite tells of no column
            return []
        make = _row_makers[statement] = _row_class(columns)._make
    return list(map(make, cursor))


def _row_class(columns: tuple[str, ...]) -> Any:
    # A column that was given no name is unpacked, and needs none.
    return namedtuple("Row", columns, rename=True)


_row_makers: Final[dict[str, Callable[[Iterable[Any]], Any]]] = {}
"""By statement: those are ours, so that there are only so many. Asking SQLite for the columns each
time costs as much as a short row."""


@dataclass(slots=True)
class _Work:
    run: Callable[[apsw.Connection], Any]
    name: str
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class _Queue(queue.SimpleQueue["_Work | None"]):
    """What is handed to threads; None ends one. It is filled in the loop alone."""

    _ended = False

    def submit(self, work: _Work) -> None:
        """Hand work over.

        Raises:
            StorageUnavailable: there is no thread any more, that would ever do it.
        """
        if self._ended:
            raise StorageUnavailable("The database is closed.")
        self.put(work)

    def end(self, threads: int) -> None:
        """Have so many threads finish what was submitted, and end."""
        self._ended = True
        for _ in range(threads):
            self.put(None)


class Writer:
    """The one writer thread. Futures resolve only after the commit that holds their work."""

    def __init__(
        self,
        connection: apsw.Connection,
        loop: asyncio.AbstractEventLoop,
        rolled_back: Callable[[], None],
        path: Path,
        deliveries_changed: Callable[[], None] = lambda: None,
        quiet: Callable[[], int] = lambda: 0,
    ) -> None:
        """`rolled_back` is called on the writer thread when something was undone.

        `deliveries_changed` is called in the loop after each commit of which that is true, but
        for changes of which `quiet` says that nothing is due by them: it is asked on the writer
        thread how many those of the transaction are.
        """
        self._path = path
        self._inode = path.stat().st_ino
        self._connection = connection
        self._loop = loop
        self._rolled_back = rolled_back
        self._deliveries_changed = deliveries_changed
        self._quiet = quiet
        self._changed = 0
        connection.set_update_hook(self._note)
        self._work = _Queue()
        self._broken: StorageBroken | None = None
        self._thread = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def write(self, run: Callable[[apsw.Connection], T], name: str = "other") -> T:
        """Run `run` in the next transaction and wait until that is committed.

        Cancelling the caller does not cancel the write: its outcome is then unknown to the
        caller, and known to the database. `name` is for the chaos suite.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self._work.submit(_Work(run, name, future))
        return await future

    async def close(self) -> None:
        """Finish what was submitted and end the thread."""
        self._work.end(1)
        await asyncio.to_thread(self._thread.join)
        self._connection.close()

    def _run(self) -> None:
        while True:
            first = self._work.get()
            if first is None:
                return
            batch, last = self._gather(first)
            self._commit(batch)
            try:
                changed = self._changed > self._quiet()
                self._loop.call_soon_threadsafe(self._tell, batch, changed)
            except RuntimeError:  # the loop is gone: nobody waits any more
                return
            if last:
                return

    def _tell(self, batch: Iterable[_Work], deliveries_changed: bool) -> None:
        """Runs in the loop: callers hear of their work, and then whoever looks for what is due.

        An accept is first, since publishers hear of theirs from who heard of all (S17).
        """
        _resolve([work for work in batch if work.name == "accept"])
        self._loop.call_soon(_resolve, [work for work in batch if work.name != "accept"])
        if deliveries_changed:
            self._deliveries_changed()

    def _note(self, _kind: int, _database: str, table: str, _row: int) -> None:
        """SQLite tells of each row that changes: no statement can forget to (R21)."""
        self._changed += table == "delivery"

    def _gather(self, first: _Work) -> tuple[list[_Work], bool]:
        batch = [first]
        while len(batch) < _MOST_IN_ONE_COMMIT:
            try:
                work = self._work.get_nowait()
            except queue.Empty:
                break
            if work is None:
                return batch, True
            batch.append(work)
        return batch, False

    def _commit(self, batch: list[_Work]) -> None:
        self._changed = 0
        if self._broken is not None:
            _fail(batch, self._broken)
            return
        connection = self._connection
        try:
            connection.execute("begin immediate")
            for work in batch:
                self._run_one(work)
            for work in batch:
                failpoint(work.name + ".commit.before")
            connection.execute("commit")
            _see_that_it_is_there(self._path, self._inode)
            for work in batch:
                failpoint(work.name + ".commit.after")
        except BaseException as error:
            translated = translate(error) if isinstance(error, apsw.Error) else error
            if not isinstance(translated, StorageUnavailable):
                translated = self._break(translated)
            _fail(batch, translated)
            self._changed = 0
            self._rolled_back()
            if connection.in_transaction:
                try:
                    connection.execute("rollback")
                except apsw.Error as second:
                    self._break(second)

    def _break(self, cause: BaseException) -> StorageBroken:
        """Write nothing any more: after one failed flush the next may falsely succeed (F12).

        That holds for the close as well, which would copy the WAL back into the database.
        """
        self._broken = (
            cause
            if isinstance(cause, StorageBroken)
            else StorageBroken(f"A write failed: {cause!r}")
        )
        self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        return self._broken

    def _run_one(self, work: _Work) -> None:
        """Run one piece of work; what it raises undoes it alone, unless the database failed."""
        connection = self._connection
        connection.execute("savepoint work")
        try:
            work.result = work.run(connection)
        except Exception as error:
            if isinstance(error, apsw.Error) and translate(error) is not error:
                raise  # the database failed, not this piece of work
            work.error = error
            self._rolled_back()
            connection.execute("rollback to work")
        connection.execute("release work")


class Readers:
    """A few threads, each with a connection that cannot write.

    They are handed work as the writer is: an executor's way there and back takes longer than a
    short read. All their files are opened first: one that is opened when it is needed may find
    no descriptor left, which must not look like a broken disk.
    """

    def __init__(self, path: Path) -> None:
        """Raises apsw.Error where a connection cannot be opened."""
        self._work = _Queue()
        connections = [_reading(path) for _ in range(_READERS)]
        self._threads = [
            threading.Thread(
                target=self._run, args=(connection,), name=f"sqlite-reader-{number}", daemon=True
            )
            for number, connection in enumerate(connections)
        ]
        for thread in self._threads:
            thread.start()

    async def read(self, run: Callable[[apsw.Connection], T]) -> T:
        """Run `run` on a reader: one snapshot, of everything committed before it."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._work.submit(_Work(run, "read", future))
        return await future

    async def close(self) -> None:
        """Wait for running reads and close the connections."""
        self._work.end(len(self._threads))
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _run(self, connection: apsw.Connection) -> None:
        while (work := self._work.get()) is not None:
            if work.future.cancelled():
                continue
            try:
                work.result = _read(connection, work.run)
            except BaseException as error:
                work.error = translate(error) if isinstance(error, apsw.Error) else error
            with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
                work.future.get_loop().call_soon_threadsafe(_resolve, [work])
            del work  # with what was read, which may be large
        connection.close()


def _reading(path: Path) -> apsw.Connection:
    """A connection that cannot write, and opens no file later.

    SQLite opens the WAL beside the database at the first read, and a file for what it sorts.
    """
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(1500)
    connection.pragma("temp_store", "memory")
    _read(connection, lambda db: db.pragma("schema_version"))
    return connection


def _read(connection: apsw.Connection, run: Callable[[apsw.Connection], T]) -> T:
    connection.execute("begin")  # one snapshot for all of the work's queries
    try:
        return run(connection)
    finally:
        connection.execute("rollback")


def _see_that_it_is_there(path: Path, inode: int) -> None:
    """What is written to a file that has no name any more is gone at the next start.

    Raises:
        StorageBroken: another file has the database's name, or none has.
    """
    try:
        same = path.stat().st_ino == inode
    except OSError:
        same = False
    if not same:
        raise StorageBroken(
            f"{path} was removed or replaced while Heliograph had it open: put the file back, or "
            "restore a backup, and start again."
        )


def is_full(error: apsw.Error) -> bool:
    """Whether the disk has no room, for the database or for the memory beside it (-shm)."""
    shared = getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_SHMSIZE
    return isinstance(error, apsw.FullError) or shared


def translate(error: apsw.Error) -> Exception:
    """Say in our words what SQLite reports; a bug of ours stays what it is."""
    if is_full(error):
        return StorageUnavailable("The disk is full: free space, nothing else needs doing.")
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return StorageUnavailable(
            "Another program holds a lock on the database: let it finish, or end it."
        )
    if isinstance(error, apsw.NoMemError):
        return StorageUnavailable("SQLite found no memory.")
    if isinstance(error, _BROKEN):
        return StorageBroken(f"SQLite cannot use the database: {error}")
    return error


def _resolve(batch: Iterable[_Work]) -> None:
    for work in batch:
        if work.future.done():  # its caller was cancelled
            continue
        if work.error is not None:
            work.future.set_exception(work.error)
        else:
            work.future.set_result(work.result)


def _fail(batch: Iterable[_Work], error: BaseException) -> None:
    for work in batch:
        work.error = error
