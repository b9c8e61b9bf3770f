"""Accept, claim, settle and requeue on SQLite: what runs inside the writer's transactions.

Everything here runs on the writer thread. Nobody else writes this database (R20), so what
the writer has read of configurations and keys stays true until the writer changes it: it is
kept in memory, and forgotten when a transaction is rolled back.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, Final, assert_never
from weakref import WeakValueDictionary

import apsw

from heliograph.bounded import Bounded
from heliograph.failpoints import failpoint
from heliograph.model.accounts import Account, HmacKey, Secret
from heliograph.model.configurations import ClientCredentials, ConnectConfiguration, Proof
from heliograph.model.deliveries import (
    Claim,
    Delivered,
    DeliveryState,
    Gathered,
    GaveUp,
    Interrupted,
    Proofs,
    RetryAt,
    Settlement,
)
from heliograph.model.events import Accepted, Event, HeldReason, Wanted
from heliograph.model.logs import Requeued
from heliograph.store import ClaimResult, rows, sealing
from heliograph.store.accepting import Events, New, Submitted, generated_us, sorted_out
from heliograph.store.keyring import KeyRing
from heliograph.store.loads import LIGHT, Document, Load, Room, parts_of
from heliograph.store.sqlite.connection import fetch, fetch_many
from heliograph.store.sqlite.queries import QUERIES
from heliograph.store.times import from_microseconds, to_microseconds
from heliograph.store.turns import Owners, Turns
from heliograph.store.verbs import Step

_Q: Final = QUERIES

_MOST_KNOWN: Final = 20_000
"""Entries of each memory (an account's version, its keys, a configuration): those used last."""

_MOST_BYTES: Final = 32 * 2**20
"""Bytes of each of these memories."""

_ENDED: Final = (DeliveryState.DELIVERED, DeliveryState.FAILED)
"""Where a settle may leave a delivery that lets the next of its lane go."""


class Queue:
    """The deliveries of one node. `now` gives microseconds UTC that never run backwards."""

    def __init__(
        self, keyring: KeyRing, now: Callable[[], int], epoch: int, last_attempt: int
    ) -> None:
        """`last_attempt` is the id of the newest attempt: those that are claimed come after it."""
        self._keyring = keyring
        self._now = now
        self._epoch = epoch
        self._attempt_ids = itertools.count(last_attempt + 1)
        self._seeds = random.Random()  # noqa: S311 (spreads retries; guards nothing)
        self._last_served = 0
        self.looked_us: int | None = None
        # With whether the account has ad hoc configurations.
        self._versions = Bounded[str, tuple[int, bool]](_MOST_KNOWN, _MOST_BYTES)
        self._configurations = Bounded[int, ConnectConfiguration](_MOST_KNOWN, _MOST_BYTES)
        self._owners = Owners()
        self._events: WeakValueDictionary[int, Event] = WeakValueDictionary()
        self._keys = Bounded[str, tuple[HmacKey, ...]](_MOST_KNOWN, _MOST_BYTES)
        self._clients = Bounded[str, tuple[str, Secret] | None](_MOST_KNOWN, _MOST_BYTES)
        self._oauth = Bounded[str, ClientCredentials | None](_MOST_KNOWN, _MOST_BYTES)

    def forget(self) -> None:
        """Drop what was read: a rolled-back transaction may have been its source."""
        self._versions.clear()
        self._owners.forget()
        self._events.clear()  # what was rolled back gives its place to another
        self._configurations.clear()
        self._keys.clear()
        self._clients.clear()
        self._oauth.clear()

    def changed_by(self, step: Step) -> None:
        """Read again, before the next claim or accept, what a step of a verb has changed."""
        match step.query:
            case "bump_version":
                account_id = step.values["account_id"]
                self._versions.pop(account_id)
                self._keys.pop(account_id)
                self._clients.pop(account_id)
                self._oauth.pop(account_id)
            case "ad_hoc_add":
                self._versions.pop(step.values["account_id"])
            case "configuration_write" | "configuration_delete":
                self._configurations.pop(step.values["connect_id"])

    def version_of(self, db: apsw.Connection, account_id: str) -> tuple[int, bool]:
        """Of an account's configurations: their version, and whether some are ad hoc."""
        known = self._versions.get(account_id)
        if known is None:
            row = db.execute(_Q["matched_version"], {"account_id": account_id}).fetchone()
            known = (0, False) if row is None else (int(row[0]), bool(row[1]))
            self._versions[account_id] = known
        return known

    def _active_keys(self, db: apsw.Connection, account_id: str) -> tuple[HmacKey, ...]:
        """The account's active HMAC keys, oldest first."""
        keys = self._keys.get(account_id)
        if keys is None:
            keys = sealing.keys(
                self._keyring, fetch(db, _Q["hmac_keys"], {"account_id": account_id})
            )
            self._keys[account_id] = keys
        return keys

    def _proofs(self, db: apsw.Connection, configuration: ConnectConfiguration) -> Proofs:
        read: Mapping[Proof, Callable[[apsw.Connection, str], Any]] = {
            Proof.KEYS: self._active_keys,
            Proof.CLIENT: self._client,
            Proof.OAUTH: self._oauth_client,
            Proof.ACCOUNT: self._account,
        }
        owner_of = configuration.owner_of
        return Proofs(
            **{proof: read[proof](db, owner_of(proof)) for proof in configuration.asks_for}
        )

    def _client(self, db: apsw.Connection, account_id: str) -> tuple[str, Secret] | None:
        if account_id in self._clients:
            return self._clients.get(account_id)
        found = fetch(db, _Q["client_certificate"], {"account_id": account_id})
        client = sealing.client_certificate(self._keyring, account_id, found)
        self._clients[account_id] = client
        return client

    def _oauth_client(self, db: apsw.Connection, account_id: str) -> ClientCredentials | None:
        if account_id in self._oauth:
            return self._oauth.get(account_id)
        found = fetch(db, _Q["connect_oauth"], {"account_id": account_id})
        client = sealing.oauth_client(self._keyring, account_id, found)
        self._oauth[account_id] = client
        return client

    def _account(self, db: apsw.Connection, account_id: str) -> Account:
        (row,) = fetch(db, _Q["account"], {"account_id": account_id})
        return Account(row.account_id, row.external_id, row.name)

    def _live(
        self, db: apsw.Connection, account_id: str, connect_id: int
    ) -> ConnectConfiguration | None:
        configuration = self._configurations.get(connect_id)
        if configuration is None:
            values = {"account_id": account_id, "connect_id": connect_id}
            found = fetch(db, _Q["configuration"], values)
            for configuration in sealing.configurations(self._keyring, account_id, found):
                self._configurations[connect_id] = configuration
        return configuration

    def accept(
        self, db: apsw.Connection, batch: Sequence[Submitted]
    ) -> list[Sequence[Accepted] | Exception]:
        """See `Store.accept`; each of the batch is all or none."""
        failpoint("accept.tx_begin")
        accounts = {submitted.account_id for submitted in batch}
        versions = {account_id: self.version_of(db, account_id) for account_id in accounts}
        live: Sequence[Any] = ()
        if connect_ids := rows.notified(of for submitted in batch for of in submitted.events):
            live = fetch(db, _Q["held_of_live"], {"connect_ids": json.dumps(connect_ids)})
        results, new = sorted_out(batch, versions, live, _known(db, batch))
        if new:
            self._add(db, new)
        return results

    def _add(self, db: apsw.Connection, new: Events) -> None:
        now = self._now()
        event_row = db.execute(_Q["event_last"]).get or 0
        events = [
            _event_values(account_id, addition, event_row, now)
            for event_row, ((account_id, _), addition) in enumerate(new.items(), event_row + 1)
        ]
        db.executemany(_Q["event_add"], events)
        failpoint("accept.event_insert")
        db.executemany(_Q["envelope_write"], [one for one in events if one["envelope_id"]])
        notifications = [
            {**values, "connect_id": connect_id}
            for values, addition in zip(events, new.values(), strict=True)
            for connect_id in addition.event.notified
        ]
        db.executemany(_Q["notification_add"], notifications)
        wanted = [
            (values, verdict)
            for values, addition in zip(events, new.values(), strict=True)
            for verdict in addition.verdicts
            if isinstance(verdict, Wanted)
        ]
        self._add_deliveries(db, wanted, now)
        failpoint("accept.fanout")

    def _add_deliveries(
        self, db: apsw.Connection, wanted: Sequence[tuple[Mapping[str, Any], Wanted]], now: int
    ) -> None:
        """Add deliveries of events (values of `event_add`), each as its lane allows (R6)."""
        connect_ids = sorted({verdict.connect_id for _, verdict in wanted})
        down = dict(fetch(db, _Q["down_until"], {"connect_ids": json.dumps(connect_ids)}))
        asked: set[tuple[int, str]] = set()
        deliveries = []
        for event, verdict in wanted:
            reason = HeldReason.ORDER if _is_busy(db, verdict, asked) else verdict.held
            down_until = down.get(verdict.connect_id)
            listed = rows.listed_at_once(verdict, down=down_until is not None)
            due = now + int((verdict.gathers or 0) * 1_000_000)
            deliveries.append(
                {
                    "account_id": event["account_id"],
                    "event_row": event["event_row"],
                    "connect_id": verdict.connect_id,
                    "envelope_id": event["envelope_id"],
                    "lane": verdict.lane,
                    "state": DeliveryState.WAITING if reason is None else DeliveryState.HELD,
                    "held_reason": reason,
                    "seed": self._seeds.getrandbits(31),
                    "now": now,
                    "due": max(due, down_until or 0),
                    "failed_us": listed and now,
                    "error": listed,
                    "recipient": verdict.recipient,
                }
            )
        db.executemany(_Q["delivery_add"], deliveries)

    def claim(
        self,
        db: apsw.Connection,
        room: int,
        per_unlisted: int,
        free: Mapping[int, int],
        per_account: int | None = None,
        load: Load | None = None,
    ) -> ClaimResult:
        """See `Store.claim`."""
        now = self.looked_us = self._now()
        waiting = fetch(db, _Q["waiting_configurations"])
        failpoint("claim.select")
        later = [row.due_us for row in waiting if row.due_us > now]
        due = [row.connect_id for row in waiting if row.due_us <= now]
        # Take turns: begin behind the configuration that was served last (R7).
        turn = [connect_id for connect_id in due if connect_id > self._last_served]
        turn += [connect_id for connect_id in due if connect_id <= self._last_served]
        in_flight: dict[int, int] = dict(fetch(db, _Q["in_flight"])) if turn else {}
        accounts = self._accounts_of(db, {*turn, *in_flight})
        # Who is alone has nobody to leave room for.
        turns = Turns(accounts, in_flight, per_account if self._owners.several else None)
        free = {c: free.get(c, per_unlisted - in_flight.get(c, 0)) for c in turn}
        bytes_left = None if load is None else load.room()
        claims: list[Claim] = []
        if turn:
            claims = self._claim_turn(db, turn, now, free, room, turns, bytes_left)
        if not claims and (beyond := turns.beyond(room)):
            turns = Turns(accounts, {}, None)
            claims = self._claim_turn(db, turn, now, free, beyond, turns, bytes_left)
        return ClaimResult(tuple(claims), from_microseconds(min(later)) if later else None)

    def _claim_turn(
        self,
        db: apsw.Connection,
        turn: Sequence[int],
        now: int,
        free: Mapping[int, int],
        room: int,
        turns: Turns,
        bytes_left: Room | None,
    ) -> list[Claim]:
        share = turns.each(room, len(turn)) if turn else 0
        claims: list[Claim] = []
        for connect_id in turn:
            most = min(free[connect_id], room - len(claims), share)
            of_account = turns.room(connect_id)
            most = most if of_account is None else min(most, of_account)
            if most > 0:
                claimed = self._claim_of_configuration(db, connect_id, now, most, bytes_left)
                turns.took(connect_id, len(claimed))
                claims += claimed
                self._last_served = connect_id
        return claims

    def _accounts_of(self, db: apsw.Connection, connect_ids: set[int]) -> Mapping[int, str]:
        accounts = self._owners.known(connect_ids)
        unknown = connect_ids - accounts.keys()
        if unknown:
            values = {"connect_ids": json.dumps(sorted(unknown))}
            found = dict(fetch(db, _Q["configuration_accounts"], values))
            self._owners.note(found)
            accounts |= found
        return accounts

    def _claim_of_configuration(
        self,
        db: apsw.Connection,
        connect_id: int,
        now: int,
        limit: int,
        bytes_left: Room | None,
    ) -> list[Claim]:
        claims = []
        configuration: ConnectConfiguration | None = None
        found = fetch(db, _Q["due_of_configuration"], (LIGHT, connect_id, now, limit))
        for row in found:
            try:
                # Once for all: a large one is not kept.
                configuration = configuration or self._live(db, row.account_id, connect_id)
                claim = self._claim_one(db, configuration, now, row, bytes_left)
            except apsw.Error:
                raise
            except Exception as error:
                # One row that cannot be read must not stop the others (R17).
                why = f"claim: the delivery cannot be prepared: {error}"
                parked = {"delivery_id": row.delivery_id, "now": now, "error": why}
                for (lane,) in fetch(db, _Q["delivery_park"], parked):
                    release(db, connect_id, lane, self._now())
            else:
                claims += [claim] if claim is not None else []
        return claims

    def _claim_one(
        self,
        db: apsw.Connection,
        configuration: ConnectConfiguration | None,
        now: int,
        row: Any,
        bytes_left: Room | None,
    ) -> Claim | None:
        """Claim a row of `due_of_configuration`; None where its bytes find no room."""
        account_id = row.account_id
        # All that can fail comes before the first write.
        if configuration is None:  # deleting one fails what it had waiting
            raise AssertionError("its configuration is gone")
        proofs = self._proofs(db, configuration)
        newest = self._newest(db, row) if configuration.pace.aggregate else None
        if bytes_left is not None:
            shown = None if newest is None else _document(account_id, newest)
            parts = parts_of(configuration, _document(account_id, row), shown)
            if not bytes_left.take(account_id, parts, several=self._owners.several):
                return None
        event = self._event(db, account_id, row)
        gathered = None
        if configuration.pace.aggregate:
            last = row if newest is None else newest
            shown_event = self._event(db, account_id, last)
            gathered = Gathered(shown_event, max(last.event_row, row.event_row))
        attempt_id = next(self._attempt_ids)
        failpoint("claim.attempt_open", row.delivery_id)
        db.execute(
            _Q["delivery_claim"],
            {
                "epoch": self._epoch,
                "attempt_id": attempt_id,
                "now": now,
                "delivery_id": row.delivery_id,
            },
        )
        return Claim(
            delivery_id=row.delivery_id,
            attempt_id=attempt_id,
            epoch=self._epoch,
            number=row.attempts + 1,
            schedule_number=row.schedule_attempts + 1,
            schedule_started_at=from_microseconds(row.schedule_started_us),
            seed=row.seed,
            event=event,
            configuration=configuration,
            proofs=proofs,
            gathered=gathered,
            resent_by=row.resent_by,
            recipient=row.recipient,
        )

    def _event(self, db: apsw.Connection, account_id: str, row: Any) -> Event:
        """The event of a row, which claims that are in flight share with its document."""
        event = self._events.get(row.event_row)
        if event is None:
            document = row.document
            if document is None:
                document = db.execute(_Q["event_document"], (row.event_row,)).get
            at = from_microseconds(row.generated_us)
            event = Event(account_id, row.event_id, row.name, row.envelope_id, at, document)
            self._events[row.event_row] = event
        return event

    def _newest(self, db: apsw.Connection, row: Any) -> Any:
        """The newest event of a row's envelope, if it is newer than the row's own."""
        values = {
            "account_id": row.account_id,
            "envelope_id": row.envelope_id,
            "light": LIGHT,
        }
        for newest in fetch(db, _Q["newest_event"], values):
            if (newest.generated_us, newest.event_row) > (row.generated_us, row.event_row):
                return newest
        return None

    def settle(self, db: apsw.Connection, settlements: Sequence[Settlement]) -> Sequence[bool]:
        """See `Store.settle`."""
        now = self._now()
        values = {
            settlement.claim.attempt_id: self._settling(db, settlement, now)
            for settlement in settlements
        }
        lanes = dict(fetch_many(db, _Q["delivery_settle"], values.values()))
        failpoint("settle.failure_row")
        self._add_attempts(db, settlements, lanes)
        failpoint("settle.next_due")
        ended = [
            (settlement.claim.configuration.connect_id, lanes[settlement.claim.attempt_id])
            for settlement in settlements
            if settlement.claim.attempt_id in lanes
            and values[settlement.claim.attempt_id]["state"] in _ENDED
        ]
        for lane in dict.fromkeys(ended + self._merge(db, settlements, lanes)):
            release(db, *lane, now)
        took, failed = rows.health(settlements)
        if took:
            db.execute(_Q["failing_clear"], {"connect_ids": json.dumps(took)})
        if failed:
            values_failed = {"connect_ids": json.dumps(failed), "now": now}
            db.execute(_Q["failing_add"], values_failed)
        return [settlement.claim.attempt_id in lanes for settlement in settlements]

    def _settling(self, db: apsw.Connection, settlement: Settlement, now: int) -> dict[str, Any]:
        """The values of `delivery_settle`: where a delivery goes from here."""
        claim, outcome = settlement.claim, settlement.outcome
        values: dict[str, Any] = {
            "delivery_id": claim.delivery_id,
            "epoch": claim.epoch,
            "attempt_id": claim.attempt_id,
            "now": now,
            "last_try_us": to_microseconds(settlement.started_at),
            "failed": False,
            "uncounted": 0,
            "error": None,
            "due_us": None,
            "held_reason": None,
        }
        match outcome:
            case Delivered():
                values["state"] = DeliveryState.DELIVERED
            case GaveUp(why=why):
                values |= {"state": DeliveryState.FAILED, "failed": True, "error": str(why)}
            case RetryAt(when=when, why=why, counts=counts):
                values |= {"failed": True, "error": str(why), "uncounted": int(not counts)}
                values |= self._next(db, claim, to_microseconds(when))
            case Interrupted():
                values |= self._next(db, claim, now)
            case _:
                assert_never(outcome)
        return values

    def _add_attempts(
        self, db: apsw.Connection, settlements: Sequence[Settlement], ours: Container[int]
    ) -> None:
        """Write what attempts came to, of which those by these ids were still ours."""
        closed = [rows.closing(settlement) for settlement in settlements]
        for query, still_ours in (("attempt_add", True), ("attempt_close_late", False)):
            values = [one for one in closed if (one["attempt_id"] in ours) is still_ours]
            db.executemany(_Q[query], values)

    def _merge(
        self, db: apsw.Connection, settlements: Sequence[Settlement], ours: Container[int]
    ) -> list[tuple[int, str | None]]:
        """End what aggregate messages stood for beside their own events; the lanes of them."""
        merging = [
            rows.merging(settlement.claim, settlement.claim.gathered)
            for settlement in settlements
            if isinstance(settlement.outcome, Delivered)
            and settlement.claim.gathered is not None
            and settlement.claim.attempt_id in ours
        ]
        db.executemany(_Q["delivery_merge"], merging)
        return [(merged["connect_id"], merged["lane"]) for merged in merging]

    def _next(self, db: apsw.Connection, claim: Claim, due_us: int) -> dict[str, Any]:
        """Wait for the next try, unless the configuration changed while the attempt ran."""
        current = self._live(db, claim.event.account_id, claim.configuration.connect_id)
        if current is None:
            return {"state": DeliveryState.FAILED, "failed": True, "error": rows.DELETED}
        reason = current.held
        return {
            "state": DeliveryState.WAITING if reason is None else DeliveryState.HELD,
            "held_reason": reason,
            "due_us": due_us,
        }

    def requeue(self, db: apsw.Connection, account_id: str, row: Any) -> Requeued:
        """Make one open failure (a row of `requeue_page`) due now, where that can be."""
        live = self._live(db, account_id, row.connect_id)
        reason = None if live is None else live.held
        done, query = rows.requeued(row, deleted=live is None, reason=reason)
        if query is not None:
            values = {"delivery_id": done.delivery_id, "now": self._now(), "state": done.state}
            db.execute(_Q[query], {**values, "held_reason": reason})
        return done

    def cancel(
        self, db: apsw.Connection, account_id: str, failure_ids: Sequence[int], who: str
    ) -> int:
        """Delete open failures: their deliveries end as cancelled by `who` (R4)."""
        asked = {"account_id": account_id, "ids": json.dumps(list(failure_ids))}
        in_flight = [one for (one,) in fetch(db, _Q["failures_in_flight"], asked)]
        if in_flight:
            error = "the failure was deleted before the outcome was known"
            leave_unknown(db, in_flight, error)
        values = [{"account_id": account_id, "delivery_id": one, "who": who} for one in failure_ids]
        cancelled = fetch_many(db, _Q["failure_cancel"], values)
        for connect_id, lane in cancelled:
            release(db, connect_id, lane, self._now())
        return len(cancelled)


def release(db: apsw.Connection, connect_id: int, lane: str | None, now: int) -> None:
    """Let the next of a lane go whose first has ended (R6)."""
    if lane is not None and db.execute(_Q["lane_busy"], (connect_id, lane)).get is not None:
        values = {"connect_id": connect_id, "lane": lane, "now": now}
        db.execute(_Q["lane_release"], values)


def leave_unknown(db: apsw.Connection, delivery_ids: Sequence[int], error: str) -> None:
    """Close the attempts of deliveries in flight, of which nobody hears any more."""
    ids = {"delivery_ids": json.dumps(list(delivery_ids))}
    logged = rows.logged(fetch(db, _Q["documents_of_deliveries"], ids))
    db.execute(_Q["attempts_unknown"], {**ids, "logged": json.dumps(logged), "error": error})


def _document(account_id: str, row: Any) -> Document:
    return Document(account_id, row.event_id, row.name, row.bytes)


def _known(
    db: apsw.Connection, batch: Sequence[Submitted]
) -> dict[tuple[str, str], rows.KnownEvent]:
    """Those events of a batch that are there already."""
    wanted = [
        (submitted.account_id, event.event_id)
        for submitted in batch
        for event, _ in submitted.events
    ]
    found = fetch(db, _Q["events_known"], {"events": json.dumps(wanted)})
    return {
        (row.account_id, row.event_id): rows.KnownEvent(
            row.digest, row.meaning, row.deliveries, _notified_of(db, row)
        )
        for row in found
    }


def _notified_of(db: apsw.Connection, row: Any) -> frozenset[int]:
    """The configurations of an event's envelope alone: they tell only where there is no meaning."""
    if row.meaning is not None:
        return frozenset()
    values = {"account_id": row.account_id, "envelope_id": row.envelope_id}
    return frozenset(connect_id for (connect_id,) in fetch(db, _Q["notified_known"], values))


def _event_values(account_id: str, new: New, event_row: int, now: int) -> dict[str, Any]:
    """The values of `event_add`."""
    event = new.event
    return {
        "event_row": event_row,
        "account_id": account_id,
        "event_id": event.event_id,
        "name": event.name,
        "envelope_id": event.envelope.envelope_id,
        "subject": event.envelope.subject,
        "sender_name": event.envelope.sender_name,
        "sender_email": event.envelope.sender_email,
        "status": event.envelope.status,
        "deliveries": new.deliveries,
        "generated_us": generated_us(event, now),
        "now": now,
        "digest": event.digest,
        "meaning": event.meaning,
        "document": event.document,
    }


def _is_busy(db: apsw.Connection, verdict: Wanted, asked: set[tuple[int, str]]) -> bool:
    """Whether what comes now must wait in its lane, or is stood for already.

    A lane that was `asked` about has the delivery that asked.
    """
    if verdict.lane is None:
        return False
    place = (verdict.connect_id, verdict.lane)
    if place in asked:
        return True
    asked.add(place)
    query = "lane_busy" if verdict.gathers is None else "lane_gathers"
    return db.execute(_Q[query], place).get is not None
