"""The store on one SQLite file: writes through one thread with group commit, reads beside it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

import apsw

from heliograph.clock import Clock, NeverBackwards
from heliograph.errors import StorageUnavailable
from heliograph.model.accounts import Account, HmacKey, Principal, Role, Secret
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.deliveries import DeliveryState, Settlement
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
    rows,
)
from heliograph.store.file_lock import FileLock
from heliograph.store.keyring import KeyRing
from heliograph.store.people import People
from heliograph.store.sqlite import retention
from heliograph.store.sqlite.connection import Readers, Writer, check_library, connect, fetch
from heliograph.store.sqlite.engine import SqliteEngine
from heliograph.store.sqlite.historical import SqliteHistorical
from heliograph.store.sqlite.node import damaged, last_beat, start
from heliograph.store.sqlite.oauth import SqliteOAuthClients
from heliograph.store.sqlite.queue import QUERIES, Queue
from heliograph.store.times import from_microseconds, to_microseconds
from heliograph.store.verbs.people import PeopleVerbs, memberships, write_token
from heliograph.store.verbs.sign_ins import SignInVerbs
from heliograph.wire.configurations import read as read_configuration

_Q: Final = QUERIES


class SqliteStore:
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
        self._path = path
        self._lock = lock
        self._keyring = keyring
        # Across restarts too (R12).
        self._clock = NeverBackwards(clock, from_microseconds(last_beat(connection)))
        self._epoch = start(connection, self._now, path, adopt=adopt)
        self._queue = Queue(keyring, self._now, self._epoch)
        self._writer = Writer(connection, asyncio.get_running_loop(), self._queue.forget, path)
        self._readers = Readers(path)
        self.historical = SqliteHistorical(
            self._writer,
            self._readers,
            self._now,
            self._create_configuration,
            self._delete_configuration,
        )
        self.oauth = SqliteOAuthClients(
            self._writer, self._readers, self._queue, keyring, self._now
        )
        self._engine = SqliteEngine(self._writer, self._readers, self._queue)
        self._people = PeopleVerbs(self._engine, self._clock)
        self.sign_ins = SignInVerbs(self._engine, self._clock, self._people.forget)

    @classmethod
    async def open(cls, path: Path, keyring: KeyRing, clock: Clock, *, adopt: bool = False) -> Self:
        """Open, or make, the database; what a crash left in flight waits again.

        `adopt` takes a file that was copied here from elsewhere.

        Raises:
            UnsafeStorage: another process has it, a setting does not hold, or a newer
                version made it (R18, R20).
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
            raise

    async def close(self) -> None:
        def run(db: apsw.Connection) -> None:
            db.execute(_Q["node_stop"], {"now": self._now(), "epoch": self._epoch})

        try:
            # On a full disk the node stays marked as running: its lock is let go below.
            with contextlib.suppress(StorageUnavailable):
                await self._writer.write(run)
        finally:
            await self._readers.close()
            await self._writer.close()
            self._lock.release()

    async def renew_lease(self) -> bool:
        def run(db: apsw.Connection) -> None:
            db.execute(_Q["node_renew"], (self._now(), self._epoch))

        await self._writer.write(run, "lease.renew")
        return True

    async def take_over(self) -> int:
        return 0  # there is no other node; what a crash left was put back by `open`

    async def wait_for_hint(self) -> None:
        await asyncio.Event().wait()  # nobody else can leave work here

    async def ready(self) -> None:
        await self.renew_lease()

    @property
    def clock(self) -> Clock:
        return self._clock

    def _now(self) -> int:
        """Microseconds since 1970 in UTC."""
        return to_microseconds(self._clock.now())

    # ------------------------------------------------------------ accounts, credentials

    async def create_account(self, account: Account, token: Secret | None = None) -> None:
        def run(db: apsw.Connection) -> None:
            row = (account.account_id, account.external_id, account.name, self._now())
            db.execute(_Q["account_add"], row)
            if token is not None:
                first = NewToken(FIRST_TOKEN, Role.ADMINISTRATOR)
                writing = write_token(account.account_id, token, first, self._now())
                self._engine.run(db, writing)

        await self._writer.write(run)

    async def accounts(self) -> Sequence[Account]:
        return await self._readers.read(
            lambda db: [Account(*row) for row in db.execute(_Q["accounts"])]
        )

    @property
    def people(self) -> People:
        return self._people

    async def add_token(self, account_id: str, token: Secret, role: Role, name: str) -> None:
        await self._people.add_token(account_id, token, NewToken(name, role))

    async def principal(self, token: str) -> Principal | None:
        return await self._people.principal(token)

    async def add_hmac_key(self, account_id: str, key_id: str, secret: Secret) -> HmacKey:
        sealed = self._keyring.seal(secret.reveal().encode(), rows.key_place(key_id))

        def run(db: apsw.Connection) -> HmacKey:
            rows.refuse_too_many_keys(len(self._queue.active_keys(db, account_id)))
            now = self._now()
            db.execute(_Q["hmac_key_add"], (key_id, account_id, sealed, now))
            self._queue.keys_changed(account_id)
            return HmacKey(key_id, secret, from_microseconds(now))

        return await self._writer.write(run)

    async def retire_hmac_key(self, account_id: str, key_id: str) -> bool:
        def run(db: apsw.Connection) -> bool:
            db.execute(_Q["hmac_key_retire"], (self._now(), account_id, key_id))
            self._queue.keys_changed(account_id)
            return db.changes() > 0

        return await self._writer.write(run)

    async def hmac_keys(self, account_id: str) -> Sequence[HmacKey]:
        found = await self._readers.read(lambda db: fetch(db, _Q["hmac_keys"], (account_id,)))
        return rows.keys(self._keyring, found)

    async def set_client_certificate(self, account_id: str, certificate: str, key: Secret) -> None:
        sealed = self._keyring.seal(key.reveal().encode(), rows.certificate_place(account_id))

        def run(db: apsw.Connection) -> None:
            values = {"account_id": account_id, "certificate": certificate, "sealed": sealed}
            db.execute(_Q["client_certificate_write"], {**values, "now": self._now()})
            self._queue.keys_changed(account_id)

        await self._writer.write(run)

    async def delete_client_certificate(self, account_id: str) -> bool:
        def run(db: apsw.Connection) -> bool:
            db.execute(_Q["client_certificate_delete"], {"account_id": account_id})
            self._queue.keys_changed(account_id)
            return db.changes() > 0

        return await self._writer.write(run)

    async def client_certificate(self, account_id: str) -> tuple[str, Secret] | None:
        values = {"account_id": account_id}
        found = await self._readers.read(lambda db: fetch(db, _Q["client_certificate"], values))
        return rows.client_certificate(self._keyring, account_id, found)

    async def reseal(self) -> int:
        def run(db: apsw.Connection) -> int:
            count = 0
            for table in rows.SEALED:
                found = rows.resealed(self._keyring, table, fetch(db, _Q[f"sealed_{table}"]))
                for values in found:
                    db.execute(_Q[f"reseal_{table}"], values)
                count += len(found)
            return count

        return await self._writer.write(run)

    # ------------------------------------------------------------------- configurations

    async def create_configuration(
        self, wanted: ConnectConfiguration, ad_hoc: bytes | None = None
    ) -> ConnectConfiguration:
        return await self._writer.write(lambda db: self._create_configuration(db, wanted, ad_hoc))

    def _create_configuration(
        self, db: apsw.Connection, wanted: ConnectConfiguration, ad_hoc: bytes | None
    ) -> ConnectConfiguration:
        values = {"account_id": wanted.account_id, "ad_hoc": ad_hoc, "now": self._now()}
        found = fetch(db, _Q["configuration_ad_hoc"], values) if ad_hoc else []
        for known in rows.configurations(self._keyring, wanted.account_id, found):
            return known
        connect_id = int(db.execute(_Q["configuration_reserve"], values).get)
        made = read_configuration(wanted.account_id, connect_id, wanted.document, wanted.secrets)
        self._write_configuration(db, made)
        return made

    async def update_configuration(
        self, wanted: ConnectConfiguration, version: int | None = None
    ) -> bool:
        def run(db: apsw.Connection) -> bool:
            if version is not None:
                self._queue.check_version(db, wanted.account_id, version)
            before = db.execute(_Q["configuration_publishes"], (wanted.connect_id,)).get
            if not self._write_configuration(db, wanted):
                return False
            reason = wanted.held
            if wanted.publishing and not before:  # switched on: what it failed at is past
                db.execute(_Q["failing_clear"], {"connect_ids": f"[{wanted.connect_id}]"})
            if reason is None:
                db.execute(
                    _Q["release_held"],
                    {"connect_id": wanted.connect_id, "now": self._now()},
                )
            else:
                values = {"connect_id": wanted.connect_id, "reason": reason.value}
                db.execute(_Q["hold_anew"], values)
                db.execute(_Q["hold_waiting"], values)
            return True

        return await self._writer.write(run, "config.update")

    def _write_configuration(self, db: apsw.Connection, wanted: ConnectConfiguration) -> bool:
        db.execute(
            _Q["configuration_write"],
            {**rows.writing(self._keyring, wanted), "now": self._now()},
        )
        written = db.changes() > 0
        if written:
            self._queue.configurations_changed(db, wanted.account_id, wanted.connect_id)
        return written

    async def delete_configuration(self, account_id: str, connect_id: int) -> bool:
        return await self._writer.write(
            lambda db: self._delete_configuration(db, account_id, connect_id)
        )

    def _delete_configuration(self, db: apsw.Connection, account_id: str, connect_id: int) -> bool:
        values = {"account_id": account_id, "connect_id": connect_id, "now": self._now()}
        db.execute(_Q["configuration_delete"], values)
        if db.changes() == 0:
            return False
        self._queue.configurations_changed(db, account_id, connect_id)
        failed = {"connect_id": connect_id, "now": self._now(), "error": rows.DELETED}
        db.execute(_Q["fail_unfinished"], failed)
        return True

    async def failing(self) -> Sequence[Failing]:
        return await self._readers.read(lambda db: rows.failing(fetch(db, _Q["failing"])))

    async def failing_warned(self, connect_id: int) -> None:
        def run(db: apsw.Connection) -> None:
            db.execute(_Q["failing_warned"], {"connect_id": connect_id, "now": self._now()})

        await self._writer.write(run)

    async def configurations(self, account_id: str) -> Configurations:
        def run(db: apsw.Connection) -> Configurations:
            version = db.execute(_Q["configurations_version"], (account_id,)).get
            found = fetch(db, _Q["configurations"], (account_id,))
            configurations = rows.configurations(self._keyring, account_id, found)
            notifies = bool(db.execute(_Q["notifies"], (account_id,)).get)
            groups = self._engine.run(db, memberships(account_id, configurations))
            return Configurations(int(version or 0), configurations, notifies, groups)

        return await self._readers.read(run)

    async def configurations_version(self, account_id: str) -> int:
        return await self._readers.read(
            lambda db: int(db.execute(_Q["configurations_version"], (account_id,)).get or 0)
        )

    async def configuration(self, account_id: str, connect_id: int) -> ConnectConfiguration | None:
        place = (account_id, connect_id)
        found = await self._readers.read(lambda db: fetch(db, _Q["configuration"], place))
        return next(iter(rows.configurations(self._keyring, account_id, found)), None)

    async def notified(
        self, account_id: str, envelope_ids: Sequence[str]
    ) -> Mapping[str, tuple[ConnectConfiguration, ...]]:
        values = {"account_id": account_id, "ids": json.dumps(list(envelope_ids))}
        found = await self._readers.read(lambda db: fetch(db, _Q["notified"], values))
        return rows.notified(self._keyring, account_id, found)

    # -------------------------------------------------------------------------- the flow

    async def accept(
        self,
        account_id: str,
        version: int,
        events: Sequence[tuple[NewEvent, Sequence[Verdict]]],
    ) -> Sequence[Accepted]:
        return await self._writer.write(
            lambda db: self._queue.accept(db, account_id, version, events), "accept"
        )

    async def claim(
        self,
        room: int,
        per_configuration: int,
        free: Mapping[int, int] | None = None,
        per_account: int | None = None,
    ) -> ClaimResult:
        return await self._writer.write(
            lambda db: self._queue.claim(db, room, per_configuration, free or {}, per_account),
            "claim",
        )

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[bool]:
        return await self._writer.write(lambda db: self._queue.settle(db, settlements), "settle")

    async def hasten(self, account_id: str, connect_id: int) -> int:
        def run(db: apsw.Connection) -> int:
            values = {"account_id": account_id, "connect_id": connect_id, "now": self._now()}
            db.execute(_Q["hasten"], values)
            return db.changes()

        return await self._writer.write(run)

    async def progress(
        self, account_id: str, delivery_ids: Sequence[int]
    ) -> dict[int, DeliveryProgress]:
        values = {"account_id": account_id, "ids": json.dumps(list(delivery_ids))}
        return await self._readers.read(
            lambda db: {
                row[0]: DeliveryProgress(DeliveryState(row[1]), row[2], row[3])
                for row in db.execute(_Q["progress"], values)
            }
        )

    # --------------------------------------------------------------- logs and failures

    async def envelope(self, account_id: str, envelope_id: str) -> Envelope | None:
        row = await self._readers.read(
            lambda db: db.execute(_Q["envelope"], (account_id, envelope_id)).fetchone()
        )
        return None if row is None else Envelope(*row)

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
        statement, values = rows.listing(_Q, name, name, account_id, query, limit, after)
        found = await self._readers.read(lambda db: fetch(db, statement, values))
        entries = tuple(rows.entry(account_id, row) for row in found[:limit])
        return Page(entries, entries[-1].cursor if len(found) > limit else None)

    async def failure(self, account_id: str, failure_id: int) -> LogEntry | None:
        statement = _Q["failures"].format(
            filters=_Q["only_failure"], order=_Q["failures_oldest_first"]
        )
        values = {"account_id": account_id, "row_id": failure_id, "limit": 1}
        row = await self._readers.read(lambda db: db.execute(statement, values).fetchone())
        return None if row is None else rows.entry(account_id, row)

    async def log(self, account_id: str, log_id: int) -> AttemptDetail | None:
        found = await self._details(account_id, log_id, "only_log")
        return found[0] if found else None

    async def attempts(self, account_id: str, failure_id: int) -> Sequence[AttemptDetail]:
        return await self._details(account_id, failure_id, "only_attempts")

    async def _details(self, account_id: str, row_id: int, which: str) -> Sequence[AttemptDetail]:
        statement = _Q["attempt_details"].format(filters=_Q[which])
        values = {"account_id": account_id, "row_id": row_id}
        found = await self._readers.read(lambda db: fetch(db, statement, values))
        return [rows.detail(account_id, row) for row in found]

    async def requeue_envelopes(
        self, account_id: str, envelope_ids: Sequence[str]
    ) -> Sequence[Requeued]:
        def run(db: apsw.Connection) -> Sequence[Requeued]:
            return [
                self._queue.requeue(db, account_id, row)
                for envelope_id in dict.fromkeys(envelope_ids)
                for row in fetch(
                    db,
                    _Q["requeue_candidates"],
                    {"account_id": account_id, "envelope_id": envelope_id},
                )
            ]

        return await self._writer.write(run)

    async def requeue_failures(
        self, account_id: str, query: LogQuery, after: Cursor | None = None
    ) -> RequeuePage:
        statement, values = self._bulk(account_id, query, after)

        def run(db: apsw.Connection) -> RequeuePage:
            found = fetch(db, statement, values)
            batch = found[:BATCH_MOST]
            done = tuple(self._queue.requeue(db, account_id, row) for row in batch)
            more = len(found) > BATCH_MOST
            return RequeuePage(done, Cursor(batch[-1][0], batch[-1][1]) if more else None)

        return await self._writer.write(run)

    async def delete_failure(self, account_id: str, failure_id: int, who: str) -> bool:
        return await self._writer.write(
            lambda db: self._queue.cancel(db, account_id, failure_id, who)
        )

    async def delete_failures(self, account_id: str, query: LogQuery, who: str) -> int:
        statement, values = self._bulk(account_id, query, None)

        def run(db: apsw.Connection) -> int:
            batch = fetch(db, statement, values)[:BATCH_MOST]
            return sum(self._queue.cancel(db, account_id, row[1], who) for row in batch)

        return await self._writer.write(run)

    def _bulk(
        self, account_id: str, query: LogQuery, after: Cursor | None
    ) -> tuple[str, dict[str, Any]]:
        """One batch of failures, oldest first: new ones that come meanwhile come last."""
        oldest_first = replace(query, order=Order.OLDEST_FIRST)
        return rows.listing(
            _Q, "requeue_page", "failures", account_id, oldest_first, BATCH_MOST, after
        )

    async def delete_log(self, account_id: str, log_id: int) -> bool:
        def run(db: apsw.Connection) -> bool:
            db.execute(_Q["log_delete"], (account_id, log_id))
            return db.changes() > 0

        return await self._writer.write(run)

    async def delete_logs(self, account_id: str) -> int:
        def run(db: apsw.Connection) -> int:
            db.execute(_Q["logs_delete"], (account_id, BATCH_MOST))
            return db.changes()

        return await self._writer.write(run)

    async def statistics(self) -> Statistics:
        found = await self._readers.read(lambda db: fetch(db, _Q["statistics"]))
        (((waiting, held, in_flight, failures, orphans, nodes, failing, due),)) = found
        overdue = 0.0 if due is None else max(0.0, (self._now() - due) / 1_000_000)
        size, log = (
            path.stat().st_size if path.exists() else 0
            for path in (self._path, self._path.with_name(self._path.name + "-wal"))
        )
        return Statistics(
            *(waiting, held, in_flight, failures, orphans, nodes, failing),
            *(overdue, 0.0, size, log),
        )

    async def retire(self, before: datetime) -> Retired:
        limit = to_microseconds(before)
        return await self._writer.write(lambda db: retention.retire(db, limit), "retention.batch")

    async def orphans(self) -> Sequence[Orphan]:
        return await self._readers.read(
            lambda db: [Orphan(*row) for row in db.execute(_Q["orphans"])]
        )
