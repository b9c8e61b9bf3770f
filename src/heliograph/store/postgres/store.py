"""The store on PostgreSQL: any number of nodes on one database."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Self, TypeVar

import structlog

from heliograph.clock import Clock, Leap, StoreClock
from heliograph.errors import StorageUnavailable, UnsafeStorage
from heliograph.model.audit import Action
from heliograph.model.deliveries import LEASE_SECONDS, Settlement
from heliograph.model.logs import Cursor, LogQuery, Order, Requeued
from heliograph.store import (
    BATCH,
    BATCH_MOST,
    ClaimResult,
    RequeuePage,
    Retired,
)
from heliograph.store.accepting import AcceptedBatch, Accepting, Submitted
from heliograph.store.keyring import KeyRing
from heliograph.store.loads import Load
from heliograph.store.openings import Openings
from heliograph.store.postgres import node, retention
from heliograph.store.postgres.accept import accept
from heliograph.store.postgres.connection import (
    Connection,
    Database,
    fetch,
    fetch_only,
    run,
)
from heliograph.store.postgres.engine import PostgresEngine, run_verb
from heliograph.store.postgres.hints import Hints
from heliograph.store.postgres.node import DatabaseClock
from heliograph.store.postgres.queries import QUERIES
from heliograph.store.postgres.queue import Queue
from heliograph.store.times import to_microseconds
from heliograph.store.verbs import LISTING_PATIENCE, PATIENCE, Step, audit, log_rows
from heliograph.store.verbs import clock as steps
from heliograph.store.verbs.store import StoreVerbs

T = TypeVar("T")

_Q: Final = QUERIES

_PROMPT: Final = 1.0
"""Seconds within which the database's clock must be read to count."""

_REVOKED_WITHIN: Final = 1.0
"""Seconds after which a token that another node revoked works nowhere."""

_OF_SENDING: Final = ("claim", "settle")
"""Transactions of a node that sends: what they make due is its own to look for first."""

_log = structlog.get_logger()


