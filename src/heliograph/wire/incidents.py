"""Incidents as the API shows them. An extension: DocuSign has no such thing."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

import msgspec

from heliograph.errors import InvalidBody
from heliograph.model.causes import PHASES
from heliograph.model.incidents import Incident, IncidentState
from heliograph.wire import dates
from heliograph.wire.codec import Wire
from heliograph.wire.rest import Flag

LONGEST_NOTE: Final = 500


class ConnectIncidentMinute(Wire):
    """How many failures an incident had in a minute."""

    ours: ClassVar[bool] = True

    date_time: str | None = None
    failures: str | None = None


class ConnectIncident(Wire):
    """Open failures of a configuration by cause. `opened` is when the oldest of them failed,
    `newest` when the last one came to them; `growth` has how many there were, by minute, in the
    last hour. `failureId` is the newest of them. Of one alone, `envelopes` is how many they are of,
    where `envelopesCapped` is "true" maybe more."""

    ours: ClassVar[bool] = True

    acknowledged: str | None = None
    acknowledged_by: str | None = None
    cause: str | None = None
    closed: str | None = None
    config_name: str | None = None
    connect_id: str | None = None
    envelopes: str | None = None
    envelopes_capped: str | None = None
    failure_id: str | None = None
    failure_uri: str | None = None
    failures: str | None = None
    growth: list[ConnectIncidentMinute] | None = None
    incident_id: str | None = None
    incident_uri: str | None = None
    newest: str | None = None
    note: str | None = None
    opened: str | None = None
    phase: Annotated[str | None, msgspec.Meta(extra_json_schema={"enum": [*PHASES]})] = None
    state: Annotated[str | None, msgspec.Meta(extra_json_schema={"enum": [*IncidentState]})] = None
    what: str | None = None


class ConnectIncidents(Wire):
    """Incidents, those that opened last first; `totalRecords` counts those in this answer."""

    ours: ClassVar[bool] = True

    incidents: list[ConnectIncident]
    total_records: str


class ConnectIncidentAcknowledgement(Wire):
    """That somebody has seen an incident, and what they say of it; with `acknowledged` false that
    nobody has."""

    ours: ClassVar[bool] = True

    acknowledged: Flag | None = None
    note: str | None = None


def acknowledgement(body: ConnectIncidentAcknowledgement) -> tuple[bool, str | None]:
    """Whether somebody has seen it, and their note.

    Raises:
        InvalidBody: naming the field.
    """
    seen = (body.acknowledged or "true").strip().lower()
    if seen not in ("true", "false"):
        raise InvalidBody('acknowledged must be "true" or "false".')
    note = (body.note or "").strip()
    if len(note) > LONGEST_NOTE or not note.isprintable():
        raise InvalidBody(f"note must have at most {LONGEST_NOTE} printable characters.")
    if note and seen == "false":
        raise InvalidBody("note is for an incident that somebody has seen.")
    return seen == "true", note or None


def to_wire(incident: Incident) -> ConnectIncident:
    """An incident. The URIs work on this host as they stand, and behind the SDK's base path."""
    base = f"/v2.1/accounts/{incident.account_id}/connect"
    seen, sample, of = incident.acknowledged, incident.sample, incident.envelopes
    return ConnectIncident(
        acknowledged=None if seen is None else dates.render(seen.at),
        acknowledged_by=None if seen is None else seen.by,
        cause=str(incident.cause),
        closed=None if incident.closed_at is None else dates.render(incident.closed_at),
        config_name=incident.config_name,
        connect_id=str(incident.connect_id),
        envelopes=None if of is None else str(of.number),
        envelopes_capped=None if of is None else str(of.capped).lower(),
        failure_id=None if sample is None else str(sample),
        failure_uri=None if sample is None else f"{base}/failures/{sample}",
        failures=str(max(incident.failures, 0)),
        growth=[
            ConnectIncidentMinute(date_time=dates.render(minute), failures=str(failures))
            for minute, failures in incident.minutes
        ],
        incident_id=str(incident.incident_id),
        incident_uri=f"{base}/incidents/{incident.incident_id}",
        newest=dates.render(incident.changed_at),
        note=None if seen is None else seen.note,
        opened=dates.render(incident.opened_at),
        phase=incident.cause.phase,
        state=incident.state.value,
        what=incident.cause.what,
    )
