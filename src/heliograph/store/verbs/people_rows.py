"""Rows of users, groups and tokens to values, and back."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from heliograph.errors import (
    InvalidGroupId,
    InvalidGroupName,
    InvalidUserId,
    NotFound,
    UserExists,
)
from heliograph.model.accounts import Account, Principal, Role, Secret
from heliograph.model.people import (
    ADMINISTRATORS_ID,
    BUILT_IN,
    EVERYONE_ID,
    Group,
    Memberships,
    NewToken,
    NewUser,
    Token,
    User,
    UserChange,
    UserQuery,
    UserStatus,
)
from heliograph.model.tokens import token_hash
from heliograph.store.times import from_microseconds, to_microseconds

_ID_BYTES: Final = 16
_NAMED_MOST: Final = 5


def user(row: Any) -> User:
    """The columns of `user_columns`."""
    return User(
        user_id=row.user_id,
        account_id=row.account_id,
        email=row.email,
        name=row.name,
        given_name=row.given_name,
        family_name=row.family_name,
        role=Role(row.role),
        status=UserStatus(row.status),
        created_at=from_microseconds(row.created_us),
    )


def group(row: Any) -> Group:
    """A row of `groups`, `groups_by_id` and `groups_of`."""
    return Group(row.group_id, row.name, row.users)


def new_users(account_id: str, wanted: Iterable[NewUser], now: int) -> dict[str, Any]:
    """The values of `users_add`."""
    users = [
        {
            "user_id": user.user_id,
            "email": user.email,
            "name": user.name,
            "given_name": user.given_name,
            "family_name": user.family_name,
            "role": user.role.value,
        }
        for user in wanted
    ]
    return {"account_id": account_id, "users": json.dumps(users), "now": now}


def change(account_id: str, wanted: UserChange, now: int) -> dict[str, Any]:
    """The values of `user_change`."""
    return {
        "user_id": wanted.user_id,
        "account_id": account_id,
        "email": wanted.email,
        "name": wanted.name,
        "given_name": wanted.given_name,
        "family_name": wanted.family_name,
        "role": wanted.role and wanted.role.value,
        "now": now,
    }


def filters(account_id: str, query: UserQuery) -> dict[str, Any]:
    """The values of `users` and `users_count`."""
    named, role = query.named, query.role
    group_id = query.group_id
    if group_id == ADMINISTRATORS_ID:
        role = Role.ADMINISTRATOR
    if group_id in BUILT_IN:  # of Everyone there is nothing to select
        group_id = None
    named_groups = [] if named is None else numbers(named.group_ids)
    return {
        "account_id": account_id,
        "name": part(query.name),
        "email_part": part(query.email_part),
        "email": query.email,
        "domain": None if query.domain is None else f"%@{_escaped(query.domain)}",
        "statuses": None if query.statuses is None else [status.value for status in query.statuses],
        "group_id": group_id,
        "role": role and role.value,
        "inside": None if named is None else named.inside,
        "named_users": [] if named is None else sorted(named.user_ids),
        "named_groups": named_groups,
        "named_everyone": EVERYONE_ID in named_groups,
        "named_administrators": ADMINISTRATORS_ID in named_groups,
    }


def part(text: str | None) -> str | None:
    """A LIKE pattern of what contains a text."""
    return None if text is None else f"%{_escaped(text)}%"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def numbers(texts: Iterable[str]) -> list[int]:
    """Those of a configuration's group ids that can be one."""
    digits = (text for text in texts if text.isascii() and text.isdigit() and len(text) < 19)
    return sorted({int(text) for text in digits})


def memberships(found: Iterable[Any]) -> Memberships:
    """Rows of `group_members`."""
    groups: dict[str, set[str]] = {}
    for row in found:
        groups.setdefault(row.user_id, set()).add(str(row.group_id))
    return {user_id: frozenset(ids) for user_id, ids in groups.items()}


def groups_of(found: Iterable[Any]) -> dict[str, tuple[Group, ...]]:
    """Rows of `groups_of`."""
    groups: dict[str, tuple[Group, ...]] = {}
    for row in found:
        groups[row.user_id] = (*groups.get(row.user_id, ()), group(row))
    return groups


