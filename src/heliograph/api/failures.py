"""Failures, logs and republish: what did not arrive, what was posted, and another try."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from zoneinfo import ZoneInfo

from heliograph.api import selecting
from heliograph.api.contract import parameters, selection
from heliograph.api.contract.following import LAST_EVENT_ID, PAGE, Followers
from heliograph.api.contract.lines import lines
from heliograph.api.contract.operation import FOLLOWED, LINES, Call, Operation, Reply
from heliograph.api.contract.parameters import row_id
from heliograph.api.contract.response import Response
from heliograph.api.contract.selection import MOST_RECORDS
from heliograph.api.messages import messages_of
from heliograph.aside import RECORD, aside
from heliograph.delivery.republish import Republisher
from heliograph.errors import (
    EnvelopeNotFound,
    InvalidBody,
    InvalidParameter,
    NotFound,
    TooManyFollowers,
)
from heliograph.model.accounts import Role
from heliograph.model.deliveries import DeliveryState
from heliograph.model.logs import LogEntry, LogQuery, Requeued
from heliograph.store import BATCH_MOST, Store
from heliograph.store.pages import Page, every_page
from heliograph.wire import logs, rest
from heliograph.wire.version2 import as_v2

_ACCOUNT: Final = "/accounts/{accountId}/connect"
_LINES_PAGE: Final = 500
_ALL: Final = "all"
"""DocuSign's word for all failures, or all log entries, in the place of an id."""

_ADDITIONAL_INFO: Final = parameters.flag(
    "additional_info", "Also show what was sent and what came back."
)


