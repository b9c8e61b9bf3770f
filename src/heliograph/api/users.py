"""Users of an account.

Paths, names and texts are DocuSign's (Users). Calls on several users do all or nothing,
where DocuSign reports each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from heliograph.api.contract import paging, parameters
from heliograph.api.contract.operation import Call, Operation
from heliograph.errors import InvalidBody, InvalidParameter, NotFound, UserExists
from heliograph.model.accounts import Role
from heliograph.model.people import User, UserPage, UserQuery
from heliograph.store import Store
from heliograph.wire import users as wire
from heliograph.wire.names import guid

_USERS: Final = "/accounts/{accountId}/users"

MOST_USERS: Final = 10_000
"""Users that one call adds: they are one transaction."""

BODY_LIMIT: Final = 5 * 2**20
"""Bytes of such a call."""

_ADDITIONAL_INFO: Final = parameters.flag("additional_info", "Also list each user's groups.")
_DELETE: Final = parameters.unused("delete")
_ALL_LANGUAGES: Final = parameters.unused("allow_all_languages")


class Users:
    """Operations that change something are an administrator's; a viewer may read."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def operations(self) -> Sequence[Operation]:
        """The operations of this module."""
        return [
            Operation(
                operation_id="list_account_users",
                method="GET",
                path=_USERS,
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
                path=_USERS,
                handler=self._add_users,
                status=201,
                lasting=True,
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
                path=_USERS,
                handler=self._change_users,
                lasting=True,
                body=wire.UserInformationList,
                summary="Changes the users that userId names; what is not given stays.",
                answer=wire.UserInformationList,
                query=(_ALL_LANGUAGES,),
                errors=(UserExists,),
                v2=True,
            ),
            Operation(
                operation_id="delete_users",
                method="DELETE",
                path=_USERS,
                handler=self._close_users,
                body=wire.UserInfoList,
                summary="Closes users: their tokens end, and their e-mails are free again.",
                answer=wire.UsersResponse,
                query=(_DELETE,),
                v2=True,
            ),
            Operation(
                operation_id="update_user",
                method="PUT",
                path=f"{_USERS}/{{userId}}",
                handler=self._change_user,
                lasting=True,
                body=wire.UserInformation,
                summary="Changes one user; what is not given stays.",
                answer=wire.UserInformation,
                query=(_ALL_LANGUAGES,),
                errors=(UserExists,),
                v2=True,
            ),
            Operation(
                operation_id="get_user",
                method="GET",
                path=f"{_USERS}/{{userId}}",
                handler=self._get_user,
                role=Role.VIEWER,
                summary="Shows one user and its groups.",
                answer=wire.UserInformation,
                v2=True,
            ),
        ]

    async def _list_users(self, call: Call) -> wire.UserInformationList:
        part, page = await page_of_users(self._store, call, paging.users(call.query))
        groups = None
        if _ADDITIONAL_INFO.read(call.query):
            ids = [user.user_id for user in page.users]
            groups = await self._store.people.groups_of(call.account_id, ids)
        shown = [
            wire.user_to_wire(user, None if groups is None else groups.get(user.user_id, ()))
            for user in page.users
        ]
        answer = wire.UserInformationList(users=shown)
        return paging.paged(answer, call, part, len(shown), page.total)

    async def _get_user(self, call: Call) -> wire.UserInformation:
        user_id = call.path["userId"].lower()
        user = await self._store.people.user(call.account_id, user_id)
        if user is None:
            raise NotFound(f"There is no user {user_id}.")
        groups = await self._store.people.groups_of(call.account_id, [user_id])
        return wire.user_to_wire(user, groups.get(user_id, ()))

    async def _add_users(self, call: Call) -> wire.NewUsersSummary:
        body: wire.NewUsersDefinition = call.body
        new = [wire.new_user(user) for user in body.new_users or ()]
        if not 0 < len(new) <= MOST_USERS:
            raise InvalidBody(f"newUsers must be 1 to {MOST_USERS} users.")
        added = await self._store.people.add_users(call.account_id, new)
        return wire.NewUsersSummary(new_users=[wire.added_to_wire(user) for user in added])

    async def _change_users(self, call: Call) -> wire.UserInformationList:
        body: wire.UserInformationList = call.body
        changes = [wire.user_change(user) for user in body.users or ()]
        if not changes:
            raise InvalidBody("users must name at least one user by its userId.")
        changed = await self._store.people.change_users(call.account_id, changes)
        return wire.UserInformationList(users=[wire.user_to_wire(user) for user in changed])

    async def _change_user(self, call: Call) -> wire.UserInformation:
        try:
            user_id = guid(call.path["userId"])
        except InvalidBody:
            raise NotFound("There is no such user.") from None
        change = wire.user_change(msgspec.structs.replace(call.body, user_id=user_id))
        (changed,) = await self._store.people.change_users(call.account_id, [change])
        return wire.user_to_wire(changed)

    async def _close_users(self, call: Call) -> wire.UsersResponse:
        user_ids = wire.named_users(call.body)
        if call.principal.user_id in user_ids:
            # Whoever is left without an administrator cannot make one.
            raise InvalidParameter("You cannot close yourself: another administrator can.")
        return in_short(call, await self._store.people.close_users(call.account_id, user_ids))


async def page_of_users(store: Store, call: Call, query: UserQuery) -> tuple[paging.Part, UserPage]:
    """The page of a listing of users that a call asks for."""
    part = paging.Part.read(call.query)
    return part, await store.people.users(call.account_id, query, part.start, part.count)


def in_short(call: Call, users: Sequence[User]) -> wire.UsersResponse:
    """Users without what only a listing of them all shows."""
    return wire.UsersResponse(
        users=[wire.short_to_wire(user, call.principal.account) for user in users]
    )
