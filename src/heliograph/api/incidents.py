"""Incidents: open failures by cause, and who has seen them. Extensions of ours."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from heliograph.api.contract import parameters, selection
from heliograph.api.contract.operation import Call, Operation, Reply
from heliograph.api.contract.parameters import row_id
from heliograph.errors import NotFound
from heliograph.model.accounts import Role
from heliograph.model.incidents import Incident, IncidentQuery, IncidentState
from heliograph.store import Store
from heliograph.wire import incidents

_PATH: Final = "/accounts/{accountId}/connect/incidents"
_ONE: Final = f"{_PATH}/{{incidentId}}"
_MOST_RECORDS: Final = 1_000
_USUAL_RECORDS: Final = 100


class _Which(StrEnum):
    OPEN = "open"
    CLOSED = "closed"
    ANY = "any"


_STATE: Final = parameters.member_of(
    *("state", "Those that are open, the default, or closed, or any.", _Which, _Which.OPEN),
    extension=True,
)
_COUNT: Final = parameters.number(
    *("count", "How many in one answer.", 1, _MOST_RECORDS, _USUAL_RECORDS), extension=True
)


class Incidents:
    """The operations of incidents."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def operations(self) -> Sequence[Operation]:
        """The operations of this module."""
        return [
            Operation(
                operation_id="list_incidents",
                method="GET",
                path=_PATH,
                handler=self._list,
                role=Role.VIEWER,
                summary="Lists incidents: open failures by configuration and cause.",
                answer=incidents.ConnectIncidents,
                query=(_STATE, selection.CONNECT_ID, _COUNT, selection.CURSOR),
                extension=True,
            ),
            Operation(
                operation_id="get_incident",
                method="GET",
                path=_ONE,
                handler=self._get,
                role=Role.VIEWER,
                summary="Shows an incident, which is what its incidentUri leads to.",
                answer=incidents.ConnectIncident,
                extension=True,
            ),
            Operation(
                operation_id="acknowledge_incident",
                method="PUT",
                path=_ONE,
                handler=self._acknowledge,
                body=incidents.ConnectIncidentAcknowledgement,
                summary="Says that somebody has seen an incident, with a note.",
                answer=incidents.ConnectIncident,
                extension=True,
            ),
        ]

    async def _list(self, call: Call) -> Reply:
        which = _STATE.read(call.query)
        query = IncidentQuery(
            state=None if which is _Which.ANY else IncidentState(which),
            connect_id=selection.CONNECT_ID.read(call.query),
        )
        count, cursor = _COUNT.read(call.query), selection.CURSOR.read(call.query)
        page = await self._store.incidents.page(call.account_id, query, count, cursor)
        listed = [incidents.to_wire(incident) for incident in page.entries]
        return Reply(
            incidents.ConnectIncidents(incidents=listed, total_records=str(len(listed))),
            selection.next_page(call.url_path, call.query, page.next_cursor),
        )

    async def _get(self, call: Call) -> incidents.ConnectIncident:
        return incidents.to_wire(await self._one(call))

    async def _acknowledge(self, call: Call) -> incidents.ConnectIncident:
        incident = await self._one(call)
        seen, note = incidents.acknowledgement(call.body)
        who = call.principal.name if seen else None
        await self._store.incidents.acknowledge(call.account_id, incident.incident_id, who, note)
        return incidents.to_wire(await self._one(call))

    async def _one(self, call: Call) -> Incident:
        incident_id = row_id(call.path["incidentId"], "incidentId")
        incident = await self._store.incidents.one(call.account_id, incident_id)
        if incident is None:
            raise NotFound(f"There is no incident {incident_id}.")
        return incident
