"""Incidents: what fails, by listener and cause; one of them, live, and who has seen it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final

from heliograph.console.calls import ProblemOfCall, segment
from heliograph.console.failures import command_of
from heliograph.console.visits import GoTo, Page, Place, Same, Visit
from heliograph.wire.incidents import LONGEST_NOTE

_GROWTH_MINUTES: Final = 10
_STATES: Final = ("open", "closed", "any")


def places() -> Sequence[Place]:
    """The pages of this module."""
    return [
        Place("incidents", _listing),
        Place("incidents/{incidentId}", _incident, _acknowledge),
    ]


async def _listing(visit: Visit) -> Page:
    state = visit.query.get("state", _STATES[0])
    state = state if state in _STATES else _STATES[0]
    query = {"state": state, **{n: visit.query[n] for n in ("cursor",) if n in visit.query}}
    answer = await visit.call("GET", "incidents", query)
    listed = [(one, growth_of(one)) for one in answer.value["incidents"]]
    return Page(
        "incidents.html",
        "Incidents",
        {"incidents": listed, "state": state, "states": _STATES, "cursor": answer.cursor},
        [Same.of(visit, "incidents", f"heliograph incidents list --state {state}", query)],
    )


async def _incident(visit: Visit) -> Page:
    incident_id = visit.path["incidentId"]
    path = f"incidents/{segment(incident_id)}"
    incident = await visit.get(path)
    minutes = [int(one["failures"]) for one in incident.get("growth") or []]
    which = {"incident_id": incident["incidentId"]}
    return Page(
        "incident.html",
        f"Incident {incident_id}",
        {
            "incident": incident,
            "sample": await _sample(visit, incident),
            "growth": growth_of(incident),
            "points": points_of([*minutes, int(incident["failures"])]),
            "longest": LONGEST_NOTE,
        },
        [
            Same.of(visit, path, f"heliograph incidents show {shlex.quote(incident_id)}"),
            Same.of(visit, "failures", command_of("failures list", which), which),
            Same.of(
                *(visit, path, f"heliograph incidents acknowledge {shlex.quote(incident_id)}"),
                method="PUT",
            ),
        ],
    )


async def _sample(visit: Visit, incident: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The newest failure of an incident; None where it has none, or none any more."""
    if "failureId" not in incident:
        return None
    try:
        found: Mapping[str, Any] = await visit.get(f"failures/{incident['failureId']}")
    except ProblemOfCall as refused:
        if refused.status != 404:
            raise
        return None
    return found


async def _acknowledge(visit: Visit) -> GoTo:
    """Say that somebody has seen it, or that nobody has."""
    path = f"incidents/{segment(visit.path['incidentId'])}"
    if visit.form.get("acknowledged") == "false":
        await visit.call("PUT", path, body={"acknowledged": "false"})
        return GoTo(path, "Nobody has seen it.")
    await visit.call("PUT", path, body={"note": visit.form.get("note", "")})
    return GoTo(path, "Acknowledged, until it closes.")


def growth_of(incident: Mapping[str, Any]) -> str:
    """How many failures have come, or gone, within the last minutes."""
    minutes = (incident.get("growth") or [])[-_GROWTH_MINUTES:]
    if not minutes or incident["state"] != "open":
        return ""
    more = int(incident["failures"]) - int(minutes[0]["failures"])
    return f"{more:+,} in {len(minutes)} min" if more else "steady"


def points_of(counts: Sequence[int]) -> str:
    """A line through counts, in a box of 100 by 20 whose top is the highest of them."""
    if len(counts) < 2:
        return ""
    highest, step = max(*counts, 1), 100 / (len(counts) - 1)
    return " ".join(
        f"{at * step:.1f},{20 - 20 * count / highest:.1f}" for at, count in enumerate(counts)
    )
