"""Users, groups and tokens (see store/people.py)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from heliograph.clock import Clock
from heliograph.errors import (
    InvalidGroupId,
    InvalidGroupName,
    InvalidUserId,
    StorageUnavailable,
)
from heliograph.model.accounts import Account, Principal, Role, Secret
from heliograph.model.audit import Action, Change, differing, given
from heliograph.model.people import (
    BUILT_IN,
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
from heliograph.sharing import to_the_end
from heliograph.store import FIRST_TOKEN
from heliograph.store.audit import actor
from heliograph.store.principals import Principals
from heliograph.store.times import to_microseconds
from heliograph.store.verbs import (
    BULK_PATIENCE,
    LISTING_PATIENCE,
    PATIENCE,
    AlreadyThere,
    Engine,
    Rows,
    Step,
    Verb,
    audit,
    people_rows,
    verb_of,
)
from heliograph.store.verbs.configurations import bump_version, group_members

T = TypeVar("T")

_MOST_TRIES: Final = 10


class PeopleVerbs:
    """The People port.

    What changes who is in a group takes the account's row first, as a change of a
    configuration does: an accept that matched with the older groups matches again.
    """

    def __init__(self, engine: Engine, clock: Clock, revoked_within: float | None = None) -> None:
        """`revoked_within`: seconds after which a token that another node revoked works nowhere;
        None where there is no other node."""
        self._engine = engine
        self._clock = clock
        self._principals = Principals(self._read_principal, clock, revoked_within)

    def _now(self) -> int:
        """Microseconds since 1970 in UTC."""
        return to_microseconds(self._clock.now())

    async def add_account(self, name: str, token: Secret) -> Account:
        def verb() -> Verb[Account]:
            account_id = str(uuid.uuid4())
            values = {"account_id": account_id, "name": name, "now": self._now()}
            (row,) = yield Step("account_new", values)
            first = NewToken(FIRST_TOKEN, Role.ADMINISTRATOR)
            yield from write_token(account_id, token, first, self._now())
            # In the audit of who made it: the new tenant is told nothing of another one (S8).
            made = Change(f"account {account_id}", given(name=name))
            whose = actor().account_id or account_id
            yield from audit.note(whose, self._now(), Action.ACCOUNT_CREATED, made)
            return Account(account_id, row.external_id, name)

        for _ in range(_MOST_TRIES):
            try:
                return await self._engine.write(verb)
            except AlreadyThere:
                continue  # another node took the number
        raise StorageUnavailable("Too many accounts are added at once.")

    async def add_users(self, account_id: str, users: Sequence[NewUser]) -> Sequence[User]:
        named: dict[int, list[str]] = {}
        for user in users:
            for group_id in user.group_ids:
                named.setdefault(group_id, []).append(user.user_id)

        def verb() -> Verb[Sequence[User]]:
            if named or any(user.role is Role.ADMINISTRATOR for user in users):
                yield from bump_version(account_id)
            if named:
                yield from _check_groups(account_id, named)
            rows = yield Step("users_add", people_rows.new_users(account_id, users, self._now()))
            added = {row.user_id for row in rows}
            # An id that is given twice is added once, and told of too.
            if len(added) < len(users):
                first = {user.user_id: user for user in reversed(users)}
                raise people_rows.user_exists(
                    user
                    for user in users
                    if user.user_id not in added or first[user.user_id] is not user
                )
            for group_id, user_ids in named.items():
                yield from _change_members("members_add", account_id, group_id, user_ids)
            made = [_changed(user.user_id, {}, _shown(user)) for user in users]
            yield from audit.note(account_id, self._now(), Action.USER_ADDED, *made)
            return (yield from _users(account_id, [user.user_id for user in users]))

        return await self._engine.write(verb, BULK_PATIENCE) if users else []

    async def change_users(self, account_id: str, changes: Sequence[UserChange]) -> Sequence[User]:
        def verb() -> Verb[Sequence[User]]:
            if any(change.role is not None for change in changes):
                yield from bump_version(account_id)  # who is in Administrators
            user_ids = [change.user_id for change in changes]
            before = yield from _users(account_id, user_ids)
            for change in changes:
                values = people_rows.change(account_id, change, self._now())
                try:
                    changed = (yield Step("user_change", values)).changed
                except AlreadyThere:
                    raise people_rows.user_exists([change]) from None
                if not changed:
                    raise people_rows.no_user([change.user_id])
            after = yield from _users(account_id, user_ids)
            done = [
                _changed(new.user_id, _shown(old), _shown(new))
                for old, new in zip(before, after, strict=True)
            ]
            yield from audit.note_changed(account_id, self._now(), Action.USER_CHANGED, *done)
            return after

        return await self._write_and_forget(verb, BULK_PATIENCE)

    async def close_users(self, account_id: str, user_ids: Sequence[str]) -> Sequence[User]:
        def verb() -> Verb[Sequence[User]]:
            values = {"account_id": account_id, "user_ids": list(user_ids), "now": self._now()}
            closed = {row.user_id for row in (yield Step("users_close", values))}
            if missing := set(user_ids) - closed:
                raise people_rows.no_user(missing)
            yield Step("user_tokens_revoke", values)
            gone = [Change(f"user {user_id}") for user_id in user_ids]
            yield from audit.note(account_id, self._now(), Action.USER_CLOSED, *gone)
            return (yield from _users(account_id, user_ids))

        return await self._write_and_forget(verb, BULK_PATIENCE)

    async def user(self, account_id: str, user_id: str) -> User | None:
        found = await self._engine.read(lambda: _users(account_id, [user_id]))
        return found[0] if found else None

    async def users(self, account_id: str, query: UserQuery, start: int, count: int) -> UserPage:
        values = people_rows.filters(account_id, query)
        rows, total = await self._page("users", {**values, "start": start, "count": count})
        return UserPage(tuple(map(people_rows.user, rows)), total)

    async def groups_of(
        self, account_id: str, user_ids: Collection[str]
    ) -> Mapping[str, tuple[Group, ...]]:
        values = {"account_id": account_id, "user_ids": list(user_ids), **people_rows.built_in()}
        return people_rows.groups_of(
            await self._engine.read(lambda: verb_of(Step("groups_of", values)))
        )

    async def add_groups(
        self, account_id: str, names: Sequence[str]
    ) -> Sequence[Group | InvalidGroupName]:
        def verb() -> Verb[Sequence[Group | InvalidGroupName]]:
            taken = {*(yield from _owners(account_id, names)), *BUILT_IN.values()}
            groups: list[Group | InvalidGroupName] = []
            for name in names:
                if name in taken:
                    groups.append(people_rows.group_exists(name))
                    continue
                taken.add(name)
                values = {"account_id": account_id, "name": name, "now": self._now()}
                try:
                    (row,) = yield Step("group_add", values)
                except AlreadyThere:  # meanwhile
                    raise people_rows.group_exists(name) from None
                groups.append(Group(row.group_id, name, 0))
            made = [
                Change(f"group {group.group_id}", given(name=group.name))
                for group in groups
                if isinstance(group, Group)
            ]
            yield from audit.note(account_id, self._now(), Action.GROUP_ADDED, *made)
            return groups

        return await self._engine.write(verb, BULK_PATIENCE)

    async def rename_groups(
        self, account_id: str, names: Mapping[int, str]
    ) -> Sequence[Group | InvalidGroupName | InvalidGroupId]:
        def verb() -> Verb[Sequence[Group | InvalidGroupName | InvalidGroupId]]:
            known = {one.group_id: one.name for one in (yield from _groups(account_id, names))}
            owners = yield from _owners(account_id, [*names.values()])
            owners |= {name: group_id for group_id, name in known.items()}
            owners |= {name: group_id for group_id, name in BUILT_IN.items()}
            before = dict(known)
            refused: dict[int, InvalidGroupName | InvalidGroupId] = {}
            for group_id, name in names.items():
                if group_id not in known:
                    refused[group_id] = people_rows.invalid_group(group_id)
                elif owners.get(name, group_id) != group_id:
                    refused[group_id] = people_rows.group_exists(name)
                else:
                    del owners[known[group_id]]
                    owners[name] = group_id
                    values = {"account_id": account_id, "group_id": group_id, "name": name}
                    try:
                        yield Step("group_rename", values)
                    except AlreadyThere:  # meanwhile
                        raise people_rows.group_exists(name) from None
            renamed = {one.group_id: one for one in (yield from _groups(account_id, names))}
            done = [
                Change(
                    f"group {group_id}", differing({"name": before[group_id]}, {"name": group.name})
                )
                for group_id, group in renamed.items()
                if group_id not in refused
            ]
            yield from audit.note_changed(account_id, self._now(), Action.GROUP_RENAMED, *done)
            return [refused.get(group_id) or renamed[group_id] for group_id in names]

        return await self._engine.write(verb, BULK_PATIENCE)

    async def delete_groups(
        self, account_id: str, group_ids: Sequence[int]
    ) -> Sequence[Group | InvalidGroupId]:
        def verb() -> Verb[Sequence[Group | InvalidGroupId]]:
            yield from bump_version(account_id)
            before = {one.group_id: one for one in (yield from _groups(account_id, group_ids))}
            yield Step("groups_delete", {"account_id": account_id, "group_ids": list(before)})
            gone = [Change(f"group {group_id}") for group_id in before]
            yield from audit.note(account_id, self._now(), Action.GROUP_DELETED, *gone)
            return [before.get(one) or people_rows.invalid_group(one) for one in group_ids]

        return await self._engine.write(verb, BULK_PATIENCE)

    async def group(self, account_id: str, group_id: int) -> Group | None:
        values = {"account_id": account_id, "group_id": group_id, **people_rows.built_in()}
        row = (await self._engine.read(lambda: verb_of(Step("group", values)))).first
        return None if row is None else people_rows.group(row)

    async def groups(
        self, account_id: str, start: int, count: int, name: str | None = None
    ) -> GroupPage:
        which = {"account_id": account_id, "name": people_rows.part(name), **people_rows.built_in()}
        rows, total = await self._page("groups", {**which, "start": start, "count": count})
        return GroupPage(tuple(map(people_rows.group, rows)), total)

    async def add_members(
        self, account_id: str, group_id: int, user_ids: Sequence[str]
    ) -> Sequence[User | InvalidUserId]:
        return await self._change_members("members_add", account_id, group_id, user_ids)

    async def remove_members(
        self, account_id: str, group_id: int, user_ids: Sequence[str]
    ) -> Sequence[User | InvalidUserId]:
        return await self._change_members("members_remove", account_id, group_id, user_ids)

    async def _change_members(
        self, query: str, account_id: str, group_id: int, user_ids: Sequence[str]
    ) -> Sequence[User | InvalidUserId]:
        """Closed users can leave a group, and join none."""

        def verb() -> Verb[Sequence[User | InvalidUserId]]:
            yield from bump_version(account_id)
            yield from _check_groups(account_id, [group_id])
            found = yield from _users(account_id, user_ids, "users_by_id_shared")
            usable = {
                user.user_id: user
                for user in found
                if query == "members_remove" or user.status is UserStatus.ACTIVE
            }
            changed = yield from _change_members(query, account_id, group_id, list(usable))
            action = Action.GROUP_JOINED if query == "members_add" else Action.GROUP_LEFT
            moved = [Change(f"user {row.user_id}", given(group=group_id)) for row in changed]
            yield from audit.note(account_id, self._now(), action, *moved)
            return [usable.get(one) or people_rows.invalid_user(one) for one in user_ids]

        return await self._engine.write(verb, BULK_PATIENCE)

    async def group_members(self, account_id: str, group_ids: Collection[int]) -> Memberships:
        return await self._engine.read(lambda: group_members(account_id, list(group_ids)))

    async def add_token(self, account_id: str, token: Secret, wanted: NewToken) -> Token:
        def verb() -> Verb[Token]:
            if wanted.user_id is not None:
                yield from _check_users(account_id, [wanted.user_id])
            added = yield from write_token(account_id, token, wanted, self._now())
            what = Change(
                f"token {added.token_id}",
                given(
                    name=wanted.name,
                    role=wanted.role,
                    user=wanted.user_id,
                    scopes=wanted.scopes,
                    ends=wanted.expires_at,
                ),
            )
            yield from audit.note(account_id, self._now(), Action.TOKEN_ADDED, what)
            return added

        return await self._engine.write(verb)

    async def tokens(
        self, account_id: str, start: int, count: int, user_id: str | None = None
    ) -> TokenPage:
        values = {"account_id": account_id, "user_id": user_id, "now": self._now()}
        rows, total = await self._page("tokens", {**values, "start": start, "count": count})
        return TokenPage(tuple(map(people_rows.token, rows)), total)

    async def revoke_token(self, account_id: str, token_id: str) -> bool:
        start = people_rows.id_bytes(token_id)
        if start is None:
            return False
        values = {"account_id": account_id, "token_id": start, "now": self._now()}

        def verb() -> Verb[bool]:
            if not (yield Step("token_revoke", values)).changed:
                return False
            revoked = Change(f"token {token_id}")
            yield from audit.note(account_id, self._now(), Action.TOKEN_REVOKED, revoked)
            return True

        return await self._write_and_forget(verb)

    async def principal(self, token: str) -> Principal | None:
        return await self._principals.get(token)

    def forget(self) -> None:
        """Somebody else has changed what tokens stand for."""
        self._principals.forget()

    async def _read_principal(self, digest: bytes) -> Principal | None:
        values = {"token_hash": digest, "now": self._now()}
        rows = await self._engine.read(lambda: verb_of(Step("principal", values)))
        return people_rows.principal(rows.first)

    async def _write_and_forget(self, verb: Callable[[], Verb[T]], patience: float = PATIENCE) -> T:
        return await to_the_end(self._engine.write(verb, patience), self.forget)

    async def _page(self, query: str, values: Mapping[str, Any]) -> tuple[Rows, int]:
        """Rows of a listing, and how many there are in all."""

        def verb() -> Verb[tuple[Rows, int]]:
            (counted,) = yield Step(f"{query}_count", values)
            return (yield Step(query, values)), counted.total

        return await self._engine.read(verb, LISTING_PATIENCE)


def _shown(user: User | NewUser) -> Mapping[str, object]:
    return {
        "email": user.email,
        "name": user.name,
        "givenName": user.given_name or None,
        "familyName": user.family_name or None,
        "role": user.role,
    }


def _changed(user_id: str, before: Mapping[str, object], after: Mapping[str, object]) -> Change:
    return Change(f"user {user_id}", differing(before, after))


def write_token(account_id: str, token: Secret, wanted: NewToken, now: int) -> Verb[Token]:
    """Add a token; `now` is microseconds UTC."""
    values = people_rows.new_token(account_id, token, wanted, now)
    yield Step("token_add", values)
    return people_rows.added_token(values)


def _change_members(
    query: str, account_id: str, group_id: int, user_ids: Sequence[str]
) -> Verb[Rows]:
    values = {"account_id": account_id, "group_id": group_id, "user_ids": list(user_ids)}
    return (yield Step(query, values))


def _users(
    account_id: str, user_ids: Sequence[str], query: str = "users_by_id"
) -> Verb[Sequence[User]]:
    """Those of the account, in the order given."""
    rows = yield Step(query, {"account_id": account_id, "user_ids": list(user_ids)})
    found = {row.user_id: people_rows.user(row) for row in rows}
    return [found[user_id] for user_id in user_ids if user_id in found]


def _owners(account_id: str, names: Sequence[str]) -> Verb[dict[str, int]]:
    """Which of the account's own groups have these names."""
    values = {"account_id": account_id, "names": list(names)}
    return {row.name: row.group_id for row in (yield Step("group_names", values))}


def _groups(account_id: str, group_ids: Iterable[int]) -> Verb[Sequence[Group]]:
    values = {"account_id": account_id, "group_ids": list(group_ids)}
    return [people_rows.group(row) for row in (yield Step("groups_by_id", values))]


def _check_groups(account_id: str, group_ids: Collection[int]) -> Verb[None]:
    found = {group.group_id for group in (yield from _groups(account_id, group_ids))}
    if missing := set(group_ids) - found:
        raise people_rows.no_group(missing)


def _check_users(account_id: str, user_ids: Sequence[str]) -> Verb[Sequence[User]]:
    found = yield from _users(account_id, user_ids, "users_by_id_shared")
    usable = {user.user_id for user in found if user.status is UserStatus.ACTIVE}
    if missing := set(user_ids) - usable:
        raise people_rows.no_user(missing)
    return found
