"""Groups of an account, and the users in them.

Paths, names and texts are DocuSign's (Groups). A call on several groups or users does what it can,
and reports each: what could not be done has its error beside it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from heliograph.api.contract import paging, parameters
from heliograph.api.contract.operation import Call, Operation
from heliograph.api.contract.parameters import row_id
from heliograph.api.users import in_short, page_of_users
from heliograph.errors import (
    ApiError,
    InvalidBody,
    InvalidGroupId,
    InvalidGroupName,
    InvalidParameter,
    InvalidUserId,
    NotFound,
)
from heliograph.model.accounts import Role
from heliograph.model.people import BUILT_IN, Group, User, UserQuery
from heliograph.store import Store
from heliograph.wire import groups as wire
from heliograph.wire import users
from heliograph.wire.names import LONGEST_EMAIL
from heliograph.wire.users import UserInfoList, UsersResponse

A = TypeVar("A")
R = TypeVar("R")
C = TypeVar("C")

_GROUPS: Final = "/accounts/{accountId}/groups"

_SEARCH_TEXT: Final = parameters.text(
    "search_text", "Whose name holds this.", LONGEST_EMAIL, printable=True
)


class Groups:
    """Operations that change something are an administrator's; a viewer may read."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def operations(self) -> Sequence[Operation]:
        """The operations of this module."""
        return [*self._of_whole_groups(), *self._of_members()]

    def _of_whole_groups(self) -> Sequence[Operation]:
        body = wire.GroupInformation
        return [
            Operation(
                operation_id="list_groups",
                method="GET",
                path=_GROUPS,
                handler=self._list_groups,
                role=Role.VIEWER,
                summary="Lists the account's groups.",
                answer=body,
                query=(_SEARCH_TEXT, *paging.PART),
                v2=True,
            ),
            Operation(
                operation_id="create_groups",
                method="POST",
                path=_GROUPS,
                handler=self._add_groups,
                status=201,
                body=body,
                summary="Adds groups.",
                answer=body,
                errors=(InvalidGroupName,),
                v2=True,
            ),
            Operation(
                operation_id="update_groups",
                method="PUT",
                path=_GROUPS,
                handler=self._rename_groups,
                body=body,
                summary="Renames the groups that groupId names.",
                answer=body,
                errors=(InvalidGroupName, InvalidGroupId),
                v2=True,
            ),
            Operation(
                operation_id="delete_groups",
                method="DELETE",
                path=_GROUPS,
                handler=self._delete_groups,
                body=body,
                summary="Deletes groups; their users stay.",
                answer=body,
                errors=(InvalidGroupId,),
                v2=True,
            ),
        ]

    def _of_members(self) -> Sequence[Operation]:
        members = f"{_GROUPS}/{{groupId}}/users"
        return [
            Operation(
                operation_id="list_group_users",
                method="GET",
                path=members,
                handler=self._list_members,
                role=Role.VIEWER,
                summary="Lists the users of a group.",
                answer=UsersResponse,
                query=paging.PART,
                v2=True,
            ),
            Operation(
                operation_id="update_group_users",
                method="PUT",
                path=members,
                handler=self._add_members,
                body=UserInfoList,
                summary="Takes users into a group.",
                answer=UsersResponse,
                errors=(InvalidUserId,),
                v2=True,
            ),
            Operation(
                operation_id="delete_group_users",
                method="DELETE",
                path=members,
                handler=self._remove_members,
                body=UserInfoList,
                summary="Takes users out of a group.",
                answer=UsersResponse,
                errors=(InvalidUserId,),
                v2=True,
            ),
        ]

    async def _list_groups(self, call: Call) -> wire.GroupInformation:
        part = paging.Part.read(call.query)
        name = _SEARCH_TEXT.read(call.query)
        page = await self._store.people.groups(call.account_id, part.start, part.count, name)
        answer = wire.GroupInformation(groups=[wire.group_to_wire(group) for group in page.groups])
        return paging.paged(answer, call, part, len(page.groups), page.total)

    async def _add_groups(self, call: Call) -> wire.GroupInformation:
        async def add(names: Sequence[str]) -> Sequence[Group | ApiError]:
            return await self._store.people.add_groups(call.account_id, names)

        return _answered(call, await _each(_groups(call), wire.group_name, add))

    async def _rename_groups(self, call: Call) -> wire.GroupInformation:
        def read(group: wire.Group) -> tuple[int, str]:
            return wire.changed_group(group), wire.group_name(group)

        async def rename(wanted: Sequence[tuple[int, str]]) -> Sequence[Group | ApiError]:
            # Of a group that is named twice the last name counts, as if it had come alone.
            names = dict(wanted)
            renamed = await self._store.people.rename_groups(call.account_id, names)
            by_id = dict(zip(names, renamed, strict=True))
            return [by_id[group_id] for group_id, _ in wanted]

        return _answered(call, await _each(_groups(call), read, rename))

    async def _delete_groups(self, call: Call) -> wire.GroupInformation:
        async def delete(ids: Sequence[int]) -> Sequence[Group | ApiError]:
            return await self._store.people.delete_groups(call.account_id, ids)

        return _answered(call, await _each(_groups(call), wire.changed_group, delete))

    async def _list_members(self, call: Call) -> UsersResponse:
        group_id = _group_id(call)
        if await self._store.people.group(call.account_id, group_id) is None:
            raise NotFound(f"There is no group {group_id}.")
        part, page = await page_of_users(self._store, call, UserQuery(group_id=group_id))
        answer = in_short(call, page.users)
        return paging.paged(answer, call, part, len(page.users), page.total)

    async def _add_members(self, call: Call) -> UsersResponse:
        return await self._change_members(call, self._store.people.add_members)

    async def _remove_members(self, call: Call) -> UsersResponse:
        return await self._change_members(call, self._store.people.remove_members)

    async def _change_members(
        self,
        call: Call,
        change: Callable[[str, int, Sequence[str]], Awaitable[Sequence[User | InvalidUserId]]],
    ) -> UsersResponse:
        group_id, asked = _group_id(call), users.users_of(call.body)
        if group_id in BUILT_IN:
            raise InvalidParameter(
                f"Who is in {BUILT_IN[group_id]} follows from the users: nobody joins or leaves it."
            )

        async def changed(user_ids: Sequence[str]) -> Sequence[User | ApiError]:
            return await change(call.account_id, group_id, user_ids)

        account = call.principal.account
        answered = await _each(asked, users.changed_user, changed)
        return UsersResponse(
            users=[
                users.change_to_wire(user, one, account)
                for user, one in zip(asked, answered, strict=True)
            ]
        )


async def _each(
    asked: Sequence[A],
    read: Callable[[A], R],
    change: Callable[[Sequence[R]], Awaitable[Sequence[C | ApiError]]],
) -> Sequence[C | ApiError]:
    """What came of each: the change of all that can be read, and the errors of the others."""
    wanted: list[R] = []
    errors: list[ApiError | None] = []
    for item in asked:
        try:
            wanted.append(read(item))
            errors.append(None)
        except ApiError as error:
            errors.append(error)
    changed = iter(await change(wanted) if wanted else ())
    return [next(changed) if error is None else error for error in errors]


def _answered(call: Call, changed: Sequence[Group | ApiError]) -> wire.GroupInformation:
    return wire.GroupInformation(
        groups=[
            wire.change_to_wire(asked, one)
            for asked, one in zip(_groups(call), changed, strict=True)
        ]
    )


def _groups(call: Call) -> Sequence[wire.Group]:
    body: wire.GroupInformation = call.body
    if not body.groups:
        raise InvalidBody("groups must name at least one group.")
    return body.groups


def _group_id(call: Call) -> int:
    return row_id(call.path["groupId"], "groupId")
