"""Relays: where a real DocuSign Connect configuration posts to. An extension."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final

from heliograph.api.contract.operation import Call, Operation
from heliograph.errors import NotFound, RelayExists
from heliograph.model.relays import Relay
from heliograph.store import Store
from heliograph.wire import relays

_PATH: Final = "/accounts/{accountId}/connect/relays"
_ONE: Final = f"{_PATH}/{{relayName}}"


class Relays:
    """The operations on an account's relays. What comes in there is `api/relaying.py`'s."""

    def __init__(self, store: Store, base_uri: str) -> None:
        """`base_uri` is where clients, and so DocuSign, are told that this server is."""
        self._store = store
        self._base_uri = base_uri

    def operations(self) -> Sequence[Operation]:
        """The operations of this module."""
        shape = relays.Relay
        return [
            Operation(
                operation_id="create_relay",
                method="POST",
                path=_PATH,
                handler=self._create,
                status=201,
                body=shape,
                lasting=True,
                errors=(RelayExists,),
                summary="Makes a relay, whose URL a DocuSign Connect configuration is given.",
                answer=shape,
                extension=True,
            ),
            Operation(
                operation_id="list_relays",
                method="GET",
                path=_PATH,
                handler=self._list,
                summary="Lists the account's relays.",
                answer=relays.Relays,
                extension=True,
            ),
            Operation(
                operation_id="get_relay",
                method="GET",
                path=_ONE,
                handler=self._get,
                summary="Shows a relay.",
                answer=shape,
                extension=True,
            ),
            Operation(
                operation_id="update_relay",
                method="PUT",
                path=_ONE,
                handler=self._update,
                body=shape,
                lasting=True,
                summary="Changes what a relay knows its messages by.",
                answer=shape,
                extension=True,
            ),
            Operation(
                operation_id="delete_relay",
                method="DELETE",
                path=_ONE,
                handler=self._delete,
                summary="Deletes a relay: what is posted there is refused from then on.",
                extension=True,
            ),
            Operation(
                operation_id="list_relay_refusals",
                method="GET",
                path=f"{_ONE}/refusals",
                handler=self._refusals,
                summary="Lists what a relay did not take last, and why.",
                answer=relays.RelayRefusals,
                extension=True,
            ),
        ]

    async def _create(self, call: Call) -> relays.Relay:
        name = relays.checked_name(call.body.name)
        now = self._store.clock.now()
        empty = Relay(str(uuid.uuid4()), call.account_id, name, (), None, now)
        made = relays.merge(call.body, empty)
        if not await self._store.relays.create(made):
            raise RelayExists(f"The account has a relay {name}: update it, or take another name.")
        return relays.to_wire(made, self._base_uri)

    async def _list(self, call: Call) -> relays.Relays:
        found = await self._store.relays.all(call.account_id)
        return relays.Relays(relays=[relays.to_wire(one, self._base_uri) for one in found])

    async def _get(self, call: Call) -> relays.Relay:
        found = await self._store.relays.get(call.account_id, call.path["relayName"])
        if found is None:
            raise _none(call)
        return relays.to_wire(found, self._base_uri)

    async def _update(self, call: Call) -> relays.Relay:
        changed = await self._store.relays.update(
            call.account_id, call.path["relayName"], lambda before: relays.merge(call.body, before)
        )
        if changed is None:
            raise _none(call)
        return relays.to_wire(changed, self._base_uri)

    async def _delete(self, call: Call) -> None:
        if not await self._store.relays.delete(call.account_id, call.path["relayName"]):
            raise _none(call)

    async def _refusals(self, call: Call) -> relays.RelayRefusals:
        found = await self._store.relays.get(call.account_id, call.path["relayName"])
        if found is None:
            raise _none(call)
        refused = await self._store.relays.refusals(found)
        return relays.RelayRefusals(refusals=[relays.refusal_to_wire(one) for one in refused])


def _none(call: Call) -> NotFound:
    return NotFound(f"The account has no relay {call.path['relayName'][:64]}.")
