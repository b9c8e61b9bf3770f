"""The port to the people of an account, reached as `Store.people`.

Like every verb of the store each takes the account first (S8), and what belongs to another
account is as if it did not exist. Verbs on several users do all or nothing; those on groups, and
on who is in one, do what they can, and answer each.

Two groups are in every account, of which nobody has made a row: `model.people.BUILT_IN`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from heliograph.errors import InvalidGroupId, InvalidGroupName, InvalidUserId
from heliograph.model.accounts import Account, Principal, Secret
from heliograph.model.people import (
    Group,
    GroupPage,
    Memberships,
    NewToken,
    NewUser,
    Token,
    TokenPage,
    User,
    UserChange,
    UserPage,
    UserQuery,
)


class People(Protocol):
    """Users, groups and tokens. Both engines pass tests/contract/test_people.py."""

    async def add_account(self, name: str, token: Secret) -> Account:
        """Add an account with new ids, and with it an administrator's token."""
        ...

    async def add_users(self, account_id: str, users: Sequence[NewUser]) -> Sequence[User]:
        """Add active users, and put each into its groups.

        Raises:
            UserExists: an id or an active user's e-mail is taken, whatever the account.
            NotFound: the account has no such group.
        """
        ...

    async def change_users(self, account_id: str, changes: Sequence[UserChange]) -> Sequence[User]:
        """Change active users; their tokens follow a new role within a second.

        Raises:
            NotFound: the account has no active user of an id.
            UserExists: another active user has the e-mail.
        """
        ...

    async def close_users(self, account_id: str, user_ids: Sequence[str]) -> Sequence[User]:
        """Close active users: their tokens stop working, their e-mails are free again.

        They stay in their groups: events of envelopes that they sent go where they went.

        Raises:
            NotFound: the account has no active user of an id.
        """
        ...

    async def user(self, account_id: str, user_id: str) -> User | None:
        """One user, active or closed."""
        ...

    async def users(self, account_id: str, query: UserQuery, start: int, count: int) -> UserPage:
        """Users by name, from the place `start` on (the first is 0), at most `count`."""
        ...

    async def groups_of(
        self, account_id: str, user_ids: Collection[str]
    ) -> Mapping[str, tuple[Group, ...]]:
        """The groups of each of these users that is in any, by name."""
        ...

    async def add_groups(
        self, account_id: str, names: Sequence[str]
    ) -> Sequence[Group | InvalidGroupName]:
        """Add groups. In the place of one whose name is taken stands why."""
        ...

    async def rename_groups(
        self, account_id: str, names: Mapping[int, str]
    ) -> Sequence[Group | InvalidGroupName | InvalidGroupId]:
        """Give groups other names, one after the other. In the place of one that cannot have it,
        or is not there, stands why."""
        ...

    async def delete_groups(
        self, account_id: str, group_ids: Sequence[int]
    ) -> Sequence[Group | InvalidGroupId]:
        """Delete groups, as they were. In the place of one that is not there stands that."""
        ...

    async def group(self, account_id: str, group_id: int) -> Group | None:
        """One group."""
        ...

    async def groups(
        self, account_id: str, start: int, count: int, name: str | None = None
    ) -> GroupPage:
        """Groups by name, as `users` lists users; `name` is a part of it, whatever its case."""
        ...

    async def add_members(
        self, account_id: str, group_id: int, user_ids: Sequence[str]
    ) -> Sequence[User | InvalidUserId]:
        """Put active users into a group, and give them back; those who are in it stay.

        In the place of one who is not there stands that. Raises NotFound for the group.
        """
        ...

    async def remove_members(
        self, account_id: str, group_id: int, user_ids: Sequence[str]
    ) -> Sequence[User | InvalidUserId]:
        """Take users out of a group, and give them back; those who are not in it stay out.

        In the place of one who is not there stands that. Raises NotFound for the group.
        """
        ...

    async def group_members(self, account_id: str, group_ids: Collection[int]) -> Memberships:
        """Who is in these groups, for matching."""
        ...

    async def add_token(self, account_id: str, token: Secret, wanted: NewToken) -> Token:
        """Let a bearer token act for the account or a user; only its SHA-256 is stored.

        Raises NotFound when the account has no active user of that id.
        """
        ...

    async def tokens(
        self, account_id: str, start: int, count: int, user_id: str | None = None
    ) -> TokenPage:
        """Tokens that work, newest first: those that ended or were revoked are not listed."""
        ...

    async def revoke_token(self, account_id: str, token_id: str) -> bool:
        """Withdraw a token; False when the account has no such token that works.

        It works nowhere any more: on this node at once, on others within a second.
        """
        ...

    async def principal(self, token: str) -> Principal | None:
        """Whom a bearer token stands for, or None where it ended or was revoked."""
        ...
