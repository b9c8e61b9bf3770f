"""The store on one SQLite file: writes through one thread with group commit, reads beside it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import apsw

from heliograph.clock import Clock, Leap, StoreClock
from heliograph.errors import StorageUnavailable
from heliograph.model.audit import Action
from heliograph.model.deliveries import Settlement
from heliograph.model.logs import Cursor, LogQuery, Order, Requeued
from heliograph.store import (
    BATCH,
    BATCH_MOST,
    ClaimResult,
    RequeuePage,
    Retired,
    Statistics,
    batches,
)
from heliograph.store.accepting import AcceptedBatch, Accepting, Submitted
from heliograph.store.file_lock import FileLock
from heliograph.store.keyring import KeyRing
from heliograph.store.loads import Load
from heliograph.store.openings import Openings
from heliograph.store.sqlite import retention
from heliograph.store.sqlite.accept import accept
from heliograph.store.sqlite.connection import (
    Readers,
    Writer,
    check_library,
    connect,
    fetch,
    translate,
)
from heliograph.store.sqlite.engine import SqliteEngine, run_verb
from heliograph.store.sqlite.known import Known
from heliograph.store.sqlite.node import damaged, start
from heliograph.store.sqlite.queries import QUERIES
from heliograph.store.sqlite.queue import Queue
from heliograph.store.times import to_microseconds
from heliograph.store.verbs import audit, log_rows
from heliograph.store.verbs import clock as steps
from heliograph.store.verbs.store import StoreVerbs

_Q: Final = QUERIES

T = TypeVar("T")


class SqliteStore(StoreVerbs):
    """The Store port on apsw. Made by `open`, which also migrates and recovers."""

    def __init__(
        self,
        path: Path,
        lock: FileLock,
        connection: apsw.Connection,
        keyring: KeyRing,
        clock: Clock,
        *,
        adopt: bool = False,
    ) -> None:
        steady = StoreClock(clock)
        self._path = path
        self._lock = lock
        self._epoch = start(connection, steady, path, adopt=adopt)
        last_attempt = connection.execute(_Q["attempt_last"]).get or 0
        self._known = Known(keyring)
        self._queue = Queue(
            self._known, lambda: to_microseconds(steady.now()), self._epoch, last_attempt
        )
        self._readers = Readers(path)
        self._writer = Writer(
            connection,
            asyncio.get_running_loop(),
            rolled_back=self._queue.forget,
            path=path,
            deliveries_changed=self._something_due,
            quiet=self._queue.quiet,
        )
        engine = SqliteEngine(self._writer, self._readers, self._known.changed_by)
        super().__init__(engine, keyring, steady, Accepting(self._accepted, self.settle, steady))

    @classmethod
    async def open(cls, path: Path, keyring: KeyRing, clock: Clock, *, adopt: bool = False) -> Self:
        """Open, or make, the database; what a crash left in flight waits again.

        `adopt` takes a file that was copied here from elsewhere.

        Raises:
            UnsafeStorage: another process has it, a setting does not hold, or a newer
                version made it (R18, R20).
            StorageUnavailable: the disk is full.
            StorageBroken: the file cannot be read or written.
        """
        check_library()
        lock = FileLock(path.with_name(path.name + ".lock"))
        connection: apsw.Connection | None = None
        try:
            connection = connect(path)
            return cls(path, lock, connection, keyring, clock, adopt=adopt)
        except BaseException as error:
            if connection is not None:
                connection.close()
            lock.release()
            if isinstance(error, apsw.CorruptError | apsw.NotADBError):
                raise damaged(path, str(error)) from error
            if isinstance(error, apsw.Error):
                raise translate(error) from error
            raise

    async def close(self) -> None:
        def run(db: apsw.Connection) -> None:
            run_verb(db, steps.beat(self._clock))
            db.execute(_Q["node_stop"], {"now": self._now(), "epoch": self._epoch})

        await self._accepting.close()
        try:
            # On a full disk the node stays marked as running: its lock is let go below.
            with contextlib.suppress(StorageUnavailable):
                await self._writer.write(run)
        finally:
            await self._readers.close()
            await self._writer.close()
            self._lock.release()

    async def renew_lease(self) -> bool:
        def run(db: apsw.Connection) -> Sequence[Leap]:
            looked = self._queue.looked_us
            values = {"now": self._now(), "looked": looked, "epoch": self._epoch}
            db.execute(_Q["node_renew"], values)
            return run_verb(db, steps.beat(self._clock))

        self._leapt(await self._writer.write(run, "lease.renew"))
        return True

    async def take_over(self) -> int:
        return 0  # there is no other node; what a crash left was put back by `open`

    async def wait_for_hint(self) -> None:
        await asyncio.Event().wait()  # nobody else can leave work here

    async def ready(self) -> None:
        await self.renew_lease()

    async def _accepted(
        self, batch: Sequence[Submitted], openings: Openings | None
    ) -> AcceptedBatch:
        return await self._writer.write(
            lambda db: accept(db, batch, self._known, self._queue, openings, self._now()),
            "accept",
        )

    async def claim(
        self,
        room: int,
        per_unlisted: int,
        free: Mapping[int, int] | None = None,
        per_account: int | None = None,
        load: Load | None = None,
    ) -> ClaimResult:
        return await self._writer.write(
            lambda db: self._queue.claim(db, room, per_unlisted, free or {}, per_account, load),
            "claim",
        )

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[bool]:
        return await self._writer.write(lambda db: self._queue.settle(db, settlements), "settle")

    async def requeue_envelopes(
        self, account_id: str, envelope_ids: Sequence[str], after: int = 0
    ) -> Sequence[Requeued]:
        values = {"account_id": account_id, "after": after, "most": BATCH}
        values["envelope_ids"] = json.dumps(list(envelope_ids))

        def run(db: apsw.Connection) -> Sequence[Requeued]:
            found = fetch(db, _Q["requeue_candidates"], values)
            return self._requeue_each(db, account_id, found)

        return await self._write(run)

    async def requeue_failures(
        self, account_id: str, query: LogQuery, after: Cursor | None = None
    ) -> RequeuePage:
        found = await self._chosen(account_id, query, after)
        batch = found[:BATCH_MOST]
        done: list[Requeued] = []
        for some in batches([row.delivery_id for row in batch], BATCH):
            values = {"account_id": account_id, "ids": json.dumps(some)}
            done += await self._write(partial(self._requeue, values=values))
        more = len(found) > BATCH_MOST
        last = Cursor(batch[-1].created_us, batch[-1].delivery_id) if more else None
        return RequeuePage(tuple(done), last)

    def _requeue(self, db: apsw.Connection, values: Mapping[str, Any]) -> Sequence[Requeued]:
        account_id = values["account_id"]
        found = fetch(db, _Q["requeue_chosen"], values)
        return self._requeue_each(db, account_id, found)

    def _requeue_each(
        self, db: apsw.Connection, account_id: str, found: Sequence[Any]
    ) -> Sequence[Requeued]:
        done = [self._queue.requeue(db, account_id, row) for row in found]
        again = audit.of_deliveries(requeued.delivery_id for requeued, could in done if could)
        run_verb(db, audit.note(account_id, self._now(), Action.FAILURES_REPUBLISHED, *again))
        return [requeued for requeued, _ in done]

    async def delete_failure(self, account_id: str, failure_id: int, who: str) -> bool:
        return await self._write(lambda db: self._cancel(db, account_id, [failure_id], who)) > 0

    async def delete_failures(self, account_id: str, query: LogQuery, who: str) -> int:
        deleted = 0
        # What somebody else has deleted since it was chosen leaves room for others.
        while deleted < BATCH_MOST and (found := await self._chosen(account_id, query)):
            for some in batches([row.delivery_id for row in found[: BATCH_MOST - deleted]], BATCH):
                deleted += await self._write(
                    partial(self._cancel, account_id=account_id, failure_ids=some, who=who)
                )
        return deleted

    def _cancel(
        self, db: apsw.Connection, account_id: str, failure_ids: Sequence[int], who: str
    ) -> int:
        cancelled = self._queue.cancel(db, account_id, failure_ids, who)
        deleted = audit.of_deliveries(failure_ids, cancelled)
        run_verb(db, audit.note(account_id, self._now(), Action.FAILURES_DELETED, *deleted))
        return cancelled

    async def _write(self, work: Callable[[apsw.Connection], T]) -> T:
        """Write, as who acts here."""
        context = copy_context()
        return await self._writer.write(lambda db: context.run(work, db))

    async def _chosen(
        self, account_id: str, query: LogQuery, after: Cursor | None = None
    ) -> Sequence[Any]:
        """Failures to change, oldest first: new ones that come meanwhile come last.

        They are looked for beside the writer, which a filter that few pass would hold for long;
        whether they are still open is asked where they are changed.
        """
        oldest_first = replace(query, order=Order.OLDEST_FIRST)
        step = log_rows.listing("requeue_page", account_id, oldest_first, BATCH_MOST, after)
        return await self._readers.read(lambda db: run_verb(db, log_rows.found(step)))

    async def statistics(self) -> Statistics:
        database, log = (
            path.stat().st_size if path.exists() else 0
            for path in (self._path, self._path.with_name(self._path.name + "-wal"))
        )
        return replace(await super().statistics(), database_bytes=database, log_bytes=log)

    async def retire(self, before: datetime) -> Retired:
        limit = to_microseconds(before)

        def retire(db: apsw.Connection) -> Retired:
            retired = retention.retire(db, limit)
            if retired.configurations:  # an account may have no ad hoc ones any more
                self._known.forget()
            return retired

        return await self._writer.write(retire, "retention.batch")
