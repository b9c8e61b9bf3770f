"""Now: what fails, which listeners rest, what is being sent again, and the last posts; live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from heliograph.console.listeners import state_of
from heliograph.console.visits import Page, Place, Same, Visit

_INCIDENTS: Final = 100
"""Those that opened last."""

_POSTS: Final = 10


def places() -> Sequence[Place]:
    """The pages of this module."""
    return [Place("now", _now)]


async def _now(visit: Visit) -> Page:
    found = (await visit.get(""))["configurations"]
    answer = await visit.call("GET", "incidents", {"count": str(_INCIDENTS)})
    incidents = answer.value["incidents"]
    posts = (await visit.get("logs", {"count": str(_POSTS)}))["logs"]
    pace = await visit.get("throughput")
    jobs = (await visit.get("republish_jobs", {"count": "10"})).get("republishJobs") or []
    return Page(
        "now.html",
        "Now",
        {
            "incidents": sorted(incidents, key=lambda one: -int(one["failures"])),
            "failures": sum(int(one["failures"]) for one in incidents),
            "more": answer.cursor is not None,
            "resting": [(one, *state_of(one)) for one in found if state_of(one)[1] != "good"],
            "listeners": {one["connectId"]: one.get("name") or one["connectId"] for one in found},
            "posts": posts,
            "pace": pace,
            "jobs": [job for job in jobs if job["state"] in ("running", "paused", "stopped")],
        },
        [
            Same.of(visit, "incidents", "heliograph incidents list"),
            Same.of(visit, "throughput", "heliograph throughput"),
        ],
    )
