"""Alerts as an operator's hook gets them: one JSON object of texts."""

from __future__ import annotations

import msgspec

from heliograph.model.alerts import Alert
from heliograph.wire import dates
from heliograph.wire.codec import Wire


class _Alert(Wire):
    alert: str
    account_id: str
    connect_id: str
    name: str
    reason: str
    failing_since: str
    incident_id: str | None = None
    failures: str | None = None


def render(alert: Alert) -> bytes:
    """The body of the post that tells of an alert."""
    return msgspec.json.encode(
        _Alert(
            alert=alert.kind,
            account_id=alert.account_id,
            connect_id=str(alert.connect_id),
            name=alert.name,
            reason=alert.reason,
            failing_since=dates.render(alert.since),
            incident_id=None if alert.incident_id is None else str(alert.incident_id),
            failures=None if alert.failures is None else str(alert.failures),
        )
    )
