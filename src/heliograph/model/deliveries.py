"""Deliveries, their legal moves, and what an attempt comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from heliograph.model.accounts import Account, HmacKey, Secret
from heliograph.model.configurations import ClientCredentials, ConnectConfiguration
from heliograph.model.events import Event

FEWEST_DAYS: Final = 16
"""An event's id must be known as long as a publisher or a retry may come back to it: the
schedule takes 15 days (R2)."""

LEASE_SECONDS: Final = 30.0
"""How long a node that does not renew its lease is still taken for alive (R8)."""


PENDING: Final = "Pending"
"""The error of a delivery that waits behind a failed one and was not tried yet (DocuSign)."""

SKIPPED: Final = "This event was skipped due to the configuration being paused."
"""What DocuSign says of an event that comes, or would be tried, while its configuration pauses."""

MERGED_INTO: Final = "merged into the message of event "
"""Who has cancelled what an aggregate message stood for: this, and the id of its event."""

Body = bytes | tuple[bytes, bytes | memoryview]
"""What is posted: its bytes, or a head and what other posts have too, which they share, or what
lies in a file."""


def in_parts(body: Body) -> tuple[bytes | memoryview, ...]:
    """The parts of a body, which are sent one after the other."""
    return (body,) if isinstance(body, bytes) else body


class DeliveryState(StrEnum):
    """A delivery is always in exactly one of these (R4)."""

    WAITING = "waiting"
    HELD = "held"
    IN_FLIGHT = "in_flight"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"


LEGAL_MOVES: Final[Mapping[DeliveryState, frozenset[DeliveryState]]] = {
    DeliveryState.WAITING: frozenset(
        {
            DeliveryState.WAITING,  # a new due time
            DeliveryState.HELD,
            DeliveryState.IN_FLIGHT,
            DeliveryState.FAILED,
            DeliveryState.CANCELLED,
        }
    ),
    DeliveryState.HELD: frozenset(
        {
            DeliveryState.HELD,  # another reason
            DeliveryState.WAITING,
            DeliveryState.FAILED,
            DeliveryState.CANCELLED,
        }
    ),
    DeliveryState.IN_FLIGHT: frozenset(
        {
            DeliveryState.DELIVERED,
            DeliveryState.WAITING,
            DeliveryState.HELD,
            DeliveryState.FAILED,
            DeliveryState.CANCELLED,
        }
    ),
    DeliveryState.FAILED: frozenset(
        {DeliveryState.WAITING, DeliveryState.HELD, DeliveryState.CANCELLED}
    ),
    # Only where somebody asks for it to be sent again.
    DeliveryState.DELIVERED: frozenset({DeliveryState.WAITING, DeliveryState.HELD}),
    DeliveryState.CANCELLED: frozenset(),
}
"""Every move a delivery may make; the database asserts the same table (a test compares)."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What an aggregate message shows: the envelope's newest `event`, whatever event it is for.

    It stands for all events of the envelope up to `through`, a place in the order of acceptance.
    """

    event: Event
    through: int


@dataclass(frozen=True, slots=True)
class Proofs:
    """What an account has that shows who sends a post, as far as the configuration asks for it.

    Active `keys` sign. `client` is the client certificate and its key (PEM), and `oauth` the OAuth
    client; `account` is the account itself, for messages that name it. What is asked for says
    `ConnectConfiguration.asks_for`, by the names of these.
    """

    keys: tuple[HmacKey, ...] = ()
    client: tuple[str, Secret] | None = None
    oauth: ClientCredentials | None = None
    account: Account | None = None


NO_PROOFS: Final = Proofs()
"""For a listener that is shown nothing of its account."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery in our hands: one attempt is open and must be settled.

    `number` counts the attempts of the delivery from 1, so the message's retryCount is
    `number - 1`. `schedule_number` counts from 1 since the schedule last began (creation,
    or a republish after retries had ended) at `schedule_started_at`. `epoch` is the fencing
    token: a settle with an older one changes nothing (R8). `gathered` is set in aggregate mode.
    `resent_by` names who asked for it to be sent again after it had been delivered. `recipient` is
    the user whom the message is for, where each recipient of the envelope gets one. `job_id` is the
    republish job that waits for what this attempt comes to.
    """

    delivery_id: int
    attempt_id: int
    epoch: int
    number: int
    schedule_number: int
    schedule_started_at: datetime
    seed: int
    event: Event
    configuration: ConnectConfiguration
    proofs: Proofs = NO_PROOFS
    gathered: Gathered | None = None
    resent_by: str | None = None
    recipient: str | None = None
    job_id: int | None = None

    @property
    def shown(self) -> Event:
        """The event that the message is rendered from."""
        return self.event if self.gathered is None else self.gathered.event


class Phase(StrEnum):
    """How far an attempt came before it failed."""

    TOKEN = "token"  # noqa: S105 (a phase)
    DNS = "dns"
    REFUSED_ADDRESS = "refused address"
    CONNECT = "connect"
    TLS = "tls"
    WRITE = "write"
    HEADERS = "headers"
    BODY = "body"
    STATUS = "status"
    CLAIM = "claim"
    RENDER = "render"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a listener answered, bounded: headers as sent, at most the stored part of the body."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """Why no whole answer came: the phase and what happened, with no internal detail.

    `ours` is True where the fault is not the listener's: our own DNS, network or descriptors.
    """

    phase: Phase
    what: str
    answer: Answer | None = None
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Why:
    """The reason of a failed attempt, as the failure log shows it."""

    phase: Phase
    what: str

    def __str__(self) -> str:
        return f"{self.phase.value}: {self.what}"


@dataclass(frozen=True, slots=True)
class Delivered:
    """The listener answered 2xx."""


@dataclass(frozen=True, slots=True)
class RetryAt:
    """The attempt failed; the next is due at `when`.

    `counts` is False where the fault was ours: the schedule does not advance (R9).
    """

    when: datetime
    why: Why
    counts: bool = True


@dataclass(frozen=True, slots=True)
class GaveUp:
    """The attempt failed and the schedule has ended; the failure stays listed."""

    why: Why


@dataclass(frozen=True, slots=True)
class Interrupted:
    """We stopped waiting (a hard stop): whether the listener took it is unknown (R5)."""

    why: Why


Outcome = Delivered | RetryAt | GaveUp | Interrupted


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an attempt came to; `settle` writes it in one transaction."""

    claim: Claim
    outcome: Outcome
    answer: Answer | None
    started_at: datetime
    seconds: float


class AttemptOutcome(StrEnum):
    """How an attempt ended. `unknown` only after a crash or a hard stop (R5)."""

    DELIVERED = "delivered"
    FAILED = "failed"
    UNKNOWN = "unknown"
