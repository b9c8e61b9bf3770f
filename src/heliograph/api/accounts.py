"""What a token's account is, as clients of DocuSign ask before anything else.

`GET login_information` is the first call of those that were written before OAuth: they go on
with the `baseUrl` that it tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from heliograph.api.contract import parameters
from heliograph.api.contract.operation import Call, Operation
from heliograph.model.accounts import Role
from heliograph.store import Store
from heliograph.wire import accounts as wire

_INCLUDE_GUID: Final = parameters.flag("include_account_id_guid", "Also tell the account's GUID.")


class Accounts:
    """Any token may call it."""

    def __init__(self, store: Store, base_uri: str) -> None:
        """`base_uri` is where clients are told that this server is."""
        self._store = store
        self._base_uri = base_uri

    def operations(self) -> Sequence[Operation]:
        """The operations of this module."""
        return [
            Operation(
                operation_id="get_login_information",
                method="GET",
                path="/login_information",
                handler=self._login_information,
                role=Role.VIEWER,
                summary="Shows the account of the token, its base URL, and the user.",
                answer=wire.LoginInformation,
                query=(_INCLUDE_GUID,),
                v2=True,
            ),
            Operation(
                operation_id="get_account_information",
                method="GET",
                path="/accounts/{accountId}",
                handler=self._account_information,
                role=Role.VIEWER,
                summary="Shows the account.",
                answer=wire.AccountInformation,
                v2=True,
            ),
        ]

    async def _login_information(self, call: Call) -> wire.LoginInformation:
        principal = call.principal
        user = None
        if principal.user_id is not None:
            user = await self._store.people.user(call.account_id, principal.user_id)
        base = f"{self._base_uri}/restapi/{'v2' if call.v2 else 'v2.1'}"
        return wire.login_information(
            principal, user, base, with_guid=_INCLUDE_GUID.read(call.query)
        )

    async def _account_information(self, call: Call) -> wire.AccountInformation:
        return wire.account_information(call.principal.account)
