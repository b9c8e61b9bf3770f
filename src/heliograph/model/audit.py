"""Who did what to what, when and from where: the audit of an account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from heliograph.model.accounts import Principal
from heliograph.model.logs import Cursor, Order

LONGEST_VALUE: Final = 200
"""Characters of a value that are kept: an entry tells what changed, and is no copy of it."""

MASKED: Final = "********"
"""Stands for a secret, of which nothing but its name is kept."""


_VIEWED: Final = frozenset(
    {
        *("configuration", "user", "group", "failures", "republish_job"),
        *("delivered", "incident", "logs", "history"),
    }
)
"""The kinds of things, of actions, whose values viewers can read."""


class Action(StrEnum):
    """What was done; the part before the dot says to what kind of thing."""

    ACCOUNT_CREATED = "account.created"
    SECRETS_RESEALED = "secrets.resealed"
    CONFIGURATION_CREATED = "configuration.created"
    CONFIGURATION_CHANGED = "configuration.changed"
    CONFIGURATION_PAUSED = "configuration.paused"
    CONFIGURATION_RESUMED = "configuration.resumed"
    CONFIGURATION_SWITCHED_OFF = "configuration.switched_off"
    CONFIGURATION_SWITCHED_ON = "configuration.switched_on"
    CONFIGURATION_DELETED = "configuration.deleted"
    HMAC_KEY_ADDED = "hmac_key.added"
    HMAC_KEY_RETIRED = "hmac_key.retired"
    CLIENT_CERTIFICATE_SET = "client_certificate.set"
    CLIENT_CERTIFICATE_DELETED = "client_certificate.deleted"
    CONNECT_OAUTH_CREATED = "connect_oauth.created"
    CONNECT_OAUTH_CHANGED = "connect_oauth.changed"
    CONNECT_OAUTH_DELETED = "connect_oauth.deleted"
    RELAY_CREATED = "relay.created"
    RELAY_CHANGED = "relay.changed"
    RELAY_DELETED = "relay.deleted"
    USER_ADDED = "user.added"
    USER_CHANGED = "user.changed"
    USER_CLOSED = "user.closed"
    USER_PASSWORD_SET = "user.password_set"  # noqa: S105 (a word, no password)
    USER_SIGNED_IN = "user.signed_in"
    USER_SIGN_IN_FAILED = "user.sign_in_failed"
    GROUP_ADDED = "group.added"
    GROUP_RENAMED = "group.renamed"
    GROUP_DELETED = "group.deleted"
    GROUP_JOINED = "group.joined"
    GROUP_LEFT = "group.left"
    TOKEN_ADDED = "token.added"  # noqa: S105
    TOKEN_REVOKED = "token.revoked"  # noqa: S105
    APPLICATION_ADDED = "application.added"
    APPLICATION_CHANGED = "application.changed"
    APPLICATION_DELETED = "application.deleted"
    APPLICATION_KEY_ADDED = "application.key_added"
    APPLICATION_KEY_REMOVED = "application.key_removed"
    APPLICATION_SECRET_ADDED = "application.secret_added"  # noqa: S105
    APPLICATION_SECRET_REMOVED = "application.secret_removed"  # noqa: S105
    CONSENT_GIVEN = "consent.given"
    CONSENT_WITHDRAWN = "consent.withdrawn"
    FAILURES_REPUBLISHED = "failures.republished"
    FAILURES_DELETED = "failures.deleted"
    INCIDENT_ACKNOWLEDGED = "incident.acknowledged"
    INCIDENT_UNACKNOWLEDGED = "incident.unacknowledged"
    REPUBLISH_JOB_STARTED = "republish_job.started"
    REPUBLISH_JOB_CHANGED = "republish_job.changed"
    DELIVERED_RESENT = "delivered.resent"
    LOGS_DELETED = "logs.deleted"
    HISTORY_PUBLISHED = "history.published"
    HISTORY_CANCELLED = "history.cancelled"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and the address that the call came from, empty where it was none.

    `token_id` tells tokens of one name apart; `user_id` is the user that the token stands for,
    `account_id` the account that it is of.
    """

    name: str
    address: str = ""
    token_id: str = ""
    user_id: str | None = None
    account_id: str | None = field(default=None, compare=False)


def actor_of(principal: Principal, address: str) -> Actor:
    """Who a token lets act, from an address."""
    account_id = principal.account.account_id
    return Actor(principal.name, address, principal.token_id, principal.user_id, account_id)


ITSELF: Final = Actor("Heliograph")
"""The server, or a command that works on its database without one."""


def unknown(address: str) -> Actor:
    """Who was not signed in: nobody is accused by the name that was tried."""
    return Actor("not signed in", address)


@dataclass(frozen=True, slots=True)
class Detail:
    """A value that was changed, as text; None stands for none."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """To what something was done (`configuration 7`), and what it changed there."""

    what: str
    details: tuple[Detail, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that was done."""

    cursor: Cursor
    created_at: datetime
    actor: Actor
    action: str
    change: Change


def for_viewers(entry: AuditEntry) -> AuditEntry:
    """An entry without where somebody works from, and without the values of what viewers cannot
    read elsewhere either."""
    kind, _, _ = entry.action.partition(".")
    change = entry.change if kind in _VIEWED else Change(entry.change.what)
    return replace(entry, actor=replace(entry.actor, address=""), change=change)


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which entries are meant; None means no filter. `actor` and `what` are whole texts."""

    from_date: datetime | None = None
    to_date: datetime | None = None
    actor: str | None = None
    action: str | None = None
    what: str | None = None
    order: Order = Order.NEWEST_FIRST


def given(**values: object) -> tuple[Detail, ...]:
    """The details of something new: what it has. None is left out."""
    return tuple(
        Detail(name, None, _shown(value)) for name, value in values.items() if value is not None
    )


def differing(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[Detail, ...]:
    """What is different after a change, by the names of it."""
    return tuple(
        Detail(name, *(_shown(values.get(name)) for values in (before, after)))
        for name in _names((before, after))
        if before.get(name) != after.get(name)
    )


def _names(values: Iterable[Mapping[str, object]]) -> Iterable[str]:
    return dict.fromkeys(name for mapping in values for name in mapping)


def _shown(value: object) -> str | None:
    if value is None:
        return None
    text = _text(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, frozenset):
        return ", ".join(sorted(map(_text, value)))
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_text(part)}" for name, part in value.items())
    return str(value)
