"""Accept on PostgreSQL, in sets: what runs inside the transaction (see queue.py)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Final

from heliograph.failpoints import failpoint
from heliograph.model.deliveries import Claim, DeliveryState
from heliograph.model.events import HeldReason, Wanted
from heliograph.store import rows
from heliograph.store.accepting import AcceptedBatch, Events, Submitted, sorted_out
from heliograph.store.openings import Openings
from heliograph.store.postgres.columns import columns, event_columns, summary_columns
from heliograph.store.postgres.connection import Connection, Raced, fetch, run
from heliograph.store.postgres.handing import Handing, New
from heliograph.store.postgres.queries import QUERIES
from heliograph.store.postgres.queue import Queue

_Q: Final = QUERIES
_SECOND: Final = 1_000_000
_SEEDS: Final = random.Random()  # noqa: S311 (spreads retries; guards nothing)


async def accept(
    db: Connection, batch: Sequence[Submitted], queue: Queue, openings: Openings | None, now: int
) -> AcceptedBatch:
    """See `Store.accept`; each of the batch is all or none. `now` is microseconds UTC."""
    failpoint("accept.tx_begin")
    accounts = sorted({submitted.account_id for submitted in batch})
    versions = {row[0]: row[1:] for row in await fetch(db, _Q["accounts_shared"], (accounts,))}
    live = await _live_ad_hoc(db, batch)
    results, new = sorted_out(batch, versions, live, await _known(db, batch))
    if not new:
        return AcceptedBatch(results)
    handing = None
    if openings is not None:
        known = {account_id: version for account_id, (version, _) in versions.items()}
        handing = Handing(queue, openings, known, now)
    claims, behind = await _add(db, new, handing, now)
    return AcceptedBatch(results, claims, behind)


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


async def _add(
    db: Connection, new: Events, handing: Handing | None, now: int
) -> tuple[Sequence[Claim], int]:
    """Add events and deliveries; `claims` and `behind` of an `AcceptedBatch`."""
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
    added_deliveries = await _add_deliveries(db, new, places, handing, now)
    failpoint("accept.fanout")
    return added_deliveries


async def _add_deliveries(
    db: Connection,
    new: Events,
    places: dict[tuple[str, str], int],
    handing: Handing | None,
    now: int,
) -> tuple[Sequence[Claim], int]:
    """Add deliveries; see `_add`."""
    wanted = [
        New(account_id, places[account_id, event_id], addition.event, verdict)
        for (account_id, event_id), addition in new.items()
        for verdict in addition.verdicts
        if isinstance(verdict, Wanted)
    ]
    if not wanted:
        return (), 0
    busy = await _busy(db, [one.verdict for one in wanted])
    connect_ids = sorted({one.verdict.connect_id for one in wanted})
    down = dict(await fetch(db, _Q["down_until"], (connect_ids,)))
    deliveries = []
    for one in wanted:
        place = (one.verdict.connect_id, one.verdict.lane)
        reason = HeldReason.ORDER if place in busy else one.verdict.held
        if one.verdict.lane is not None:
            busy.add(place)
        deliveries.append(_Delivery(one, reason, down.get(one.verdict.connect_id), now))
    due = [one for one in deliveries if one.state is DeliveryState.WAITING and one.due <= now]
    claimed: list[_Delivery] = []
    if handing is not None:
        chosen = await handing.chosen(db, [one.new for one in due])
        claimed = [one for one, is_chosen in zip(due, chosen, strict=True) if is_chosen]
        for delivery in claimed:
            delivery.state, delivery.epoch = DeliveryState.IN_FLIGHT, handing.epoch
    some_wait = len(claimed) < len(due)
    quiet = all(one.state is not DeliveryState.WAITING for one in deliveries)
    values = {**_columns_of(deliveries), "created": [now] * len(deliveries)}
    added = await fetch(db, _Q["deliveries_add"], values, quiet=quiet)
    claims: list[Claim] = []
    if handing is not None:
        found = {(row.event_row, row.connect_id, row.recipient): row for row in added}
        claims = [handing.claim(one.new, found[one.key], one.seed) for one in claimed]
    return claims, len(deliveries) if some_wait else 0


class _Delivery:
    """A delivery as it is added: it waits or is held, until it is claimed at once."""

    def __init__(
        self, new: New, reason: HeldReason | None, down_until: int | None, now: int
    ) -> None:
        verdict = new.verdict
        self.new, self.reason = new, reason
        self.state = DeliveryState.WAITING if reason is None else DeliveryState.HELD
        self.due = max(now + int((verdict.gathers or 0) * _SECOND), down_until or 0)
        error = rows.listed_at_once(verdict, down=down_until is not None)
        self.why = rows.because(error)
        self.failed = error and now
        self.seed = _SEEDS.getrandbits(31)
        self.epoch: int | None = None

    @property
    def key(self) -> tuple[int, int, str | None]:
        """What names it among those of one accept."""
        return (self.new.event_row, self.new.verdict.connect_id, self.new.verdict.recipient)


def _columns_of(deliveries: Sequence[_Delivery]) -> dict[str, Any]:
    return {
        "event_rows": [one.new.event_row for one in deliveries],
        "account_ids": [one.new.account_id for one in deliveries],
        "connect_ids": [one.new.verdict.connect_id for one in deliveries],
        "envelope_ids": [one.new.event.envelope.envelope_id for one in deliveries],
        "lanes": [one.new.verdict.lane for one in deliveries],
        "states": [one.state.value for one in deliveries],
        "held": [one.reason and one.reason.value for one in deliveries],
        "due": [None if one.epoch is not None else one.due for one in deliveries],
        "failed": [one.failed for one in deliveries],
        "errors": [one.why["error"] for one in deliveries],
        "phases": [one.why["phase"] for one in deliveries],
        "whats": [one.why["what"] for one in deliveries],
        "recipients": [one.new.verdict.recipient for one in deliveries],
        "seeds": [one.seed for one in deliveries],
        "epochs": [one.epoch for one in deliveries],
    }


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
