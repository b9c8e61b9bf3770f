"""Republish jobs (see store/republishing.py)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from heliograph.clock import StoreClock
from heliograph.errors import TooManyRepublishJobs
from heliograph.model.audit import Action, Change, differing
from heliograph.model.causes import Cause
from heliograph.model.logs import Cursor, LogQuery, Order
from heliograph.model.republishing import (
    Care,
    JobState,
    NewRepublishJob,
    RepublishJob,
    Source,
)
from heliograph.store.republishing import MOST_OPEN
from heliograph.store.times import from_microseconds, to_microseconds
from heliograph.store.verbs import (
    LISTING_PATIENCE,
    Engine,
    Step,
    Verb,
    audit,
    log_rows,
    resending,
    verb_of,
)

_DATES: Final = ("from_date", "to_date")
_TEXTS: Final = ("connect_id", "envelope_id", "status", "error", "phase")


class _OvertakenError(Exception):
    """The job has changed since it was read: nothing of the step may stay."""


class RepublishingVerbs:
    """The Republishing port."""

    def __init__(self, engine: Engine, clock: StoreClock) -> None:
        self._engine = engine
        self._clock = clock

    async def start(self, account_id: str, wanted: NewRepublishJob) -> RepublishJob:
        # Before it is counted: what comes to be meanwhile is not meant.
        now, care = self._now(), wanted.care
        total = await self._counted(_chosen(account_id, wanted.query, wanted.source))
        values = {
            "account_id": account_id,
            "source": wanted.source.value,
            "selection": selection_text(wanted.query),
            "started_by": wanted.who,
            "rate": care.rate,
            "ramp": care.ramp,
            "canary": care.canary,
            "stop_percent": care.stop_percent,
            "total": total,
            "now": now,
        }

        def verb() -> Verb[RepublishJob]:
            yield Step("account_locked", values)
            (are,) = yield Step("jobs_open", values)
            if are.number >= MOST_OPEN:
                raise TooManyRepublishJobs(
                    f"{MOST_OPEN} republish jobs of the account have not ended: cancel some first."
                )
            (made,) = yield Step("job_add", values)
            job = yield from _one(account_id, made.job_id)
            started = Change(f"republish job {job.job_id}", differing({}, _shown(job)))
            yield from audit.note(account_id, now, Action.REPUBLISH_JOB_STARTED, started)
            return job

        return await self._engine.write(verb)

    async def uncertain(self, account_id: str, query: LogQuery, source: Source) -> int:
        return await self._counted(_chosen(account_id, query, source, "failures_uncertain"))

    async def _counted(self, step: Step) -> int:
        found = await self._engine.read(lambda: log_rows.found(step), LISTING_PATIENCE)
        return sum(row.number for row in found)

    async def job(self, account_id: str, job_id: int) -> RepublishJob | None:
        step = Step("job", {"account_id": account_id, "job_id": job_id})
        row = (await self._engine.read(lambda: verb_of(step))).first
        return None if row is None else _job(row)

    async def jobs(self, account_id: str, most: int, after: Cursor) -> Sequence[RepublishJob]:
        values = {"account_id": account_id, "most": most}
        step = Step("jobs", {**values, "after_us": after.created_us, "after_id": after.row_id})
        return [_job(row) for row in await self._engine.read(lambda: verb_of(step))]

    async def change(
        self, account_id: str, job_id: int, change: Callable[[RepublishJob], RepublishJob]
    ) -> RepublishJob | None:
        def verb() -> Verb[RepublishJob | None]:
            values = {"account_id": account_id, "job_id": job_id}
            if (yield Step("job_locked", values)).first is None:
                return None
            before = yield from _one(account_id, job_id)
            yield Step("job_ruled", _ruled(change(before)))
            after = yield from _one(account_id, job_id)
            changed = Change(f"republish job {job_id}", differing(_shown(before), _shown(after)))
            action = Action.REPUBLISH_JOB_CHANGED
            yield from audit.note_changed(account_id, self._now(), action, changed)
            return after

        return await self._engine.write(verb)

    async def running(self) -> Sequence[RepublishJob]:
        found = await self._engine.read(lambda: verb_of(Step("jobs_running")))
        return [_job(row) for row in found]

    async def take(self, job: RepublishJob, runner: str, until: datetime) -> bool:
        values = {
            "job_id": job.job_id,
            "runner": runner,
            "until": to_microseconds(until),
            "now": self._now(),
        }
        taken = await self._engine.write(lambda: verb_of(Step("job_take", values)), patience=None)
        return taken.changed > 0

    async def let_go(self, runner: str) -> None:
        step = Step("job_let_go", {"runner": runner})
        await self._engine.write(lambda: verb_of(step))

    async def ask(self, job: RepublishJob, most: int, paced_at: datetime) -> bool:
        page = _next(job, most)
        # One statement, and so one snapshot: what changes its error meanwhile is not passed over.
        found = await self._engine.read(lambda: verb_of(page), LISTING_PATIENCE)
        some, now = found[:most], self._now()
        last = Cursor(some[-1].created_us, some[-1].delivery_id) if some else job.cursor

        def verb() -> Verb[None]:
            asked = 0
            if some and job.source is Source.DELIVERED:
                _, again = yield from resending.send_again(
                    job.account_id, some, job.who, now, job.job_id
                )
                asked = len(again)
            elif some:
                asked = yield from _requeue(job, some, now)
            values = {
                "job_id": job.job_id,
                "step": job.step,
                "asked": asked,
                "passed_over": len(some) - asked,
                "cursor_us": last.created_us,
                "cursor_id": last.row_id,
                "walked": len(found) <= most,
                "paced_us": to_microseconds(paced_at),
            }
            if not (yield Step("job_stepped", values)).changed:
                raise _OvertakenError

        try:
            await self._engine.write(verb, patience=None, name="job.step")
        except _OvertakenError:
            return False
        return True

    async def rule(self, job: RepublishJob) -> bool:
        def verb() -> Verb[bool]:
            if not (yield Step("job_ruled", _ruled(job))).changed:
                return False
            if job.state is not JobState.RUNNING:
                after = {"state": job.state, "why": job.why}
                ended = Change(
                    f"republish job {job.job_id}", differing({"state": JobState.RUNNING}, after)
                )
                action = Action.REPUBLISH_JOB_CHANGED
                yield from audit.note(job.account_id, self._now(), action, ended)
            return True

        return await self._engine.write(verb, patience=None)

    def _now(self) -> int:
        return to_microseconds(self._clock.now())


def _shown(job: RepublishJob) -> Mapping[str, object]:
    return {
        "state": job.state,
        "source": job.source,
        "selection": selection_text(job.query),
        "total": job.total,
        "rate": job.care.rate,
        "ramp": job.care.ramp,
    }


def _chosen(
    account_id: str, query: LogQuery, source: Source, failures: str = "failures_chosen"
) -> Step:
    """The step that counts what a job is about; `failures` is the query that counts those."""
    if source is Source.DELIVERED:
        return resending.chosen(account_id, query, None)
    return log_rows.chosen(failures, account_id, query, None)


def _next(job: RepublishJob, most: int) -> Step:
    """The step of the next few of a job, and of one more."""
    frozen = to_microseconds(job.created_at)
    if job.source is Source.DELIVERED:
        page = resending.page(job.account_id, job.query, most, job.cursor)
        filters = [*page.filters, "delivered_until"]
    else:
        query = replace(job.query, order=Order.OLDEST_FIRST)
        page = log_rows.listing("job_failures", job.account_id, query, most, job.cursor)
        filters = [*page.filters, "failures_until"]
    return replace(page, values={**page.values, "frozen": frozen}, filters=filters)


def _requeue(job: RepublishJob, some: Sequence[Any], now: int) -> Verb[int]:
    """Ask for failures; what has happened to them since they were read counts. How many it was."""
    values = {
        "account_id": job.account_id,
        "job_id": job.job_id,
        "ids": [row.delivery_id for row in some],
        "connect_ids": sorted({row.connect_id for row in some}),
        "frozen": to_microseconds(job.created_at),
        "now": now,
    }
    yield Step("configurations_kept", values)
    waiting = yield Step("job_asks_waiting", values)
    ended = yield Step("job_asks_ended", values)  # which wait then
    return waiting.changed + ended.changed


def _one(account_id: str, job_id: int) -> Verb[RepublishJob]:
    (row,) = yield Step("job", {"account_id": account_id, "job_id": job_id})
    return _job(row)


def _ruled(job: RepublishJob) -> dict[str, Any]:
    """The values of `job_ruled`."""
    return {
        "job_id": job.job_id,
        "step": job.step,
        "state": job.state.value,
        "why": job.why,
        "rate": job.care.rate,
        "ramp": job.care.ramp,
        "canary_passed": job.canary_passed,
        "base_asked": job.base_asked,
        "base_delivered": job.base_delivered,
        "base_failed": job.base_failed,
        "began_us": to_microseconds(job.began_at),
        "paced_us": to_microseconds(job.paced_at),
        "ended_us": None if job.ended_at is None else to_microseconds(job.ended_at),
    }


def _job(row: Any) -> RepublishJob:
    """A row of `job_shown`."""
    return RepublishJob(
        job_id=row.job_id,
        account_id=row.account_id,
        source=Source(row.source),
        query=selection_of(row.selection),
        who=row.started_by,
        care=Care(row.rate, row.ramp, row.canary, row.stop_percent),
        state=JobState(row.state),
        why=row.why,
        total=row.total,
        asked=row.asked,
        passed_over=row.passed_over,
        delivered=row.delivered,
        failed=row.failed,
        pending=row.pending,
        outstanding=row.outstanding,
        walked=bool(row.walked),
        canary_passed=bool(row.canary_passed),
        base_asked=row.base_asked,
        base_delivered=row.base_delivered,
        base_failed=row.base_failed,
        cursor=Cursor(row.cursor_us, row.cursor_id),
        step=row.step,
        runner=row.runner,
        lease_until=from_microseconds(row.lease_until_us),
        created_at=from_microseconds(row.created_us),
        began_at=from_microseconds(row.began_us),
        paced_at=from_microseconds(row.paced_us),
        ended_at=None if row.ended_us is None else from_microseconds(row.ended_us),
    )


def selection_text(query: LogQuery) -> str:
    """The filters of a query as canonical JSON: by name, times in microseconds UTC."""
    values = {name: getattr(query, name) for name in _TEXTS}
    values |= {
        name: None if (date := getattr(query, name)) is None else to_microseconds(date)
        for name in _DATES
    }
    values["cause"] = None if query.cause is None else str(query.cause)
    given = {name: value for name, value in values.items() if value is not None}
    return json.dumps(given, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def selection_of(text: str) -> LogQuery:
    """The query of `selection_text`."""
    values: dict[str, Any] = json.loads(text)
    values |= {name: from_microseconds(values[name]) for name in _DATES if name in values}
    if "cause" in values:
        values["cause"] = Cause.named(values["cause"])
    return LogQuery(**values)
