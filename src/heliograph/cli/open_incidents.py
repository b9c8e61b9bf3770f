"""The open incidents of an account: what fails, since when, how much, and what to do about it.

The server counts them as failures come and go, so that they are exact however many there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from heliograph.cli.connection import Connection
from heliograph.cli.listing import fetch
from heliograph.cli.terminal import counted, local_time_and_zone
from heliograph.model.causes import WAITING
from heliograph.model.deliveries import Phase

_PAGE: Final = 1_000

_RESTING: Final = f"{WAITING}: configuration paused"
"""The cause of what fails because somebody wants it to wait."""

_LOOK: Final = "what was sent and what came back: `heliograph failures show {failure}`"
_TRY: Final = "try it with a sample message: `heliograph configurations test {config}`"
_TO_DO: Final[Mapping[str, str]] = {
    Phase.TOKEN: "look at the OAuth client, `heliograph connect-oauth show`, and at its server",
    Phase.DNS: "is the host name in its URL right? `heliograph configurations show {config}`",
    Phase.REFUSED_ADDRESS: "its URL leads where --egress of `heliograph serve` admits nobody: "
    "change the one or the other",
    Phase.CONNECT: f"is the listener up, and reachable from the server? Then {_TRY}",
    Phase.TLS: f"mend the listener's certificate or its TLS, then {_TRY}",
    Phase.STATUS: f"the listener's own log says why it refuses; {_LOOK}",
    WAITING: "it waits for what is before it in its order",
}
"""By the phase of a cause; of any other one looks at a failure."""


@dataclass(frozen=True, slots=True)
class OpenIncidents:
    """Records of the API, those with the most failures first."""

    records: Sequence[Mapping[str, Any]]

    @property
    def failures(self) -> int:
        """All of them together."""
        return sum(int(one["failures"]) for one in self.records)

    @property
    def unmeant(self) -> OpenIncidents:
        """Those that nobody has meant: they do not come from a pause."""
        return OpenIncidents([one for one in self.records if one["cause"] != _RESTING])

    def text(self) -> str:
        """How many failures there are, and since when: `12 open failures since ...`."""
        since = local_time_and_zone(min(one["opened"] for one in self.records))
        return f"{counted(self.failures, 'open failure')} since {since}"


async def open_incidents(connection: Connection, connect_id: str = "") -> OpenIncidents:
    """All that are open, or those of a configuration."""
    query = {"state": "open", **({"connect_id": connect_id} if connect_id else {})}
    listing = await fetch(connection, "incidents", query, None, _PAGE)
    return OpenIncidents(sorted(listing.records, key=lambda one: -int(one["failures"])))


def what_fails(incident: Mapping[str, Any]) -> str:
    """An incident in words: its cause, how many failures since when, and who has seen it."""
    since = local_time_and_zone(incident["opened"])
    text = f"{incident['cause']}, {counted(int(incident['failures']), 'failure')} since {since}"
    return f"{text} ({seen})" if (seen := seen_by(incident)) else text


def to_do(incident: Mapping[str, Any]) -> str:
    """What may put an incident right."""
    phase = incident["cause"].partition(": ")[0]
    found = {"config": incident["connectId"], "failure": incident.get("failureId", "")}
    return _TO_DO.get(phase, _LOOK).format(**found)


def again(incident: Mapping[str, Any]) -> str:
    """The command that sends the failures of an incident again."""
    return f"heliograph republish start --incident-id {incident['incidentId']}"


def seen_by(incident: Mapping[str, str]) -> str:
    """Who has seen an incident, and what they say; empty: nobody."""
    by, note = incident.get("acknowledgedBy"), incident.get("note")
    if by is None:
        return ""
    return f"seen by {by}: {note}" if note else f"seen by {by}"
