"""Who owns and who calls: accounts, roles, principals, keys, and texts that are never shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


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

    `user_id` is set where it acts for a user; `scopes` None stands for all of them;
    `integration_key` names the application that brought it.
    """

    account: Account
    role: Role
    name: str
    token_id: str = ""
    user_id: str | None = None
    scopes: frozenset[str] | None = None
    expires_at: datetime | None = None
    integration_key: str | None = None

    @property
    def ends(self) -> bool:
        """Whether it ends by itself: at a time, or with an application or a consent (S18)."""
        return self.expires_at is not None or self.integration_key is not None


@dataclass(frozen=True, slots=True)
class HmacKey:
    """A signing key of an account. The text itself, as UTF-8, is the key (DocuSign)."""

    key_id: str
    secret: Secret
    created_at: datetime
