"""The HMAC keys that sign an account's messages."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final

from heliograph.api.contract.operation import Call, Operation
from heliograph.errors import (
    NotFound,
    TooManyKeys,
)
from heliograph.store import Store
from heliograph.wire import listeners
from heliograph.wire.messages import signing

_LONGEST_PLACE: Final = 10
"""Digits, more than enough."""


class HmacKeys:
    """The operations of an account's keys."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def operations(self) -> Sequence[Operation]:
        """The operations of this module.

        DocuSign's v2 document has the first and the last; the SDK has none of them.
        """
        secrets = "/accounts/{accountId}/connect/secret"
        return [
            Operation(
                operation_id="create_connect_secret",
                method="POST",
                path=secrets,
                handler=self._create_secret,
                status=201,
                lasting=True,
                summary="Makes an HMAC key; the answer shows its secret, this once.",
                answer=listeners.ConnectSecret,
                errors=(TooManyKeys,),
                v2=True,
            ),
            Operation(
                operation_id="list_connect_secrets",
                method="GET",
                path=secrets,
                handler=self._list_secrets,
                summary="Lists the active HMAC keys, in the order of the signature headers.",
                answer=listeners.ConnectSecrets,
            ),
            Operation(
                operation_id="delete_connect_secret",
                method="DELETE",
                path=f"{secrets}/{{keyId}}",
                handler=self._delete_secret,
                summary="Retires an HMAC key, by its keyId or its place in the list, from 1.",
                v2=True,
            ),
        ]

    async def _create_secret(self, call: Call) -> listeners.ConnectSecret:
        key = await self._store.add_hmac_key(
            call.account_id, str(uuid.uuid4()), signing.new_secret()
        )
        return listeners.secret_to_wire(key, shown=True)

    async def _list_secrets(self, call: Call) -> listeners.ConnectSecrets:
        keys = await self._store.hmac_keys(call.account_id)
        return listeners.ConnectSecrets(
            secrets=[listeners.secret_to_wire(key, shown=False) for key in keys]
        )

    async def _delete_secret(self, call: Call) -> None:
        key_id = await self._named(call.account_id, call.path["keyId"])
        if not await self._store.retire_hmac_key(call.account_id, key_id):
            raise NotFound("There is no active HMAC key with this keyId.")

    async def _named(self, account_id: str, text: str) -> str:
        """The keyId of a key that is named by its place in the list, as DocuSign names them."""
        if not (text.isascii() and text.isdigit()):
            return text
        keys = await self._store.hmac_keys(account_id)
        at = int(text) - 1 if len(text) < _LONGEST_PLACE else -1
        return keys[at].key_id if 0 <= at < len(keys) else text
