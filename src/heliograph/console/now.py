"""Now: what fails, which listeners rest, what is being sent again, and the last posts; live."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from heliograph.console.failures import command_of
from heliograph.console.listeners import state_of
from heliograph.console.visits import Page, Place, Same, Visit

_LOOKED_AT: Final = 500
"""Failures of which causes are counted: the newest ones."""

_POSTS: Final = 100


def places() -> Sequence[Place]:
    """The pages of this module."""
    return [Place("now", _now)]


async def _now(visit: Visit) -> Page:
    found = (await visit.get(""))["configurations"]
    answer = await visit.call("GET", "failures", {"count": str(_LOOKED_AT)})
    failures = answer.value["failures"]
    posts = (await visit.get("logs", {"count": str(_POSTS)}))["logs"]
    jobs = (await visit.get("republish_jobs", {"count": "10"})).get("republishJobs") or []
    return Page(
        "now.html",
        "Now",
        {
            "causes": causes_of(failures),
            "failures": len(failures),
            "more": answer.cursor is not None,
            "resting": [(one, *state_of(one)) for one in found if state_of(one)[1] != "good"],
            "listeners": {one["connectId"]: one.get("name") or one["connectId"] for one in found},
            "posts": posts,
            "taken": sum(not post.get("error") for post in posts),
            "jobs": [job for job in jobs if job["state"] in ("running", "paused", "stopped")],
        },
        [Same.of(visit, "failures", command_of("failures list", {}))],
    )


def causes_of(failures: Sequence[Mapping[str, Any]]) -> Sequence[tuple[Mapping[str, Any], int]]:
    """A sample of the failures of each listener and cause, and how many there are; most first."""
    counts = Counter((one["connectId"], one.get("cause", "")) for one in failures)
    samples = {(one["connectId"], one.get("cause", "")): one for one in reversed(failures)}
    return [(samples[key], count) for key, count in counts.most_common()]
