"""Rows of listings to model values, and filters to query fragments; the same for each engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from heliograph.model import (
    Answer,
    AttemptDetail,
    AttemptOutcome,
    Cursor,
    Delivered,
    DeliveryState,
    Event,
    Interrupted,
    LogEntry,
    LogQuery,
    Phase,
    Settlement,
    Why,
)
from heliograph.wire.dates import from_microseconds, to_microseconds


def listing(
    queries: Mapping[str, str],
    name: str,
    fragments: str,
    account_id: str,
    query: LogQuery,
    limit: int,
    after: Cursor | None,
) -> tuple[str, dict[str, Any]]:
    """The statement and values of a listing.

    Args:
        queries: The engine's named queries.
        name: The query with the places `{filters}` and `{order}`.
        fragments: The prefix of the fragments' names: "failures" or "logs".
        account_id: Whose rows.
        query: The filters.
        limit: Rows wanted; one more is asked for, to know whether others follow.
        after: Where the page before ended.
    """
    order = query.order.name.lower()
    values: dict[str, Any] = {"account_id": account_id, "limit": limit + 1}
    chosen = []
    given = {
        "from_date": ("from_us", query.from_date and to_microseconds(query.from_date)),
        "to_date": ("to_us", query.to_date and to_microseconds(query.to_date)),
        "connect_id": ("connect_id", query.connect_id),
        "envelope_id": ("envelope_id", query.envelope_id),
        "status": ("status", query.status),
        "error": ("error", query.error and query.error.lower()),
    }
    for filter_name, (parameter, value) in given.items():
        if value is not None:
            chosen.append(queries[f"{fragments}_{filter_name}"])
            values[parameter] = value
    if after is not None:
        chosen.append(queries[f"{fragments}_after_{order}"])
        values |= {"after_us": after.created_us, "after_id": after.row_id}
    statement = queries[name].format(
        filters="\n".join(chosen), order=queries[f"{fragments}_{order}"]
    )
    return statement, values


def entry(account_id: str, row: tuple[Any, ...]) -> LogEntry:
    """The first 19 columns of the queries `failures`, `logs` and `attempt_details`."""
    return LogEntry(
        account_id=account_id,
        cursor=Cursor(row[0], row[1]),
        created_at=from_microseconds(row[0]),
        envelope_id=row[2],
        event_id=row[3],
        event_name=row[4],
        subject=row[5],
        sender_name=row[6],
        sender_email=row[7],
        status=row[8],
        connect_id=row[9],
        config_name=row[10],
        config_url=row[11],
        last_try=from_microseconds(row[12]),
        retry_count=row[13],
        error=row[14],
        log_id=row[15],
        failure_id=row[16],
        state=DeliveryState(row[17]),
        next_try=None if row[18] is None else from_microseconds(row[18]),
    )


def detail(account_id: str, row: tuple[Any, ...]) -> AttemptDetail:
    """A row of the query `attempt_details`."""
    first = entry(account_id, row[:19])
    generated, document, outcome, milliseconds, phase, status, reason, headers, body = row[19:]
    return AttemptDetail(
        entry=first,
        event=Event(
            account_id,
            first.event_id,
            first.event_name,
            first.envelope_id,
            from_microseconds(generated),
            document,
        ),
        answer=None
        if status is None
        else Answer(status, reason, tuple(tuple(pair) for pair in json.loads(headers)), body),
        why=None if phase is None else _why(phase, first.error or ""),
        outcome=AttemptOutcome(outcome),
        seconds=None if milliseconds is None else milliseconds / 1000,
    )


def _why(phase: str, error: str) -> Why:
    return Why(Phase(phase), error.removeprefix(f"{phase}: "))


def closing(settlement: Settlement) -> dict[str, Any]:
    """The values of the query `attempt_close`."""
    outcome, answer = settlement.outcome, settlement.answer
    why = None if isinstance(outcome, Delivered) else outcome.why
    if isinstance(outcome, Delivered):
        ended = AttemptOutcome.DELIVERED
    elif isinstance(outcome, Interrupted):
        ended = AttemptOutcome.UNKNOWN
    else:
        ended = AttemptOutcome.FAILED
    return {
        "attempt_id": settlement.claim.attempt_id,
        "outcome": ended,
        "logged": settlement.claim.configuration.enable_log,
        "started_us": to_microseconds(settlement.started_at),
        "milliseconds": round(settlement.seconds * 1000),
        "phase": why and why.phase,
        "error": why and str(why),
        "answer_status": answer and answer.status,
        "answer_reason": answer and answer.reason,
        "answer_headers": answer and json.dumps(answer.headers),
        "answer_body": answer and answer.body,
    }
