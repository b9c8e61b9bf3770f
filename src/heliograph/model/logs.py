"""Log entries and failures, and how they are asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from heliograph.model.causes import Cause
from heliograph.model.deliveries import Answer, AttemptOutcome, DeliveryState, Why
from heliograph.model.events import Event, HeldReason


class Order(Enum):
    """The order of a listing, by creation."""

    NEWEST_FIRST = "desc"
    OLDEST_FIRST = "asc"


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a listing: the creation time in microseconds UTC, and the id, of the last row."""

    created_us: int
    row_id: int


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which log entries or failures are meant; None means no filter.

    Both dates are inclusive and stand for the row's creation. `error` is a part of the
    error text, whatever its case. `status` is one of the page's status values. `phase` and `cause`
    are of failures alone.
    """

    from_date: datetime | None = None
    to_date: datetime | None = None
    connect_id: int | None = None
    envelope_id: str | None = None
    status: str | None = None
    error: str | None = None
    order: Order = Order.NEWEST_FIRST
    phase: str | None = None
    cause: Cause | None = None

    @property
    def narrows(self) -> bool:
        """Whether anything is a filter."""
        return replace(self, order=Order.NEWEST_FIRST) != LogQuery()


@dataclass(frozen=True, slots=True)
class Chosen:
    """What of one configuration a query selects: how many, and when the first and the last one
    were created."""

    connect_id: int
    config_name: str
    config_url: str
    count: int
    oldest: datetime
    newest: datetime


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of a log: an attempt, or a failure (`of_failure`).

    An attempt has the `log_id` of its own, and a `failure_id` where its delivery still has an open
    failure; a failure has the `log_id` of its newest attempt that was logged, if one was.
    `next_try` is set while another attempt is due; `state` is the delivery's, `held` why that is
    held. `resent_by` names who asked for what was delivered to be sent again. `cause` is what
    `error` tells of, where there is one.
    """

    account_id: str
    envelope_id: str
    event_id: str
    event_name: str
    subject: str | None
    sender_name: str | None
    sender_email: str | None
    status: str
    connect_id: int
    config_name: str
    config_url: str
    created_at: datetime
    last_try: datetime
    retry_count: int
    error: str | None
    log_id: int | None
    failure_id: int | None
    state: DeliveryState
    next_try: datetime | None
    cursor: Cursor
    held: HeldReason | None = None
    of_failure: bool = False
    resent_by: str | None = None
    cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class AttemptDetail:
    """What `additional_info` shows of one log entry: both halves of the exchange."""

    entry: LogEntry
    event: Event
    answer: Answer | None
    why: Why | None
    outcome: AttemptOutcome
    seconds: float | None
    recipient: str | None = None


@dataclass(frozen=True, slots=True)
class Requeued:
    """What asking for another try did to one delivery; `attempts` it had until then."""

    delivery_id: int
    envelope_id: str
    connect_id: int
    config_url: str
    attempts: int
    state: DeliveryState
    note: str
