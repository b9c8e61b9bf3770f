"""Retention on PostgreSQL: whole days are dropped, and little rows deleted in batches (R14)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import attrgetter

from psycopg import errors

from heliograph.store import BATCH_MOST, Retired
from heliograph.store.postgres.connection import Connection, fetch, fetch_only, run
from heliograph.store.postgres.queries import QUERIES


async def retire(db: Connection, before_us: int, now_us: int) -> Retired:
    """One batch: the oldest day that is over, or else rows that no day holds.

    A day that somebody reads just now is left for the next time.
    """
    found = await fetch(db, QUERIES["old_days"], (before_us,))
    for _, of_day in groupby(found, key=attrgetter("ends_us")):  # they come oldest first
        try:
            async with db.transaction():
                dropped = await _drop_day(db, [(row.parent, row.day) for row in of_day])
        except errors.LockNotAvailable:
            break
        if dropped.total:
            return dropped
    return await _delete_rows(db, before_us, now_us)


async def _drop_day(db: Connection, partitions: Sequence[tuple[str, str]]) -> Retired:
    """Drop what ended with a day; its events are counted when their keys go."""
    counts = {}
    await run(db, QUERIES["brief_lock_wait"])
    for parent, day in partitions:
        (counts[parent],) = await fetch_only(db, QUERIES["day_count"].format(day=day))
        await run(db, QUERIES["day_detach"].format(parent=parent, day=day))
        if parent == "event":
            await run(db, QUERIES["day_events_keep"].format(day=day))
        await run(db, QUERIES["day_drop"].format(day=day))
    return Retired(counts.get("delivery_ended", 0), counts.get("attempt", 0))


async def _delete_rows(db: Connection, before_us: int, now_us: int) -> Retired:
    values = {"before": before_us, "most": BATCH_MOST, "now": now_us}
    deliveries = await run(db, QUERIES["rest_deliveries_retire"], values)
    attempts = await run(db, QUERIES["rest_attempts_retire"], values)
    await run(db, QUERIES["rest_events_retire"], values)
    await run(db, QUERIES["rest_events_recount"], values)
    events = await run(db, QUERIES["event_keys_retire"], values)
    (envelopes,) = await fetch_only(db, QUERIES["envelopes_retire"], values)
    await run(db, QUERIES["retire_publishes"], values)
    await run(db, QUERIES["jobs_retire"], values)
    await run(db, QUERIES["incidents_retire"], values)
    ended = Retired(deliveries, attempts, events, envelopes)
    return ended if ended.total else Retired(configurations=await _retire_ad_hoc(db, values))


async def _retire_ad_hoc(db: Connection, values: Mapping[str, int]) -> int:
    """Let ad hoc configurations go that nothing names any more, a batch of them.

    Logs may still name one for as long as they are kept: only then its row goes too.
    """
    found = await fetch(db, QUERIES["unnamed_ad_hoc"], values)
    connect_ids = [connect_id for (connect_id,) in found]
    if connect_ids:
        # Looked at again: an accept that held them until now has named them.
        await run(db, QUERIES["retire_ad_hoc"], {**values, "connect_ids": connect_ids})
    gone = await fetch(db, QUERIES["forget_ad_hoc"], values)
    if gone:
        await run(db, QUERIES["failing_clear"], {"connect_ids": [row.connect_id for row in gone]})
    return len(connect_ids) + len(gone)
