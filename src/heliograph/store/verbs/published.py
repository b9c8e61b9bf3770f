"""Events and deliveries, looked at (see store/published.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from heliograph.model.deliveries import AttemptOutcome, DeliveryState
from heliograph.model.logs import AttemptDetail, Cursor, Order
from heliograph.model.published import (
    DeliveryEntry,
    DeliveryQuery,
    EventDetail,
    EventEntry,
    EventQuery,
)
from heliograph.model.throughput import Backlog, Post
from heliograph.store.pages import Page, page_of
from heliograph.store.rows import reason_held
from heliograph.store.times import from_microseconds, to_microseconds
from heliograph.store.verbs import LISTING_PATIENCE, Engine, Step, log_rows, verb_of

_ENDED: Final = (DeliveryState.DELIVERED, DeliveryState.CANCELLED)


class PublishedVerbs:
    """The Published port."""

    def __init__(self, engine: Engine, now: Callable[[], int]) -> None:
        """`now` gives microseconds UTC."""
        self._engine = engine
        self._now = now

    async def events(
        self, account_id: str, query: EventQuery, limit: int, after: Cursor | None = None
    ) -> Page[EventEntry]:
        step = listing("events_listed", "events", account_id, query, limit, after)
        found = await self._engine.read(lambda: verb_of(step), LISTING_PATIENCE)
        return page_of(found, limit, event_entry)

    async def deliveries(
        self, account_id: str, query: DeliveryQuery, limit: int, after: Cursor | None = None
    ) -> Page[DeliveryEntry]:
        step = listing(*beginning(query), account_id, query, limit, after)
        found = await self._engine.read(lambda: verb_of(step), LISTING_PATIENCE)
        return page_of(found, limit, _delivery)

    async def count_events(self, account_id: str, query: EventQuery, most: int) -> int:
        return await self._count("events_counted", "events", account_id, query, most)

    async def count_deliveries(self, account_id: str, query: DeliveryQuery, most: int) -> int:
        name, kind = beginning(query)
        return await self._count(f"{name}_counted", kind, account_id, query, most)

    async def _count(
        self, name: str, kind: str, account_id: str, query: EventQuery, most: int
    ) -> int:
        filters, values = _filters(kind, account_id, query)
        step = Step(name, {**values, "most": most}, filters)
        (row,) = await self._engine.read(lambda: verb_of(step), LISTING_PATIENCE)
        number: int = row.number
        return number

    async def event(self, account_id: str, event_id: str) -> EventDetail | None:
        step = Step("event_detail", {"account_id": account_id, "event_id": event_id})
        row = (await self._engine.read(lambda: verb_of(step), LISTING_PATIENCE)).first
        return None if row is None else EventDetail(event_entry(row), row.document)

    async def delivery(self, account_id: str, delivery_id: int) -> DeliveryEntry | None:
        values = {"account_id": account_id, "row_id": delivery_id, "limit": 1}
        step = Step("deliveries_listed", values, ["only_delivery"], "deliveries_oldest_first")
        row = (await self._engine.read(lambda: verb_of(step), LISTING_PATIENCE)).first
        return None if row is None else _delivery(row)

    async def attempts(self, account_id: str, delivery_id: int) -> Sequence[AttemptDetail]:
        values = {"account_id": account_id, "row_id": delivery_id}
        step = Step("attempt_details", values, ["only_attempts_of_delivery"])
        found = await self._engine.read(lambda: verb_of(step), LISTING_PATIENCE)
        return [log_rows.detail(account_id, row) for row in found]

    async def posts(
        self, account_id: str, connect_id: int | None, since: datetime, most: int
    ) -> Sequence[Post]:
        step = last_posts(account_id, connect_id, since, most)
        found = await self._engine.read(lambda: verb_of(step), LISTING_PATIENCE)
        return [_post(row) for row in found]

    async def backlog(self, account_id: str, connect_id: int | None, most: int) -> Backlog:
        step = waiting(account_id, connect_id, most)
        (row,) = await self._engine.read(lambda: verb_of(step), LISTING_PATIENCE)
        return Backlog(
            waiting=min(row.waiting, most),
            held=min(row.held, most),
            in_flight=min(row.in_flight, most),
            capped=max(row.waiting, row.held, row.in_flight) > most,
        )

    async def servers(self) -> int:
        step = Step("servers", {"now": self._now()})
        (row,) = await self._engine.read(lambda: verb_of(step), LISTING_PATIENCE)
        number: int = row.number
        return number


def last_posts(account_id: str, connect_id: int | None, since: datetime, most: int) -> Step:
    """The step that reads the last attempts of an account, or of a configuration."""
    values = {"account_id": account_id, "from_us": to_microseconds(since), "limit": most}
    filters = ["logs_from_date"]
    if connect_id is not None:
        filters.append("logs_connect_id")
        values["connect_id"] = connect_id
    return Step("last_posts", values, filters, "logs_newest_first")


def waiting(account_id: str, connect_id: int | None, most: int) -> Step:
    """The step that counts what has not ended, by state, up to one more than `most`."""
    values: dict[str, Any] = {"account_id": account_id, "most": most + 1}
    if connect_id is None:
        return Step("backlog", values)
    return Step("backlog_of_configuration", {**values, "connect_id": connect_id})


def listing(
    name: str, kind: str, account_id: str, query: EventQuery, limit: int, after: Cursor | None
) -> Step:
    """The step of a listing: `limit` rows and one more, to know whether others follow.

    `kind` begins the names of its filters and orders. For `after` see `log_rows.listing`.
    """
    filters, values = _filters(kind, account_id, query)
    first = "newest" if query.order is Order.NEWEST_FIRST else "oldest"
    if after is not None:
        filters.append(f"{kind}_after_{first}_first")
        values |= {"after_us": after.created_us, "after_id": after.row_id}
    return Step(name, {**values, "limit": limit + 1}, filters, f"{kind}_{first}_first")


def beginning(query: DeliveryQuery) -> tuple[str, str]:
    """The query of a listing of deliveries, and the kind of its filters and orders.

    What few events have finds fewer than a configuration or a state does, and a name more.
    """
    few = (query.event_id, query.envelope_id, query.subject, query.sender)
    of_delivery = (query.connect_id, query.state)
    if any(value is not None for value in of_delivery) and all(value is None for value in few):
        return "deliveries_listed", "deliveries"
    return "deliveries_of_events", "deliveries_of_events"


def _filters(kind: str, account_id: str, query: EventQuery) -> tuple[list[str], dict[str, Any]]:
    """The names of a query's filters, and the values of them."""
    by_date = "deliveries" if kind == "deliveries" else "events"
    wanted: dict[str, tuple[str, Any]] = {
        f"{by_date}_from_date": ("from_us", query.from_date and to_microseconds(query.from_date)),
        f"{by_date}_to_date": ("to_us", query.to_date and to_microseconds(query.to_date)),
        "events_envelope_id": ("envelope_id", query.envelope_id),
        "events_name": ("name", query.name),
        "events_sender": ("sender", query.sender),
        "events_subject": ("subject", query.subject),
    }
    if isinstance(query, DeliveryQuery):
        wanted |= {
            "deliveries_event_id": ("event_id", query.event_id),
            "deliveries_connect_id": ("connect_id", query.connect_id),
            _by_state(query): ("state", query.state),
        }
    given = {name: one for name, one in wanted.items() if one[1] is not None}
    return [*given], {"account_id": account_id, **dict(given.values())}


