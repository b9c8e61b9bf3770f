"""Incidents: the open failures of a listener that have one cause."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from heliograph.model.causes import Cause
from heliograph.model.logs import Cursor


class IncidentState(StrEnum):
    """Whether an incident has failures."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Who has seen an incident, when, and what they say of it."""

    by: str
    at: datetime
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Envelopes:
    """How many envelopes the failures of an incident are of; where `capped`, maybe of more."""

    number: int
    capped: bool


@dataclass(frozen=True, slots=True)
class Incident:
    """Open failures of a configuration by cause; one that has none any more is closed.

    It opened when the oldest of this time failed; `changed_at` is when the newest came to it.
    `minutes` has how many failures it had, by minute, for as long as it was open within the last
    hour. `sample` is the newest of its failures. `envelopes` is there where one
    incident was asked for.
    """

    incident_id: int
    account_id: str
    connect_id: int
    config_name: str
    cause: Cause
    failures: int
    opened_at: datetime
    changed_at: datetime
    cursor: Cursor
    closed_at: datetime | None = None
    acknowledged: Acknowledged | None = None
    sample: int | None = None
    minutes: tuple[tuple[datetime, int], ...] = ()
    envelopes: Envelopes | None = None

    @property
    def state(self) -> IncidentState:
        """Open, while it has a failure."""
        return IncidentState.OPEN if self.failures > 0 else IncidentState.CLOSED


@dataclass(frozen=True, slots=True)
class IncidentQuery:
    """Which incidents are meant; None means no filter."""

    state: IncidentState | None = None
    connect_id: int | None = None


class Turn(StrEnum):
    """What has become of an incident."""

    OPENED = "incident_opened"
    GREW = "incident_grew"
    CLOSED = "incident_closed"


@dataclass(frozen=True, slots=True)
class News:
    """An incident of which somebody shall be told."""

    turn: Turn
    incident: Incident
