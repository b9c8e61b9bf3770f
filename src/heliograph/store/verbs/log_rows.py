"""Listings as steps, and rows of logs and failures to values."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from heliograph.model.causes import cause_of
from heliograph.model.deliveries import Answer, AttemptOutcome, DeliveryState, Phase, Why
from heliograph.model.events import Event
from heliograph.model.logs import AttemptDetail, Chosen, Cursor, LogEntry, LogQuery
from heliograph.store import Failing
from heliograph.store.rows import reason_held
from heliograph.store.times import from_microseconds, to_microseconds
from heliograph.store.verbs import Rows, Step, Verb

_MOST_TEXTS: Final = 1_000
"""Of so many different errors it is looked which hold a text; each takes some 5 µs."""

_MOST_MATCHING: Final = 100
"""Of so many of them the failures are looked up apart."""

_MOST_IDS: Final = 20_000
"""So many failures are looked up apart for one page: each text may have a page of its own."""


def found(step: Step) -> Verb[Rows]:
    """The rows of a step of `listing` or `chosen`.

    Failures with a text in their error are found by the different errors that there are, which
    are few; where they are many, by all failures that the other filters let pass.
    """
    if "failures_error" not in step.filters:
        return (yield step)
    values = {name: step.values[name] for name in ("account_id", "error")}
    walked = yield Step("failures_texts", {**values, "most_texts": _MOST_TEXTS})
    if not walked:
        return walked
    few = len(walked) <= _MOST_MATCHING and all(row.place < _MOST_TEXTS for row in walked)
    if step.order:
        few = few and len(walked) * step.values["limit"] <= _MOST_IDS
    # A configuration and an envelope have an index of their own, and less to look through.
    if not few or step.values.keys() & {"connect_id", "envelope_id"}:
        return (yield step)
    return (yield _of_texts(step, [row.text for row in walked]))


def _of_texts(step: Step, texts: list[str]) -> Step:
    """The step, for failures whose errors begin with these."""
    values = {**step.values, "texts": texts}
    if not step.order:
        return replace(step, values=values, filters=[*step.filters, "failures_of_texts"])
    alone = {"failures_status": "failures_status_alone"}
    within = [alone.get(name, name) for name in step.filters]
    # Outside too: who waits for a row's lock on PostgreSQL looks at what has become of it.
    filters = [*step.filters, "failures_of_each_text"]
    return replace(step, values=values, filters=filters, within=within)


def listing(name: str, account_id: str, query: LogQuery, limit: int, after: Cursor | None) -> Step:
    """The step of a listing.

    Args:
        name: `logs`, or a query of failures.
        account_id: Whose rows.
        query: The filters.
        limit: Rows wanted; one more is asked for, to know whether others follow.
        after: Where the page before ended.
    """

    filters, values = filters_of(name, account_id, query, after)
    kind = "logs" if name == "logs" else "failures"
    order = f"{kind}_{query.order.name.lower()}"
    return Step(name, {**values, "limit": limit + 1}, filters, order)


def chosen(name: str, account_id: str, query: LogQuery, after: Cursor | None) -> Step:
    """The step that counts what a query selects: `logs_chosen`, or a query of failures."""
    filters, values = filters_of(name, account_id, query, after)
    return Step(name, values, filters)


def filters_of(
    name: str, account_id: str, query: LogQuery, after: Cursor | None
) -> tuple[list[str], dict[str, Any]]:
    """The names of a query's filters, and the values of them."""

    def part(which: str) -> str:
        return f"logs_{which}" if name.startswith("logs") else f"failures_{which}"

    values: dict[str, Any] = {"account_id": account_id}
    filters = []
    wanted = {
        "from_date": ("from_us", query.from_date and to_microseconds(query.from_date)),
        "to_date": ("to_us", query.to_date and to_microseconds(query.to_date)),
        "connect_id": ("connect_id", query.connect_id),
        "envelope_id": ("envelope_id", query.envelope_id),
        "status": ("status", query.status),
        "error": ("error", query.error),
        "phase": ("phase", query.phase),
    }
    for which, (parameter, value) in wanted.items():
        if value is not None:
            filters.append(part(which))
            values[parameter] = value
    if query.cause is not None:
        filters.append("failures_cause")
        values |= {"cause_phase": query.cause.phase, "cause_what": query.cause.what}
    if after is not None:
        filters.append(part(f"after_{query.order.name.lower()}"))
        values |= {"after_us": after.created_us, "after_id": after.row_id}
    return filters, values


def chosen_rows(found: Iterable[Any]) -> tuple[Chosen, ...]:
    """Rows of `failures_chosen` or `logs_chosen`."""
    return tuple(
        Chosen(
            connect_id=row.connect_id,
            config_name=row.config_name,
            config_url=row.config_url,
            count=row.number,
            oldest=from_microseconds(row.oldest_us),
            newest=from_microseconds(row.newest_us),
        )
        for row in found
    )


def entry(account_id: str, row: Any) -> LogEntry:
    """A row of `failures`, `logs` or `attempt_details`."""
    return LogEntry(
        account_id=account_id,
        cursor=Cursor(row.created_us, row.row_id),
        created_at=from_microseconds(row.created_us),
        envelope_id=row.envelope_id,
        event_id=row.event_id,
        event_name=row.event_name,
        subject=row.subject,
        sender_name=row.sender_name,
        sender_email=row.sender_email,
        status=row.status,
        connect_id=row.connect_id,
        config_name=row.config_name,
        config_url=row.config_url,
        last_try=from_microseconds(row.last_try_us),
        retry_count=row.retry_count,
        error=row.error,
        log_id=row.log_id,
        failure_id=row.failure_id,
        state=DeliveryState(row.state),
        next_try=None if row.due_us is None else from_microseconds(row.due_us),
        held=reason_held(row.held_reason),
        of_failure=bool(row.of_failure),
        resent_by=row.resent_by,
        cause=None if row.error is None else cause_of(row.error),
    )


def detail(account_id: str, row: Any) -> AttemptDetail:
    """A row of `attempt_details`."""
    return AttemptDetail(
        entry=entry(account_id, row),
        event=Event(
            account_id,
            row.event_id,
            row.event_name,
            row.envelope_id,
            from_microseconds(row.generated_us),
            row.document,
        ),
        answer=None if row.answer_status is None else _answer(row),
        why=None if row.phase is None else _why(row.phase, row.error or ""),
        outcome=AttemptOutcome(row.outcome),
        seconds=None if row.milliseconds is None else row.milliseconds / 1000,
        recipient=row.recipient,
    )


def _answer(row: Any) -> Answer:
    headers = tuple(tuple(pair) for pair in json.loads(row.answer_headers))
    return Answer(row.answer_status, row.answer_reason, headers, row.answer_body)


def _why(phase: str, error: str) -> Why:
    return Why(Phase(phase), error.removeprefix(f"{phase}: "))


def failing(found: Iterable[Any]) -> tuple[Failing, ...]:
    """Rows of `failing`."""
    return tuple(
        Failing(
            account_id=row.account_id,
            connect_id=row.connect_id,
            name=row.name,
            since=from_microseconds(row.since_us),
            warned=bool(row.warned),
        )
        for row in found
    )
