"""Accept on SQLite: what runs inside the writer's transaction, on its thread."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

import apsw

from heliograph.failpoints import failpoint
from heliograph.model.deliveries import Claim, DeliveryState
from heliograph.model.events import HeldReason, Wanted
from heliograph.store import rows
from heliograph.store.accepting import (
    AcceptedBatch,
    Events,
    New,
    Submitted,
    generated_us,
    sorted_out,
)
from heliograph.store.loads import Document
from heliograph.store.openings import Openings
from heliograph.store.sqlite.connection import fetch
from heliograph.store.sqlite.known import Known
from heliograph.store.sqlite.queries import QUERIES
from heliograph.store.sqlite.queue import Queue
from heliograph.store.times import from_microseconds

_Q: Final = QUERIES
_SECOND: Final = 1_000_000
_SEEDS: Final = random.Random()  # noqa: S311 (spreads retries; guards nothing)


def accept(
    db: apsw.Connection,
    batch: Sequence[Submitted],
    known: Known,
    queue: Queue,
    openings: Openings | None,
    now: int,
) -> AcceptedBatch:
    """See `Store.accept`; each of the batch is all or none. `now` is microseconds UTC."""
    failpoint("accept.tx_begin")
    accounts = {submitted.account_id for submitted in batch}
    versions = {account_id: known.version_of(db, account_id) for account_id in accounts}
    live: Sequence[Any] = ()
    if connect_ids := rows.notified(of for submitted in batch for of in submitted.events):
        live = fetch(db, _Q["held_of_live"], {"connect_ids": json.dumps(connect_ids)})
    results, new = sorted_out(batch, versions, live, _there(db, batch))
    if not new:
        return AcceptedBatch(results)
    newest = dict(fetch(db, _Q["newest_rows"]))
    events = _add_events(db, new, newest.get("event", 0) + 1, now)
    failpoint("accept.event_insert")
    deliveries = _deliveries(db, new, events, newest.get("delivery", 0) + 1, now)
    claims: list[Claim] = []
    if openings is not None:
        claims = _Handing(db, known, queue, openings, now).claim(deliveries)
    db.executemany(_Q["delivery_add"], deliveries)
    db.executemany(_Q["delivery_list"], [one for one in deliveries if one["error"] is not None])
    waiting = [one for one in deliveries if one["state"] is DeliveryState.WAITING]
    queue.made_quiet(len(deliveries) - len(waiting))
    failpoint("accept.fanout")
    some_wait = any(one["due_us"] <= now for one in waiting)
    return AcceptedBatch(results, claims, behind=len(deliveries) if some_wait else 0)


def _there(
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


def _add_events(db: apsw.Connection, new: Events, first: int, now: int) -> Sequence[dict[str, Any]]:
    """Add events, the first of which gets the number `first`; the values of `event_add`."""
    events = [
        _event_values(account_id, addition, event_row, now)
        for event_row, ((account_id, _), addition) in enumerate(new.items(), first)
    ]
    db.executemany(_Q["event_add"], events)
    db.executemany(_Q["envelope_write"], [values for values in events if values["envelope_id"]])
    notifications = [
        {**values, "connect_id": connect_id}
        for values, addition in zip(events, new.values(), strict=True)
        for connect_id in addition.event.notified
    ]
    db.executemany(_Q["notification_add"], notifications)
    return events


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


def _deliveries(
    db: apsw.Connection, new: Events, events: Sequence[dict[str, Any]], first: int, now: int
) -> Sequence[dict[str, Any]]:
    """The values of `delivery_add` for events (values of `event_add`), from the number `first` on.

    Each waits, or is held, as its configuration and lane have it (R6).
    """
    wanted = [
        (values, verdict)
        for values, addition in zip(events, new.values(), strict=True)
        for verdict in addition.verdicts
        if isinstance(verdict, Wanted)
    ]
    connect_ids = sorted({verdict.connect_id for _, verdict in wanted})
    down = dict(fetch(db, _Q["down_until"], {"connect_ids": json.dumps(connect_ids)}))
    asked: set[tuple[int, str]] = set()
    deliveries = []
    for delivery_id, (event, verdict) in enumerate(wanted, first):
        reason = HeldReason.ORDER if _is_busy(db, verdict, asked) else verdict.held
        down_until = down.get(verdict.connect_id)
        listed = rows.listed_at_once(verdict, down=down_until is not None)
        due = now + int((verdict.gathers or 0) * _SECOND)
        deliveries.append(
            {
                **event,
                "delivery_id": delivery_id,
                "connect_id": verdict.connect_id,
                "lane": verdict.lane,
                "state": DeliveryState.WAITING if reason is None else DeliveryState.HELD,
                "held_reason": reason,
                "seed": _SEEDS.getrandbits(31),
                "due_us": max(due, down_until or 0),
                **rows.because(listed),
                "recipient": verdict.recipient,
                "claims": 0,
                "epoch": None,
                "attempt_id": None,
                "claimed_us": None,
            }
        )
    return deliveries


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


class _Handing:
    """Claims what nothing waits before, and what its node can send at once (decision 38)."""

    def __init__(
        self, db: apsw.Connection, known: Known, queue: Queue, openings: Openings, now: int
    ) -> None:
        self._db, self._known, self._queue = db, known, queue
        self._openings, self._now = openings, now
        # Whether something is due of a configuration.
        self._waits: dict[int, bool] = {}

    def claim(self, deliveries: Sequence[dict[str, Any]]) -> list[Claim]:
        """Of new deliveries, values of `delivery_add` which then say so, in their order."""
        claims = []
        for delivery in deliveries:
            if delivery["state"] is not DeliveryState.WAITING or delivery["due_us"] > self._now:
                continue
            connect_id = delivery["connect_id"]
            claim = None if self._is_due(delivery) else self._claim_one(delivery)
            self._waits[connect_id] = claim is None  # those that come after it wait too
            claims += [] if claim is None else [claim]
        return claims

    def _is_due(self, delivery: Mapping[str, Any]) -> bool:
        """Whether something of its configuration waits to be claimed."""
        connect_id = delivery["connect_id"]
        waits = self._waits.get(connect_id)
        if waits is None:
            self._known.note_owner(connect_id, delivery["account_id"])
            waits = self._db.execute(_Q["is_due"], (connect_id, self._now)).get is not None
        return waits

    def _claim_one(self, delivery: dict[str, Any]) -> Claim | None:
        account_id, connect_id = delivery["account_id"], delivery["connect_id"]
        try:
            configuration = self._known.live(self._db, account_id, connect_id)
            if configuration is None or configuration.pace.aggregate:
                return None
            proofs = self._known.proofs(self._db, configuration)
            event = self._known.new_event(delivery)
        except apsw.Error:
            raise
        except Exception:  # it waits, and the claim that parks it says what is wrong (R17)
            return None
        document = Document(account_id, event.event_id, event.name, len(event.document))
        if not self._openings.take(configuration, document, several=self._known.owners.several):
            return None
        opened = self._queue.opened(self._now)
        delivery |= {"state": DeliveryState.IN_FLIGHT, "due_us": None, "claims": 1, **opened}
        failpoint("accept.hand_over", delivery["delivery_id"])
        return Claim(
            delivery_id=delivery["delivery_id"],
            attempt_id=opened["attempt_id"],
            epoch=opened["epoch"],
            number=1,
            schedule_number=1,
            schedule_started_at=from_microseconds(self._now),
            seed=delivery["seed"],
            event=event,
            configuration=configuration,
            proofs=proofs,
            recipient=delivery["recipient"],
        )
