"""Accept on PostgreSQL, in sets: what runs inside the transaction (see queue.py)."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

from heliograph.failpoints import failpoint
from heliograph.model.deliveries import DeliveryState
from heliograph.model.events import HeldReason, Wanted
from heliograph.store import rows
from heliograph.store.accepting import AcceptedBatch, Events, Submitted, sorted_out
from heliograph.store.postgres.columns import columns, event_columns, summary_columns
from heliograph.store.postgres.connection import Connection, Raced, fetch, run
from heliograph.store.postgres.queries import QUERIES

_Q: Final = QUERIES
_SECOND: Final = 1_000_000
_SEEDS: Final = random.Random()  # noqa: S311 (spreads retries; guards nothing)


async def accept(
    db: Connection, batch: Sequence[Submitted], now: Callable[[], int]
) -> AcceptedBatch:
    """See `Store.accept`; each of the batch is all or none. `now` is microseconds UTC."""
    failpoint("accept.tx_begin")
    accounts = sorted({submitted.account_id for submitted in batch})
    versions = {row[0]: row[1:] for row in await fetch(db, _Q["accounts_shared"], (accounts,))}
    live = await _live_ad_hoc(db, batch)
    results, new = sorted_out(batch, versions, live, await _known(db, batch))
    behind = await _add(db, new, now()) if new else 0
    return AcceptedBatch(results, behind=behind)


async def _live_ad_hoc(db: Connection, batch: Sequence[Submitted]) -> list[tuple[int, str | None]]:
    """Why the ad hoc configurations of envelopes hold deliveries, if they do; of live ones."""
    connect_ids = rows.notified(of for submitted in batch for of in submitted.events)
    if not connect_ids:
        return []
    found = await fetch(db, _Q["configurations_shared"], (connect_ids,))
    return [(connect_id, held) for connect_id, held, deleted in found if not deleted]


async def _known(
    db: Connection, batch: Sequence[Submitted]
) -> dict[tuple[str, str], rows.KnownEvent]:
    wanted = [
        (submitted.account_id, event.event_id, event.envelope.envelope_id)
        for submitted in batch
        for event, _ in submitted.events
    ]
    found = await fetch(db, _Q["event_keys_known"], columns(wanted, 3))
    return {
        (row.account_id, row.event_id): rows.KnownEvent(
            row.digest, row.meaning, row.deliveries, frozenset(row.notified)
        )
        for row in found
    }


async def _add(db: Connection, new: Events, now: int) -> int:
    """Add events and deliveries; as many as `AcceptedBatch.behind` has it."""
    # In one order in every transaction, so that none waits for another crosswise.
    in_order = sorted(new)
    added = await fetch(
        db,
        _Q["event_keys_add"],
        {
            "account_ids": [account for account, _ in in_order],
            "event_ids": [event for _, event in in_order],
            "digests": [new[key].event.digest for key in in_order],
            "meanings": [new[key].event.meaning for key in in_order],
            "deliveries": [new[key].deliveries for key in in_order],
            "created": [now] * len(in_order),
        },
    )
    if len(added) != len(new):  # another node was faster: look again
        raise Raced
    places = {(account, event): place for account, event, place in added}
    await run(db, _Q["envelopes_write"], summary_columns(new, places, now))
    await run(db, _Q["events_add"], event_columns(new, places, now))
    failpoint("accept.event_insert")
    links = {
        (account_id, addition.event.envelope.envelope_id, connect_id)
        for (account_id, _), addition in new.items()
        for connect_id in addition.event.notified
    }
    if links:
        await run(db, _Q["notifications_add"], columns(sorted(links), 3))
    behind = await _add_deliveries(db, new, places, now)
    failpoint("accept.fanout")
    return behind


async def _add_deliveries(
    db: Connection,
    new: Events,
    places: dict[tuple[str, str], int],
    now: int,
) -> int:
    wanted = [
        (key, addition.event, verdict)
        for key, addition in new.items()
        for verdict in addition.verdicts
        if isinstance(verdict, Wanted)
    ]
    if not wanted:
        return 0
    busy = await _busy(db, [verdict for _, _, verdict in wanted])
    connect_ids = sorted({verdict.connect_id for _, _, verdict in wanted})
    down = dict(await fetch(db, _Q["down_until"], (connect_ids,)))
    states, held, listed = [], [], []
    for _, _, verdict in wanted:
        place = (verdict.connect_id, verdict.lane)
        reason = HeldReason.ORDER if place in busy else verdict.held
        if verdict.lane is not None:
            busy.add(place)
        states.append(DeliveryState.WAITING if reason is None else DeliveryState.HELD)
        held.append(reason)
        listed.append(rows.listed_at_once(verdict, down=verdict.connect_id in down))
    due = [
        max(now + int((verdict.gathers or 0) * _SECOND), down.get(verdict.connect_id, 0))
        for _, _, verdict in wanted
    ]
    await run(
        db,
        _Q["deliveries_add"],
        {
            "created": [now] * len(wanted),
            "event_rows": [places[key] for key, *_ in wanted],
            "account_ids": [key[0] for key, *_ in wanted],
            "connect_ids": [verdict.connect_id for _, _, verdict in wanted],
            "envelope_ids": [event.envelope.envelope_id for _, event, _ in wanted],
            "lanes": [verdict.lane for _, _, verdict in wanted],
            "states": [state.value for state in states],
            "held": [reason and reason.value for reason in held],
            "due": due,
            "failed": [error and now for error in listed],
            "errors": listed,
            "recipients": [verdict.recipient for _, _, verdict in wanted],
            "seeds": [_SEEDS.getrandbits(31) for _ in wanted],
        },
    )
    some_wait = any(
        state is DeliveryState.WAITING and at <= now for state, at in zip(states, due, strict=True)
    )
    return len(wanted) if some_wait else 0


async def _busy(db: Connection, wanted: Sequence[Wanted]) -> set[tuple[int, str | None]]:
    """The lanes in which what comes now must wait, or is stood for already."""
    busy: set[tuple[int, str | None]] = set()
    for query, gathers in (("lanes_busy", False), ("lanes_gather", True)):
        lanes = {
            (verdict.connect_id, verdict.lane)
            for verdict in wanted
            if verdict.lane is not None and (verdict.gathers is not None) is gathers
        }
        if lanes:
            busy |= set(await fetch(db, _Q[query], columns(sorted(lanes), 2)))
    return busy