class PostgresStore(StoreVerbs):
    """The Store port on psycopg. Made by `open`, which also migrates."""

    def __init__(
        self, database: Database, keyring: KeyRing, clock: Clock, instance: str, lease: float
    ) -> None:
        self._hints = Hints(database)
        self._source = clock
        steady = StoreClock(clock)
        accepting = Accepting(self._accepted, self.settle, steady)
        super().__init__(PostgresEngine(database), keyring, steady, accepting, _REVOKED_WITHIN)
        self._database = database
        database.deliveries_changed = self._deliveries_changed
        self._instance = instance
        self._lease_us = round(lease * 1_000_000)
        self._queue = Queue(keyring, self._now)
        self._lease_lost = False

    @classmethod
    async def open(
        cls,
        url: str,
        keyring: KeyRing,
        clock: Clock | None = None,
        *,
        instance: str,
        lease: float = LEASE_SECONDS,
        accept_data_loss: bool = False,
    ) -> Self:
        """Connect, migrate and begin a new epoch of this node.

        Args:
            url: As libpq takes it.
            keyring: Opened with the installation's master key.
            clock: None stands for the database's.
            instance: Names the data directory of the node, which only one process has.
            lease: Seconds after which the node counts as dead unless it renews.
            accept_data_loss: Start although the server's settings lose data.

        Raises:
            UnsafeStorage: a setting or the key does not fit, or a newer version made the
                database (R18).
            StorageUnavailable: no server answers.
        """
        database = await Database(url, lease).open()
        store = cls(database, keyring, clock or DatabaseClock(), instance, lease)
        try:
            await store._start(accept_data_loss)
        except BaseException:
            await database.close()
            raise
        return store

    @classmethod
    async def is_new(cls, url: str) -> bool:
        """Whether no node has ever started on this database.

        Raises:
            StorageUnavailable: no server answers.
        """
        database = await Database(url).open()
        try:
            return await database.transact(node.is_new)
        finally:
            await database.close()

    async def _start(self, accept_data_loss: bool) -> None:
        async def begin(db: Connection) -> int:
            await self._adjust(db)
            self._clock.go_on(self._source.now(), 0.0)
            await node.migrate(db, self._now)
            await run_verb(db, steps.go_on(self._clock))
            await node.refuse_unfinished_copy(db)
            await node.check_key(db, self._keyring, self._now())
            return await node.start(db, self._instance, self._now(), self._lease_us)

        settings = await self._database.transact(node.ServerSettings.read)
        problems = settings.problems()
        if problems and not accept_data_loss:
            raise UnsafeStorage(
                " ".join(f"{found[:1].upper()}{found[1:]}: {mend}." for _, found, mend in problems)
                + " Or start with --i-accept-data-loss."
            )
        for name, found, mend in problems:
            _log.warning("unsafe_storage", check=name, found=found, mend=mend)
        self._queue.begin_epoch(await self._database.transact(begin))
        await self._database.transact(self._make_days)

    async def close(self) -> None:
        async def stop(db: Connection) -> None:
            await run(db, _Q["node_stop"], {"epoch": self._queue.epoch, "now": self._now()})
            # What was claimed without our knowing goes back at once.
            await self._queue.take_over(db)

        await self._accepting.close()
        with contextlib.suppress(StorageUnavailable):  # the lease then runs out
            await self._database.bounded(self._database.transact(stop))
        await self._hints.close()
        await self._database.close()

    def _deliveries_changed(self, name: str) -> None:
        """Something may have become due: look for it, here and on the other nodes (R21)."""
        self._something_due()
        if name not in _OF_SENDING:
            self._hints.give()

    async def _adjust(self, db: Connection) -> None:
        if isinstance(self._source, DatabaseClock):
            began = self._source.monotonic()
            (database_us,) = await fetch_only(db, _Q["server_clock"])
            # An answer that took long tells of a time that has passed.
            if self._source.monotonic() - began < _PROMPT or not self._source.adjusted:
                self._source.adjust(database_us)

    async def renew_lease(self) -> bool:
        async def beat(db: Connection) -> Sequence[Leap]:
            await self._adjust(db)
            return await run_verb(db, steps.beat(self._clock))

        async def renew(db: Connection) -> None:
            now = self._now()
            values = {
                "epoch": self._queue.epoch,
                "until": now + self._lease_us,
                "looked": self._queue.looked_us,
            }
            if await run(db, _Q["node_renew"], values):
                return
            epoch = await node.start(db, self._instance, now, self._lease_us)
            self._queue.begin_epoch(epoch)
            # Kept until it is told: the answer of this commit may be lost on its way.
            self._lease_lost = True

        # Before the lease is: its time is that of all nodes.
        self._leapt(await self._database.transact(beat))
        await self._database.transact(renew, "lease.renew")
        kept, self._lease_lost = not self._lease_lost, False
        with contextlib.suppress(StorageUnavailable):  # made two weeks ahead: the next time will do
            await self._database.transact(self._make_days)
        return kept

    async def _make_days(self, db: Connection) -> None:
        await node.make_days(db, self._now())

    async def take_over(self) -> int:
        return await self._database.transact(self._queue.take_over, "lease.steal")

    async def wait_for_hint(self) -> None:
        await self._hints.wait()

    async def ready(self) -> None:
        async def write(db: Connection) -> None:
            # A lock is written: a standby or a full disk refuses it.
            await fetch(db, _Q["node_alive"], {"epoch": self._queue.epoch, "now": 0})

        await self._database.read(write)

    async def reseal(self) -> int:
        return await self._database.transact(lambda db: node.reseal(db, self._keyring, self._now()))

    async def _accepted(
        self, batch: Sequence[Submitted], openings: Openings | None
    ) -> AcceptedBatch:
        if openings is None:
            return await self._accept(batch, None)
        try:
            with self._queue.handing_over():
                accepted = await self._accept(batch, openings)
                self._queue.noted(accepted.claims)
                return accepted
        except BaseException:
            self._something_due()  # what it may have claimed is put back by the next look (R21)
            raise

    async def _accept(self, batch: Sequence[Submitted], openings: Openings | None) -> AcceptedBatch:
        return await self._database.transact(
            lambda db: accept(db, batch, self._queue, openings, self._now()), "accept"
        )

    async def claim(
        self,
        room: int,
        per_unlisted: int,
        free: Mapping[int, int] | None = None,
        per_account: int | None = None,
        load: Load | None = None,
    ) -> ClaimResult:
        try:
            result = await self._database.transact(
                lambda db: self._queue.claim(db, room, per_unlisted, free or {}, per_account, load),
                "claim",
            )
        except BaseException:
            self._queue.claim_failed()
            raise
        self._queue.claimed(result.claims)
        return result

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[bool]:
        ours = await self._database.transact(
            lambda db: self._queue.settle(db, settlements), "settle"
        )
        self._queue.settled(settlements)
        return ours

    async def requeue_envelopes(
        self, account_id: str, envelope_ids: Sequence[str], after: int = 0
    ) -> Sequence[Requeued]:
        values = {"account_id": account_id, "after": after, "most": BATCH}

        async def requeue(db: Connection) -> Sequence[Requeued]:
            asked = {**values, "envelope_ids": list(envelope_ids)}
            found = await fetch(db, _Q["requeue_candidates"], asked)
            return await self._requeue(db, account_id, found)

        return await self._write(requeue)

    async def requeue_failures(
        self, account_id: str, query: LogQuery, after: Cursor | None = None
    ) -> RequeuePage:
        step = self._bulk(account_id, query, after)

        async def requeue(db: Connection) -> RequeuePage:
            found = await run_verb(db, log_rows.found(step))
            batch = found[:BATCH_MOST]
            done = tuple(await self._requeue(db, account_id, batch))
            more = len(found) > BATCH_MOST
            return RequeuePage(
                done, Cursor(batch[-1].created_us, batch[-1].delivery_id) if more else None
            )

        return await self._write(requeue, LISTING_PATIENCE)

    async def _requeue(
        self, db: Connection, account_id: str, found: Sequence[Any]
    ) -> list[Requeued]:
        done, again = await self._queue.requeue(db, found)
        which = audit.of_deliveries(again)
        noted = audit.note(account_id, self._now(), Action.FAILURES_REPUBLISHED, *which)
        await run_verb(db, noted)
        return done

    async def delete_failure(self, account_id: str, failure_id: int, who: str) -> bool:
        return await self._write(lambda db: self._cancel(db, account_id, [failure_id], who)) > 0

    async def delete_failures(self, account_id: str, query: LogQuery, who: str) -> int:
        step = self._bulk(account_id, query, None)

        async def delete(db: Connection) -> int:
            batch = (await run_verb(db, log_rows.found(step)))[:BATCH_MOST]
            return await self._cancel(db, account_id, [row.delivery_id for row in batch], who)

        return await self._write(delete, LISTING_PATIENCE)

    async def _cancel(
        self, db: Connection, account_id: str, failure_ids: Sequence[int], who: str
    ) -> int:
        cancelled = await self._queue.cancel(db, account_id, failure_ids, who)
        deleted = audit.of_deliveries(failure_ids, cancelled)
        noted = audit.note(account_id, self._now(), Action.FAILURES_DELETED, *deleted)
        await run_verb(db, noted)
        return cancelled

    def _bulk(self, account_id: str, query: LogQuery, after: Cursor | None) -> Step:
        """One batch of failures, oldest first: new ones that come meanwhile come last."""
        oldest_first = replace(query, order=Order.OLDEST_FIRST)
        return log_rows.listing("requeue_page", account_id, oldest_first, BATCH_MOST, after)

    async def retire(self, before: datetime) -> Retired:
        limit = to_microseconds(before)
        return await self._database.transact(
            lambda db: retention.retire(db, limit, self._now()), "retention.batch"
        )

    async def _write(
        self,
        work: Callable[[Connection], Awaitable[T]],
        patience: float = PATIENCE,
        name: str = "other",
    ) -> T:
        return await self._database.bounded(self._database.transact(work, name), patience)
