"""Listings that are followed, as steps (see store/tails.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from heliograph.model.logs import Cursor, LogEntry, LogQuery, Order
from heliograph.model.published import EventEntry, EventQuery
from heliograph.store.tails import MOST_PENDING, Passage, Place
from heliograph.store.verbs import LISTING_PATIENCE, Engine, Step, Verb, log_rows, published

_BEGINNING: Final = Cursor(0, 0)


class TailVerbs:
    """The Tails port."""

    def __init__(self, engine: Engine, now: Callable[[], int]) -> None:
        """`now` gives microseconds UTC."""
        self._engine = engine
        self._now = now

    async def logs(
        self, account_id: str, query: LogQuery, place: Place | None, limit: int
    ) -> Passage[LogEntry]:
        def verb() -> Verb[Passage[LogEntry]]:
            # What begins after the end was asked for lies behind it, and what had begun by then is
            # in flight or has its row: so the steps see all of it in this order.
            end = yield from self._end("tail_logs_end", account_id)
            values = {"account_id": account_id, "most": MOST_PENDING + 1}
            found = yield Step("tail_in_flight", values)
            flying = [Cursor(row.claimed_us, row.attempt_id) for row in found]
            if len(flying) > MOST_PENDING:
                first_left = flying.pop()
                end = min(end, Cursor(first_left.created_us, first_left.row_id - 1), key=_key)
            return (yield from _logs(account_id, query, place, limit, end, flying))

        return await self._engine.read(verb, LISTING_PATIENCE)

    async def events(
        self, account_id: str, query: EventQuery, place: Place | None, limit: int
    ) -> Passage[EventEntry]:
        def verb() -> Verb[Passage[EventEntry]]:
            end = yield from self._end("tail_events_end", account_id)
            if place is None and query.from_date is None:
                return Passage((), Place(end))
            since = _BEGINNING if place is None else place.cursor
            oldest_first = replace(query, order=Order.OLDEST_FIRST)
            step = published.listing(
                "events_listed", "events", account_id, oldest_first, limit, since
            )
            found = yield _until(step, "events_until", end)
            entries = [published.event_entry(row) for row in found[:limit]]
            more = len(found) > limit
            reached = entries[-1].cursor if more else max(since, end, key=_key)
            passed = [(entry, Place(entry.cursor)) for entry in entries]
            return Passage(passed, Place(reached), more)

        return await self._engine.read(verb, LISTING_PATIENCE)

    def _end(self, query: str, account_id: str) -> Verb[Cursor]:
        row = (yield Step(query, {"account_id": account_id, "now": self._now()})).first
        return _BEGINNING if row is None else Cursor(row.until_us, row.until_id)


def _logs(
    account_id: str,
    query: LogQuery,
    place: Place | None,
    limit: int,
    end: Cursor,
    flying: Sequence[Cursor],
) -> Verb[Passage[LogEntry]]:
    """Log entries behind a place and up to `end`; `flying` are posts in flight, by their claims."""
    if place is None and query.from_date is None:
        return Passage((), Place(end, _ids(flying, end)))
    since = Place(_BEGINNING) if place is None else place
    oldest_first = replace(query, order=Order.OLDEST_FIRST)
    still = {one.row_id for one in flying}
    ended = [attempt_id for attempt_id in since.pending if attempt_id not in still]
    late: Sequence[LogEntry] = ()
    if ended:
        step = log_rows.listing("logs", account_id, oldest_first, len(ended), None)
        behind = {"since_us": since.cursor.created_us, "since_id": since.cursor.row_id}
        values = {**step.values, **behind, "ended": ended}
        found = yield replace(step, values=values, filters=[*step.filters, "logs_ended"])
        late = [log_rows.entry(account_id, row) for row in found]
    step = log_rows.listing("logs", account_id, oldest_first, limit, since.cursor)
    found = yield _until(step, "logs_until", end)
    new = [log_rows.entry(account_id, row) for row in found[:limit]]
    more = len(found) > limit
    reached = new[-1].cursor if more else max(since.cursor, end, key=_key)
    # Some may have ended since they were asked for.
    told = {entry.cursor.row_id for entry in new}
    flying = [one for one in flying if one.row_id not in told]
    passed = []
    for number, entry in enumerate(late, 1):
        left = tuple(other.cursor.row_id for other in late[number:])
        passed.append((entry, Place(since.cursor, left + _ids(flying, since.cursor))))
    passed += [(entry, Place(entry.cursor, _ids(flying, entry.cursor))) for entry in new]
    return Passage(passed, Place(reached, _ids(flying, reached)), more)


def _until(step: Step, name: str, end: Cursor) -> Step:
    """The step, up to `end`."""
    values = {**step.values, "until_us": end.created_us, "until_id": end.row_id}
    return replace(step, values=values, filters=[*step.filters, name])


def _ids(flying: Sequence[Cursor], reached: Cursor) -> tuple[int, ...]:
    """The ids of those whose rows may yet come to lie before a place."""
    return tuple(one.row_id for one in flying if _key(one) <= _key(reached))


def _key(cursor: Cursor) -> tuple[int, int]:
    return cursor.created_us, cursor.row_id
