"""Users, groups and tokens on SQLite."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

import apsw

from heliograph.clock import Clock
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
from heliograph.store.principals import Principals
from heliograph.store.sqlite.connection import Readers, Writer, fetch
from heliograph.store.sqlite.queue import Queue
from heliograph.store.times import to_microseconds

T = TypeVar("T")

_Q: Final = sql.filled_queries("sqlite/people.sql")


class SqlitePeople:
    """The People port on apsw. Nobody else writes this database (R20)."""

    def __init__(self, writer: Writer, readers: Readers, queue: Queue, clock: Clock) -> None:
        self._writer = writer
        self._readers = readers
        self._queue = queue
        self._clock = clock
        self._principals = Principals(self._read_principal, clock)

    def _now(self) -> int:
        """Microseconds since 1970 in UTC."""
        return to_microseconds(self._clock.now())

    async def add_account(self, name: str, token: Secret) -> Account:
        account_id = str(uuid.uuid4())

        def run(db: apsw.Connection) -> Account:
            values = {"account_id": account_id, "name": name, "now": self._now()}
            number = int(db.execute(_Q["account_new"], values).get)
            first = NewToken(FIRST_TOKEN, Role.ADMINISTRATOR)
            write_token(db, account_id, token, first, self._now())
            return Account(account_id, number, name)

        return await self._writer.write(run)

    # ---------------------------------------------------------------------------- users

    async def add_users(self, account_id: str, users: Sequence[NewUser]) -> Sequence[User]:
        def run(db: apsw.Connection) -> Sequence[User]:
            group_ids = {group_id for one in users for group_id in one.group_ids}
            _check_groups(db, account_id, group_ids)
            taken = []
            for one in users:
                try:
                    db.execute(_Q["user_add"], people_rows.new_user(account_id, one, self._now()))
                except apsw.ConstraintError:
                    taken.append(one)
            if taken:
                raise people_rows.user_exists(taken)
            for one in users:
                for group_id in one.group_ids:
                    _write_member(db, "member_add", group_id, one.user_id)
            if group_ids:
                self._queue.configurations_changed(db, account_id)
            return _users(db, account_id, [one.user_id for one in users])

        return await self._writer.write(run)

    async def change_users(self, account_id: str, changes: Sequence[UserChange]) -> Sequence[User]:
        def run(db: apsw.Connection) -> Sequence[User]:
            for one in changes:
                try:
                    db.execute(_Q["user_change"], people_rows.change(account_id, one, self._now()))
                except apsw.ConstraintError:
                    raise people_rows.user_exists([one]) from None
                if not db.changes():
                    raise people_rows.no_user([one.user_id])
            return _users(db, account_id, [one.user_id for one in changes])

        return await self._write_and_forget(run)

    async def close_users(self, account_id: str, user_ids: Sequence[str]) -> Sequence[User]:
        def run(db: apsw.Connection) -> Sequence[User]:
            for user_id in dict.fromkeys(user_ids):
                values = {"account_id": account_id, "user_id": user_id, "now": self._now()}
                db.execute(_Q["user_close"], values)
                if not db.changes():
                    raise people_rows.no_user([user_id])
                db.execute(_Q["user_tokens_revoke"], values)
            return _users(db, account_id, user_ids)

        return await self._write_and_forget(run)

    async def user(self, account_id: str, user_id: str) -> User | None:
        found = await self._readers.read(lambda db: _users(db, account_id, [user_id]))
        return found[0] if found else None

    async def users(self, account_id: str, query: UserQuery, start: int, count: int) -> UserPage:
        values = people_rows.filters(account_id, query)
        for name in ("statuses", "named_users", "named_groups"):
            values[name] = None if values[name] is None else json.dumps(values[name])
        found, total = await self._page("users", {**values, "start": start, "count": count})
        return UserPage(tuple(people_rows.user(row) for row in found), total)

    async def groups_of(
        self, account_id: str, user_ids: Collection[str]
    ) -> Mapping[str, tuple[Group, ...]]:
        values = {"account_id": account_id, "user_ids": json.dumps(list(user_ids))}
        found = await self._readers.read(lambda db: fetch(db, _Q["groups_of"], values))
        return people_rows.groups_of(found)

    # --------------------------------------------------------------------------- groups

    async def add_groups(self, account_id: str, names: Sequence[str]) -> Sequence[Group]:
        def run(db: apsw.Connection) -> Sequence[Group]:
            made = []
            for name in names:
                values = {"account_id": account_id, "name": name, "now": self._now()}
                try:
                    made.append(Group(int(db.execute(_Q["group_add"], values).get), name, 0))
                except apsw.ConstraintError:
                    raise people_rows.group_exists(name) from None
            return made

        return await self._writer.write(run)

    async def rename_groups(self, account_id: str, names: Mapping[int, str]) -> Sequence[Group]:
        def run(db: apsw.Connection) -> Sequence[Group]:
            for group_id, name in names.items():
                values = {"account_id": account_id, "group_id": group_id, "name": name}
                try:
                    db.execute(_Q["group_rename"], values)
                except apsw.ConstraintError:
                    raise people_rows.group_exists(name) from None
                if not db.changes():
                    raise people_rows.no_group([group_id])
            return _groups(db, account_id, names)

        return await self._writer.write(run)

    async def delete_groups(self, account_id: str, group_ids: Sequence[int]) -> Sequence[Group]:
        def run(db: apsw.Connection) -> Sequence[Group]:
            _check_groups(db, account_id, group_ids)
            before = _groups(db, account_id, group_ids)
            for one in before:
                values = {"account_id": account_id, "group_id": one.group_id}
                db.execute(_Q["group_delete"], values)
            self._queue.configurations_changed(db, account_id)
            return before

        return await self._writer.write(run)

    async def group(self, account_id: str, group_id: int) -> Group | None:
        found = await self._readers.read(lambda db: _groups(db, account_id, [group_id]))
        return found[0] if found else None

    async def groups(
        self, account_id: str, start: int, count: int, name: str | None = None
    ) -> GroupPage:
        values = {"account_id": account_id, "name": people_rows.part(name)}
        found, total = await self._page("groups", {**values, "start": start, "count": count})
        return GroupPage(tuple(Group(*row) for row in found), total)

    async def add_members(self, account_id: str, group_id: int, user_ids: Sequence[str]) -> None:
        await self._write_members("member_add", account_id, group_id, user_ids)

    async def remove_members(self, account_id: str, group_id: int, user_ids: Sequence[str]) -> None:
        await self._write_members("member_remove", account_id, group_id, user_ids)

    async def _write_members(
        self, query: str, account_id: str, group_id: int, user_ids: Sequence[str]
    ) -> None:
        adding = query == "member_add"

        def run(db: apsw.Connection) -> None:
            _check_groups(db, account_id, [group_id])
            found = _users(db, account_id, user_ids)
            usable = {one.user_id for one in found if not adding or one.status is UserStatus.ACTIVE}
            if missing := set(user_ids) - usable:
                raise people_rows.no_user(missing)
            for user_id in user_ids:
                _write_member(db, query, group_id, user_id)
            self._queue.configurations_changed(db, account_id)

        await self._writer.write(run)

    async def group_members(self, account_id: str, group_ids: Collection[int]) -> Memberships:
        return await self._readers.read(lambda db: _members(db, account_id, list(group_ids)))

    # --------------------------------------------------------------------------- tokens

    async def add_token(self, account_id: str, token: Secret, wanted: NewToken) -> Token:
        def run(db: apsw.Connection) -> Token:
            if wanted.user_id is not None:
                found = _users(db, account_id, [wanted.user_id])
                if not found or found[0].status is not UserStatus.ACTIVE:
                    raise people_rows.no_user([wanted.user_id])
            return write_token(db, account_id, token, wanted, self._now())

        return await self._writer.write(run)

    async def tokens(
        self, account_id: str, start: int, count: int, user_id: str | None = None
    ) -> TokenPage:
        values = {"account_id": account_id, "user_id": user_id, "now": self._now()}
        found, total = await self._page("tokens", {**values, "start": start, "count": count})
        return TokenPage(tuple(people_rows.token(row) for row in found), total)

    async def revoke_token(self, account_id: str, token_id: str) -> bool:
        start = people_rows.id_bytes(token_id)
        if start is None:
            return False

        def run(db: apsw.Connection) -> bool:
            values = {"account_id": account_id, "token_id": start, "now": self._now()}
            db.execute(_Q["token_revoke"], values)
            return db.changes() > 0

        return await self._write_and_forget(run)

    async def _write_and_forget(self, run: Callable[[apsw.Connection], T]) -> T:
        """Write what tokens stand for; it goes on when the caller does not wait any more."""
        writing = asyncio.ensure_future(self._writer.write(run))
        writing.add_done_callback(lambda _: self._principals.forget())
        return await asyncio.shield(writing)

    async def principal(self, token: str) -> Principal | None:
        return await self._principals.get(token)

    def forget(self) -> None:
        """Somebody else has changed what tokens stand for."""
        self._principals.forget()

    async def _read_principal(self, digest: bytes) -> Principal | None:
        values = {"token_hash": digest, "now": self._now()}
        return people_rows.principal(
            await self._readers.read(lambda db: db.execute(_Q["principal"], values).fetchone())
        )

    async def _page(
        self, query: str, values: Mapping[str, Any]
    ) -> tuple[list[tuple[Any, ...]], int]:
        """Rows of a listing, and how many there are in all, of one snapshot."""
        return await self._readers.read(
            lambda db: (
                fetch(db, _Q[query], values),
                int(db.execute(_Q[f"{query}_count"], values).get),
            )
        )


def write_token(
    db: apsw.Connection, account_id: str, token: Secret, wanted: NewToken, now: int
) -> Token:
    """Add a token within a transaction of the writer's; `now` is microseconds UTC."""
    values = people_rows.new_token(account_id, token, wanted, now)
    db.execute(_Q["token_add"], values)
    return people_rows.added_token(values)


