"""The words of Heliograph: frozen values, closed enums and the table of legal state moves.

Nothing here knows a wire spelling, a database, a clock or the network. Times are aware
`datetime` values in UTC; durations are seconds as `float`; sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum
from typing import Final


class Secret:
    """A text that is never shown: only `reveal` gives it.

    It is no `str`, so that what writes texts (JSON, joins, logs) cannot write it by mistake.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


# --------------------------------------------------------------------------- accounts


class Role(StrEnum):
    """What a token may do: a viewer reads, everything that changes takes an administrator."""

    ADMINISTRATOR = "administrator"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant. Both ids name it in a path (the page: "external account number or GUID")."""

    account_id: str
    external_id: int
    name: str


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a call: the account, role and name that a token stands for.

    `user_id` is set where it acts for a user; `scopes` None stands for all of them.
    """

    account: Account
    role: Role
    name: str
    token_id: str = ""
    user_id: str | None = None
    scopes: frozenset[str] | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class HmacKey:
    """A signing key of an account. The text itself, as UTF-8, is the key (DocuSign)."""

    key_id: str
    secret: Secret
    created_at: datetime


# --------------------------------------------------------------------- configurations


class ScheduleName(StrEnum):
    """A schedule of retries by its name.

    STANDARD: seconds at first, hours later, 15 days in all. DOCUSIGN: what DocuSign documents.
    """

    STANDARD = "standard"
    DOCUSIGN = "docusign"


class Ordering(StrEnum):
    """What is kept in order for a listener (R6): each envelope's events, all, or nothing."""

    ENVELOPE = "envelope"
    CONFIGURATION = "configuration"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ConnectConfiguration:
    """What a listener wants: the typed part that Heliograph reads.

    `document` is the whole configuration as compact JSON in the wire's spelling, without
    its secrets; `secrets` holds those by their wire name. Fields that nothing reads yet
    live only there, so that all of them come back as they were given.

    `acknowledged` is False where one try is all that is wanted. `schedule` is a name, or the
    seconds before each retry, or None for the server's default. `disabled_by` says who took
    the listener out of service when that was not a caller. `rate` bounds the messages a second.
    `shows_certificate` tells that a post needs the account's client certificate, and
    `borrows_oauth` that it takes the account's OAuth client, for want of a whole one of its own.
    `received` is True where events of envelopes that users receive are wanted, not of those that
    they send. `preset` is the service that the configuration is a preset of; nothing is sent to
    those.
    """

    account_id: str
    connect_id: int
    name: str
    url: str
    document: bytes
    publishing: bool
    paused: bool
    all_users: bool
    all_users_except: bool
    user_ids: frozenset[str]
    events: frozenset[str]
    enable_log: bool
    include_hmac: bool
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    aggregate: bool = False
    acknowledged: bool = True
    schedule: ScheduleName | tuple[float, ...] | None = None
    ordering: Ordering = Ordering.ENVELOPE
    disabled_by: str | None = None
    rate: float | None = None
    shows_certificate: bool = False
    group_ids: frozenset[str] = frozenset()
    borrows_oauth: bool = False
    received: bool = False
    preset: str | None = None


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """An OAuth client: what an authorization server gives tokens for (RFC 6749, 4.4)."""

    token_url: str
    client_id: str
    client_secret: Secret
    scope: str | None = None
    parameters: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """What a post brings to TLS beside what every post does; all of it is PEM text.

    `certificate` is the client's and its chain, `key` belongs to it; it is offered to who
    asks for one. `authorities` are roots that are trusted beside the system's. Connections
    of one identity serve no other (S5).
    """

    certificate: str | None
    key: Secret | None
    authorities: str | None


# ------------------------------------------------------------------- events, matching


@dataclass(frozen=True, slots=True)
class Envelope:
    """What logs say of an envelope: the newest summary that was published."""

    envelope_id: str
    subject: str | None
    sender_name: str | None
    sender_email: str | None
    status: str | None


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event as a publisher gave it, checked, not yet stored.

    `document` is the published object as compact JSON; `digest` is SHA-256 over what a
    repeat must not change; `generated_at` is None when the publisher gave no time.
    `notifications` are documents of the configurations that its envelope's events shall go to
    beside the account's; `notified` are the ids of those once they are stored. `recipients`
    are the users that receive the envelope, their ids in small letters.
    """

    event_id: str
    name: str
    user_id: str | None
    recipient_id: str | None
    envelope: Envelope
    generated_at: datetime | None
    document: bytes
    digest: bytes
    notifications: tuple[bytes, ...] = ()
    notified: tuple[int, ...] = ()
    recipients: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Event:
    """A stored event: what every message of it is rendered from."""

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
    its lane, which it then stands for.
    """

    connect_id: int
    held: HeldReason | None = None
    lane: str | None = None
    gathers: float | None = None


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


# -------------------------------------------------------------------------- deliveries


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
    DeliveryState.DELIVERED: frozenset(),
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
class Claim:
    """A delivery in our hands: one attempt is open and must be settled.

    `number` counts the attempts of the delivery from 1, so the message's retryCount is
    `number - 1`. `schedule_number` counts from 1 since the schedule last began (creation,
    or a republish after retries had ended) at `schedule_started_at`. `epoch` is the fencing
    token: a settle with an older one changes nothing (R8). `client` is the account's client
    certificate and its key (PEM), where the configuration asks for mutual TLS, and `oauth` its
    OAuth client, where the configuration borrows that. `gathered` is set in aggregate mode.
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
    keys: tuple[HmacKey, ...]
    client: tuple[str, Secret] | None = None
    oauth: ClientCredentials | None = None
    gathered: Gathered | None = None

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

    OPEN = "open"
    DELIVERED = "delivered"
    FAILED = "failed"
    UNKNOWN = "unknown"


# ------------------------------------------------------------------- logs and failures


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
    error text, whatever its case. `status` is one of the page's status values.
    """

    from_date: datetime | None = None
    to_date: datetime | None = None
    connect_id: int | None = None
    envelope_id: str | None = None
    status: str | None = None
    error: str | None = None
    order: Order = Order.NEWEST_FIRST


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of a log: an attempt (`log_id` set) or a failure (`failure_id` set).

    A log entry whose delivery still has an open failure carries both ids. `next_try` is
    set while another attempt is due; `state` is the delivery's, `held` why that is held.
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


@dataclass(frozen=True, slots=True)
class AttemptDetail:
    """What `additional_info` shows of one log entry: both halves of the exchange."""

    entry: LogEntry
    event: Event
    answer: Answer | None
    why: Why | None
    outcome: AttemptOutcome
    seconds: float | None


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
