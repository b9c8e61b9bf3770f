"""Historical publishing: envelopes of the past, to a configuration made for the purpose."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final

from heliograph.api import saving
from heliograph.api.contract.operation import Call, Operation
from heliograph.egress import Guard
from heliograph.errors import InvalidBody, NotFound, TooMuchPublished
from heliograph.model.fidelity import Fidelity
from heliograph.store import Store
from heliograph.store.historical import MOST_AN_HOUR, PublishTransaction, Wish
from heliograph.wire import docusign, historical, rest

_PATH: Final = "/accounts/{accountId}/connect/envelopes/publish/historical"
_ONE: Final = f"{_PATH}/{{transactionId}}"

_MOST_LISTED: Final = 1_000


class Historical:
    """One call of DocuSign's, and three of ours to follow and cancel what it began."""

    def __init__(self, store: Store, guard: Guard, fidelity: Fidelity) -> None:
        self._store = store
        self._guard = guard
        self._fidelity = fidelity

    def operations(self) -> Sequence[Operation]:
        """The operations of this module; all but the first are extensions."""
        return [
            Operation(
                "create_historical_envelope_publish_transaction",
                "POST",
                _PATH,
                self._publish,
                status=201,
                body=historical.ConnectHistoricalEnvelopeRepublish,
                summary="Publishes envelopes of the past to a configuration made for the purpose.",
                answer=historical.EnvelopePublishTransaction,
                errors=(TooMuchPublished,),
            ),
            Operation(
                operation_id="list_historical_envelope_publish_transactions",
                method="GET",
                path=_PATH,
                handler=self._list,
                summary="Lists the account's historical publishes, newest first.",
                answer=historical.EnvelopePublishTransactions,
                extension=True,
            ),
            Operation(
                operation_id="get_historical_envelope_publish_transaction",
                method="GET",
                path=_ONE,
                handler=self._get,
                summary="Tells how far a historical publish is.",
                answer=historical.EnvelopePublishTransaction,
                extension=True,
            ),
            Operation(
                operation_id="cancel_historical_envelope_publish_transaction",
                method="DELETE",
                path=_ONE,
                handler=self._cancel,
                summary="Cancels what a historical publish has not delivered yet.",
                answer=historical.EnvelopePublishTransaction,
                extension=True,
            ),
        ]

    async def _publish(self, call: Call) -> historical.EnvelopePublishTransaction:
        body: historical.ConnectHistoricalEnvelopeRepublish = call.body
        if body.config is None:
            raise InvalidBody("config must say where the envelopes go: it needs urlToPublishTo.")
        ids = body.envelopes or []
        listed = rest.split_texts(ids) if isinstance(ids, str) else ids
        envelope_ids = [envelope_id for envelope_id in listed if envelope_id]
        if not envelope_ids:
            raise InvalidBody("envelopes must name at least one envelope.")
        if len(envelope_ids) > MOST_AN_HOUR:
            raise InvalidBody(f"envelopes may name at most {MOST_AN_HOUR}: split the call.")
        if self._fidelity is Fidelity.DOCUSIGN:
            docusign.refuse_booleans(body.config)
        integrator = await saving.integrator(self._store, call.principal)
        configuration = historical.wanted(call.account_id, body.config, self._fidelity, integrator)
        saving.check(self._guard, configuration, "config.urlToPublishTo")
        wish = Wish(str(uuid.uuid4()), configuration, tuple(envelope_ids), call.principal.name)
        return _to_wire(call, await self._store.historical.submit(wish))

    async def _list(self, call: Call) -> historical.EnvelopePublishTransactions:
        transactions = await self._store.historical.transactions(call.account_id, _MOST_LISTED)
        return historical.EnvelopePublishTransactions(
            envelope_publish_transactions=[
                _to_wire(call, transaction) for transaction in transactions
            ],
            total_records=str(len(transactions)),
        )

    async def _get(self, call: Call) -> historical.EnvelopePublishTransaction:
        named = call.path["transactionId"]
        transaction = await self._store.historical.transaction(call.account_id, named)
        if transaction is None:
            raise _no_transaction(named)
        return _to_wire(call, transaction)

    async def _cancel(self, call: Call) -> historical.EnvelopePublishTransaction:
        named, who = call.path["transactionId"], call.principal.name
        if not await self._store.historical.cancel(call.account_id, named, who):
            raise _no_transaction(named)
        return await self._get(call)


def _to_wire(call: Call, transaction: PublishTransaction) -> historical.EnvelopePublishTransaction:
    path = f"/v2.1{_PATH.format(accountId=call.account_id)}"
    return historical.to_wire(
        transaction_id=transaction.transaction_id,
        connect_id=transaction.connect_id,
        uri=f"{path}/{transaction.transaction_id}",
        submitted_by=transaction.submitted_by,
        created_at=transaction.created_at,
        counts=(
            transaction.envelopes,
            transaction.repeated,
            transaction.unknown,
            transaction.submitted,
            transaction.unfinished,
            transaction.failed,
        ),
        cancelled=transaction.cancelled_at is not None,
    )


def _no_transaction(named: str) -> NotFound:
    return NotFound(f"There is no historical publish {named}.")
