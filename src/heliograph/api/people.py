"""Users and groups of an account, and which users a configuration gets events of.

Paths, names and texts are DocuSign's (Users, Groups, Connect). Calls on several users or
groups do all or nothing, where DocuSign reports each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from heliograph.api.contract import paging, parameters
from heliograph.api.contract.operation import Call, Operation
from heliograph.api.contract.parameters import row_id
from heliograph.delivery.matching import includes
from heliograph.errors import GroupExists, InvalidBody, InvalidParameter, NotFound, UserExists
from heliograph.model.accounts import Role
from heliograph.model.configurations import ConnectConfiguration, Interest
from heliograph.model.people import Named, User, UserPage, UserQuery
from heliograph.store import Store
from heliograph.wire import people as wire
from heliograph.wire.people import LONGEST_EMAIL

_ACCOUNT: Final = "/accounts/{accountId}"

MOST_USERS: Final = 10_000
"""Users that one call adds: they are one transaction."""

BODY_LIMIT: Final = 5 * 2**20
"""Bytes of such a call."""

_ADDITIONAL_INFO: Final = parameters.flag("additional_info", "Also list each user's groups.")
_SEARCH_TEXT: Final = parameters.text(
    "search_text", "Whose name holds this.", LONGEST_EMAIL, printable=True
)
_LIST_INCLUDED: Final = parameters.flag(
    "list_included_users", "false: those whose events it does not get.", default=True
)
_DOMAIN_ONLY: Final = parameters.flag(
    "domain_users_only", "Those whose e-mail has the domain of the caller's own."
)

_NOBODY: Final = Named(frozenset(), frozenset(), inside=True)


class People:
    """Operations that change something are an administrator's; a viewer may read."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def operations(self) -> Sequence[Operation]:
        """The operations of this module."""
        return [*self._of_users(), *self._of_groups(), *self._of_connect()]

    def _of_users(self) -> Sequence[Operation]:
        users = f"{_ACCOUNT}/users"
        return [
            Operation(
                operation_id="list_account_users",
                method="GET",
                path=users,
                handler=self._list_users,
                role=Role.VIEWER,
                summary="Lists the account's users.",
                answer=wire.UserInformationList,
                query=(*paging.USERS, paging.EMAIL, paging.GROUP_ID, _ADDITIONAL_INFO),
                v2=True,
            ),
            Operation(
                operation_id="create_users",
                method="POST",
                path=users,
                handler=self._add_users,
                status=201,
                body=wire.NewUsersDefinition,
                body_limit=BODY_LIMIT,
                summary="Adds users.",
                answer=wire.NewUsersSummary,
                errors=(UserExists,),
                v2=True,
            ),
            Operation(
                operation_id="update_users",
                method="PUT",
                path=users,
                handler=self._change_users,
                body=wire.UserInformationList,
                summary="Changes the users that userId names; what is not given stays.",
                answer=wire.UserInformationList,
                errors=(UserExists,),
                v2=True,
            ),
            Operation(
                operation_id="delete_users",
                method="DELETE",
                path=users,
                handler=self._close_users,
                body=wire.UserInfoList,
                summary="Closes users: their tokens end, and their e-mails are free again.",
                answer=wire.UsersResponse,
                v2=True,
            ),
            Operation(
                operation_id="get_user",
                method="GET",
                path=f"{users}/{{userId}}",
                handler=self._get_user,
                role=Role.VIEWER,
                summary="Shows one user and its groups.",
                answer=wire.UserInformation,
                v2=True,
            ),
        ]

    def _of_groups(self) -> Sequence[Operation]:
        return [*self._of_whole_groups(), *self._of_members()]

    def _of_whole_groups(self) -> Sequence[Operation]:
        groups, body = f"{_ACCOUNT}/groups", wire.GroupInformation
        return [
            Operation(
                operation_id="list_groups",
                method="GET",
                path=groups,
                handler=self._list_groups,
                role=Role.VIEWER,
                summary="Lists the account's groups.",
                answer=body,
                query=(_SEARCH_TEXT, *paging.PLACE),
                v2=True,
            ),
            Operation(
                operation_id="create_groups",
                method="POST",
                path=groups,
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
                path=groups,
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
                path=groups,
                handler=self._delete_groups,
                body=body,
                summary="Deletes groups; their users stay.",
                answer=body,
                v2=True,
            ),
        ]

    def _of_members(self) -> Sequence[Operation]:
        members = f"{_ACCOUNT}/groups/{{groupId}}/users"
        return [
            Operation(
                operation_id="list_group_users",
                method="GET",
                path=members,
                handler=self._list_members,
                role=Role.VIEWER,
                summary="Lists the users of a group.",
                answer=wire.UsersResponse,
                query=paging.PLACE,
                v2=True,
            ),
            Operation(
                operation_id="update_group_users",
                method="PUT",
                path=members,
                handler=self._add_members,
                body=wire.UserInfoList,
                summary="Takes users into a group.",
                answer=wire.UsersResponse,
                v2=True,
            ),
            Operation(
                operation_id="delete_group_users",
                method="DELETE",
                path=members,
                handler=self._remove_members,
                body=wire.UserInfoList,
                summary="Takes users out of a group.",
                answer=wire.UsersResponse,
                v2=True,
            ),
        ]

    def _of_connect(self) -> Sequence[Operation]:
        configuration = f"{_ACCOUNT}/connect/{{connectId}}"
        return [
            Operation(
                operation_id="list_users",
                method="GET",
                path=f"{configuration}/users",
                handler=self._list_included,
                role=Role.VIEWER,
                summary="Lists the users whose events a configuration gets, or the others.",
                answer=wire.IntegratedUserInfoList,
                query=(*paging.USERS, _LIST_INCLUDED),
                v2=True,
            ),
            Operation(
                operation_id="get_connect_all_users",
                method="GET",
                path=f"{configuration}/all/users",
                handler=self._list_all,
                role=Role.VIEWER,
                summary="Lists all users, and whether a configuration gets their events.",
                answer=wire.IntegratedConnectUserInfoList,
                query=(*paging.USERS, _DOMAIN_ONLY),
            ),
        ]

    # ---------------------------------------------------------------------------- users

    async def _list_users(self, call: Call) -> wire.UserInformationList:
        place, page = await self._page(call, paging.users(call.query))
        groups = None
        if _ADDITIONAL_INFO.read(call.query):
            ids = [one.user_id for one in page.users]
            groups = await self._store.people.groups_of(call.account_id, ids)
        shown = [
            wire.user_to_wire(one, None if groups is None else groups.get(one.user_id, ()))
            for one in page.users
        ]
        answer = wire.UserInformationList(users=shown)
        return paging.paged(answer, call, place, len(shown), page.total)

    async def _page(self, call: Call, query: UserQuery) -> tuple[paging.Place, UserPage]:
        place = paging.Place.read(call.query)
        return place, await self._store.people.users(
            call.account_id, query, place.start, place.count
        )

    async def _get_user(self, call: Call) -> wire.UserInformation:
        user_id = call.path["userId"].lower()
        found = await self._store.people.user(call.account_id, user_id)
        if found is None:
            raise NotFound(f"There is no user {user_id}.")
        groups = await self._store.people.groups_of(call.account_id, [user_id])
        return wire.user_to_wire(found, groups.get(user_id, ()))

    async def _add_users(self, call: Call) -> wire.NewUsersSummary:
        given: wire.NewUsersDefinition = call.body
        new = [wire.new_user(one) for one in given.new_users or ()]
        if not 0 < len(new) <= MOST_USERS:
            raise InvalidBody(f"newUsers must be 1 to {MOST_USERS} users.")
        added = await self._store.people.add_users(call.account_id, new)
        return wire.NewUsersSummary(new_users=[wire.added_to_wire(one) for one in added])

    async def _change_users(self, call: Call) -> wire.UserInformationList:
        given: wire.UserInformationList = call.body
        changes = [wire.user_change(one) for one in given.users or ()]
        if not changes:
            raise InvalidBody("users must name at least one user by its userId.")
        changed = await self._store.people.change_users(call.account_id, changes)
        return wire.UserInformationList(users=[wire.user_to_wire(one) for one in changed])

    async def _close_users(self, call: Call) -> wire.UsersResponse:
        user_ids = wire.named_users(call.body)
        if call.principal.user_id in user_ids:
            # Whoever is left without an administrator cannot make one.
            raise InvalidParameter("You cannot close yourself: another administrator can.")
        return _short(call, await self._store.people.close_users(call.account_id, user_ids))

    # --------------------------------------------------------------------------- groups

    async def _list_groups(self, call: Call) -> wire.GroupInformation:
        place = paging.Place.read(call.query)
        name = _SEARCH_TEXT.read(call.query)
        page = await self._store.people.groups(call.account_id, place.start, place.count, name)
        answer = wire.GroupInformation(groups=[wire.group_to_wire(one) for one in page.groups])
        return paging.paged(answer, call, place, len(page.groups), page.total)

    async def _add_groups(self, call: Call) -> wire.GroupInformation:
        names = [wire.group_name(one) for one in _groups(call)]
        added = await self._store.people.add_groups(call.account_id, names)
        return wire.GroupInformation(groups=[wire.group_to_wire(one) for one in added])

    async def _rename_groups(self, call: Call) -> wire.GroupInformation:
        names = {wire.group_number(one): wire.group_name(one) for one in _groups(call)}
        renamed = await self._store.people.rename_groups(call.account_id, names)
        return wire.GroupInformation(groups=[wire.group_to_wire(one) for one in renamed])

    async def _delete_groups(self, call: Call) -> wire.GroupInformation:
        ids = list(dict.fromkeys(wire.group_number(one) for one in _groups(call)))
        deleted = await self._store.people.delete_groups(call.account_id, ids)
        return wire.GroupInformation(groups=[wire.group_to_wire(one) for one in deleted])

    async def _list_members(self, call: Call) -> wire.UsersResponse:
        group_id = _group_id(call)
        if await self._store.people.group(call.account_id, group_id) is None:
            raise NotFound(f"There is no group {group_id}.")
        place, page = await self._page(call, UserQuery(group_id=group_id))
        answer = _short(call, page.users)
        return paging.paged(answer, call, place, len(page.users), page.total)

    async def _add_members(self, call: Call) -> wire.UsersResponse:
        group_id, user_ids = _group_id(call), wire.named_users(call.body)
        await self._store.people.add_members(call.account_id, group_id, user_ids)
        return await self._members(call, user_ids)

    async def _remove_members(self, call: Call) -> wire.UsersResponse:
        group_id, user_ids = _group_id(call), wire.named_users(call.body)
        await self._store.people.remove_members(call.account_id, group_id, user_ids)
        return await self._members(call, user_ids)

    async def _members(self, call: Call, user_ids: Sequence[str]) -> wire.UsersResponse:
        found = [await self._store.people.user(call.account_id, user_id) for user_id in user_ids]
        return _short(call, [one for one in found if one is not None])

    # -------------------------------------------------------------------------- connect

    async def _list_included(self, call: Call) -> wire.IntegratedUserInfoList:
        interest = (await self._configuration(call)).interest
        included = _LIST_INCLUDED.read(call.query)
        query = replace(paging.users(call.query), named=_named(interest, included=included))
        place, page = await self._page(call, query)
        every = interest.all_users and not interest.all_users_except
        answer = wire.IntegratedUserInfoList(
            all_users_selected="true" if every else "false",
            users=[wire.short_to_wire(one, call.principal.account) for one in page.users],
        )
        return paging.paged(answer, call, place, len(page.users), page.total)

    async def _list_all(self, call: Call) -> wire.IntegratedConnectUserInfoList:
        configuration = await self._configuration(call)
        query = paging.users(call.query)
        if _DOMAIN_ONLY.read(call.query):
            query = replace(query, domain=await self._domain(call))
        place, page = await self._page(call, query)
        ids = [one.user_id for one in page.users]
        groups = await self._store.people.groups_of(call.account_id, ids)
        shown = []
        for one in page.users:
            inside = frozenset(str(group.group_id) for group in groups.get(one.user_id, ()))
            included = includes(configuration, one.user_id, inside)
            shown.append(wire.included_to_wire(one, included=included))
        answer = wire.IntegratedConnectUserInfoList(users=shown)
        return paging.paged(answer, call, place, len(shown), page.total)

    async def _configuration(self, call: Call) -> ConnectConfiguration:
        connect_id = row_id(call.path["connectId"], "connectId")
        configuration = await self._store.configuration(call.account_id, connect_id)
        if configuration is None:
            raise NotFound(f"There is no configuration {connect_id}.")
        return configuration

    async def _domain(self, call: Call) -> str:
        """What stands behind the @ of the caller's e-mail."""
        user_id = call.principal.user_id
        found = None if user_id is None else await self._store.people.user(call.account_id, user_id)
        if found is None:
            raise InvalidParameter("domain_users_only takes the token of a user: this has no user.")
        return found.email.rpartition("@")[2]


def _named(interest: Interest, *, included: bool) -> Named | None:
    """Which users events of are wanted, or are not; None stands for all."""
    if interest.all_users and not interest.all_users_except:
        return None if included else _NOBODY
    inside = included is not interest.all_users_except
    return Named(interest.user_ids, interest.group_ids, inside)


def _short(call: Call, users: Sequence[User]) -> wire.UsersResponse:
    return wire.UsersResponse(
        users=[wire.short_to_wire(one, call.principal.account) for one in users]
    )


def _groups(call: Call) -> Sequence[wire.Group]:
    given: wire.GroupInformation = call.body
    if not given.groups:
        raise InvalidBody("groups must name at least one group.")
    return given.groups


def _group_id(call: Call) -> int:
    return row_id(call.path["groupId"], "groupId")
