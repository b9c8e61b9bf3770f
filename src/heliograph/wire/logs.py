"""Log entries and failures as the page shows them, and what deleting or republishing answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Final
from urllib.parse import quote

from msgspec import field

from heliograph.model.deliveries import SKIPPED, Answer, AttemptOutcome, DeliveryState
from heliograph.model.events import HeldReason
from heliograph.model.logs import AttemptDetail, Chosen, LogEntry, Requeued
from heliograph.wire import dates
from heliograph.wire.codec import Wire
from heliograph.wire.rest import DateTime, ErrorDetails, Flag, Texts, own


class ConnectDebugLog(Wire):
    """One half of an exchange, shown with `additional_info=true`."""

    event_date_time: str | None = None
    config_name: str | None = field(name="connectConfig", default=None)
    event_description: str | None = None
    payload: str | None = None
    error_details: ErrorDetails | None = None


class ConnectLog(Wire):
    """A log entry or a failure, as on the page and in its order, and extensions of ours: `cause`
    where it failed, and while the failure is open `deliveryState`, `nextTry` where another one is
    due, `heldReason` where none is yet. `event` is there where it is about no envelope, `resentBy`
    where somebody asked for what was delivered to be sent again."""

    account_id: str | None = None
    envelope_id: str | None = None
    subject: str | None = None
    created: str | None = None
    user_name: str | None = None
    email: str | None = None
    status: str | None = None
    last_try: str | None = None
    retry_count: str | None = None
    error: str | None = None
    connect_id: str | None = None
    config_url: str | None = None
    log_uri: str | None = None
    log_id: str | None = None
    failure_uri: str | None = None
    failure_id: str | None = None
    retry_uri: str | None = None
    connect_debug_log: list[ConnectDebugLog] | None = None
    cause: Annotated[
        str | None, own("Why it failed, in few enough words to count by: see incidents.")
    ] = None
    delivery_state: Annotated[
        str | None, own("While the failure is open: waiting, held, in_flight or failed.")
    ] = None
    event: Annotated[str | None, own("The event, where it is about no envelope.")] = None
    held_reason: Annotated[
        str | None, own("Why an open failure is held: `paused`, `disabled` or `order`.")
    ] = None
    next_try: Annotated[str | None, own("When the next try of an open failure is due.")] = None
    resent_by: Annotated[
        str | None, own("Who asked for it to be sent again after it had been delivered.")
    ] = None


class ConnectLogs(Wire):
    """A listing of logs or of failures; the other list is empty, not missing, so that
    clients can walk both. `totalRecords` counts the records in this answer."""

    type: str | None = None
    logs: list[ConnectLog] | None = None
    failures: list[ConnectLog] | None = None
    total_records: str | None = None


class ConnectFailureFilter(Wire):
    """Which envelopes to republish; `synchronous` waits for the outcome."""

    envelope_ids: Texts = None
    synchronous: Flag | None = None


class ConnectFailureResult(Wire):
    """What republishing did to one envelope and configuration."""

    config_id: str | None = None
    config_url: str | None = None
    envelope_id: str | None = None
    status: str | None = None
    status_message: str | None = None


class ConnectFailureResults(Wire):
    """The answer of both retry_queue calls."""

    retry_queue: list[ConnectFailureResult]


class ConnectDeleteFailureResult(Wire):
    """The answer of deleting a failure: it has no fields (contract.json)."""


class BulkConfiguration(Wire):
    """What a bulk call is about at one configuration."""

    ours: ClassVar[bool] = True

    connect_id: str
    name: str
    url_to_publish_to: str
    count: str


class BulkReason(Wire):
    """Why a bulk call has left some as they were."""

    ours: ClassVar[bool] = True

    reason: str
    count: str


class BulkResults(Wire):
    """What one batch of a bulk call changed, and where some are left as they were, why;
    `nextCursor` is there while more may match. With
    `dryRun` nothing was changed, and there is what would be: how many, of which configurations, and
    when the oldest and the newest were created."""

    ours: ClassVar[bool] = True

    changed: str
    unchanged: str | None = None
    next_cursor: str | None = None
    dry_run: str | None = None
    count: str | None = None
    oldest: DateTime | None = None
    newest: DateTime | None = None
    configurations: list[BulkConfiguration] | None = None
    unchanged_reasons: list[BulkReason] | None = None


def dry_run(found: Sequence[Chosen]) -> BulkResults:
    """What a bulk call would change."""
    return BulkResults(
        changed="0",
        dry_run="true",
        count=str(sum(chosen.count for chosen in found)),
        oldest=dates.render(min(chosen.oldest for chosen in found)) if found else None,
        newest=dates.render(max(chosen.newest for chosen in found)) if found else None,
        configurations=[
            BulkConfiguration(
                connect_id=str(chosen.connect_id),
                name=chosen.config_name,
                url_to_publish_to=chosen.config_url,
                count=str(chosen.count),
            )
            for chosen in found
        ],
    )


def log_to_wire(entry: LogEntry) -> ConnectLog:
    """A log entry or failure as on the page. The URIs work on this host as they stand, and
    behind the SDK's base path."""
    base = f"/v2.1/accounts/{entry.account_id}/connect"
    is_open = entry.failure_id is not None
    waits = is_open and entry.state is DeliveryState.WAITING and entry.next_try is not None
    held = entry.held if is_open else None
    return ConnectLog(
        account_id=entry.account_id,
        cause=None if entry.cause is None else str(entry.cause),
        config_url=entry.config_url,
        connect_id=str(entry.connect_id),
        created=dates.render(entry.created_at),
        delivery_state=entry.state.value if is_open else None,
        email=entry.sender_email,
        envelope_id=entry.envelope_id or None,
        error=_with_skipped(entry),
        event=None if entry.envelope_id else entry.event_name,
        failure_id=None if entry.failure_id is None else str(entry.failure_id),
        failure_uri=None if entry.failure_id is None else f"{base}/failures/{entry.failure_id}",
        held_reason=None if held is None else held.value,
        last_try=dates.render(entry.last_try),
        log_id=None if entry.log_id is None else str(entry.log_id),
        log_uri=None if entry.log_id is None else f"{base}/logs/{entry.log_id}",
        next_try=dates.render(entry.next_try) if waits and entry.next_try else None,
        resent_by=entry.resent_by,
        retry_count=str(entry.retry_count),
        retry_uri=None
        if entry.failure_id is None or not entry.envelope_id
        else f"{base}/envelopes/{quote(entry.envelope_id, safe='')}/retry_queue",
        status=entry.status,
        subject=entry.subject,
        user_name=entry.sender_name,
    )


