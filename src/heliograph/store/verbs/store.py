"""The Store port as far as it is written once: each engine's store adds what it has for itself.

Here are accounts, signing keys and certificates, the logs, and what looks at the whole
installation; configurations, people, sign-ins, OAuth clients, relays and historical publishing have
modules of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from heliograph.clock import Leap, StoreClock
from heliograph.model.accounts import Account, HmacKey, Principal, Role, Secret
from heliograph.model.audit import Action, Change, given
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.deliveries import PENDING, DeliveryState
from heliograph.model.events import Accepted, Envelope, NewEvent, Verdict
from heliograph.model.logs import (
    AttemptDetail,
    Chosen,
    Cursor,
    LogEntry,
    LogQuery,
    Order,
    Requeued,
)
from heliograph.model.people import NewToken
from heliograph.store import (
    BATCH,
    BATCH_MOST,
    FIRST_TOKEN,
    Changes,
    Configurations,
    DeliveryProgress,
    Failing,
    Orphan,
    RequeuePage,
    Statistics,
    batches,
    rows,
    sealing,
)
from heliograph.store.accepting import Accepting, Submitted
from heliograph.store.attendance import unattended
from heliograph.store.audit import Audit
from heliograph.store.keyring import KeyRing
from heliograph.store.openings import Taker
from heliograph.store.pages import Page, page_of
from heliograph.store.people import People
from heliograph.store.times import from_microseconds, to_microseconds
from heliograph.store.verbs import (
    BULK_PATIENCE,
    LISTING_PATIENCE,
    Engine,
    Step,
    Verb,
    audit,
    configurations,
    log_rows,
    resending,
    verb_of,
)
from heliograph.store.verbs.historical import HistoricalVerbs
from heliograph.store.verbs.incidents import IncidentVerbs
from heliograph.store.verbs.oauth import OAuthVerbs
from heliograph.store.verbs.people import PeopleVerbs, write_token
from heliograph.store.verbs.published import PublishedVerbs
from heliograph.store.verbs.relays import RelayVerbs
from heliograph.store.verbs.republishing import RepublishingVerbs
from heliograph.store.verbs.sign_ins import SignInVerbs
from heliograph.store.verbs.tails import TailVerbs


class StoreVerbs:
    """What an engine's store begins with."""

    def __init__(
        self,
        engine: Engine,
        keyring: KeyRing,
        clock: StoreClock,
        accepting: Accepting,
        revoked_within: float | None = None,
    ) -> None:
        """For `revoked_within` see `PeopleVerbs`."""
        self._engine = engine
        self._keyring = keyring
        self._clock = clock
        self._accepting = accepting
        self._people = PeopleVerbs(engine, clock, revoked_within)
        self.sign_ins = SignInVerbs(engine, clock, self._people.forget)
        self.oauth = OAuthVerbs(engine, keyring, self._now)
        self.relays = RelayVerbs(engine, keyring, self._now)
        self.incidents = IncidentVerbs(engine, self._now)
        self.historical = HistoricalVerbs(engine, keyring, self._now)
        self.published = PublishedVerbs(engine, self._now)
        self.tails = TailVerbs(engine, self._now)
        self.republishing = RepublishingVerbs(engine, clock)
        self.audit: Audit = audit.AuditVerbs(engine)
        self._wake: Callable[[], None] = lambda: None

    @property
    def clock(self) -> StoreClock:
        return self._clock

    @property
    def people(self) -> People:
        return self._people

    def when_due(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    def hand_to(self, taker: Taker | None) -> None:
        self._accepting.hand_to(taker)

    async def accept(
        self,
        account_id: str,
        version: int,
        events: Sequence[tuple[NewEvent, Sequence[Verdict]]],
        *,
        notifies: bool = True,
    ) -> Sequence[Accepted]:
        return await self._accepting.submit(Submitted(account_id, version, events, notifies))

    def _something_due(self) -> None:
        """A transaction has changed deliveries."""
        self._wake()

    def _now(self) -> int:
        """Microseconds since 1970 in UTC."""
        return to_microseconds(self._clock.now())

    def _leapt(self, leaps: Sequence[Leap]) -> None:
        """Follow these leaps: what of tokens is kept in memory was moved along with them."""
        if self._clock.follow(leaps):
            self._people.forget()

    async def create_account(self, account: Account, token: Secret | None = None) -> None:
        def verb() -> Verb[None]:
            values = {
                "account_id": account.account_id,
                "external_id": account.external_id,
                "name": account.name,
                "now": self._now(),
            }
            yield Step("account_add", values)
            if token is not None:
                first = NewToken(FIRST_TOKEN, Role.ADMINISTRATOR)
                yield from write_token(account.account_id, token, first, self._now())
            made = Change(f"account {account.account_id}", given(name=account.name))
            yield from audit.note(account.account_id, self._now(), Action.ACCOUNT_CREATED, made)

        await self._engine.write(verb)

    async def accounts(self) -> Sequence[Account]:
        found = await self._engine.read(lambda: verb_of(Step("accounts")))
        return [Account(row.account_id, row.external_id, row.name) for row in found]

    async def add_token(self, account_id: str, token: Secret, role: Role, name: str) -> None:
        await self._people.add_token(account_id, token, NewToken(name, role))

    async def principal(self, token: str) -> Principal | None:
        return await self._people.principal(token)

    async def add_hmac_key(self, account_id: str, key_id: str, secret: Secret) -> HmacKey:
        sealed = self._keyring.seal(secret.reveal().encode(), sealing.key_place(key_id))

        def verb() -> Verb[HmacKey]:
            yield from configurations.bump_version(account_id)
            active = yield Step("hmac_keys", {"account_id": account_id})
            rows.refuse_too_many_keys(len(active))
            now = self._now()
            values = {"key_id": key_id, "account_id": account_id, "sealed": sealed, "now": now}
            yield Step("hmac_key_add", values)
            added = Change(f"HMAC key {key_id}")
            yield from audit.note(account_id, now, Action.HMAC_KEY_ADDED, added)
            return HmacKey(key_id, secret, from_microseconds(now))

        return await self._engine.write(verb)

    async def retire_hmac_key(self, account_id: str, key_id: str) -> bool:
        def verb() -> Verb[bool]:
            yield from configurations.bump_version(account_id)
            now = self._now()
            values = {"account_id": account_id, "key_id": key_id, "now": now}
            if not (yield Step("hmac_key_retire", values)).changed:
                return False
            retired = Change(f"HMAC key {key_id}")
            yield from audit.note(account_id, now, Action.HMAC_KEY_RETIRED, retired)
            return True

        return await self._engine.write(verb)

    async def hmac_keys(self, account_id: str) -> Sequence[HmacKey]:
        values = {"account_id": account_id}
        return sealing.keys(
            self._keyring, await self._engine.read(lambda: verb_of(Step("hmac_keys", values)))
        )

    async def set_client_certificate(self, account_id: str, certificate: str, key: Secret) -> None:
        sealed = self._keyring.seal(key.reveal().encode(), sealing.certificate_place(account_id))

        def verb() -> Verb[None]:
            yield from configurations.bump_version(account_id)
            now = self._now()
            values = {"account_id": account_id, "certificate": certificate, "sealed": sealed}
            yield Step("client_certificate_write", {**values, "now": now})
            changed = Change("client certificate")
            yield from audit.note(account_id, now, Action.CLIENT_CERTIFICATE_SET, changed)

        await self._engine.write(verb)

    async def delete_client_certificate(self, account_id: str) -> bool:
        def verb() -> Verb[bool]:
            yield from configurations.bump_version(account_id)
            values = {"account_id": account_id}
            if not (yield Step("client_certificate_delete", values)).changed:
                return False
            action, deleted = Action.CLIENT_CERTIFICATE_DELETED, Change("client certificate")
            yield from audit.note(account_id, self._now(), action, deleted)
            return True

        return await self._engine.write(verb)

    async def client_certificate(self, account_id: str) -> tuple[str, Secret] | None:
        values = {"account_id": account_id}
        found = await self._engine.read(lambda: verb_of(Step("client_certificate", values)))
        return sealing.client_certificate(self._keyring, account_id, found)

    async def reseal(self) -> int:
        return await self._engine.write(
            lambda: resealing(self._keyring, self._now()), patience=None
        )

    async def create_configuration(
        self, wanted: ConnectConfiguration, ad_hoc: bytes | None = None
    ) -> ConnectConfiguration:
        if ad_hoc is not None:
            return (await self.ad_hoc(wanted.account_id, {ad_hoc: wanted}))[ad_hoc]
        return await self._engine.write(
            lambda: configurations.create(self._keyring, wanted, self._now())
        )

    async def ad_hoc(
        self, account_id: str, wanted: Mapping[bytes, ConnectConfiguration]
    ) -> Mapping[bytes, ConnectConfiguration]:
        ring = self._keyring
        known = await self._engine.read(
            lambda: configurations.known_ad_hoc(ring, account_id, wanted)
        )
        if len(known) == len(wanted):  # as mostly: nothing is written
            return known
        return await self._engine.write(
            lambda: configurations.add_ad_hoc(ring, account_id, wanted, self._now())
        )

    async def update_configuration(
        self, wanted: ConnectConfiguration, version: int | None = None
    ) -> bool:
        return await self._engine.write(
            lambda: configurations.update(self._keyring, wanted, self._now(), version),
            BULK_PATIENCE,
            name="config.update",
        )

    async def delete_configuration(self, account_id: str, connect_id: int) -> bool:
        return await self._engine.write(
            lambda: configurations.delete(account_id, connect_id, self._now()), BULK_PATIENCE
        )

    async def configurations(
        self, account_id: str, known: Configurations | None = None
    ) -> Configurations:
        return await self._engine.read(
            lambda: configurations.listed(self._keyring, account_id, known)
        )

    async def changes(self, account_id: str, connect_ids: Sequence[int]) -> Mapping[int, Changes]:
        values = {"account_id": account_id, "connect_ids": list(connect_ids)}
        step = Step("configuration_changes", values)
        return {
            row.connect_id: Changes(
                from_microseconds(row.created_us), from_microseconds(row.changed_us)
            )
            for row in await self._engine.read(lambda: verb_of(step))
        }

    async def configurations_version(self, account_id: str) -> int:
        return await self._engine.read(lambda: configurations.version(account_id))

    async def configuration(self, account_id: str, connect_id: int) -> ConnectConfiguration | None:
        values = {"account_id": account_id, "connect_id": connect_id}
        found = await self._engine.read(lambda: verb_of(Step("configuration", values)))
        return next(iter(sealing.configurations(self._keyring, account_id, found)), None)

    async def notified(
        self, account_id: str, envelope_ids: Sequence[str]
    ) -> Mapping[str, tuple[ConnectConfiguration, ...]]:
        values = {"account_id": account_id, "envelope_ids": list(envelope_ids)}
        found = await self._engine.read(lambda: verb_of(Step("notified", values)))
        return sealing.notified(self._keyring, account_id, found)

    async def failing(self) -> Sequence[Failing]:
        return log_rows.failing(await self._engine.read(lambda: verb_of(Step("failing"))))

    async def failing_warned(self, connect_id: int) -> None:
        values = {"connect_id": connect_id, "now": self._now()}
        await self._engine.write(lambda: verb_of(Step("failing_warned", values)))

    async def queue_behind(self, account_id: str, connect_id: int, until: datetime) -> None:
        values = {
            "account_id": account_id,
            "connect_id": connect_id,
            "until": to_microseconds(until),
            "now": self._now(),
        }

        def verb() -> Verb[int]:
            if not (yield Step("down", values)).changed:
                return 0
            pending = {**values, **rows.because(PENDING)}
            yield Step("list_held", pending)
            batch = {**pending, "most": BATCH_MOST}
            return (yield Step("queue_behind", batch)).changed

        while await self._engine.write(verb, patience=None) == BATCH_MOST:
            pass

    async def hasten(self, account_id: str, connect_id: int) -> int:
        values = {"account_id": account_id, "connect_id": connect_id, "now": self._now()}
        hastened = await self._engine.write(lambda: verb_of(Step("hasten", values)), patience=None)
        return hastened.changed

    async def progress(
        self, account_id: str, delivery_ids: Sequence[int]
    ) -> dict[int, DeliveryProgress]:
        values = {"account_id": account_id, "ids": list(delivery_ids)}
        return {
            row.delivery_id: DeliveryProgress(DeliveryState(row.state), row.attempts, row.error)
            for row in await self._engine.read(lambda: verb_of(Step("progress", values)))
        }

    async def envelope(self, account_id: str, envelope_id: str) -> Envelope | None:
        values = {"account_id": account_id, "envelope_id": envelope_id}
        row = (await self._engine.read(lambda: verb_of(Step("envelope", values)))).first
        return None if row is None else Envelope(**row._asdict())

    async def failures(
        self, account_id: str, query: LogQuery, limit: int, after: Cursor | None = None
    ) -> Page[LogEntry]:
        return await self._page("failures", account_id, query, limit, after)

    async def logs(
        self, account_id: str, query: LogQuery, limit: int, after: Cursor | None = None
    ) -> Page[LogEntry]:
        return await self._page("logs", account_id, query, limit, after)

    async def _page(
        self, name: str, account_id: str, query: LogQuery, limit: int, after: Cursor | None
    ) -> Page[LogEntry]:
        step = log_rows.listing(name, account_id, query, limit, after)
        found = await self._engine.read(lambda: log_rows.found(step), LISTING_PATIENCE)
        return page_of(found, limit, partial(log_rows.entry, account_id))

    async def chosen_failures(
        self, account_id: str, query: LogQuery, after: Cursor | None = None
    ) -> Sequence[Chosen]:
        # Changed are the oldest first: what follows a cursor is newer.
        oldest_first = replace(query, order=Order.OLDEST_FIRST)
        return await self._chosen_of("failures_chosen", account_id, oldest_first, after)

    async def chosen_delivered(
        self, account_id: str, query: LogQuery, after: Cursor | None = None
    ) -> Sequence[Chosen]:
        return await self._counted(resending.chosen(account_id, query, after))

    async def resend_delivered(
        self, account_id: str, query: LogQuery, who: str, after: Cursor | None = None
    ) -> RequeuePage:
        step = resending.page(account_id, query, BATCH_MOST, after)
        found = await self._engine.read(lambda: verb_of(step), LISTING_PATIENCE)
        batch = found[:BATCH_MOST]
        done: list[Requeued] = []
        for some in batches(batch, BATCH):
            done += await self._resend(account_id, some, who)
        more = len(found) > BATCH_MOST
        last = Cursor(batch[-1].created_us, batch[-1].delivery_id) if more else None
        return RequeuePage(tuple(done), last)

    async def resend_envelopes(
        self, account_id: str, envelope_ids: Sequence[str], who: str, after: int = 0
    ) -> Sequence[Requeued]:
        step = resending.page_of_envelopes(account_id, envelope_ids, BATCH, after)
        found = await self._engine.read(lambda: verb_of(step))
        return await self._resend(account_id, found, who)

    async def resend_log(self, account_id: str, log_id: int, who: str) -> Requeued | None:
        step = Step("delivery_of_log", {"account_id": account_id, "log_id": log_id})
        row = (await self._engine.read(lambda: verb_of(step))).first
        if row is None:
            return None
        (done,) = await self._resend(account_id, [row], who)
        return done

    async def _resend(self, account_id: str, some: Sequence[Any], who: str) -> Sequence[Requeued]:
        now = self._now()
        return await self._engine.write(lambda: resending.resend(account_id, some, who, now))

    async def chosen_logs(self, account_id: str, query: LogQuery) -> Sequence[Chosen]:
        return await self._chosen_of("logs_chosen", account_id, query, None)

    async def _chosen_of(
        self, name: str, account_id: str, query: LogQuery, after: Cursor | None
    ) -> Sequence[Chosen]:
        return await self._counted(log_rows.chosen(name, account_id, query, after))

    async def _counted(self, step: Step) -> Sequence[Chosen]:
        found = await self._engine.read(lambda: log_rows.found(step), LISTING_PATIENCE)
        return log_rows.chosen_rows(found)

    async def failure(self, account_id: str, failure_id: int) -> LogEntry | None:
        values = {"account_id": account_id, "row_id": failure_id, "limit": 1}
        step = Step("failures", values, ["only_failure"], "failures_oldest_first")
        found = await self._engine.read(lambda: verb_of(step), LISTING_PATIENCE)
        return log_rows.entry(account_id, found[0]) if found else None

    async def log(self, account_id: str, log_id: int) -> AttemptDetail | None:
        details = await self._details(account_id, log_id, "only_log")
        return details[0] if details else None

    async def attempts(self, account_id: str, failure_id: int) -> Sequence[AttemptDetail]:
        return await self._details(account_id, failure_id, "only_attempts")

    async def _details(self, account_id: str, row_id: int, which: str) -> Sequence[AttemptDetail]:
        step = Step("attempt_details", {"account_id": account_id, "row_id": row_id}, [which])
        found = await self._engine.read(lambda: verb_of(step), LISTING_PATIENCE)
        return [log_rows.detail(account_id, row) for row in found]

    async def delete_log(self, account_id: str, log_id: int) -> bool:
        values = {"account_id": account_id, "log_id": log_id}

        def verb() -> Verb[bool]:
            if not (yield Step("log_delete", values)).changed:
                return False
            deleted = Change(f"log entry {log_id}")
            yield from audit.note(account_id, self._now(), Action.LOGS_DELETED, deleted)
            return True

        return await self._engine.write(verb)

    async def delete_logs(self, account_id: str) -> int:
        values = {"account_id": account_id, "most": BATCH_MOST}

        def verb() -> Verb[int]:
            deleted = (yield Step("logs_delete", values)).changed
            if deleted:
                what = Change("log entries", given(count=deleted))
                yield from audit.note(account_id, self._now(), Action.LOGS_DELETED, what)
            return deleted

        return await self._engine.write(verb, LISTING_PATIENCE)

    async def statistics(self) -> Statistics:
        now = self._now()
        (row,) = await self._engine.read(
            lambda: verb_of(Step("statistics", {"now": now})), LISTING_PATIENCE
        )
        return Statistics(
            waiting=row.waiting,
            held=row.held,
            in_flight=row.in_flight,
            failures=row.failures,
            orphans=row.orphans,
            nodes=row.nodes,
            failing=row.failing,
            incidents=row.incidents,
            overdue=unattended(row.due_us, None, now),
            unattended=unattended(row.due_us, row.looked_us, now),
            oldest_snapshot=row.oldest_snapshot,
            database_bytes=row.database_bytes,
            log_bytes=0,
        )

    async def orphans(self) -> Sequence[Orphan]:
        found = await self._engine.read(lambda: verb_of(Step("orphans")), LISTING_PATIENCE)
        return [Orphan(row.delivery_id, row.problem) for row in found]


def resealing(keyring: KeyRing, now: int) -> Verb[int]:
    """Seal every secret with the ring's first key; `now` is microseconds UTC. Returns the number
    of values."""
    count = 0
    for table in sealing.SEALED:
        resealed = sealing.resealed(keyring, table, (yield Step(f"sealed_{table}")))
        for values in resealed:
            yield Step(f"reseal_{table}", values)
        count += len(resealed)
    for account in (yield Step("accounts")):
        yield from audit.note(
            account.account_id, now, Action.SECRETS_RESEALED, Change("master key")
        )
    return count
