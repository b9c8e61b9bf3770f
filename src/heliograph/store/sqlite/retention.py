"""Retention on SQLite: what ended long ago is deleted in batches (R14)."""

from __future__ import annotations

import json

import apsw

from heliograph.store import BATCH_MOST, Retired
from heliograph.store.sqlite.connection import fetch
from heliograph.store.sqlite.queries import QUERIES


def retire(db: apsw.Connection, before_us: int) -> Retired:
    """Delete one batch: ended deliveries with their attempts, then what nothing refers to."""
    found = fetch(db, QUERIES["retire_candidates"], (before_us, BATCH_MOST))
    batch: list[tuple[int, int]] = []
    attempts = 0
    for delivery_id, event_row, tries in found:
        attempts += tries
        if batch and attempts > BATCH_MOST:
            break
        batch.append((delivery_id, event_row))
    ids = json.dumps([delivery_id for delivery_id, _ in batch])
    attempts = _change(db, "retire_attempts", {"ids": ids})
    deliveries = _change(db, "retire_deliveries", {"ids": ids})
    events = {event_row for _, event_row in batch}
    # Those whose deliveries go now must be looked at now: nothing leads to them later.
    room = BATCH_MOST - len(events)
    events |= {row for (row,) in fetch(db, QUERIES["retire_unwanted"], (before_us, room))}
    named = {"events": json.dumps(sorted(events))}
    envelopes = json.dumps(fetch(db, QUERIES["retire_envelopes_of"], named))
    gone = _change(db, "retire_events", named)
    db.execute(QUERIES["retire_recount"], named)
    retired = _change(db, "retire_envelopes", {"envelopes": envelopes})
    db.execute(QUERIES["retire_notifications"], {"envelopes": envelopes})
    db.execute(QUERIES["retire_publishes"], {"before": before_us})
    db.execute(QUERIES["jobs_retire"], {"before": before_us})
    db.execute(QUERIES["incidents_retire"], {"before": before_us})
    ended = Retired(deliveries, attempts, gone, retired)
    return ended if ended.total else Retired(configurations=_retire_ad_hoc(db, before_us))


def _retire_ad_hoc(db: apsw.Connection, before_us: int) -> int:
    """Delete ad hoc configurations that nothing names any more, a batch of them."""
    found = fetch(db, QUERIES["unnamed_ad_hoc"], (before_us, BATCH_MOST))
    connect_ids = [connect_id for (connect_id,) in found]
    if connect_ids:
        db.execute(QUERIES["failing_clear"], {"connect_ids": json.dumps(connect_ids)})
        db.execute(QUERIES["retire_ad_hoc"], {"connect_ids": json.dumps(connect_ids)})
    return len(connect_ids)


def _change(db: apsw.Connection, query: str, values: dict[str, str]) -> int:
    db.execute(QUERIES[query], values)
    return db.changes()
