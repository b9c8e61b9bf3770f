"""The store on PostgreSQL: any number of nodes on one database."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Self, TypeVar

import structlog

from heliograph.clock import Clock
from heliograph.errors import (
    ConfigurationsChanged,
    StorageUnavailable,
    UnsafeStorage,
)
from heliograph.model.accounts import Account, HmacKey, Principal, Role, Secret
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.deliveries import LEASE_SECONDS, DeliveryState, Settlement
from heliograph.model.events import Accepted, Envelope, NewEvent, Verdict
from heliograph.model.logs import AttemptDetail, Cursor, LogEntry, LogQuery, Order, Requeued
from heliograph.model.people import NewToken
from heliograph.store import (
    BATCH_MOST,
    FIRST_TOKEN,
    ClaimResult,
    Configurations,
    DeliveryProgress,
    Failing,
    Orphan,
    Page,
    RequeuePage,
    Retired,
    Statistics,
)
from heliograph.store import rows as shared
from heliograph.store.keyring import KeyRing
from heliograph.store.people import People
from heliograph.store.postgres import configurations, node, retention
from heliograph.store.postgres.accept import accept
from heliograph.store.postgres.columns import Submitted
from heliograph.store.postgres.connection import (
    Connection,
    Database,
    GroupCommit,
    one,
    row,
    rows,
    run,
)
from heliograph.store.postgres.engine import PostgresEngine, run_verb
from heliograph.store.postgres.hints import Hints
from heliograph.store.postgres.historical import PostgresHistorical
from heliograph.store.postgres.node import DatabaseClock
from heliograph.store.postgres.oauth import PostgresOAuthClients
from heliograph.store.postgres.queue import QUERIES, Queue
from heliograph.store.times import from_microseconds, to_microseconds
from heliograph.store.verbs import LISTING_PATIENCE, PATIENCE
from heliograph.store.verbs.people import PeopleVerbs, memberships, write_token
from heliograph.store.verbs.sign_ins import SignInVerbs

T = TypeVar("T")

_Q: Final = QUERIES

_PROMPT: Final = 1.0
"""Seconds within which the database's clock must be read to count."""

_REVOKED_WITHIN: Final = 1.0
"""Seconds after which a token that another node revoked works nowhere."""

_log = structlog.get_logger()


