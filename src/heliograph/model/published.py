"""Events and deliveries as they are listed, in any state, and how they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from heliograph.model.deliveries import DeliveryState
from heliograph.model.events import HeldReason
from heliograph.model.logs import Cursor, Order


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which events are meant; None means no filter.

    Both dates are inclusive and stand for when the event was accepted. `name`, `sender` (the
    e-mail) and `subject` are the whole text, A to Z in either case.
    """

    from_date: datetime | None = None
    to_date: datetime | None = None
    envelope_id: str | None = None
    name: str | None = None
    sender: str | None = None
    subject: str | None = None
    order: Order = Order.NEWEST_FIRST


@dataclass(frozen=True, slots=True)
class DeliveryQuery(EventQuery):
    """Which deliveries are meant: of which events, for which configuration, in which state."""

    event_id: str | None = None
    connect_id: int | None = None
    state: DeliveryState | None = None


@dataclass(frozen=True, slots=True)
class EventEntry:
    """A stored event; what it says of its envelope was so at its time.

    `envelope_id` is empty for an event that is about none. `deliveries` counts those that are kept.
    """

    event_id: str
    name: str
    envelope_id: str
    subject: str | None
    sender_name: str | None
    sender_email: str | None
    status: str
    deliveries: int
    generated_at: datetime
    created_at: datetime
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class EventDetail:
    """One event, with what was published, as compact JSON."""

    entry: EventEntry
    document: bytes


@dataclass(frozen=True, slots=True)
class DeliveryEntry:
    """A delivery, whatever its state.

    `next_try` is set while it waits, `held` while it is held, `cancelled_by` where it was
    cancelled. `attempts` counts those that have begun, `last_try` is when the last one did.
    `is_failure` tells that it is an open failure, `error` why, and `resent_by` who has asked for it
    to be sent again, until that has arrived. `recipient` is the user whom the message is for, where
    each recipient of the envelope gets one.
    """

    event: EventEntry
    delivery_id: int
    connect_id: int
    config_name: str
    config_url: str
    recipient: str | None
    state: DeliveryState
    held: HeldReason | None
    cancelled_by: str | None
    attempts: int
    last_try: datetime | None
    next_try: datetime | None
    error: str | None
    is_failure: bool
    resent_by: str | None
    cursor: Cursor
