"""What an operator is told without asking."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Alert:
    """A listener fails for long: `kind` is `configuration_failing` or `configuration_disabled`; or
    an incident has opened, grown tenfold or closed: `incident_opened`, `incident_grew` or
    `incident_closed`, and which one it is, and how many failures it has."""

    kind: str
    account_id: str
    connect_id: int
    name: str
    reason: str
    since: datetime
    incident_id: int | None = None
    failures: int | None = None
