"""Sending again what was delivered: one delivery, or all that filters select."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from heliograph.api.contract import selection
from heliograph.api.contract.operation import Call, Operation
from heliograph.api.contract.parameters import row_id
from heliograph.delivery.republish import Republisher
from heliograph.errors import NotFound
from heliograph.model.deliveries import DeliveryState
from heliograph.store import Store
from heliograph.wire import logs

_LOGS: Final = "/accounts/{accountId}/connect/logs"
_QUEUE: Final = "retry_queue"

_GOES_OUT: Final = (DeliveryState.WAITING, DeliveryState.HELD)


class Resends:
    """Operations that DocuSign does not have; of an envelope, its own do the same."""

    def __init__(self, store: Store, republisher: Republisher) -> None:
        self._store = store
        self._republisher = republisher

    def operations(self) -> Sequence[Operation]:
        """The operations of this module."""
        filters = [one for one in selection.BULK if one is not selection.ERROR]
        return [
            Operation(
                operation_id="resend_deliveries",
                method="PUT",
                path=f"{_LOGS}/{_QUEUE}",
                handler=self._resend_all,
                summary="Sends again what was delivered and the parameters select, some at a time.",
                answer=logs.BulkResults,
                query=(*filters, selection.CURSOR),
                extension=True,
            ),
            Operation(
                operation_id="resend_delivery",
                method="PUT",
                path=f"{_LOGS}/{{logId}}/{_QUEUE}",
                handler=self._resend_one,
                summary="Sends again the delivery that a log entry is of.",
                answer=logs.ConnectFailureResults,
                extension=True,
            ),
        ]

    async def _resend_all(self, call: Call) -> logs.BulkResults:
        bulk = selection.read_bulk(call.query)
        chosen = bulk.selection.until(self._store.clock.differs())
        account_id, query = call.account_id, chosen.query
        if bulk.dry_run:
            return logs.dry_run(
                await self._store.chosen_delivered(account_id, query, chosen.cursor)
            )
        who = call.principal.name
        page = await self._republisher.delivered(account_id, query, who, chosen.cursor)
        return selection.results(page, _GOES_OUT)

    async def _resend_one(self, call: Call) -> logs.ConnectFailureResults:
        log_id = row_id(call.path["logId"], "logId")
        done = await self._store.resend_log(call.account_id, log_id, call.principal.name)
        if done is None:
            raise NotFound(f"There is no log entry {log_id}.")
        return logs.ConnectFailureResults(retry_queue=[logs.requeued_to_wire(done)])
