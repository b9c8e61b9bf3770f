"""What listeners want, and what they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from heliograph.model.accounts import Secret


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
