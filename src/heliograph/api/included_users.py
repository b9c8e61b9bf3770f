"""Which users a configuration gets events of.

Paths, names and texts are DocuSign's (Connect).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from heliograph.api.contract import paging, parameters
from heliograph.api.contract.operation import Call, Operation
from heliograph.api.contract.parameters import row_id
from heliograph.api.users import page_of_users
from heliograph.delivery.matching import includes
from heliograph.errors import InvalidParameter, NotFound
from heliograph.model.accounts import Role
from heliograph.model.configurations import ConnectConfiguration, Interest
from heliograph.model.people import Named
from heliograph.store import Store
from heliograph.wire import users as wire

_LIST_INCLUDED: Final = parameters.flag(
    "list_included_users", "false: those whose events it does not get.", default=True
)
_DOMAIN_ONLY: Final = parameters.flag(
    "domain_users_only", "Those whose e-mail has the domain of the caller's own."
)

_NOBODY: Final = Named(frozenset(), frozenset(), inside=True)


class IncludedUsers:
    """A viewer may call both."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def operations(self) -> Sequence[Operation]:
        """The operations of this module."""
        configuration = "/accounts/{accountId}/connect/{connectId}"
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

    async def _list_included(self, call: Call) -> wire.IntegratedUserInfoList:
        interest = (await self._configuration(call)).interest
        included = _LIST_INCLUDED.read(call.query)
        query = replace(paging.users(call.query), named=_named(interest, included=included))
        part, page = await page_of_users(self._store, call, query)
        every = interest.all_users and not interest.all_users_except
        answer = wire.IntegratedUserInfoList(
            all_users_selected="true" if every else "false",
            users=[wire.short_to_wire(user, call.principal.account) for user in page.users],
        )
        return paging.paged(answer, call, part, len(page.users), page.total)

    async def _list_all(self, call: Call) -> wire.IntegratedConnectUserInfoList:
        configuration = await self._configuration(call)
        query = paging.users(call.query)
        if _DOMAIN_ONLY.read(call.query):
            query = replace(query, domain=await self._domain(call))
        part, page = await page_of_users(self._store, call, query)
        ids = [user.user_id for user in page.users]
        groups = await self._store.people.groups_of(call.account_id, ids)
        shown = []
        for user in page.users:
            inside = frozenset(str(group.group_id) for group in groups.get(user.user_id, ()))
            included = includes(configuration, user.user_id, inside)
            shown.append(wire.included_to_wire(user, included=included))
        answer = wire.IntegratedConnectUserInfoList(users=shown)
        return paging.paged(answer, call, part, len(shown), page.total)

    async def _configuration(self, call: Call) -> ConnectConfiguration:
        connect_id = row_id(call.path["connectId"], "connectId")
        configuration = await self._store.configuration(call.account_id, connect_id)
        if configuration is None:
            raise NotFound(f"There is no configuration {connect_id}.")
        return configuration

    async def _domain(self, call: Call) -> str:
        """What stands behind the @ of the caller's e-mail."""
        user_id = call.principal.user_id
        user = None if user_id is None else await self._store.people.user(call.account_id, user_id)
        if user is None:
            raise InvalidParameter("domain_users_only takes the token of a user: this has no user.")
        return user.email.rpartition("@")[2]


def _named(interest: Interest, *, included: bool) -> Named | None:
    """Which users events of are wanted, or are not; None stands for all."""
    if interest.all_users and not interest.all_users_except:
        return None if included else _NOBODY
    inside = included is not interest.all_users_except
    return Named(interest.user_ids, interest.group_ids, inside)
