"""How a republish job goes on: how much it may ask for now, and when it stops itself.

Pure: whoever runs a job is told what to do next, from the job as it is stored and the time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from heliograph.model.republishing import ENDED, Care, JobState, RepublishJob

WINDOW: Final = 100
"""Outcomes that are judged together: then the next ones are, whatever came before."""

FEWEST: Final = 10
"""Outcomes of a window before which nothing is judged."""

MOST_OUTSTANDING: Final = 1_000
"""Deliveries that a job has in the queue without an outcome: what it has asked for when it stops
goes out."""

MOST_AT_ONCE: Final = 200
"""Deliveries that one step asks for."""

_FIRST_SHARE: Final = 0.1
"""Of its rate, with which a ramp begins."""

_LONGEST_CREDIT: Final = 1.0
"""Seconds of its rate, beside one delivery, that a job which could not ask may make up for."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask for so many more; the rate is used up to `paced_at` then."""

    most: int
    paced_at: datetime


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is to be done before something has changed, or time has passed."""


Next = Ask | Wait | RepublishJob
"""A job: how it goes on is decided, and it is to be stored so."""


def decide(job: RepublishJob, now: datetime) -> Next:
    """What a running job does next."""
    failed = job.failed - job.base_failed
    answered = failed + job.delivered - job.base_delivered
    testing = job.care.canary > 0 and not job.canary_passed
    if testing and failed:
        return _ended(job, JobState.STOPPED, now, "A delivery of the canary failed.")
    if not testing and errors_return(answered, failed, job.care.stop_percent):
        why = f"{failed} of the last {answered} deliveries failed."
        return _ended(job, JobState.STOPPED, now, why)
    if not testing and answered >= WINDOW:
        return replace(job, base_delivered=job.delivered, base_failed=job.failed)
    asked = job.asked - job.base_asked
    if testing and (job.walked or asked >= job.care.canary):
        return Wait() if job.outstanding else _canary_ended(job, now, asked, answered)
    if job.walked:
        return Wait() if job.outstanding else _ended(job, JobState.FINISHED, now, None)
    most, paced_at = allowance(job, now)
    most = min(most, MOST_OUTSTANDING - job.outstanding)
    if testing:
        most = min(most, job.care.canary - asked)
    return Ask(most, paced_at) if most > 0 else Wait()


def _canary_ended(job: RepublishJob, now: datetime, asked: int, answered: int) -> RepublishJob:
    """All that the canary asked for has an outcome, and none failed."""
    if answered < asked:
        why = f"{asked - answered} of the canary's {asked} deliveries are held, or gone."
        return _ended(job, JobState.PAUSED, now, why)
    return replace(
        job,
        canary_passed=True,
        base_delivered=job.delivered,
        base_failed=job.failed,
        began_at=now,
        paced_at=now,
    )


def _ended(job: RepublishJob, state: JobState, now: datetime, why: str | None) -> RepublishJob:
    return replace(job, state=state, why=why, ended_at=now if state is JobState.FINISHED else None)


def as_wanted(job: RepublishJob, wanted: JobState, who: str, now: datetime) -> RepublishJob:
    """A job that has not ended, as a person wants it.

    One that goes on begins its ramp anew, and is judged by what comes; one that had stopped itself
    begins with its canary.
    """
    if wanted is not JobState.RUNNING:
        why = f"{wanted.value.capitalize()} by {who}."
        return replace(job, state=wanted, why=why, ended_at=now if wanted in ENDED else None)
    return replace(
        job,
        state=wanted,
        why=None,
        canary_passed=job.canary_passed and job.state is not JobState.STOPPED,
        base_asked=job.asked,
        base_delivered=job.delivered,
        base_failed=job.failed,
        began_at=now,
        paced_at=now,
    )


def errors_return(answered: int, failed: int, stop_percent: int) -> bool:
    """Whether so many failures among so many outcomes stop a job."""
    return answered >= FEWEST and failed * 100 >= stop_percent * answered


def rate_after(care: Care, seconds: float) -> float | None:
    """The rate (deliveries a second) so long after the start; None: there is none to keep."""
    if care.rate is None:
        return None
    if seconds >= care.ramp:
        return float(care.rate)
    return care.rate * (_FIRST_SHARE + (1 - _FIRST_SHARE) * seconds / care.ramp)


def allowance(job: RepublishJob, now: datetime) -> tuple[int, datetime]:
    """How many a job may ask for now, and up to when its rate is used then."""
    rate = rate_after(job.care, (now - job.began_at).total_seconds())
    if rate is None:
        return MOST_AT_ONCE, now
    # One that could not ask for a while does not make up for all of it at once.
    credit = _LONGEST_CREDIT + 1 / rate
    since = min((now - job.paced_at).total_seconds(), credit)
    most = min(MOST_AT_ONCE, math.floor(since * rate + 1e-9))
    return most, now - timedelta(seconds=since - most / rate)


def estimated_seconds(care: Care, count: int) -> int | None:
    """How long it takes to ask for so many at the rate; None where there is none."""
    if care.rate is None:
        return None
    rate, rise = care.rate, (1 - _FIRST_SHARE) / 2
    in_ramp = rate * care.ramp * (_FIRST_SHARE + rise)
    if count > in_ramp or not care.ramp:
        return math.ceil(care.ramp + (count - in_ramp) / rate)
    # rate * (first * t + rise * t² / ramp) = count
    wanted = 4 * rise * count / (care.ramp * rate)
    root = math.sqrt(_FIRST_SHARE**2 + wanted) - _FIRST_SHARE
    return math.ceil(root * care.ramp / (2 * rise))
