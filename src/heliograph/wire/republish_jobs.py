"""The messages about republish jobs, which are Heliograph's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

import msgspec

from heliograph.errors import InvalidBody
from heliograph.model import republishing as model
from heliograph.model.logs import Chosen, LogQuery
from heliograph.model.republishing import MOST_RAMP, MOST_RATE, Care, JobState, Source
from heliograph.wire import dates
from heliograph.wire.codec import Wire
from heliograph.wire.logs import BulkConfiguration, dry_run
from heliograph.wire.rest import DateTime, Flag, Number

ASKED_STATES = {
    "paused": JobState.PAUSED,
    "running": JobState.RUNNING,
    "cancelled": JobState.CANCELLED,
}
"""The states that a person may ask for."""

State = Annotated[str, msgspec.Meta(extra_json_schema={"enum": [*JobState]})]


class RepublishSelection(Wire):
    """What a job is about; without any filter it is all that was there when the job was made."""

    ours: ClassVar[bool] = True

    cause: str | None = None
    connect_id: str | None = None
    envelope_id: str | None = None
    error: str | None = None
    from_date: DateTime | None = None
    phase: str | None = None
    status: str | None = None
    to_date: DateTime | None = None


class RepublishJob(Wire):
    """A republish job, and how far it is. What it was asked for is `total`: `asked`, `passedOver`
    (being sent just then, held, or with nowhere to go), `left`, or `gone` meanwhile. Of what was
    asked for, `delivered` and `failed` tell what the next attempt came to, and `pending` has no
    outcome yet. `estimatedSeconds` is what is left at the rate. `reason` says why it does not run.

    With `dryRun` nothing was changed: it tells what a job would be about, and, where listeners may
    get something for a second time, why (`duplicates`) and of how many that is so (`uncertain`)."""

    ours: ClassVar[bool] = True

    job_id: str | None = None
    of: Annotated[str | None, msgspec.Meta(extra_json_schema={"enum": [*Source]})] = None
    selection: RepublishSelection | None = None
    started_by: str | None = None
    state: State | None = None
    reason: str | None = None
    rate: Number | None = None
    ramp: Number | None = None
    canary: Number | None = None
    canary_passed: Flag | None = None
    stop_percent: Number | None = None
    total: Number | None = None
    asked: Number | None = None
    passed_over: Number | None = None
    left: Number | None = None
    gone: Number | None = None
    delivered: Number | None = None
    failed: Number | None = None
    pending: Number | None = None
    estimated_seconds: Number | None = None
    created: DateTime | None = None
    ended: DateTime | None = None
    dry_run: Flag | None = None
    oldest: DateTime | None = None
    newest: DateTime | None = None
    configurations: list[BulkConfiguration] | None = None
    duplicates: str | None = None
    uncertain: Number | None = None


class RepublishJobs(Wire):
    """Republish jobs, newest first."""

    ours: ClassVar[bool] = True

    republish_jobs: list[RepublishJob] | None = None


class RepublishJobChange(Wire):
    """What shall become of a job: another state (`paused`, `running`, `cancelled`), another rate
    or ramp, or all of it. A rate of 0 stands for none."""

    ours: ClassVar[bool] = True

    state: Annotated[str | None, msgspec.Meta(extra_json_schema={"enum": [*ASKED_STATES]})] = None
    rate: Number | None = None
    ramp: Number | None = None


_DELIVERED_TWICE = "Each was delivered already: listeners get all of them again."
_TAKEN_PERHAPS = (
    "Listeners may have taken those of which something was sent and no whole answer was read."
)


def preview(
    chosen: Sequence[Chosen], source: Source, uncertain: int, care: Care, seconds: int | None
) -> RepublishJob:
    """What a job would be about."""
    counted = dry_run(chosen)
    twice = _DELIVERED_TWICE if source is Source.DELIVERED else _TAKEN_PERHAPS
    return RepublishJob(
        dry_run="true",
        of=source.value,
        total=counted.count,
        oldest=counted.oldest,
        newest=counted.newest,
        configurations=counted.configurations,
        duplicates=twice if uncertain else None,
        uncertain=str(uncertain),
        estimated_seconds=_text(seconds),
        rate=_text(care.rate),
        ramp=_text(care.ramp or None),
        canary=_text(care.canary or None),
        stop_percent=str(care.stop_percent),
    )


def job_to_wire(job: model.RepublishJob, estimated_seconds: int | None) -> RepublishJob:
    """A job as a caller sees it."""
    return RepublishJob(
        job_id=str(job.job_id),
        of=job.source.value,
        selection=_selection(job.query),
        started_by=job.who,
        state=job.state.value,
        reason=job.why,
        canary_passed=str(job.canary_passed).lower() if job.care.canary else None,
        total=str(job.total),
        asked=str(job.asked),
        passed_over=str(job.passed_over),
        left=str(job.left),
        gone=str(job.gone),
        delivered=str(job.delivered),
        failed=str(job.failed),
        pending=str(job.pending),
        estimated_seconds=_text(estimated_seconds),
        created=dates.render(job.created_at),
        ended=None if job.ended_at is None else dates.render(job.ended_at),
        rate=_text(job.care.rate),
        ramp=_text(job.care.ramp or None),
        canary=_text(job.care.canary or None),
        stop_percent=str(job.care.stop_percent),
    )


def changes(change: RepublishJobChange, care: Care) -> tuple[JobState | None, Care]:
    """The state that is asked for, if one is, and the care that a job shall take from now on.

    Raises:
        InvalidBody: nothing is asked for, or something that cannot be; it names the field.
    """
    if change.state is None and change.rate is None and change.ramp is None:
        raise InvalidBody("Say what shall change: state, rate or ramp.")
    state = None
    if change.state is not None:
        state = ASKED_STATES.get(change.state.strip().lower())
        if state is None:
            raise InvalidBody(f"state must be one of {', '.join(ASKED_STATES)}.")
    rate = care.rate if change.rate is None else _number(change.rate, "rate", MOST_RATE) or None
    ramp = care.ramp if change.ramp is None else _number(change.ramp, "ramp", MOST_RAMP)
    return state, Care(rate, ramp, care.canary, care.stop_percent)


def _number(text: str, name: str, most: int) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most))) or int(text) > most:
        raise InvalidBody(f"{name} must be a number from 0 to {most}.")
    return int(text)


def _selection(query: LogQuery) -> RepublishSelection:
    return RepublishSelection(
        cause=None if query.cause is None else str(query.cause),
        connect_id=_text(query.connect_id),
        envelope_id=query.envelope_id,
        error=query.error,
        from_date=None if query.from_date is None else dates.render(query.from_date),
        phase=query.phase,
        status=query.status,
        to_date=None if query.to_date is None else dates.render(query.to_date),
    )


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)
