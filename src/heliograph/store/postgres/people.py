"""Users, groups and tokens on PostgreSQL."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from psycopg.errors import UniqueViolation

from heliograph.clock import Clock
from heliograph.errors import StorageUnavailable
from heliograph.model.accounts import Account, Principal, Role, Secret
from heliograph.model.configurations import ConnectConfiguration
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
    UserStatus,
)
from heliograph.store import FIRST_TOKEN, people_rows, sql
from heliograph.store.postgres.connection import (
    LISTING_PATIENCE,
    Connection,
    Database,
    one,
    row,
    rows,
    run,
)
from heliograph.store.postgres.queue import QUERIES
from heliograph.store.principals import Principals
from heliograph.store.times import to_microseconds

T = TypeVar("T")

_Q: Final = sql.filled_queries("postgres/people.sql")

_REVOKED_WITHIN: Final = 1.0
"""Seconds after which a token that another node revoked works nowhere."""

_MOST_TRIES: Final = 10


class PostgresPeople:
    """The People port on psycopg.

    What changes who is in a group takes the account's row first, as a change of a
    configuration does: an accept that matched with the older groups matches again.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._principals = Principals(self._read_principal, clock, _REVOKED_WITHIN)

    def _now(self) -> int:
        """Microseconds since 1970 in UTC."""
        return to_microseconds(self._clock.now())

    async def add_account(self, name: str, token: Secret) -> Account:
        async def add(db: Connection) -> Account:
            account_id = str(uuid.uuid4())
            values = {"account_id": account_id, "name": name, "now": self._now()}
            (number,) = await one(db, _Q["account_new"], values)
            first = NewToken(FIRST_TOKEN, Role.ADMINISTRATOR)
            await write_token(db, account_id, token, first, self._now())
            return Account(account_id, number, name)

        for _ in range(_MOST_TRIES):
            try:
                return await self._write(add)
            except UniqueViolation:
                continue  # another node took the number
        raise StorageUnavailable("Too many accounts are added at once.")

    # ---------------------------------------------------------------------------- users

    async def add_users(self, account_id: str, users: Sequence[NewUser]) -> Sequence[User]:
        async def add(db: Connection) -> Sequence[User]:
            places = [(group_id, each.user_id) for each in users for group_id in each.group_ids]
            if places:
                await run(db, QUERIES["configurations_changed"], (account_id,))
                await _check_groups(db, account_id, {group_id for group_id, _ in places})
            values = [people_rows.new_user(account_id, each, self._now()) for each in users]
            columns = {name: [value[name] for value in values] for name in values[0]}
            added = {user_id for (user_id,) in await rows(db, _Q["users_add"], columns)}
            # An id that is given twice is added once, and told of too.
            if len(added) < len(users):
                first = {each.user_id: each for each in reversed(users)}
                raise people_rows.user_exists(
                    each
                    for each in users
                    if each.user_id not in added or first[each.user_id] is not each
                )
            if places:
                await run(db, _Q["members_add"], [list(each) for each in zip(*places, strict=True)])
            return await _users(db, account_id, [each.user_id for each in users])

        return await self._write(add) if users else []

    async def change_users(self, account_id: str, changes: Sequence[UserChange]) -> Sequence[User]:
        async def change(db: Connection) -> Sequence[User]:
            for each in changes:
                values = people_rows.change(account_id, each, self._now())
                try:
                    changed = await run(db, _Q["user_change"], values)
                except UniqueViolation:
                    raise people_rows.user_exists([each]) from None
                if not changed:
                    raise people_rows.no_user([each.user_id])
            return await _users(db, account_id, [each.user_id for each in changes])

        return await self._write_and_forget(change)

    async def close_users(self, account_id: str, user_ids: Sequence[str]) -> Sequence[User]:
        async def close(db: Connection) -> Sequence[User]:
            values = {"account_id": account_id, "user_ids": list(user_ids), "now": self._now()}
            closed = {user_id for (user_id,) in await rows(db, _Q["users_close"], values)}
            if missing := set(user_ids) - closed:
                raise people_rows.no_user(missing)
            await run(db, _Q["user_tokens_revoke"], values)
            return await _users(db, account_id, user_ids)

        return await self._write_and_forget(close)

    async def user(self, account_id: str, user_id: str) -> User | None:
        found = await self._database.read(lambda db: _users(db, account_id, [user_id]))
        return found[0] if found else None

    async def users(self, account_id: str, query: UserQuery, start: int, count: int) -> UserPage:
        values = people_rows.filters(account_id, query)
        found, total = await self._page("users", {**values, "start": start, "count": count})
        return UserPage(tuple(people_rows.user(each) for each in found), total)

    async def groups_of(
        self, account_id: str, user_ids: Collection[str]
    ) -> Mapping[str, tuple[Group, ...]]:
        values = {"account_id": account_id, "user_ids": list(user_ids)}
        return people_rows.groups_of(
            await self._database.read(lambda db: rows(db, _Q["groups_of"], values))
        )

    # --------------------------------------------------------------------------- groups

    async def add_groups(self, account_id: str, names: Sequence[str]) -> Sequence[Group]:
        async def add(db: Connection) -> Sequence[Group]:
            made = []
            for name in names:
                values = {"account_id": account_id, "name": name, "now": self._now()}
                try:
                    (group_id,) = await one(db, _Q["group_add"], values)
                except UniqueViolation:
                    raise people_rows.group_exists(name) from None
                made.append(Group(group_id, name, 0))
            return made

        return await self._write(add)

    async def rename_groups(self, account_id: str, names: Mapping[int, str]) -> Sequence[Group]:
        async def rename(db: Connection) -> Sequence[Group]:
            for group_id, name in names.items():
                values = {"account_id": account_id, "group_id": group_id, "name": name}
                try:
                    renamed = await run(db, _Q["group_rename"], values)
                except UniqueViolation:
                    raise people_rows.group_exists(name) from None
                if not renamed:
                    raise people_rows.no_group([group_id])
            return await _groups(db, account_id, names)

        return await self._write(rename)

    async def delete_groups(self, account_id: str, group_ids: Sequence[int]) -> Sequence[Group]:
        async def delete(db: Connection) -> Sequence[Group]:
            await run(db, QUERIES["configurations_changed"], (account_id,))
            await _check_groups(db, account_id, group_ids)
            before = await _groups(db, account_id, group_ids)
            values = {"account_id": account_id, "group_ids": list(group_ids)}
            await run(db, _Q["groups_delete"], values)
            return before

        return await self._write(delete)

    async def group(self, account_id: str, group_id: int) -> Group | None:
        found = await self._database.read(lambda db: _groups(db, account_id, [group_id]))
        return found[0] if found else None

    async def groups(
        self, account_id: str, start: int, count: int, name: str | None = None
    ) -> GroupPage:
        values = {"account_id": account_id, "name": people_rows.part(name)}
        found, total = await self._page("groups", {**values, "start": start, "count": count})
        return GroupPage(tuple(Group(*each) for each in found), total)

    async def add_members(self, account_id: str, group_id: int, user_ids: Sequence[str]) -> None:
        async def add(db: Connection) -> None:
            await run(db, QUERIES["configurations_changed"], (account_id,))
            await _check_groups(db, account_id, [group_id])
            await _check_users(db, account_id, user_ids)
            columns = [[group_id] * len(user_ids), list(user_ids)]
            await run(db, _Q["members_add"], columns)

        await self._write(add)

    async def remove_members(self, account_id: str, group_id: int, user_ids: Sequence[str]) -> None:
        async def remove(db: Connection) -> None:
            await run(db, QUERIES["configurations_changed"], (account_id,))
            await _check_groups(db, account_id, [group_id])
            await _check_users(db, account_id, user_ids, closed_too=True)
            values = {"group_id": group_id, "user_ids": list(user_ids)}
            await run(db, _Q["members_remove"], values)

        await self._write(remove)

    async def group_members(self, account_id: str, group_ids: Collection[int]) -> Memberships:
        return await self._database.read(lambda db: _members(db, account_id, list(group_ids)))

    # --------------------------------------------------------------------------- tokens

    async def add_token(self, account_id: str, token: Secret, wanted: NewToken) -> Token:
        async def add(db: Connection) -> Token:
            if wanted.user_id is not None:
                await _check_users(db, account_id, [wanted.user_id])
            return await write_token(db, account_id, token, wanted, self._now())

        return await self._write(add)

    async def tokens(
        self, account_id: str, start: int, count: int, user_id: str | None = None
    ) -> TokenPage:
        values = {"account_id": account_id, "user_id": user_id, "now": self._now()}
        found, total = await self._page("tokens", {**values, "start": start, "count": count})
        return TokenPage(tuple(people_rows.token(each) for each in found), total)

    async def revoke_token(self, account_id: str, token_id: str) -> bool:
        start = people_rows.id_bytes(token_id)
        if start is None:
            return False
        values = {"account_id": account_id, "token_id": start, "now": self._now()}
        return await self._write_and_forget(lambda db: run(db, _Q["token_revoke"], values)) > 0

    async def principal(self, token: str) -> Principal | None:
        return await self._principals.get(token)

    def forget(self) -> None:
        """Somebody else has changed what tokens stand for."""
        self._principals.forget()

    async def _read_principal(self, digest: bytes) -> Principal | None:
        values = {"token_hash": digest, "now": self._now()}
        return people_rows.principal(
            await self._database.read(lambda db: row(db, _Q["principal"], values))
        )

    # ------------------------------------------------------------------------- shorthand

    async def _write(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        return await self._database.bounded(self._database.transact(work))

    async def _write_and_forget(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Write what tokens stand for; it goes on when the caller does not wait any more."""
        writing = asyncio.ensure_future(self._write(work))
        writing.add_done_callback(lambda _: self._principals.forget())
        return await asyncio.shield(writing)

    async def _page(
        self, query: str, values: Mapping[str, Any]
    ) -> tuple[list[tuple[Any, ...]], int]:
        """Rows of a listing, and how many there are in all."""

        async def read(db: Connection) -> tuple[list[tuple[Any, ...]], int]:
            (total,) = await one(db, _Q[f"{query}_count"], values)
            return await rows(db, _Q[query], values), total

        return await self._database.read(read, LISTING_PATIENCE)


async def write_token(
    db: Connection, account_id: str, token: Secret, wanted: NewToken, now: int
) -> Token:
    """Add a token within a transaction; `now` is microseconds UTC."""
    values = people_rows.new_token(account_id, token, wanted, now)
    await run(db, _Q["token_add"], values)
    return people_rows.added_token(values)


async def memberships(
    db: Connection, account_id: str, configurations: Iterable[ConnectConfiguration]
) -> Memberships:
    """Who is in the groups that these configurations name."""
    named = people_rows.numbers(text for each in configurations for text in each.group_ids)
    return await _members(db, account_id, named) if named else {}


async def _members(db: Connection, account_id: str, group_ids: Sequence[int]) -> Memberships:
    values = {"account_id": account_id, "group_ids": group_ids}
    return people_rows.memberships(await rows(db, _Q["group_members"], values))


async def _users(
    db: Connection, account_id: str, user_ids: Sequence[str], query: str = "users_by_id"
) -> Sequence[User]:
    """Those of the account, in the order given."""
    values = {"account_id": account_id, "user_ids": list(user_ids)}
    found = {each[0]: people_rows.user(each) for each in await rows(db, _Q[query], values)}
    return [found[user_id] for user_id in user_ids if user_id in found]


async def _groups(db: Connection, account_id: str, group_ids: Iterable[int]) -> Sequence[Group]:
    values = {"account_id": account_id, "group_ids": list(group_ids)}
    return [Group(*each) for each in await rows(db, _Q["groups_by_id"], values)]


async def _check_groups(db: Connection, account_id: str, group_ids: Collection[int]) -> None:
    found = {each.group_id for each in await _groups(db, account_id, group_ids)}
    if missing := set(group_ids) - found:
        raise people_rows.no_group(missing)


async def _check_users(
    db: Connection, account_id: str, user_ids: Sequence[str], *, closed_too: bool = False
) -> None:
    found = await _users(db, account_id, user_ids, "users_by_id_shared")
    usable = {each.user_id for each in found if closed_too or each.status is UserStatus.ACTIVE}
    if missing := set(user_ids) - usable:
        raise people_rows.no_user(missing)
