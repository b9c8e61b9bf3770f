"""Events and deliveries as they are listed. Messages of ours: DocuSign has none of them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final
from urllib.parse import quote

import msgspec

from heliograph.model.deliveries import MERGED_INTO
from heliograph.model.logs import AttemptDetail
from heliograph.model.published import DeliveryEntry, EventEntry
from heliograph.wire import dates
from heliograph.wire.codec import Wire
from heliograph.wire.logs import answer_text
from heliograph.wire.publishing import SkippedConfiguration
from heliograph.wire.rest import DateTime


def _about(description: str) -> msgspec.Meta:
    return msgspec.Meta(description=description)


class ConnectAttempt(Wire):
    """A post of a delivery that has ended, and what it came to."""

    ours: ClassVar[bool] = True

    attempt_id: str
    attempt: Annotated[str, _about("1 for the first.")]
    started: DateTime
    outcome: Annotated[str, _about("`delivered`, `failed`, or `unknown` after a crash.")]
    milliseconds: Annotated[str | None, _about("How long it took.")] = None
    phase: Annotated[str | None, _about("How far it came, where it failed.")] = None
    error: str | None = None
    answer_status: Annotated[str | None, _about("The status of the answer, if one came.")] = None
    config_url: str | None = None
    resent_by: Annotated[
        str | None, _about("Who asked for it to be sent again after it had been delivered.")
    ] = None
    message: Annotated[str | None, _about("What was posted; with `additional_info`.")] = None
    answer: Annotated[
        str | None, _about("The answer, as far as it is kept; with `additional_info`.")
    ] = None


class ConnectDelivery(Wire):
    """One event for one configuration, whatever its state."""

    ours: ClassVar[bool] = True

    delivery_id: str
    delivery_uri: str
    delivery_state: Annotated[
        str, _about("`waiting`, `held`, `in_flight`, `delivered`, `failed` or `cancelled`.")
    ]
    event_id: str
    event_uri: str
    event: str
    connect_id: str
    config_name: str
    config_url: str
    created: Annotated[DateTime, _about("When the event was accepted.")]
    attempt_count: Annotated[str, _about("How many have begun.")]
    status: Annotated[str, _about("The envelope's status at the time of the event.")]
    envelope_id: str | None = None
    subject: str | None = None
    user_name: str | None = None
    email: str | None = None
    recipient_user_id: Annotated[
        str | None, _about("Whom the message is for, where each recipient gets one.")
    ] = None
    held_reason: Annotated[str | None, _about("`paused`, `disabled` or `order`.")] = None
    next_try: Annotated[DateTime | None, _about("When it is due, while it waits.")] = None
    last_try: Annotated[DateTime | None, _about("When the last attempt began.")] = None
    error: Annotated[str | None, _about("Why it has failed, while it is a failure.")] = None
    failure_id: Annotated[str | None, _about("Its id as a failure, while it is one.")] = None
    failure_uri: str | None = None
    cancelled_by: Annotated[str | None, _about("Who has cancelled it.")] = None
    merged_into: Annotated[
        str | None, _about("The event whose aggregate message stood for it.")
    ] = None
    resent_by: Annotated[
        str | None, _about("Who asked for it to be sent again, until it has arrived.")
    ] = None
    attempts: Annotated[
        list[ConnectAttempt] | None, _about("Those that have ended, oldest first.")
    ] = None


class ConnectDeliveries(Wire):
    """A page of deliveries. `totalRecords` counts its records; `total`, on the first page alone,
    all that are selected, up to 10,000."""

    ours: ClassVar[bool] = True

    deliveries: list[ConnectDelivery]
    total_records: str
    total: str | None = None
    total_capped: Annotated[str | None, _about('"true" where there may be more than `total`.')] = (
        None
    )


class SkipNow(SkippedConfiguration):
    """A configuration that has no delivery of an event, and why, as it is now."""

    changed_since: Annotated[
        str, _about('"true" where it was changed after the event, so that it may have said other.')
    ]


class ConnectEvent(Wire):
    """A stored event."""

    ours: ClassVar[bool] = True

    event_id: str
    event_uri: str
    event: str
    created: Annotated[DateTime, _about("When it was accepted.")]
    generated: Annotated[DateTime, _about("When it happened, as its publisher said.")]
    status: Annotated[str, _about("The envelope's status at its time.")]
    delivery_count: Annotated[str, _about("How many are kept.")]
    envelope_id: str | None = None
    subject: str | None = None
    user_name: str | None = None
    email: str | None = None
    deliveries: Annotated[list[ConnectDelivery] | None, _about("The first 1,000 of them.")] = None
    skipped: Annotated[
        list[SkipNow] | None,
        _about("The first configurations without a delivery; all with `explain`."),
    ] = None
    skipped_count: str | None = None
    document: Annotated[
        str | None, _about("What was published, as JSON text; with `additional_info`.")
    ] = None


class ConnectEvents(Wire):
    """A page of events; its counts are as those of deliveries."""

    ours: ClassVar[bool] = True

    events: list[ConnectEvent]
    total_records: str
    total: str | None = None
    total_capped: Annotated[str | None, _about('"true" where there may be more than `total`.')] = (
        None
    )


_BASE: Final = "/v2.1/accounts"


def _event_uri(account_id: str, event_id: str) -> str:
    return f"{_BASE}/{account_id}/connect/events/{quote(event_id, safe='')}"


def event_to_wire(account_id: str, entry: EventEntry) -> ConnectEvent:
    """An event as a listing shows it."""
    return ConnectEvent(
        event_id=entry.event_id,
        event_uri=_event_uri(account_id, entry.event_id),
        event=entry.name,
        created=dates.render(entry.created_at),
        generated=dates.render(entry.generated_at),
        status=entry.status,
        delivery_count=str(entry.deliveries),
        envelope_id=entry.envelope_id or None,
        subject=entry.subject,
        user_name=entry.sender_name,
        email=entry.sender_email,
    )


def delivery_to_wire(account_id: str, entry: DeliveryEntry) -> ConnectDelivery:
    """A delivery as a listing shows it. The URIs work on this host as they stand."""
    base, number = f"{_BASE}/{account_id}/connect", str(entry.delivery_id)
    by = entry.cancelled_by
    merged = by is not None and by.startswith(MERGED_INTO)
    return ConnectDelivery(
        delivery_id=number,
        delivery_uri=f"{base}/deliveries/{number}",
        delivery_state=entry.state.value,
        event_id=entry.event.event_id,
        event_uri=_event_uri(account_id, entry.event.event_id),
        event=entry.event.name,
        connect_id=str(entry.connect_id),
        config_name=entry.config_name,
        config_url=entry.config_url,
        created=dates.render(entry.event.created_at),
        attempt_count=str(entry.attempts),
        status=entry.event.status,
        envelope_id=entry.event.envelope_id or None,
        subject=entry.event.subject,
        user_name=entry.event.sender_name,
        email=entry.event.sender_email,
        recipient_user_id=entry.recipient,
        held_reason=None if entry.held is None else entry.held.value,
        next_try=None if entry.next_try is None else dates.render(entry.next_try),
        last_try=None if entry.last_try is None else dates.render(entry.last_try),
        error=entry.error,
        failure_id=number if entry.is_failure else None,
        failure_uri=f"{base}/failures/{number}" if entry.is_failure else None,
        cancelled_by=None if merged else by,
        merged_into=by.removeprefix(MERGED_INTO) if by is not None and merged else None,
        resent_by=entry.resent_by,
    )


def attempt_to_wire(detail: AttemptDetail) -> ConnectAttempt:
    """An attempt, without what was sent and what came back."""
    return ConnectAttempt(
        attempt_id=str(detail.entry.log_id),
        attempt=str(detail.entry.retry_count + 1),
        started=dates.render(detail.entry.created_at),
        outcome=detail.outcome.value,
        milliseconds=None if detail.seconds is None else str(round(detail.seconds * 1000)),
        phase=None if detail.why is None else detail.why.phase.value,
        error=detail.entry.error,
        answer_status=None if detail.answer is None else str(detail.answer.status),
        config_url=detail.entry.config_url,
        resent_by=detail.entry.resent_by,
    )


def with_exchange(attempt: ConnectAttempt, detail: AttemptDetail, message: bytes) -> ConnectAttempt:
    """The same with what was sent and what came back."""
    attempt.message = message.decode()
    attempt.answer = None if detail.answer is None else answer_text(detail.answer)
    return attempt
