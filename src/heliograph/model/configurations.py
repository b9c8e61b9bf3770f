"""What listeners want, and what they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from typing import Final

from heliograph.model.accounts import Secret
from heliograph.model.events import HeldReason


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


class Proof(StrEnum):
    """Something of its account that shows who sends a post: each names its place in `Proofs`."""

    KEYS = "keys"
    CLIENT = "client"
    OAUTH = "oauth"
    ACCOUNT = "account"


class Format(Enum):
    """How a message is written."""

    JSON_SIM = "json_sim"
    JSON_AGGREGATE = "json_aggregate"
    XML = "xml"


@dataclass(frozen=True, slots=True)
class Interest:
    """Which events are wanted, and of whose envelopes.

    `received` is True where events of envelopes that users receive are wanted, not of those that
    they send. `preset` is the service that the configuration is a preset of; nothing is sent to
    those.
    """

    events: frozenset[str] = frozenset()
    all_users: bool = False
    all_users_except: bool = False
    user_ids: frozenset[str] = frozenset()
    group_ids: frozenset[str] = frozenset()
    received: bool = False
    preset: str | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """When messages go out, and when again.

    `aggregate` lets one message stand for several events of an envelope. `rate` bounds the
    messages a second. `schedule` is a name, or the seconds before each retry, or None for the
    server's default. `acknowledged` is False where one try is all that is wanted.
    """

    ordering: Ordering = Ordering.ENVELOPE
    aggregate: bool = False
    rate: float | None = None
    schedule: ScheduleName | tuple[float, ...] | None = None
    acknowledged: bool = True


@dataclass(frozen=True, slots=True)
class Switches:
    """What is wanted of an event's data; None stands for "as it was published".

    `include` names the parts of an envelope; an empty set asks for no envelope at all.
    """

    include: frozenset[str] | None = None
    documents: bool | None = None
    certificate: bool | None = None
    document_fields: bool | None = None
    void_reason: bool | None = None
    sender_account: bool = False

    @property
    def changes_nothing(self) -> bool:
        """Whether all data goes out as it came."""
        return self == AS_PUBLISHED


AS_PUBLISHED: Final = Switches()
"""Everything, as it came."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """What messages look like.

    `soap_namespace` is None where no SOAP is asked for; `certificate_header` puts the account's
    client certificate in a SOAP message's header. `documents_of` says by the names of single
    events (in small letters) whether documents come with them. `verbatim` has what came through a
    relay sent on as it came, whatever else is said here.
    """

    format: Format = Format.JSON_SIM
    switches: Switches = AS_PUBLISHED
    time_zone: bool = False
    soap_namespace: str | None = None
    certificate_header: bool = False
    documents_of: Mapping[str, bool] = field(default_factory=dict)
    verbatim: bool = False

    def switches_for(self, event_name: str) -> Switches:
        """The switches for an event: a notification may want documents with some alone."""
        wanted = self.documents_of.get(event_name.lower())
        return self.switches if wanted is None else replace(self.switches, documents=wanted)


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """An OAuth client: what an authorization server gives tokens for (RFC 6749, 4.4)."""

    token_url: str
    client_id: str
    client_secret: Secret
    scope: str | None = None
    parameters: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class BorrowedOAuth:
    """The account's OAuth client is to be used; `why` says what a configuration's own lacks."""

    why: str


@dataclass(frozen=True, slots=True)
class Authentication:
    """How a post shows a listener who sends it, and whom it trusts there.

    `basic` is a user name and a password, `oauth` the client that tokens are asked for with; it
    counts before `basic`. `token_url` is where the configuration's own client, used or not, gets
    its tokens; empty where none is named. With `mutual_tls` a post must bring the account's client
    certificate, with `offers_certificate` it may. `authorities` are roots (PEM) that are trusted
    beside the system's.
    """

    include_hmac: bool = True
    basic: tuple[str, Secret] | None = None
    oauth: ClientCredentials | BorrowedOAuth | None = None
    token_url: str = ""
    mutual_tls: bool = False
    offers_certificate: bool = False
    authorities: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectConfiguration:
    """A listener, and all that Heliograph reads of what was asked for it.

    `document` is the whole configuration as compact JSON in the wire's spelling, without
    its secrets; `secrets` holds those by their wire name. Both are for the way back to the wire,
    so that every field comes back as it was given; `heliograph.wire.configurations.read` makes the
    rest of them.

    `disabled_by` says who took the listener out of service when that was not a caller.
    `integrator` is the account whose keys sign, and whose OAuth client is taken, in place of its
    own.
    """

    account_id: str
    connect_id: int
    name: str
    url: str
    document: bytes
    secrets: Mapping[str, Secret]
    publishing: bool
    paused: bool
    enable_log: bool
    disabled_by: str | None
    interest: Interest
    pace: Pace
    rendering: Rendering
    authentication: Authentication
    integrator: str | None = None

    @property
    def held(self) -> HeldReason | None:
        """Why deliveries must wait for a person, if they must; in SQL the column `held`."""
        if not self.publishing:
            return HeldReason.DISABLED
        return HeldReason.PAUSED if self.paused else None

    @property
    def shows_certificate(self) -> bool:
        """Whether a post needs the account's client certificate."""
        authentication = self.authentication
        return (
            authentication.mutual_tls
            or authentication.offers_certificate
            or self.rendering.certificate_header
        )

    @property
    def borrows_oauth(self) -> bool:
        """Whether a post takes the account's OAuth client, for want of a whole one of its own."""
        return isinstance(self.authentication.oauth, BorrowedOAuth)

    @property
    def asks_for(self) -> tuple[Proof, ...]:
        """The proofs of its account that a post needs.

        Nothing else is to be read for it: it might be what cannot be read (R17).
        """
        needs = {
            Proof.KEYS: self.authentication.include_hmac,
            Proof.CLIENT: self.shows_certificate,
            Proof.OAUTH: self.borrows_oauth,
            Proof.ACCOUNT: self.rendering.switches.sender_account,
        }
        return tuple(proof for proof, needed in needs.items() if needed)

    def owner_of(self, proof: Proof) -> str:
        """The account that a proof is read of."""
        signs = proof in (Proof.KEYS, Proof.OAUTH)
        return self.integrator if signs and self.integrator is not None else self.account_id


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
