"""The OAuth client of an account: what its posts get tokens for listeners with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from heliograph.api import saving
from heliograph.api.contract.operation import Call, Operation
from heliograph.egress import Guard
from heliograph.errors import InvalidBody, NotFound, OAuthClientExists
from heliograph.model.configurations import ClientCredentials
from heliograph.outbound.authorizer import Authorizer
from heliograph.store import Store, undisturbed
from heliograph.wire import configurations, oauth_clients, rest

_PATH: Final = "/accounts/{accountId}/connect/oauth"


class ConnectOAuth:
    """DocuSign's four calls. It says that an administrator makes them, whatever they do.

    A client is saved when its authorization server has given it a token, as on DocuSign.
    """

    def __init__(self, store: Store, guard: Guard, authorizer: Authorizer) -> None:
        self._store = store
        self._guard = guard
        self._authorizer = authorizer

    def operations(self) -> Sequence[Operation]:
        """The operations of this module."""
        shape = rest.ConnectOAuthConfig
        return [
            Operation(
                operation_id="get_connect_o_auth_config",
                method="GET",
                path=_PATH,
                handler=self._get,
                summary="Shows the account's OAuth client.",
                answer=shape,
            ),
            Operation(
                operation_id="create_connect_o_auth_config",
                method="POST",
                path=_PATH,
                handler=self._create,
                status=201,
                body=shape,
                errors=(OAuthClientExists,),
                summary="Gives the account an OAuth client, once it has got a token.",
                answer=shape,
            ),
            Operation(
                operation_id="update_connect_o_auth_config",
                method="PUT",
                path=_PATH,
                handler=self._update,
                body=shape,
                summary="Changes the account's OAuth client, once it has got a token.",
                answer=shape,
            ),
            Operation(
                operation_id="delete_connect_o_auth_config",
                method="DELETE",
                path=_PATH,
                handler=self._delete,
                summary="Deletes the account's OAuth client.",
            ),
        ]

    async def _get(self, call: Call) -> rest.ConnectOAuthConfig:
        client = await self._store.oauth.get(call.account_id)
        if client is None:
            raise _none()
        return oauth_clients.to_wire(client)

    async def _create(self, call: Call) -> rest.ConnectOAuthConfig:
        wanted = oauth_clients.merge(call.body, None)
        saving.check_url(self._guard, wanted.token_url, configurations.AUTHORIZATION_SERVER_FIELD)
        if await self._store.oauth.get(call.account_id) is None:  # else nobody need be asked
            await self._try(call.account_id, wanted)
        if not await self._store.oauth.create(call.account_id, wanted):
            raise OAuthClientExists(
                "The account has an OAuth configuration: update it, or delete it first."
            )
        return oauth_clients.to_wire(wanted)

    async def _update(self, call: Call) -> rest.ConnectOAuthConfig:
        tried: ClientCredentials | None = None

        async def update() -> ClientCredentials:
            nonlocal tried
            version = await self._store.configurations_version(call.account_id)
            before = await self._store.oauth.get(call.account_id)
            if before is None:
                raise _none()
            wanted = oauth_clients.merge(call.body, before)
            saving.check_url(
                self._guard, wanted.token_url, configurations.AUTHORIZATION_SERVER_FIELD
            )
            if wanted != tried:
                await self._try(call.account_id, wanted)
                tried = wanted
            if not await self._store.oauth.update(call.account_id, wanted, version):
                raise _none()
            return wanted

        return oauth_clients.to_wire(await undisturbed(update, "update"))

    async def _try(self, account_id: str, wanted: ClientCredentials) -> None:
        """See that a client gets a token. Raises InvalidBody where it gets none, and says why."""
        known = (await self._store.configurations(account_id)).all
        parts = [one.authentication for one in known]
        authorities = dict.fromkeys(one.authorities for one in parts if one.authorities is not None)
        fault = await self._authorizer.try_client(wanted, list(authorities))
        if fault is not None:
            raise InvalidBody(f"Nothing was saved, since there was no token: {fault.what}.")

    async def _delete(self, call: Call) -> None:
        if not await self._store.oauth.delete(call.account_id):
            raise _none()


def _none() -> NotFound:
    return NotFound("The account has no OAuth configuration: create one first.")