def memberships(
    db: apsw.Connection, account_id: str, configurations: Iterable[ConnectConfiguration]
) -> Memberships:
    """Who is in the groups that these configurations name."""
    named = people_rows.numbers(text for one in configurations for text in one.group_ids)
    return _members(db, account_id, named) if named else {}


def _members(db: apsw.Connection, account_id: str, group_ids: Sequence[int]) -> Memberships:
    values = {"account_id": account_id, "group_ids": json.dumps(group_ids)}
    return people_rows.memberships(fetch(db, _Q["group_members"], values))


def _write_member(db: apsw.Connection, query: str, group_id: int, user_id: str) -> None:
    db.execute(_Q[query], {"group_id": group_id, "user_id": user_id})


def _users(db: apsw.Connection, account_id: str, user_ids: Sequence[str]) -> Sequence[User]:
    """Those of the account, in the order given."""
    values = {"account_id": account_id, "user_ids": json.dumps(list(user_ids))}
    found = {row[0]: people_rows.user(row) for row in fetch(db, _Q["users_by_id"], values)}
    return [found[user_id] for user_id in user_ids if user_id in found]


def _groups(db: apsw.Connection, account_id: str, group_ids: Iterable[int]) -> Sequence[Group]:
    values = {"account_id": account_id, "group_ids": json.dumps(list(group_ids))}
    return [Group(*row) for row in fetch(db, _Q["groups_by_id"], values)]


def _check_groups(db: apsw.Connection, account_id: str, group_ids: Collection[int]) -> None:
    found = {one.group_id for one in _groups(db, account_id, group_ids)}
    if missing := set(group_ids) - found:
        raise people_rows.no_group(missing)
