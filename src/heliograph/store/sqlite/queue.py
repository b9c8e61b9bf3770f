"""Claim, settle and requeue on SQLite: what runs in the writer's transactions, on its thread."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

import apsw

from heliograph.failpoints import failpoint
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.deliveries import (
    Claim,
    Delivered,
    DeliveryState,
    Gathered,
    GaveUp,
    Interrupted,
    RetryAt,
    Settlement,
)
from heliograph.model.logs import Requeued
from heliograph.store import ClaimResult, rows
from heliograph.store.loads import LIGHT, Document, Load, Room, parts_of
from heliograph.store.sqlite.connection import fetch, fetch_many
from heliograph.store.sqlite.known import Known
from heliograph.store.sqlite.queries import QUERIES
from heliograph.store.times import from_microseconds, to_microseconds
from heliograph.store.turns import Turns

_Q: Final = QUERIES

_ENDED: Final = (DeliveryState.DELIVERED, DeliveryState.FAILED)
"""Where a settle may leave a delivery that lets the next of its lane go."""


class Queue:
    """The deliveries of one node. `now` gives microseconds UTC that never run backwards."""

    def __init__(self, known: Known, now: Callable[[], int], epoch: int, last_attempt: int) -> None:
        """`last_attempt` is the id of the newest attempt: those that are claimed come after it."""
        self._known = known
        self._now = now
        self._epoch = epoch
        self._attempt_ids = itertools.count(last_attempt + 1)
        self._last_served = 0
        self._made_quiet = 0
        self.looked_us: int | None = None

    def quiet(self) -> int:
        """How many changes of deliveries since this was asked have made nothing due."""
        quiet, self._made_quiet = self._made_quiet, 0
        return quiet

    def forget(self) -> None:
        """Something was rolled back, and with it what was read there."""
        self._made_quiet = 0
        self._known.forget()

    def made_quiet(self, changes: int) -> None:
        """So many deliveries were changed, and nothing is due by that."""
        self._made_quiet += changes

    def opened(self, now: int) -> dict[str, Any]:
        """The columns of a delivery that say of its next attempt that it is open."""
        return {"epoch": self._epoch, "attempt_id": next(self._attempt_ids), "claimed_us": now}

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
        accounts = self._known.accounts_of(db, {*turn, *in_flight})
        # Who is alone has nobody to leave room for.
        turns = Turns(accounts, in_flight, per_account if self._known.owners.several else None)
        free = {c: free.get(c, per_unlisted - in_flight.get(c, 0)) for c in turn}
        bytes_left = None if load is None else load.room()
        taking = _Taking()
        if turn:
            self._claim_turn(db, turn, now, free, room, turns, bytes_left, taking)
        if not taking.claims and (beyond := turns.beyond(room)):
            turns = Turns(accounts, {}, None)
            taking = _Taking()
            self._claim_turn(db, turn, now, free, beyond, turns, bytes_left, taking)
        self._made_quiet += len(taking.claims)
        return ClaimResult(
            tuple(taking.claims),
            from_microseconds(min(later)) if later else None,
            left=taking.left,
            crowded=taking.crowded,
        )

    def _claim_turn(
        self,
        db: apsw.Connection,
        turn: Sequence[int],
        now: int,
        free: Mapping[int, int],
        room: int,
        turns: Turns,
        bytes_left: Room | None,
        taking: _Taking,
    ) -> None:
        share = turns.each(room, len(turn)) if turn else 0
        for connect_id in turn:
            most = min(free[connect_id], room - len(taking.claims), share)
            of_account = turns.room(connect_id)
            most = max(0, most if of_account is None else min(most, of_account))
            claimed: list[Claim] = []
            more = True  # there may be
            if most > 0:
                claimed, more = self._claim_of_configuration(db, connect_id, now, most, bytes_left)
                turns.took(connect_id, len(claimed))
                taking.claims += claimed
                self._last_served = connect_id
            taking.left |= more
            taking.crowded |= more and len(claimed) < free[connect_id]

    def _claim_of_configuration(
        self,
        db: apsw.Connection,
        connect_id: int,
        now: int,
        limit: int,
        bytes_left: Room | None,
    ) -> tuple[list[Claim], bool]:
        """Claim what is due of a configuration; and whether more may be, beyond limit or room."""
        claims = []
        passed_over = False
        configuration: ConnectConfiguration | None = None
        found = fetch(db, _Q["due_of_configuration"], (LIGHT, connect_id, now, limit))
        for row in found:
            try:
                # Once for all: a large one is not kept.
                configuration = configuration or self._known.live(db, row.account_id, connect_id)
                claim = self._claim_one(db, configuration, now, row, bytes_left)
            except apsw.Error:
                raise
            except Exception as error:
                # One row that cannot be read must not stop the others (R17).
                why = f"claim: the delivery cannot be prepared: {error}"
                parked = {"delivery_id": row.delivery_id, "now": now, **rows.because(why)}
                for (lane,) in fetch(db, _Q["delivery_park"], parked):
                    release(db, connect_id, lane, self._now())
            else:
                claims += [claim] if claim is not None else []
                passed_over |= claim is None
        return claims, passed_over or len(found) == limit

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
        proofs = self._known.proofs(db, configuration)
        newest = self._newest(db, row) if configuration.pace.aggregate else None
        if bytes_left is not None:
            shown = None if newest is None else _document(account_id, newest)
            parts = parts_of(configuration, _document(account_id, row), shown)
            if not bytes_left.take(account_id, parts, several=self._known.owners.several):
                return None
        event = self._known.event(db, account_id, row)
        gathered = None
        if configuration.pace.aggregate:
            last = row if newest is None else newest
            shown_event = self._known.event(db, account_id, last)
            gathered = Gathered(shown_event, max(last.event_row, row.event_row))
        opened = self.opened(now)
        failpoint("claim.attempt_open", row.delivery_id)
        db.execute(_Q["delivery_claim"], {**opened, "delivery_id": row.delivery_id})
        return Claim(
            delivery_id=row.delivery_id,
            attempt_id=opened["attempt_id"],
            epoch=opened["epoch"],
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
            job_id=row.job_id,
        )

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
        arriving = [one for one in values.values() if one["state"] is DeliveryState.DELIVERED]
        lanes = dict(fetch_many(db, _Q["delivery_arrive"], arriving))
        others = [one for attempt_id, one in values.items() if attempt_id not in lanes]
        lanes |= dict(fetch_many(db, _Q["delivery_settle"], others))
        self._made_quiet += sum(values[one]["state"] in _ENDED for one in lanes)
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
        for answers in rows.job_answers(settlements, lambda claim: claim.attempt_id in lanes):
            counts = {"delivered": answers.delivered, "failed": len(answers.failed)}
            db.execute(_Q["job_answered"], {"job_id": answers.job_id, **counts})
            if answers.failed:
                left = {"job_id": answers.job_id, "ids": json.dumps(answers.failed)}
                db.execute(_Q["job_left"], left)
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
            **rows.because(None),
            "due_us": None,
            "held_reason": None,
        }
        match outcome:
            case Delivered():
                values["state"] = DeliveryState.DELIVERED
            case GaveUp(why=why):
                values |= {"state": DeliveryState.FAILED, "failed": True}
                values |= rows.because(str(why))
            case RetryAt(when=when, why=why, counts=counts):
                values |= {"failed": True, "uncounted": int(not counts)}
                values |= rows.because(str(why))
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
        current = self._known.live(db, claim.event.account_id, claim.configuration.connect_id)
        if current is None:
            gone = {"state": DeliveryState.FAILED, "failed": True}
            return gone | rows.because(rows.DELETED)
        reason = current.held
        return {
            "state": DeliveryState.WAITING if reason is None else DeliveryState.HELD,
            "held_reason": reason,
            "due_us": due_us,
        }

    def requeue(self, db: apsw.Connection, account_id: str, row: Any) -> tuple[Requeued, bool]:
        """Make one open failure (a row of `requeue_page`) due now, where that can be; whether it
        could."""
        live = self._known.live(db, account_id, row.connect_id)
        reason = None if live is None else live.held
        done, query = rows.requeued(row, deleted=live is None, reason=reason)
        if query is not None:
            values = {"delivery_id": done.delivery_id, "now": self._now(), "state": done.state}
            db.execute(_Q[query], {**values, "held_reason": reason})
        return done, query is not None

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


@dataclass(slots=True)
class _Taking:
    """What one claim takes; `left` and `crowded` as in `ClaimResult`."""

    claims: list[Claim] = field(default_factory=list)
    left: bool = False
    crowded: bool = False
