"""Events and envelopes, and what matching says of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Envelope:
    """What logs say of an envelope: the newest summary that was published.

    `envelope_id` is empty for an event that is about none; what else there is, is the event's.
    """

    envelope_id: str
    subject: str | None
    sender_name: str | None
    sender_email: str | None
    status: str | None


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event as a publisher gave it, checked, not yet stored.

    `document` is the published object as compact JSON; `digest` is SHA-256 over name and data as
    they were written, `meaning` tells repeats however they are written (see `wire/meaning.py`);
    `generated_at` is None when the publisher gave no time.
    `notifications` are documents of the configurations that its envelope's events shall go to
    beside the account's; `notified` are the ids of all that the envelope has, those included,
    once they are stored. `recipients` are the users that receive the envelope, their ids in small
    letters.
    """

    event_id: str
    name: str
    user_id: str | None
    recipient_id: str | None
    envelope: Envelope
    generated_at: datetime | None
    document: bytes
    digest: bytes
    meaning: bytes | None = None
    notifications: tuple[bytes, ...] = ()
    notified: tuple[int, ...] = ()
    recipients: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Event:
    """A stored event: what every message of it is rendered from; `envelope_id` may be empty.

    Deliveries that are in flight at once share it: its document may have megabytes.
    """

    account_id: str
    event_id: str
    name: str
    envelope_id: str
    generated_at: datetime
    document: bytes


class HeldReason(StrEnum):
    """Why a delivery waits for a person, or for another delivery, rather than for a time.

    ORDER: an earlier delivery of the same lane (configuration and envelope) is unfinished.
    """

    PAUSED = "paused"
    DISABLED = "disabled"
    ORDER = "order"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The configuration wants the event.

    `held` says why it must not be sent yet; `lane` names what it is kept in order with (R6),
    within the configuration, and is None where nothing is.

    `gathers` is set in aggregate mode: for so many seconds the message waits for later events of
    its lane, which it then stands for. `recipient` is the user (its id in small letters) whom the
    message is for, where each wanted recipient of the envelope gets one.
    """

    connect_id: int
    held: HeldReason | None = None
    lane: str | None = None
    gathers: float | None = None
    recipient: str | None = None


@dataclass(frozen=True, slots=True)
class Skip:
    """The configuration does not get the event, and why not."""

    connect_id: int
    name: str
    reason: str


Verdict = Wanted | Skip


@dataclass(frozen=True, slots=True)
class Accepted:
    """The receipt of a committed event; only the store makes one (R1).

    `repeated` is True when the event id was known already and nothing was added (R2).
    """

    event_id: str
    deliveries: int
    repeated: bool