_SKIPPED: Final = {
    HeldReason.PAUSED: SKIPPED,
    HeldReason.DISABLED: "the next try is skipped while allowEnvelopePublish is false",
}


def _with_skipped(entry: LogEntry) -> str | None:
    """The error of a failure, and why its next try does not come; DocuSign says so too."""
    # An entry of the log is what one attempt came to, whatever happened later.
    skipped = _SKIPPED.get(entry.held) if entry.held and entry.of_failure else None
    # What came in the pause says so already.
    parts = dict.fromkeys(filter(None, (entry.error, skipped)))
    return " - ".join(parts) or None


def detail_to_wire(detail: AttemptDetail, message: bytes) -> ConnectLog:
    """A log entry with its debug log: the message that was sent, and what came back."""
    log = log_to_wire(detail.entry)
    log.connect_debug_log = _exchange(detail, message)
    return log


def failure_to_wire(entry: LogEntry, attempts: Sequence[tuple[AttemptDetail, bytes]]) -> ConnectLog:
    """A failure with the debug log of all its attempts, oldest first."""
    log = log_to_wire(entry)
    log.connect_debug_log = [
        half for detail, message in attempts for half in _exchange(detail, message)
    ]
    return log


def _exchange(detail: AttemptDetail, message: bytes) -> list[ConnectDebugLog]:
    sent = ConnectDebugLog(
        config_name=detail.entry.config_name,
        event_date_time=dates.render(detail.entry.last_try),
        event_description=_posted(detail.entry),
        payload=message.decode(),
    )
    return [sent, _came_back(detail)]


def _posted(entry: LogEntry) -> str:
    asked = "" if entry.resent_by is None else f", again, as {entry.resent_by} asked"
    return f"Posted {entry.event_name} to {entry.config_url}{asked}"


def _came_back(detail: AttemptDetail) -> ConnectDebugLog:
    took = "" if detail.seconds is None else f" after {detail.seconds:.3f} s"
    description = {
        AttemptOutcome.DELIVERED: "Delivered",
        AttemptOutcome.FAILED: "Failed",
        AttemptOutcome.UNKNOWN: "Unknown: Heliograph stopped before the outcome was known",
    }[detail.outcome]
    return ConnectDebugLog(
        config_name=detail.entry.config_name,
        event_date_time=dates.render(detail.entry.last_try),
        event_description=description + took,
        payload=None if detail.answer is None else answer_text(detail.answer),
        error_details=None
        if detail.why is None
        else ErrorDetails(
            error_code=detail.why.phase.name,
            message=str(detail.why),
        ),
    )


def answer_text(answer: Answer) -> str:
    """A listener's answer as text: status line, headers, and the stored part of the body."""
    head = [f"HTTP/1.1 {answer.status} {answer.reason}".rstrip()]
    head += [f"{name}: {value}" for name, value in answer.headers]
    return "\n".join([*head, "", answer.body.decode("utf-8", "replace")])


def requeued_to_wire(done: Requeued) -> ConnectFailureResult:
    """What republishing did to one delivery."""
    return ConnectFailureResult(
        config_id=str(done.connect_id),
        config_url=done.config_url,
        envelope_id=done.envelope_id or None,
        status=_RETRY_STATUS[done.state],
        status_message=done.note,
    )


_RETRY_STATUS: Final = {
    DeliveryState.WAITING: "queued",
    DeliveryState.IN_FLIGHT: "in_progress",
    DeliveryState.HELD: "held",
    DeliveryState.DELIVERED: "success",
    DeliveryState.FAILED: "failed",
    DeliveryState.CANCELLED: "cancelled",
}


def listing(entries: Sequence[ConnectLog], *, failures: bool) -> ConnectLogs:
    """The answer of listFailures, or of list."""
    return ConnectLogs(
        failures=list(entries) if failures else [],
        logs=[] if failures else list(entries),
        total_records=str(len(entries)),
        type="failures" if failures else "logs",
    )
