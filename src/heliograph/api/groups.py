"""Groups of an account, and the users in them.

Paths, names and texts are DocuSign's (Groups). Calls on several groups or users do
all or nothing, where DocuSign reports each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from heliograph.api.contract import paging, parameters
from heliograph.api.contract.operation import Call, Operation
from heliograph.api.contract.parameters import row_id
from heliograph.api.users import in_short, page_of_users
from heliograph.errors import GroupExists, InvalidBody, NotFound
from heliograph.model.accounts import Role
from heliograph.model.people import UserQuery
from heliograph.store import Store
from heliograph.wire import groups as wire
from heliograph.wire.names import LONGEST_EMAIL
from heliograph.wire.users import UserInfoList, UsersResponse, named_users

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
                errors=(GroupExists,),
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
                errors=(GroupExists,),
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
        names = [wire.group_name(group) for group in _groups(call)]
        added = await self._store.people.add_groups(call.account_id, names)
        return wire.GroupInformation(groups=[wire.group_to_wire(group) for group in added])

    async def _rename_groups(self, call: Call) -> wire.GroupInformation:
        names = {wire.group_number(group): wire.group_name(group) for group in _groups(call)}
        renamed = await self._store.people.rename_groups(call.account_id, names)
        return wire.GroupInformation(groups=[wire.group_to_wire(group) for group in renamed])

    async def _delete_groups(self, call: Call) -> wire.GroupInformation:
        ids = list(dict.fromkeys(wire.group_number(group) for group in _groups(call)))
        deleted = await self._store.people.delete_groups(call.account_id, ids)
        return wire.GroupInformation(groups=[wire.group_to_wire(group) for group in deleted])

    async def _list_members(self, call: Call) -> UsersResponse:
        group_id = _group_id(call)
        if await self._store.people.group(call.account_id, group_id) is None:
            raise NotFound(f"There is no group {group_id}.")
        part, page = await page_of_users(self._store, call, UserQuery(group_id=group_id))
        answer = in_short(call, page.users)
        return paging.paged(answer, call, part, len(page.users), page.total)

    async def _add_members(self, call: Call) -> UsersResponse:
        group_id, user_ids = _group_id(call), named_users(call.body)
        users = await self._store.people.add_members(call.account_id, group_id, user_ids)
        return in_short(call, users)

    async def _remove_members(self, call: Call) -> UsersResponse:
        group_id, user_ids = _group_id(call), named_users(call.body)
        users = await self._store.people.remove_members(call.account_id, group_id, user_ids)
        return in_short(call, users)


def _groups(call: Call) -> Sequence[wire.Group]:
    body: wire.GroupInformation = call.body
    if not body.groups:
        raise InvalidBody("groups must name at least one group.")
    return body.groups


def _group_id(call: Call) -> int:
    return row_id(call.path["groupId"], "groupId")
