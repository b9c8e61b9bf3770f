"""The store port: what Heliograph asks of a database, in batches, with no SQL in sight.

Every verb that names an object takes its account first (S8); there is no look-up by id
alone. A verb that changes something returns only after its transaction is committed and
flushed (R1), and its commit is never cancelled. Both engines pass tests/contract/.

Most verbs are written once, in store/verbs/: accounts, credentials, people, sign-ins,
configurations, listings, logs, incidents, `progress`, `hasten`, historical publishing, republish
jobs, and what looks at the whole installation. Each engine has for itself, in store/sqlite/ and
store/postgres/:

- `accept`, `claim`, `settle`: SQLite goes row by row on its one writer and remembers what it has
  read; PostgreSQL goes in sets, one list a column, under locks that other nodes respect.
- `requeue_...` and `delete_failure(s)`: they move deliveries as those do.
- `retire`: SQLite deletes rows; PostgreSQL drops partitions, a day at a time.
- `renew_lease`, `take_over`, `wait_for_hint`, `ready`, `close`: SQLite has one node, PostgreSQL
  many with leases.

To what is written once PostgreSQL adds the proof of its master key (`reseal`), and SQLite the
sizes of its files (`statistics`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol, TypeVar

from heliograph.clock import StoreClock
from heliograph.errors import ConfigurationsChanged, Unavailable
from heliograph.model.accounts import Account, HmacKey, Principal, Role, Secret
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.deliveries import Claim, DeliveryState, Settlement
from heliograph.model.events import Accepted, Envelope, NewEvent, Verdict
from heliograph.model.logs import AttemptDetail, Chosen, Cursor, LogEntry, LogQuery, Requeued
from heliograph.model.people import Memberships
from heliograph.store.audit import Audit
from heliograph.store.historical import HistoricalPublishing
from heliograph.store.incidents import Incidents
from heliograph.store.loads import Load
from heliograph.store.oauth import OAuthClients
from heliograph.store.openings import Taker
from heliograph.store.pages import Page
from heliograph.store.people import People
from heliograph.store.published import Published
from heliograph.store.relays import Relays
from heliograph.store.republishing import Republishing
from heliograph.store.sign_ins import SignIns
from heliograph.store.tails import Tails

FIRST_TOKEN = "first-administrator"  # noqa: S105 (its name: who deletes a failure with it)
"""The name of the token that an account is made with."""

BATCH_MOST = 5_000
"""Rows that one transaction of a bulk verb changes at the most (R14)."""

BATCH = 200
"""Rows that a call on many changes in one transaction, so that others get their turn (S17)."""

MOST_UNSETTLED_CLAIMS = 3
"""A delivery that was claimed so often without a settle is parked as failed (R17)."""

_MOST_TRIES: Final = 100

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Configurations:
    """An account's configurations, and the version that an accept must still find.

    `notifies` tells that some envelopes have configurations of their own (`Store.notified`).
    `groups` says who is in the groups that configurations name.
    """

    version: int
    all: tuple[ConnectConfiguration, ...]
    notifies: bool = False
    groups: Memberships = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Changes:
    """When a configuration was made, and when it was last changed in any way; UTC."""

    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """The deliveries to send now, and when the next one is due (UTC; None: none waits).

    `left` tells that something due may have been left, for want of room of any kind, and `crowded`
    that it was not for its own listener's.
    """

    claims: tuple[Claim, ...]
    next_due: datetime | None
    left: bool = False
    crowded: bool = False


@dataclass(frozen=True, slots=True)
class RequeuePage:
    """What one batch of a bulk republish did, and where the next batch begins."""

    requeued: tuple[Requeued, ...]
    next_cursor: Cursor | None


@dataclass(frozen=True, slots=True)
class DeliveryProgress:
    """How far a delivery is: its state, attempts so far, and the last error."""

    state: DeliveryState
    attempts: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Retired:
    """Rows that one batch of retention deleted; all zero: nothing old is left."""

    deliveries: int = 0
    attempts: int = 0
    events: int = 0
    envelopes: int = 0
    configurations: int = 0

    @property
    def total(self) -> int:
        """All rows together."""
        return self.deliveries + self.attempts + self.events + self.envelopes + self.configurations


@dataclass(frozen=True, slots=True)
class Statistics:
    """The installation in figures, for metrics and doctor; no account's data.

    `failing` counts the configurations whose listener has taken nothing since its last failure, and
    `incidents` those that are open.
    `overdue` is how many seconds ago the oldest waiting delivery was due (0: none is late), and
    `unattended` how many of those have passed since any node has looked for what is due.
    `oldest_snapshot` is the age in seconds of the oldest transaction that keeps dead rows
    from being cleaned away (0 on SQLite). Sizes are bytes; `log_bytes` is the WAL on SQLite
    and 0 on PostgreSQL, whose WAL is the server's business.
    """

    waiting: int
    held: int
    in_flight: int
    failures: int
    orphans: int
    nodes: int
    failing: int
    incidents: int
    overdue: float
    unattended: float
    oldest_snapshot: float
    database_bytes: int
    log_bytes: int


@dataclass(frozen=True, slots=True)
class Failing:
    """A publishing configuration whose listener has taken nothing since a time (UTC)."""

    account_id: str
    connect_id: int
    name: str
    since: datetime
    warned: bool


@dataclass(frozen=True, slots=True)
class Orphan:
    """A row of v_audit_orphans: must not exist (R4)."""

    delivery_id: int | None
    problem: str


class Store(Protocol):
    """The port. `now` comes from the clock that the adapter was opened with.

    Errors common to all verbs: `StorageUnavailable` (rolled back, try again later; or it is
    closed) and `StorageBroken` (the process must end).
    """

    @property
    def historical(self) -> HistoricalPublishing:
        """What publishes envelopes of the past anew."""
        ...

    @property
    def incidents(self) -> Incidents:
        """Open failures by cause."""
        ...

    @property
    def republishing(self) -> Republishing:
        """What asks again for many deliveries, carefully."""
        ...

    @property
    def published(self) -> Published:
        """Every event and every delivery, to be looked at."""
        ...

    @property
    def tails(self) -> Tails:
        """What comes to the log and to the events, one after another."""
        ...

    @property
    def clock(self) -> StoreClock:
        """The store's time, which never runs backwards; due times are computed with it (R12)."""
        ...

    async def close(self) -> None:
        """Finish what was submitted, mark the node as stopped, release the database."""
        ...

    async def renew_lease(self) -> bool:
        """Renew the node's lease; a node that does not is taken for dead (R8, R20).

        False: the lease had run out and another node has taken our work over. The store then
        begins a new epoch; what was claimed before must be given up, for it cannot be
        settled any more.
        """
        ...

    async def take_over(self) -> int:
        """Put back what dead nodes had in flight, at most `BATCH_MOST`.

        Their attempts end as unknown (R5), and what ended its node `MOST_UNSETTLED_CLAIMS`
        times is parked as failed (R17). Returns the number of deliveries.
        """
        ...

    def when_due(self, wake: Callable[[], None]) -> None:
        """Have `wake` called whenever something may have become due, in place of the one before.

        That is after every transaction of ours that has changed a delivery, whichever verb's it
        was and whoever still waits for it: no verb has to say so (R21). Left out may be those
        of which an accept, claim or settle knows that nothing waits by them. It is called in the
        event loop, before or as the verb returns, and must return at once.
        """
        ...

    def hand_to(self, taker: Taker | None) -> None:
        """Have accepts claim for `taker` what it can send at once, in place of the one before.

        That is what nothing waits before: neither in its lane (R6) nor for its configuration. It
        is handed over after the commit, whether or not anybody still waits for the accept.
        """
        ...

    async def wait_for_hint(self) -> None:
        """Return when another node may have left work for us; a hint can be lost."""
        ...

    async def create_account(self, account: Account, token: Secret | None = None) -> None:
        """Add an account, and with it an administrator's token, in one transaction."""
        ...

    async def accounts(self) -> Sequence[Account]:
        """Every account, by external id; for the composition root and doctor only."""
        ...

    async def add_token(self, account_id: str, token: Secret, role: Role, name: str) -> None:
        """Let a bearer token act for an account; only its SHA-256 is stored."""
        ...

    async def principal(self, token: str) -> Principal | None:
        """Whom a bearer token stands for, or None; see `People.principal`."""
        ...

    @property
    def people(self) -> People:
        """Users, groups and tokens."""
        ...

    @property
    def sign_ins(self) -> SignIns:
        """Applications, consents, sign-ins and grants."""
        ...

    async def add_hmac_key(self, account_id: str, key_id: str, secret: Secret) -> HmacKey:
        """Add an active signing key. Raises TooManyKeys above `signing.MOST_KEYS`."""
        ...

    async def retire_hmac_key(self, account_id: str, key_id: str) -> bool:
        """Stop signing with a key; False when the account has no such active key."""
        ...

    async def hmac_keys(self, account_id: str) -> Sequence[HmacKey]:
        """The account's active keys, oldest first."""
        ...

    async def set_client_certificate(self, account_id: str, certificate: str, key: Secret) -> None:
        """Let posts show a certificate (PEM, with its chain) to listeners that ask for one."""
        ...

    async def delete_client_certificate(self, account_id: str) -> bool:
        """Show none any more; False when there was none."""
        ...

    async def client_certificate(self, account_id: str) -> tuple[str, Secret] | None:
        """The account's certificate and its key, both PEM, or None."""
        ...

    @property
    def oauth(self) -> OAuthClients:
        """The OAuth clients that posts get tokens with."""
        ...

    @property
    def relays(self) -> Relays:
        """Where DocuSign's Connect posts to."""
        ...

    @property
    def audit(self) -> Audit:
        """Who did what to what."""
        ...

    async def reseal(self) -> int:
        """Encrypt every secret anew with the ring's first key. Returns the number of values."""
        ...

    async def create_configuration(
        self, wanted: ConnectConfiguration, ad_hoc: bytes | None = None
    ) -> ConnectConfiguration:
        """Add a configuration; the answer carries the id it was given.

        With `ad_hoc`, a digest of what is wanted, it is as `ad_hoc` has it.
        """
        ...

    async def ad_hoc(
        self, account_id: str, wanted: Mapping[bytes, ConnectConfiguration]
    ) -> Mapping[bytes, ConnectConfiguration]:
        """The ad hoc configurations of these digests of what is wanted, as they are stored.

        Those that are not there yet are added, all in one transaction. None is listed among the
        account's, whose version stays: only the envelopes that name them see them.
        """
        ...

    async def update_configuration(
        self, wanted: ConnectConfiguration, version: int | None = None
    ) -> bool:
        """Replace a configuration; False when the account has none of that id.

        Raises ConfigurationsChanged when `version` is given and no longer the account's, so
        that two updates of one configuration cannot undo each other.

        Waiting deliveries are held when it stops publishing or pauses, and wait again, with
        their schedule kept, when it resumes.
        """
        ...

    async def delete_configuration(self, account_id: str, connect_id: int) -> bool:
        """Delete a configuration; what was unfinished becomes a visible failure (R4)."""
        ...

    async def failing(self) -> Sequence[Failing]:
        """Configurations of all accounts that fail, longest first; for maintenance only.

        One fails from its first failed attempt until a success, or until it is switched on
        anew; faults of our own do not count.
        """
        ...

    async def queue_behind(self, account_id: str, connect_id: int, until: datetime) -> None:
        """A listener is down until a time, when what has failed is tried again (DocuSign).

        What waits for it is tried no sooner, and in the order in which it was accepted; it is
        listed among the failures as pending, and so is what is accepted until the listener takes
        a message. Nothing follows where it has taken one meanwhile.
        """
        ...

    async def failing_warned(self, connect_id: int) -> None:
        """Note that somebody was told of a configuration that fails."""
        ...

    async def configurations(
        self, account_id: str, known: Configurations | None = None
    ) -> Configurations:
        """The account's live configurations but for ad hoc ones, by id, with their version.

        Of what was `known` before, only what has changed since is read; the rest are its values.
        """
        ...

    async def changes(self, account_id: str, connect_ids: Sequence[int]) -> Mapping[int, Changes]:
        """When these configurations of the account were made and last changed, by id."""
        ...

    async def configurations_version(self, account_id: str) -> int:
        """The version of the account's configurations, read before what is changed under it."""
        ...

    async def configuration(self, account_id: str, connect_id: int) -> ConnectConfiguration | None:
        """A live configuration of the account, ad hoc or not, or None."""
        ...

    async def notified(
        self, account_id: str, envelope_ids: Sequence[str]
    ) -> Mapping[str, tuple[ConnectConfiguration, ...]]:
        """The live ad hoc configurations that events of these envelopes go to."""
        ...

    async def accept(
        self,
        account_id: str,
        version: int,
        events: Sequence[tuple[NewEvent, Sequence[Verdict]]],
        *,
        notifies: bool = True,
    ) -> Sequence[Accepted]:
        """Commit events with all their deliveries in one transaction: all or none (R1).

        A known event id adds nothing and is answered as `repeated` (R2). `notifies` is False
        where the account had no ad hoc configurations, so that none were looked for.

        Raises:
            ConfigurationsChanged: `version` is no longer the account's, it has ad hoc
                configurations after all, or one that an event's envelope has (`notified`) was
                deleted, held or let go meanwhile; match again.
            EventConflict: a known event id with another content.
        """
        ...

    async def claim(
        self,
        room: int,
        per_unlisted: int,
        free: Mapping[int, int] | None = None,
        per_account: int | None = None,
        load: Load | None = None,
    ) -> ClaimResult:
        """Take due deliveries and open an attempt for each.

        A listener is sent what its pacing (`free`) allows, and configurations and accounts take
        turns, so that none keeps the others waiting (R7). Of a lane, what is kept in order, only
        the oldest unfinished delivery is taken (R6).

        Args:
            room: Deliveries to take at the most, all together.
            per_unlisted: How many a configuration that `free` does not list may have in flight
                on this node, those before this claim counted.
            free: How many more each configuration, by its id, may be given now.
            per_account: An account that has so many in flight on this node gets more only where
                no other account has anything due, and nothing of the last so many of `room`.
                None: accounts are not bounded.
            load: The bytes in flight and their bound; what finds no room is left for the next
                claim. None: bytes are not bounded.
        """
        ...

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[bool]:
        """Close attempts and advance their deliveries, one transaction for all.

        The failure opens, is updated or closes with it. False stands for a claim that was no
        longer ours (taken over, or the delivery was cancelled meanwhile): nothing but its
        attempt row is changed (R8).
        """
        ...

    async def hasten(self, account_id: str, connect_id: int) -> int:
        """Make what waits for its next try at a configuration due now.

        Returns the number of deliveries.
        """
        ...

    async def progress(
        self, account_id: str, delivery_ids: Sequence[int]
    ) -> dict[int, DeliveryProgress]:
        """How far these deliveries of the account are."""
        ...

    async def envelope(self, account_id: str, envelope_id: str) -> Envelope | None:
        """The newest summary of an envelope, or None."""
        ...

    async def failures(
        self, account_id: str, query: LogQuery, limit: int, after: Cursor | None = None
    ) -> Page[LogEntry]:
        """Open failures."""
        ...

    async def logs(
        self, account_id: str, query: LogQuery, limit: int, after: Cursor | None = None
    ) -> Page[LogEntry]:
        """Log entries."""
        ...

    async def chosen_failures(
        self, account_id: str, query: LogQuery, after: Cursor | None = None
    ) -> Sequence[Chosen]:
        """What a call on these open failures is about, by configuration; nothing is changed."""
        ...

    async def chosen_delivered(
        self, account_id: str, query: LogQuery, after: Cursor | None = None
    ) -> Sequence[Chosen]:
        """What a call on these deliveries is about, by configuration; nothing is changed."""
        ...

    async def chosen_logs(self, account_id: str, query: LogQuery) -> Sequence[Chosen]:
        """What a call on these log entries is about, by configuration; nothing is changed."""
        ...

    async def failure(self, account_id: str, failure_id: int) -> LogEntry | None:
        """One open failure, or None."""
        ...

    async def log(self, account_id: str, log_id: int) -> AttemptDetail | None:
        """One log entry with both halves of its exchange, or None."""
        ...

    async def attempts(self, account_id: str, failure_id: int) -> Sequence[AttemptDetail]:
        """The closed attempts of an open failure, oldest first, whatever was logged."""
        ...

    async def requeue_envelopes(
        self, account_id: str, envelope_ids: Sequence[str], after: int = 0
    ) -> Sequence[Requeued]:
        """Make open failures of these envelopes due now, at most `BATCH` a call.

        They are in the order of their ids, and those above `after`.
        """
        ...

    async def requeue_failures(
        self, account_id: str, query: LogQuery, after: Cursor | None = None
    ) -> RequeuePage:
        """Make open failures due now, at most `BATCH_MOST` a call, oldest first."""
        ...

    async def resend_delivered(
        self, account_id: str, query: LogQuery, who: str, after: Cursor | None = None
    ) -> RequeuePage:
        """Let what was delivered wait to be sent once more, at most `BATCH_MOST` a call, by number.

        `query` selects deliveries by when their events were accepted; its `error` counts for
        nothing. `who` asked for it, which each attempt that follows then says.
        """
        ...

    async def resend_envelopes(
        self, account_id: str, envelope_ids: Sequence[str], who: str, after: int = 0
    ) -> Sequence[Requeued]:
        """The same of what was delivered of these envelopes, at most `BATCH` a call.

        They are in the order of their ids, and those above `after`.
        """
        ...

    async def resend_log(self, account_id: str, log_id: int, who: str) -> Requeued | None:
        """The same of the delivery that a log entry is of; None when there is no such entry.

        One that is not delivered stays as it is, and the answer says how that is.
        """
        ...

    async def delete_failure(self, account_id: str, failure_id: int, who: str) -> bool:
        """Cancel a failed delivery by name (R4); False when there is no such open failure."""
        ...

    async def delete_failures(self, account_id: str, query: LogQuery, who: str) -> int:
        """Cancel failed deliveries, at most `BATCH_MOST` a call. Returns the number of them."""
        ...

    async def delete_log(self, account_id: str, log_id: int) -> bool:
        """Take one entry from the log; the attempt itself stays (R5)."""
        ...

    async def delete_logs(self, account_id: str) -> int:
        """Take at most `BATCH_MOST` entries from the log. Returns the number of them."""
        ...

    async def orphans(self) -> Sequence[Orphan]:
        """What v_audit_orphans shows: nothing, or a bug (R4)."""
        ...

    async def statistics(self) -> Statistics:
        """Counts and sizes of the whole installation."""
        ...

    async def retire(self, before: datetime) -> Retired:
        """Delete one batch of what ended and was accepted before a time (R14).

        Only delivered and cancelled deliveries, their attempts, and events and envelopes
        that nothing refers to any more: never what is unfinished, and never an open failure
        or its event. At most `BATCH_MOST` rows of each kind a call; where the engine keeps
        history by the day, a whole day is dropped at once.
        """
        ...

    async def ready(self) -> None:
        """Return if a write would be taken now; raises StorageUnavailable or StorageBroken."""
        ...


def batches(items: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    """All of them in their order, at most so many at a time."""
    return (items[first : first + most] for first in range(0, len(items), most))


async def undisturbed(change: Callable[[], Awaitable[T]], doing: str) -> T:
    """Do what reads an account's configurations and writes under their version.

    `change` is done anew for as long as other calls come between its reading and its writing;
    `doing` says what to do again where that never ends.

    Raises:
        Unavailable: it did not.
    """
    for _ in range(_MOST_TRIES):
        with suppress(ConfigurationsChanged):
            return await change()
    raise Unavailable(f"The account's configurations keep changing: {doing} again.")
