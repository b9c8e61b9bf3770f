"""Republish jobs: asking again for many deliveries, previewed, slowly, and stoppable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from heliograph.api import selecting
from heliograph.api.contract import parameters, selection
from heliograph.api.contract.operation import Call, Operation, Reply
from heliograph.api.contract.parameters import LARGEST_ID, row_id
from heliograph.delivery import ramp
from heliograph.errors import (
    InvalidParameter,
    NotFound,
    RepublishJobEnded,
    TooManyRepublishJobs,
)
from heliograph.model.accounts import Role
from heliograph.model.logs import Cursor, LogQuery
from heliograph.model.republishing import (
    ENDED,
    MOST_RAMP,
    MOST_RATE,
    Care,
    NewRepublishJob,
    RepublishJob,
    Source,
)
from heliograph.store import Store
from heliograph.store.times import to_microseconds
from heliograph.wire import republish_jobs

_JOBS: Final = "/accounts/{accountId}/connect/republish_jobs"
_ONE: Final = f"{_JOBS}/{{jobId}}"

_MOST_LISTED: Final = 100
_NEWEST: Final = Cursor(LARGEST_ID, LARGEST_ID)
_MOST_CANARY: Final = 1_000


_OF: Final = parameters.member_of(
    *("of", "What is asked for again: failures, or what was delivered."),
    *(Source, Source.FAILURES),
    extension=True,
)
_RATE: Final = parameters.number(
    *("rate", "Deliveries a second; without it, as fast as they are sent.", 1, MOST_RATE, None),
    extension=True,
)
_RAMP: Final = parameters.number(
    *("ramp", "Seconds in which the rate rises from a tenth to its full height.", 0, MOST_RAMP, 0),
    extension=True,
)
_CANARY: Final = parameters.number(
    *("canary", "So many must be delivered before any other is asked for.", 0, _MOST_CANARY, 0),
    extension=True,
)
_STOP_PERCENT: Final = parameters.number(
    *("stop_percent", "Stops by itself where so many of 100 outcomes are failures.", 1, 100, 50),
    extension=True,
)


class RepublishJobs:
    """Operations that DocuSign does not have."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def operations(self) -> Sequence[Operation]:
        """The operations of this module."""
        return [
            Operation(
                operation_id="create_republish_job",
                method="POST",
                path=_JOBS,
                handler=self._start,
                summary="Starts a job that asks again for all that the parameters select.",
                answer=republish_jobs.RepublishJob,
                query=(
                    *selection.BULK,
                    *selection.OF_FAILURES,
                    _OF,
                    _RATE,
                    _RAMP,
                    _CANARY,
                    _STOP_PERCENT,
                ),
                errors=(TooManyRepublishJobs,),
                extension=True,
            ),
            Operation(
                operation_id="list_republish_jobs",
                method="GET",
                path=_JOBS,
                handler=self._list,
                role=Role.VIEWER,
                summary="Lists the account's republish jobs, newest first.",
                answer=republish_jobs.RepublishJobs,
                query=(selection.COUNT, selection.CURSOR),
                extension=True,
            ),
            Operation(
                operation_id="get_republish_job",
                method="GET",
                path=_ONE,
                handler=self._get,
                role=Role.VIEWER,
                summary="Tells how far a republish job is.",
                answer=republish_jobs.RepublishJob,
                extension=True,
            ),
            Operation(
                operation_id="update_republish_job",
                method="PUT",
                path=_ONE,
                handler=self._change,
                body=republish_jobs.RepublishJobChange,
                summary="Pauses a republish job, lets it go on, cancels it, or changes its rate.",
                answer=republish_jobs.RepublishJob,
                errors=(RepublishJobEnded,),
                extension=True,
            ),
        ]

    async def _start(self, call: Call) -> republish_jobs.RepublishJob:
        bulk, source = selection.read_bulk(call.query), _OF.read(call.query)
        chosen = await selecting.of_incident(self._store, call.account_id, bulk.selection)
        query = chosen.until(self._store.clock.differs()).query
        if source is Source.DELIVERED and any((query.error, query.phase, query.cause)):
            raise InvalidParameter("Nothing was changed: what was delivered has no error.")
        care = Care(
            rate=_RATE.read(call.query),
            ramp=_RAMP.read(call.query),
            canary=_CANARY.read(call.query),
            stop_percent=_STOP_PERCENT.read(call.query),
        )
        if care.ramp and care.rate is None:
            raise InvalidParameter("Nothing was changed: ramp is how a rate rises, so give one.")
        if bulk.dry_run:
            return await self._preview(call.account_id, query, source, care)
        wanted = NewRepublishJob(source, query, call.principal.name, care)
        return _shown(await self._store.republishing.start(call.account_id, wanted))

    async def _preview(
        self, account_id: str, query: LogQuery, source: Source, care: Care
    ) -> republish_jobs.RepublishJob:
        look = (
            self._store.chosen_delivered
            if source is Source.DELIVERED
            else self._store.chosen_failures
        )
        chosen = await look(account_id, query)
        uncertain = await self._store.republishing.uncertain(account_id, query, source)
        seconds = ramp.estimated_seconds(care, sum(one.count for one in chosen))
        return republish_jobs.preview(chosen, source, uncertain, care, seconds)

    async def _list(self, call: Call) -> Reply:
        most = min(selection.COUNT.read(call.query) or _MOST_LISTED, _MOST_LISTED)
        after = selection.CURSOR.read(call.query) or _NEWEST
        found = await self._store.republishing.jobs(call.account_id, most + 1, after)
        last = None
        if len(found) > most:
            last = Cursor(to_microseconds(found[most - 1].created_at), found[most - 1].job_id)
        return Reply(
            republish_jobs.RepublishJobs(republish_jobs=[_shown(job) for job in found[:most]]),
            selection.next_page(call.url_path, call.query, last),
        )

    async def _get(self, call: Call) -> republish_jobs.RepublishJob:
        job_id = row_id(call.path["jobId"], "jobId")
        job = await self._store.republishing.job(call.account_id, job_id)
        if job is None:
            raise _no_job(job_id)
        return _shown(job)

    async def _change(self, call: Call) -> republish_jobs.RepublishJob:
        job_id = row_id(call.path["jobId"], "jobId")
        change: republish_jobs.RepublishJobChange = call.body
        who, now = call.principal.name, self._store.clock.now()
        republish_jobs.changes(change, Care())  # a wrong one is refused whatever job it is of

        def changed(job: RepublishJob) -> RepublishJob:
            if job.state in ENDED:
                raise RepublishJobEnded(f"Republish job {job_id} is {job.state.value}.")
            wanted, care = republish_jobs.changes(change, job.care)
            job = replace(job, care=care)
            return job if wanted in (None, job.state) else ramp.as_wanted(job, wanted, who, now)

        job = await self._store.republishing.change(call.account_id, job_id, changed)
        if job is None:
            raise _no_job(job_id)
        return _shown(job)


def _shown(job: RepublishJob) -> republish_jobs.RepublishJob:
    # Once its ramp is over, or while it is not known how far that is: at the full rate.
    flat = replace(job.care, ramp=0)
    seconds = None if job.state in ENDED else ramp.estimated_seconds(flat, job.left)
    return republish_jobs.job_to_wire(job, seconds)


def _no_job(job_id: int) -> NotFound:
    return NotFound(f"There is no republish job {job_id}.")
