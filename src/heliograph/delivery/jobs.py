"""Running republish jobs: each node looks for those that nobody runs, and takes their next steps.

What is asked for goes into the one queue, as all that is sent. Who runs a job may end anywhere, and
two may believe that they run it: a step is one transaction that only one of them can make (R24).
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta
from typing import Final

import structlog

from heliograph.clock import Clock
from heliograph.delivery import ramp
from heliograph.errors import StorageUnavailable
from heliograph.failpoints import failpoint
from heliograph.model.republishing import JobState, RepublishJob
from heliograph.store import Store

LEASE: Final = 10.0
"""Seconds after which another node takes the jobs of one that does nothing any more."""

LOOK: Final = 0.25
"""Seconds between two looks at jobs that run."""

_LOOK_FOR_SOME: Final = 1.0
"""Seconds between two looks while none runs."""

_STEPS_AT_ONCE: Final = 4
"""Steps of one job before the others have their turn."""

_log = structlog.get_logger()


async def run_jobs(store: Store, clock: Clock, stop: asyncio.Event, runner: str) -> None:
    """Run jobs until `stop` is set, and let others have them then. `runner` names this node.

    Raises:
        StorageBroken: the database's files failed; the process must end.
    """
    while not stop.is_set():
        seconds = _LOOK_FOR_SOME
        try:
            for job in await store.republishing.running():
                seconds = LOOK
                await run_job(store, clock, job, runner)
        except StorageUnavailable as trouble:
            _log.warning("republish_jobs_wait", reason=str(trouble))
        await clock.wait(stop, seconds)
    with contextlib.suppress(StorageUnavailable):  # the leases then run out
        await store.republishing.let_go(runner)


async def run_job(store: Store, clock: Clock, job: RepublishJob, runner: str) -> None:
    """Take the next few steps of a job, where no other node runs it."""
    for _ in range(_STEPS_AT_ONCE):
        now = clock.now()
        if not _is_ours(job, runner, now):
            until = now + timedelta(seconds=LEASE)
            if not await store.republishing.take(job, runner, until):
                return
        if not await _step(store, job, ramp.decide(job, now)):
            return
        known = await store.republishing.job(job.account_id, job.job_id)
        if known is None or known.state is not JobState.RUNNING:
            return
        job = known


def _is_ours(job: RepublishJob, runner: str, now: datetime) -> bool:
    return job.runner == runner and job.lease_until - now > timedelta(seconds=LEASE / 2)


async def _step(store: Store, job: RepublishJob, step: ramp.Next) -> bool:
    """Do what was decided; whether there may be more to do at once."""
    match step:
        case ramp.Wait():
            return False
        case ramp.Ask(most, paced_at):
            failpoint("job.ask.before")
            done = await store.republishing.ask(job, most, paced_at)
            failpoint("job.ask.after")
            return done
        case RepublishJob():
            done = await store.republishing.rule(step)
            if done and step.state is not JobState.RUNNING:
                _log.warning(
                    "republish_job_ends",
                    account_id=job.account_id,
                    job_id=job.job_id,
                    state=step.state.value,
                    reason=step.why,
                )
            return done