class PostgresStore:
    """The Store port on psycopg. Made by `open`, which also migrates."""

    def __init__(
        self, database: Database, keyring: KeyRing, clock: Clock, instance: str, lease: float
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._instance = instance
        self._lease_us = round(lease * 1_000_000)
        self._queue = Queue(keyring, self._now)
        self._lease_lost = False
        self._accepting = GroupCommit(self._accept_batch)
        self._engine = PostgresEngine(database)
        self._people = PeopleVerbs(self._engine, clock, _REVOKED_WITHIN)
        self.sign_ins = SignInVerbs(self._engine, clock, self._people.forget)
        self._hints = Hints(database)
        self.oauth = PostgresOAuthClients(database, keyring, self._now)
        self.historical = PostgresHistorical(database, keyring, self._now, self._hints)

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
            await node.migrate(db, self._now)
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

    @property
    def clock(self) -> Clock:
        return self._clock

    def _now(self) -> int:
        """Microseconds since 1970 in UTC."""
        return to_microseconds(self._clock.now())

    async def _adjust(self, db: Connection) -> None:
        if isinstance(self._clock, DatabaseClock):
            began = self._clock.monotonic()
            (database_us,) = await one(db, _Q["server_clock"])
            # An answer that took long tells of a time that has passed.
            if self._clock.monotonic() - began < _PROMPT or not self._clock.adjusted:
                self._clock.adjust(database_us)

    # ------------------------------------------------------------------------ the node

    async def renew_lease(self) -> bool:
        async def renew(db: Connection) -> None:
            await self._adjust(db)
            now = self._now()
            values = {"epoch": self._queue.epoch, "until": now + self._lease_us}
            if await run(db, _Q["node_renew"], values):
                return
            epoch = await node.start(db, self._instance, now, self._lease_us)
            self._queue.begin_epoch(epoch)
            # Kept until it is told: the answer of this commit may be lost on its way.
            self._lease_lost = True

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
            await rows(db, _Q["node_alive"], {"epoch": self._queue.epoch, "now": 0})

        await self._database.read(write)

    # ------------------------------------------------------------ accounts, credentials

    async def create_account(self, account: Account, token: Secret | None = None) -> None:
        async def add(db: Connection) -> None:
            values = (account.account_id, account.external_id, account.name, self._now())
            await run(db, _Q["account_add"], values)
            if token is not None:
                first = NewToken(FIRST_TOKEN, Role.ADMINISTRATOR)
                writing = write_token(account.account_id, token, first, self._now())
                await run_verb(db, writing)

        await self._write(add)

    async def accounts(self) -> Sequence[Account]:
        return [Account(*each) for each in await self._rows("accounts")]

    @property
    def people(self) -> People:
        return self._people

    async def add_token(self, account_id: str, token: Secret, role: Role, name: str) -> None:
        await self._people.add_token(account_id, token, NewToken(name, role))

    async def principal(self, token: str) -> Principal | None:
        return await self._people.principal(token)

    async def add_hmac_key(self, account_id: str, key_id: str, secret: Secret) -> HmacKey:
        sealed = self._keyring.seal(secret.reveal().encode(), shared.key_place(key_id))

        async def add(db: Connection) -> HmacKey:
            await run(db, _Q["configurations_changed"], (account_id,))
            active = await rows(db, _Q["hmac_keys"], (account_id,))
            shared.refuse_too_many_keys(len(active))
            now = self._now()
            await run(db, _Q["hmac_key_add"], (key_id, account_id, sealed, now))
            return HmacKey(key_id, secret, from_microseconds(now))

        return await self._write(add)

    async def retire_hmac_key(self, account_id: str, key_id: str) -> bool:
        async def retire(db: Connection) -> bool:
            await run(db, _Q["configurations_changed"], (account_id,))
            return await run(db, _Q["hmac_key_retire"], (self._now(), account_id, key_id)) > 0

        return await self._write(retire)

    async def hmac_keys(self, account_id: str) -> Sequence[HmacKey]:
        return shared.keys(self._keyring, await self._rows("hmac_keys", (account_id,)))

    async def set_client_certificate(self, account_id: str, certificate: str, key: Secret) -> None:
        sealed = self._keyring.seal(key.reveal().encode(), shared.certificate_place(account_id))

        async def write(db: Connection) -> None:
            await run(db, _Q["configurations_changed"], (account_id,))
            values = {"account_id": account_id, "certificate": certificate, "sealed": sealed}
            await run(db, _Q["client_certificate_write"], {**values, "now": self._now()})

        await self._write(write)

    async def delete_client_certificate(self, account_id: str) -> bool:
        async def delete(db: Connection) -> bool:
            await run(db, _Q["configurations_changed"], (account_id,))
            return await run(db, _Q["client_certificate_delete"], {"account_id": account_id}) > 0

        return await self._write(delete)

    async def client_certificate(self, account_id: str) -> tuple[str, Secret] | None:
        found = await self._rows("client_certificate", {"account_id": account_id})
        return shared.client_certificate(self._keyring, account_id, found)

    async def reseal(self) -> int:
        return await self._database.transact(lambda db: node.reseal(db, self._keyring))

    # ------------------------------------------------------------------- configurations

    async def create_configuration(
        self, wanted: ConnectConfiguration, ad_hoc: bytes | None = None
    ) -> ConnectConfiguration:
        return await self._write(
            lambda db: configurations.create(db, self._keyring, wanted, self._now(), ad_hoc)
        )

    async def update_configuration(
        self, wanted: ConnectConfiguration, version: int | None = None
    ) -> bool:
        async def update(db: Connection) -> bool:
            changed = await row(db, _Q["configurations_changed"], (wanted.account_id,))
            if changed is None:
                return False
            if version is not None and changed[0] != version + 1:
                raise ConfigurationsChanged
            before = await row(db, _Q["configuration_publishes"], (wanted.connect_id,))
            if not await configurations.write(db, self._keyring, wanted, self._now()):
                return False
            if wanted.publishing and before == (False,):  # what it failed at is past
                await run(db, _Q["failing_clear"], {"connect_ids": [wanted.connect_id]})
            reason = wanted.held
            values = {
                "connect_id": wanted.connect_id,
                "now": self._now(),
                "reason": reason and reason.value,
            }
            for query in ("release_held",) if reason is None else ("hold_anew", "hold_waiting"):
                await run(db, _Q[query], values)
            return True

        return await self._write(update, name="config.update")

    async def delete_configuration(self, account_id: str, connect_id: int) -> bool:
        return await self._write(
            lambda db: configurations.delete(db, account_id, connect_id, self._now())
        )

    async def failing(self) -> Sequence[Failing]:
        return shared.failing(await self._rows("failing"))

    async def failing_warned(self, connect_id: int) -> None:
        values = {"connect_id": connect_id, "now": self._now()}
        await self._write(lambda db: run(db, _Q["failing_warned"], values))

    async def configurations(self, account_id: str) -> Configurations:
        async def read(db: Connection) -> Configurations:
            # Read first: what is older than its version is matched again, never the reverse.
            version = await row(db, _Q["configurations_version"], (account_id,))
            values = {"account_id": account_id, "also": []}
            found = await rows(db, _Q["configurations"], values)
            configurations = shared.configurations(self._keyring, account_id, found)
            (notifies,) = await one(db, _Q["notifies"], (account_id,))
            groups = await run_verb(db, memberships(account_id, configurations))
            return Configurations(version[0] if version else 0, configurations, notifies, groups)

        return await self._database.read(read)

    async def configurations_version(self, account_id: str) -> int:
        found = await self._rows("configurations_version", (account_id,))
        return int(found[0][0]) if found else 0

    async def configuration(self, account_id: str, connect_id: int) -> ConnectConfiguration | None:
        found = await self._rows("configuration", (account_id, connect_id))
        return next(iter(shared.configurations(self._keyring, account_id, found)), None)

    async def notified(
        self, account_id: str, envelope_ids: Sequence[str]
    ) -> Mapping[str, tuple[ConnectConfiguration, ...]]:
        values = {"account_id": account_id, "ids": list(envelope_ids)}
        return shared.notified(self._keyring, account_id, await self._rows("notified", values))

    # -------------------------------------------------------------------------- the flow

    async def accept(
        self,
        account_id: str,
        version: int,
        events: Sequence[tuple[NewEvent, Sequence[Verdict]]],
    ) -> Sequence[Accepted]:
        receipts = await self._accepting.submit(Submitted(account_id, version, events))
        self._hints.give()
        return receipts

    async def _accept_batch(
        self, batch: Sequence[Submitted]
    ) -> Sequence[Sequence[Accepted] | Exception]:
        return await self._database.transact(lambda db: accept(db, batch, self._now), "accept")

    async def claim(
        self,
        room: int,
        per_configuration: int,
        free: Mapping[int, int] | None = None,
        per_account: int | None = None,
    ) -> ClaimResult:
        try:
            result = await self._database.transact(
                lambda db: self._queue.claim(db, room, per_configuration, free or {}, per_account),
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

    async def hasten(self, account_id: str, connect_id: int) -> int:
        values = {"account_id": account_id, "connect_id": connect_id, "now": self._now()}
        return await self._database.transact(lambda db: run(db, _Q["hasten"], values))

    async def progress(
        self, account_id: str, delivery_ids: Sequence[int]
    ) -> dict[int, DeliveryProgress]:
        found = await self._rows("progress", {"account_id": account_id, "ids": list(delivery_ids)})
        return {each[0]: DeliveryProgress(DeliveryState(each[1]), *each[2:]) for each in found}

    # --------------------------------------------------------------- logs and failures

    async def envelope(self, account_id: str, envelope_id: str) -> Envelope | None:
        found = await self._rows("envelope", (account_id, envelope_id))
        return Envelope(*found[0]) if found else None

    async def failures(
        self, account_id: str, query: LogQuery, limit: int, after: Cursor | None = None
    ) -> Page:
        return await self._page("failures", account_id, query, limit, after)

    async def logs(
        self, account_id: str, query: LogQuery, limit: int, after: Cursor | None = None
    ) -> Page:
        return await self._page("logs", account_id, query, limit, after)

    async def _page(
        self, name: str, account_id: str, query: LogQuery, limit: int, after: Cursor | None
    ) -> Page:
        statement, values = shared.listing(_Q, name, name, account_id, query, limit, after)
        found = await self._listing(statement, values)
        entries = tuple(shared.entry(account_id, each) for each in found[:limit])
        return Page(entries, entries[-1].cursor if len(found) > limit else None)

    async def failure(self, account_id: str, failure_id: int) -> LogEntry | None:
        statement = _Q["failures"].format(
            filters=_Q["only_failure"], order=_Q["failures_oldest_first"]
        )
        values = {"account_id": account_id, "row_id": failure_id, "limit": 1}
        found = await self._listing(statement, values)
        return shared.entry(account_id, found[0]) if found else None

    async def log(self, account_id: str, log_id: int) -> AttemptDetail | None:
        found = await self._details(account_id, log_id, "only_log")
        return found[0] if found else None

    async def attempts(self, account_id: str, failure_id: int) -> Sequence[AttemptDetail]:
        return await self._details(account_id, failure_id, "only_attempts")

    async def _details(self, account_id: str, row_id: int, which: str) -> Sequence[AttemptDetail]:
        statement = _Q["attempt_details"].format(filters=_Q[which])
        found = await self._listing(statement, {"account_id": account_id, "row_id": row_id})
        return [shared.detail(account_id, each) for each in found]

    async def requeue_envelopes(
        self, account_id: str, envelope_ids: Sequence[str]
    ) -> Sequence[Requeued]:
        async def requeue(db: Connection) -> Sequence[Requeued]:
            done: list[Requeued] = []
            for envelope_id in dict.fromkeys(envelope_ids):
                values = {"account_id": account_id, "envelope_id": envelope_id}
                found = await rows(db, _Q["requeue_candidates"], values)
                done += await self._queue.requeue(db, found)
            return done

        done = await self._write(requeue)
        self._hints.give()
        return done

    async def requeue_failures(
        self, account_id: str, query: LogQuery, after: Cursor | None = None
    ) -> RequeuePage:
        statement, values = self._bulk(account_id, query, after)

        async def requeue(db: Connection) -> RequeuePage:
            found = await rows(db, statement, values)
            batch = found[:BATCH_MOST]
            done = tuple(await self._queue.requeue(db, batch))
            more = len(found) > BATCH_MOST
            return RequeuePage(done, Cursor(batch[-1][0], batch[-1][1]) if more else None)

        page = await self._write(requeue, LISTING_PATIENCE)
        self._hints.give()
        return page

    async def delete_failure(self, account_id: str, failure_id: int, who: str) -> bool:
        return (
            await self._write(lambda db: self._queue.cancel(db, account_id, [failure_id], who)) > 0
        )

    async def delete_failures(self, account_id: str, query: LogQuery, who: str) -> int:
        statement, values = self._bulk(account_id, query, None)

        async def delete(db: Connection) -> int:
            batch = (await rows(db, statement, values))[:BATCH_MOST]
            return await self._queue.cancel(db, account_id, [each[1] for each in batch], who)

        return await self._write(delete, LISTING_PATIENCE)

    def _bulk(
        self, account_id: str, query: LogQuery, after: Cursor | None
    ) -> tuple[str, dict[str, Any]]:
        """One batch of failures, oldest first: new ones that come meanwhile come last."""
        oldest_first = replace(query, order=Order.OLDEST_FIRST)
        return shared.listing(
            _Q, "requeue_page", "failures", account_id, oldest_first, BATCH_MOST, after
        )

    async def delete_log(self, account_id: str, log_id: int) -> bool:
        return await self._write(lambda db: run(db, _Q["log_delete"], (account_id, log_id))) > 0

    async def delete_logs(self, account_id: str) -> int:
        return await self._write(
            lambda db: run(db, _Q["logs_delete"], (account_id, BATCH_MOST)), LISTING_PATIENCE
        )

    # ------------------------------------------------------------------- the whole of it

    async def orphans(self) -> Sequence[Orphan]:
        return [Orphan(*each) for each in await self._listing(_Q["orphans"], None)]

    async def statistics(self) -> Statistics:
        (
            (waiting, held, in_flight, failures, orphans, nodes, failing, due, snapshot, size),
        ) = await self._listing(_Q["statistics"], {"now": self._now()})
        overdue = 0.0 if due is None else max(0.0, (self._now() - due) / 1_000_000)
        return Statistics(
            *(waiting, held, in_flight, failures, orphans, nodes, failing),
            *(overdue, snapshot, size, 0),
        )

    async def retire(self, before: datetime) -> Retired:
        limit = to_microseconds(before)
        return await self._database.transact(
            lambda db: retention.retire(db, limit), "retention.batch"
        )

    # ------------------------------------------------------------------------- shorthand

    async def _write(
        self,
        work: Callable[[Connection], Awaitable[T]],
        patience: float = PATIENCE,
        name: str = "other",
    ) -> T:
        return await self._database.bounded(self._database.transact(work, name), patience)

    async def _rows(self, query: str, values: Any = None) -> list[tuple[Any, ...]]:
        return await self._database.read(lambda db: rows(db, _Q[query], values))

    async def _listing(self, statement: str, values: Any) -> list[tuple[Any, ...]]:
        return await self._database.read(lambda db: rows(db, statement, values), LISTING_PATIENCE)
