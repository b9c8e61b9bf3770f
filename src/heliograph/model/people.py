"""Who belongs to an account: users, the groups they are in, and the tokens that act for them.

Frozen values, as all of the model. A user's id is a GUID in small letters; a group's is a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from heliograph.model.accounts import Role


class UserStatus(StrEnum):
    """A closed user does nothing any more and is never opened again."""

    ACTIVE = "active"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class User:
    """A person of one account. No two active users of an installation share an e-mail."""

    user_id: str
    account_id: str
    email: str
    name: str
    given_name: str
    family_name: str
    role: Role
    status: UserStatus
    created_at: datetime

    @property
    def names(self) -> tuple[str, str]:
        """Given and family name: where nobody gave either, the name's first word and the rest."""
        if self.given_name or self.family_name:
            return self.given_name, self.family_name
        given, _, family = self.name.partition(" ")
        return given, family


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to be added, and the groups that it joins."""

    user_id: str
    email: str
    name: str
    given_name: str = ""
    family_name: str = ""
    role: Role = Role.VIEWER
    group_ids: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class UserChange:
    """What changes of a user; None stays as it is."""

    user_id: str
    email: str | None = None
    name: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    role: Role | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """The users that a configuration names by themselves or by a group, or all others.

    `inside` is False for the others.
    """

    user_ids: frozenset[str]
    group_ids: frozenset[str]
    inside: bool


@dataclass(frozen=True, slots=True)
class UserQuery:
    """Which users are meant; None means no filter.

    `name` and `email_part` are parts of the text, whatever the case of A to Z; `email` is the
    whole address and `domain` what stands behind its @.
    """

    name: str | None = None
    email_part: str | None = None
    email: str | None = None
    domain: str | None = None
    statuses: frozenset[UserStatus] | None = None
    group_id: int | None = None
    named: Named | None = None
    role: Role | None = None


@dataclass(frozen=True, slots=True)
class UserPage:
    """Users by name, and how many there are in all."""

    users: tuple[User, ...]
    total: int


ADMINISTRATORS_ID: Final = 10**12
EVERYONE_ID: Final = 10**12 + 1
"""Two groups that every account has, under the same numbers: nobody makes, changes or deletes
them. Other groups have numbers from 1 on."""

BUILT_IN: Final = {ADMINISTRATORS_ID: "Administrators", EVERYONE_ID: "Everyone"}


class GroupKind(StrEnum):
    """Who says who is in a group."""

    CUSTOM = "custom"
    ADMINISTRATORS = "administrators"
    EVERYONE = "everyone"


@dataclass(frozen=True, slots=True)
class Group:
    """Users that configurations name together; `users` counts them, closed ones too."""

    group_id: int
    name: str
    users: int

    @property
    def kind(self) -> GroupKind:
        known = {
            ADMINISTRATORS_ID: GroupKind.ADMINISTRATORS,
            EVERYONE_ID: GroupKind.EVERYONE,
        }
        return known.get(self.group_id, GroupKind.CUSTOM)


@dataclass(frozen=True, slots=True)
class GroupPage:
    """Groups by name, and how many there are in all."""

    groups: tuple[Group, ...]
    total: int


@dataclass(frozen=True, slots=True)
class NewToken:
    """What a token is to stand for: the account, or one of its users.

    `scopes` None stands for all; `expires_at` None for never. `integration_key` is the
    application that asked for it.
    """

    name: str
    role: Role
    user_id: str | None = None
    scopes: frozenset[str] | None = None
    expires_at: datetime | None = None
    integration_key: str | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """A token that works now, without its text. Its id is made from the hash of the text."""

    token_id: str
    name: str
    role: Role
    created_at: datetime
    user_id: str | None
    scopes: frozenset[str] | None
    integration_key: str | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class TokenPage:
    """Tokens, newest first, and how many there are in all."""

    tokens: tuple[Token, ...]
    total: int


Memberships = Mapping[str, frozenset[str]]
"""The ids of the groups that each user is in, both as a configuration would write them."""
