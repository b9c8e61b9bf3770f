"""What a caller selects where only the store can tell it."""

from __future__ import annotations

from dataclasses import replace

from heliograph.api.contract.selection import Selection
from heliograph.errors import InvalidParameter, NotFound
from heliograph.store import Store


async def of_incident(store: Store, account_id: str, chosen: Selection) -> Selection:
    """The same with what an incident stands for: a configuration and a cause.

    Raises:
        NotFound: the account has no such incident.
        InvalidParameter: another filter says something else.
    """
    if chosen.incident_id is None:
        return chosen
    incident = await store.incidents.one(account_id, chosen.incident_id)
    if incident is None:
        raise NotFound(f"There is no incident {chosen.incident_id}.")
    query = chosen.query
    if query.connect_id not in (None, incident.connect_id):
        raise InvalidParameter("incident_id and connect_id are of different configurations.")
    if query.cause not in (None, incident.cause):
        raise InvalidParameter("incident_id and cause are of different causes.")
    query = replace(query, connect_id=incident.connect_id, cause=incident.cause)
    return replace(chosen, query=query)