class Failures:
    """The operations of failures, of logs, and of republishing."""

    def __init__(
        self, store: Store, republisher: Republisher, followers: Followers, zone: ZoneInfo
    ) -> None:
        """`zone` is what messages that are shown tell times in."""
        self._store = store
        self._followers = followers
        self._zone = zone
        self._republisher = republisher

    def operations(self) -> Sequence[Operation]:
        """The operations of this module."""
        return [
            *self._of_republish(),
            *self._of_failures(),
            *self._of_logs(),
        ]

    def _of_republish(self) -> Sequence[Operation]:
        queue, path = "retry_queue", f"{_ACCOUNT}/envelopes"
        envelope = f"{path}/{{envelopeId:path}}/{queue}"
        return [
            Operation(
                operation_id="retry_event_for_envelopes",
                method="PUT",
                path=f"{path}/{queue}",
                handler=self._retry_envelopes,
                body=logs.ConnectFailureFilter,
                summary="Republishes the failures of envelopes, or what was delivered of them.",
                answer=logs.ConnectFailureResults,
                v2=True,
            ),
            Operation(
                operation_id="retry_event_for_envelope",
                method="PUT",
                path=envelope,
                handler=self._retry_envelope,
                summary="Republishes the failures of an envelope, or what was delivered of it.",
                errors=(EnvelopeNotFound,),
                answer=logs.ConnectFailureResults,
                v2=True,
            ),
            Operation(
                "retry_event_failure_logs",
                "PUT",
                f"{_ACCOUNT}/failures/{queue}",
                self._retry_failures,
                summary="Republishes all failures that the parameters select, some at a time.",
                answer=logs.BulkResults,
                query=(*selection.BULK, *selection.OF_FAILURES, selection.CURSOR),
                extension=True,
            ),
        ]

    def _of_failures(self) -> Sequence[Operation]:
        failures, failure = f"{_ACCOUNT}/failures", f"{_ACCOUNT}/failures/{{failureId}}"
        return [
            Operation(
                operation_id="list_event_failure_logs",
                method="GET",
                path=failures,
                handler=self._list_failures,
                lines=True,
                role=Role.VIEWER,
                summary="Lists the failures: events that a listener should have and has not taken.",
                answer=logs.ConnectLogs,
                query=(*selection.LISTING, *selection.OF_FAILURES),
                v2=True,
            ),
            Operation(
                operation_id="delete_event_failure_logs",
                method="DELETE",
                path=failures,
                handler=self._delete_failures,
                summary="Deletes all failures that the parameters select, some at a time.",
                answer=logs.BulkResults,
                query=(*selection.BULK, *selection.OF_FAILURES),
                extension=True,
            ),
            Operation(
                operation_id="get_event_failure_log",
                method="GET",
                path=failure,
                handler=self._get_failure,
                role=Role.VIEWER,
                summary="Shows one failure, which is what its failureUri leads to.",
                answer=logs.ConnectLog,
                query=(_ADDITIONAL_INFO,),
                extension=True,
                v2=True,
            ),
            Operation(
                operation_id="delete_event_failure_log",
                method="DELETE",
                path=failure,
                handler=self._delete_failure,
                summary="Deletes a failure, or every one where the id is all; none is tried again.",
                answer=logs.ConnectDeleteFailureResult,
                v2=True,
            ),
        ]

    def _of_logs(self) -> Sequence[Operation]:
        log, entry = f"{_ACCOUNT}/logs", f"{_ACCOUNT}/logs/{{logId}}"
        return [
            Operation(
                operation_id="list_event_logs",
                method="GET",
                path=log,
                handler=self._list_logs,
                lines=True,
                followed=True,
                role=Role.VIEWER,
                summary="Lists the log, every post of configurations that keep one, or follows it.",
                answer=logs.ConnectLogs,
                query=selection.LISTING,
                headers=(LAST_EVENT_ID,),
                errors=(TooManyFollowers,),
                v2=True,
            ),
            Operation(
                operation_id="delete_event_logs",
                method="DELETE",
                path=log,
                handler=self._delete_logs,
                summary="Empties the log; failures stay.",
                query=(selection.ALL, selection.DRY_RUN),
                v2=True,
            ),
            Operation(
                operation_id="get_event_log",
                method="GET",
                path=entry,
                handler=self._get_log,
                role=Role.VIEWER,
                summary="Shows one entry of the log.",
                answer=logs.ConnectLog,
                query=(_ADDITIONAL_INFO,),
                v2=True,
            ),
            Operation(
                operation_id="delete_event_log",
                method="DELETE",
                path=entry,
                handler=self._delete_log,
                summary="Deletes one entry of the log, or every one where the id is all.",
                v2=True,
            ),
        ]

    async def _retry_envelope(self, call: Call) -> logs.ConnectFailureResults:
        envelope_id = call.path["envelopeId"]
        if await self._store.envelope(call.account_id, envelope_id) is None:
            raise EnvelopeNotFound(f"No event of envelope {envelope_id} was published.")
        return await self._retry(call, [envelope_id], synchronous=False)

    async def _retry_envelopes(self, call: Call) -> logs.ConnectFailureResults:
        body: logs.ConnectFailureFilter = call.body
        ids = body.envelope_ids or []
        wanted = (
            rest.split_texts(ids)
            if isinstance(ids, str)
            else [envelope_id for envelope_id in ids if envelope_id]
        )
        if not wanted:
            raise InvalidBody("envelopeIds must name at least one envelope.")
        synchronous = (body.synchronous or "false").strip().lower()
        if synchronous not in ("true", "false"):
            raise InvalidBody('synchronous must be "true" or "false".')
        return await self._retry(call, wanted, synchronous=synchronous == "true")

    async def _retry(
        self, call: Call, envelope_ids: Sequence[str], *, synchronous: bool
    ) -> logs.ConnectFailureResults:
        account_id, who = call.account_id, call.principal.name
        done = await self._republisher.envelopes(
            account_id, envelope_ids, who, synchronous=synchronous
        )
        count = len(done) + len(envelope_ids)
        return await aside(RECORD * count, lambda: _results(done, envelope_ids))

    async def _retry_failures(self, call: Call) -> logs.BulkResults:
        bulk = selection.read_bulk(call.query)
        chosen = await selecting.of_incident(self._store, call.account_id, bulk.selection)
        chosen = chosen.until(self._store.clock.differs())
        if bulk.dry_run:
            return await self._dry_run(call.account_id, chosen)
        page = await self._republisher.failures(call.account_id, chosen.query, chosen.cursor)
        return selection.results(page, (DeliveryState.WAITING,))

    async def _dry_run(self, account_id: str, chosen: selection.Selection) -> logs.BulkResults:
        return logs.dry_run(
            await self._store.chosen_failures(account_id, chosen.query, chosen.cursor)
        )

    async def _list_failures(self, call: Call) -> Reply | Response:
        return await self._listing(call, failures=True)

    async def _get_failure(self, call: Call) -> logs.ConnectLog:
        failure_id = row_id(call.path["failureId"], "failureId")
        entry = await self._store.failure(call.account_id, failure_id)
        if entry is None:
            raise _no_failure(failure_id)
        if not _ADDITIONAL_INFO.read(call.query):
            return logs.log_to_wire(entry)
        attempts = await self._store.attempts(call.account_id, failure_id)
        messages = await messages_of(self._store, self._zone, call.principal.account, attempts)
        return logs.failure_to_wire(entry, list(zip(attempts, messages, strict=True)))

    async def _delete_failure(self, call: Call) -> logs.ConnectDeleteFailureResult:
        who = call.principal.name
        if call.path["failureId"].lower() == _ALL:
            while await self._store.delete_failures(call.account_id, LogQuery(), who) >= BATCH_MOST:
                pass
            return logs.ConnectDeleteFailureResult()
        failure_id = row_id(call.path["failureId"], "failureId")
        if not await self._store.delete_failure(call.account_id, failure_id, who):
            raise _no_failure(failure_id)
        return logs.ConnectDeleteFailureResult()

    async def _delete_failures(self, call: Call) -> logs.BulkResults:
        bulk = selection.read_bulk(call.query)
        chosen = await selecting.of_incident(self._store, call.account_id, bulk.selection)
        if bulk.dry_run:
            return await self._dry_run(call.account_id, chosen)
        who = call.principal.name
        deleted = await self._store.delete_failures(call.account_id, chosen.query, who)
        # There may be more only where a whole batch was found.
        more = "more" if deleted >= BATCH_MOST else None
        return logs.BulkResults(changed=str(deleted), next_cursor=more)

    async def _list_logs(self, call: Call) -> Reply | Response:
        if call.accept == FOLLOWED:
            query, account_id = selection.read(call.query).query, call.account_id
            shown = _log_of_v2 if call.v2 else logs.log_to_wire
            return self._followers.follow(
                call, lambda place: self._store.tails.logs(account_id, query, place, PAGE), shown
            )
        return await self._listing(call, failures=False)

    async def _get_log(self, call: Call) -> logs.ConnectLog:
        log_id = row_id(call.path["logId"], "logId")
        detail = await self._store.log(call.account_id, log_id)
        if detail is None:
            raise _no_log(log_id)
        if not _ADDITIONAL_INFO.read(call.query):
            return logs.log_to_wire(detail.entry)
        (sent,) = await messages_of(self._store, self._zone, call.principal.account, [detail])
        return logs.detail_to_wire(detail, sent)

    async def _delete_log(self, call: Call) -> None:
        if call.path["logId"].lower() == _ALL:
            await self._delete_logs(call)
            return
        log_id = row_id(call.path["logId"], "logId")
        if not await self._store.delete_log(call.account_id, log_id):
            raise _no_log(log_id)

    async def _delete_logs(self, call: Call) -> logs.BulkResults | None:
        # DocuSign's call, which has no parameters and means all.
        if call.query.get("all", "").strip() and not selection.ALL.read(call.query):
            raise InvalidParameter(
                "Nothing was deleted: the call means all, and there is all=false."
            )
        if selection.DRY_RUN.read(call.query):
            return logs.dry_run(await self._store.chosen_logs(call.account_id, LogQuery()))
        while await self._store.delete_logs(call.account_id) == BATCH_MOST:
            pass
        return None

    async def _listing(self, call: Call, *, failures: bool) -> Reply | Response:
        chosen = selection.read(call.query)
        chosen = await selecting.of_incident(self._store, call.account_id, chosen)
        chosen = chosen.until(self._store.clock.differs())
        listing = self._store.failures if failures else self._store.logs
        if call.accept == LINES:
            pages = every_page(listing, call.account_id, chosen.query, _LINES_PAGE, chosen.cursor)
            shown = _log_of_v2 if call.v2 else logs.log_to_wire
            return Response(lines(pages, chosen.count, shown), media_type=LINES)
        page = await listing(
            call.account_id, chosen.query, chosen.count or MOST_RECORDS, chosen.cursor
        )
        answer = await aside(RECORD * len(page.entries), lambda: _shown(page, failures=failures))
        return Reply(answer, selection.next_page(call.url_path, call.query, page.next_cursor))


def _results(done: Sequence[Requeued], envelope_ids: Sequence[str]) -> logs.ConnectFailureResults:
    results = [logs.requeued_to_wire(delivery) for delivery in done]
    answered = {result.envelope_id for result in results}
    results += [
        logs.ConnectFailureResult(
            envelope_id=envelope_id,
            status="not_found",
            status_message="Nothing of the envelope has failed, or was delivered.",
        )
        for envelope_id in dict.fromkeys(envelope_ids)
        if envelope_id not in answered
    ]
    return logs.ConnectFailureResults(retry_queue=results)


def _shown(page: Page[LogEntry], *, failures: bool) -> logs.ConnectLogs:
    return logs.listing([logs.log_to_wire(entry) for entry in page.entries], failures=failures)


def _log_of_v2(entry: LogEntry) -> logs.ConnectLog:
    return as_v2(logs.log_to_wire(entry))


def _no_failure(failure_id: int) -> NotFound:
    return NotFound(f"There is no open failure {failure_id}.")


def _no_log(log_id: int) -> NotFound:
    return NotFound(f"There is no log entry {log_id}.")