def new_token(account_id: str, token: Secret, wanted: NewToken, now: int) -> dict[str, Any]:
    """The values of `token_add`."""
    return {
        "token_hash": token_hash(token.reveal()),
        "account_id": account_id,
        "name": wanted.name,
        "role": wanted.role.value,
        "user_id": wanted.user_id,
        "scopes": None if wanted.scopes is None else " ".join(sorted(wanted.scopes)),
        "integration_key": wanted.integration_key,
        "expires": None if wanted.expires_at is None else to_microseconds(wanted.expires_at),
        "now": now,
    }


def token(row: Any) -> Token:
    """A row of `tokens`."""
    return Token(
        token_id=token_id(row.token_hash),
        name=row.name,
        role=Role(row.role),
        created_at=from_microseconds(row.created_us),
        user_id=row.user_id,
        scopes=_scopes(row.scopes),
        integration_key=row.integration_key,
        expires_at=_instant(row.expires_us),
    )


def added_token(values: Mapping[str, Any]) -> Token:
    """The token that `token_add` has made of its values."""
    return Token(
        token_id=token_id(values["token_hash"]),
        name=values["name"],
        role=Role(values["role"]),
        created_at=from_microseconds(values["now"]),
        user_id=values["user_id"],
        scopes=_scopes(values["scopes"]),
        integration_key=values["integration_key"],
        expires_at=_instant(values["expires"]),
    )


def principal(row: Any) -> Principal | None:
    """The row of `principal`."""
    if row is None:
        return None
    return Principal(
        Account(row.account_id, row.external_id, row.account_name),
        Role(row.role),
        row.token_name,
        token_id=token_id(row.token_hash),
        user_id=row.user_id,
        scopes=_scopes(row.scopes),
        expires_at=_instant(row.expires_us),
        integration_key=row.integration_key,
    )


def token_id(digest: bytes) -> str:
    """The half of a token's hash that names it; it tells nothing of the token."""
    return bytes(digest[:_ID_BYTES]).hex()


def id_bytes(text: str) -> bytes | None:
    """The start of the hash that a token's id stands for, or None where it is no such id."""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        return None
    return found if len(found) == _ID_BYTES else None


def _instant(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else from_microseconds(microseconds)


def _scopes(text: str | None) -> frozenset[str] | None:
    return None if text is None else frozenset(text.split())


def user_exists(users: Iterable[NewUser | UserChange]) -> UserExists:
    """These users cannot be stored as they are."""
    named = [user.email or user.user_id for user in users]
    more = f" and {len(named) - _NAMED_MOST} more" if len(named) > _NAMED_MOST else ""
    return UserExists(
        f"A user has this e-mail or userId already: {', '.join(named[:_NAMED_MOST])}{more}."
    )


def no_user(user_ids: Collection[str]) -> NotFound:
    """The account has no active user of these ids."""
    return NotFound(f"There is no active user {min(user_ids)}.")


def no_group(group_ids: Collection[int]) -> NotFound:
    """The account has no group of these ids."""
    return NotFound(f"There is no group {min(group_ids)}.")


def invalid_group(group_id: int) -> InvalidGroupId:
    """The account has no group of this id that can be changed."""
    if group_id in BUILT_IN:
        return InvalidGroupId(f"Nobody changes the group {BUILT_IN[group_id]}.")
    return InvalidGroupId(f"There is no group {group_id}.")


def invalid_user(user_id: str) -> InvalidUserId:
    """The account has no active user of this id."""
    return InvalidUserId(f"There is no active user {user_id}.")


def group_exists(name: str) -> InvalidGroupName:
    """The account has a group of that name."""
    return InvalidGroupName(f"There is a group {name!r} already.")


def built_in() -> dict[str, Any]:
    """What queries call the two groups that every account has."""
    return {
        "administrators": ADMINISTRATORS_ID,
        "administrators_name": BUILT_IN[ADMINISTRATORS_ID],
        "everyone": EVERYONE_ID,
        "everyone_name": BUILT_IN[EVERYONE_ID],
    }
