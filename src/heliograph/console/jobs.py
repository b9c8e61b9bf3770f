"""Republish jobs: the list, and one of them, live, with what can be done about it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from heliograph.console.calls import segment
from heliograph.console.failures import listeners_of
from heliograph.console.visits import GoTo, Page, Place, Same, Visit


def places() -> Sequence[Place]:
    """The pages of this module."""
    return [
        Place("republish", _listing),
        Place("republish/{jobId}", _job, _change),
    ]


async def _listing(visit: Visit) -> Page:
    query = {name: visit.query[name] for name in ("cursor",) if name in visit.query}
    answer = await visit.call("GET", "republish_jobs", query)
    return Page(
        "jobs.html",
        "Republish jobs",
        {"jobs": answer.value.get("republishJobs") or [], "cursor": answer.cursor},
        [Same.of(visit, "republish_jobs", "heliograph republish list", query)],
    )


async def _job(visit: Visit) -> Page:
    job_id = visit.path["jobId"]
    path = f"republish_jobs/{segment(job_id)}"
    return Page(
        "job.html",
        f"Republish job {job_id}",
        {"job": await visit.get(path), "listeners": await listeners_of(visit)},
        [
            Same.of(visit, path, f"heliograph republish show {shlex.quote(job_id)}"),
            Same.of(visit, path, f"heliograph republish pause {shlex.quote(job_id)}", method="PUT"),
        ],
    )


async def _change(visit: Visit) -> GoTo:
    """Pause it, let it go on, cancel it, or give it another rate."""
    job_id = segment(visit.path["jobId"])
    wanted = {name: visit.form[name] for name in ("state", "rate") if name in visit.form}
    await visit.call("PUT", f"republish_jobs/{job_id}", body=wanted)
    return GoTo(f"republish/{job_id}")