def _by_state(query: DeliveryQuery) -> str:
    if query.state is DeliveryState.IN_FLIGHT:
        return "deliveries_in_flight"
    also = query.state is DeliveryState.DELIVERED and query.connect_id is not None
    return "deliveries_state_also" if also else "deliveries_state"


def event_entry(row: Any) -> EventEntry:
    """A row of `event_columns`."""
    return EventEntry(
        event_id=row.event_id,
        name=row.name,
        envelope_id=row.envelope_id,
        subject=row.subject,
        sender_name=row.sender_name,
        sender_email=row.sender_email,
        status=row.status,
        deliveries=row.deliveries,
        generated_at=from_microseconds(row.generated_us),
        created_at=from_microseconds(row.created_us),
        cursor=Cursor(row.created_us, row.event_row),
    )


def _post(row: Any) -> Post:
    return Post(
        began=from_microseconds(row.started_us),
        seconds=None if row.milliseconds is None else row.milliseconds / 1000,
        delivered=row.outcome == AttemptOutcome.DELIVERED,
    )


def _delivery(row: Any) -> DeliveryEntry:
    state = DeliveryState(row.state)
    waits = state is DeliveryState.WAITING
    # One engine keeps more than the other of what has ended.
    ended = state in _ENDED
    return DeliveryEntry(
        event=event_entry(row),
        delivery_id=row.delivery_id,
        connect_id=row.connect_id,
        config_name=row.config_name,
        config_url=row.config_url,
        recipient=row.recipient,
        state=state,
        held=reason_held(row.held_reason),
        cancelled_by=row.cancelled_by,
        attempts=row.attempts,
        last_try=None if row.last_try_us is None else from_microseconds(row.last_try_us),
        next_try=from_microseconds(row.due_us) if waits else None,
        error=None if ended else row.error,
        is_failure=row.failed_us is not None,
        resent_by=None if ended else row.resent_by,
        cursor=Cursor(row.created_us, row.delivery_id),
    )
