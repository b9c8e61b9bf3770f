"""Sending again what was delivered: from the history, or its end, back to the queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from heliograph.model.audit import Action
from heliograph.model.deliveries import DeliveryState
from heliograph.model.logs import Cursor, LogQuery, Requeued
from heliograph.store.rows import BEING_SENT, NOWHERE_TO_SEND, held_back, reason_held
from heliograph.store.verbs import Rows, Step, Verb, audit
from heliograph.store.verbs.log_rows import filters_of

_AGAIN: Final = "Queued: it was delivered, and is sent again."
_STATES: Final = {
    DeliveryState.WAITING: "It waits to be sent.",
    DeliveryState.HELD: "It is held.",
    DeliveryState.IN_FLIGHT: BEING_SENT,
    DeliveryState.FAILED: "It was not delivered: republish the failure.",
    DeliveryState.CANCELLED: "It was cancelled.",
    DeliveryState.DELIVERED: "Its event is not kept any more.",
}
"""Why a delivery is not sent again."""


def page(account_id: str, query: LogQuery, limit: int, after: Cursor | None) -> Step:
    """The step of what was delivered and a query selects, by number; one more is asked for, to
    know whether others follow. `error` and `order` count for nothing."""
    filters, values = _of(account_id, query, after)
    name = "delivered_page" if query.envelope_id is None else "delivered_page_of_envelopes"
    return Step(name, {**values, "limit": limit + 1}, filters, "delivered_in_order")


def page_of_envelopes(account_id: str, envelope_ids: Sequence[str], limit: int, after: int) -> Step:
    """The step of what was delivered of these envelopes, above an id."""
    values = {"account_id": account_id, "envelope_ids": list(envelope_ids)}
    return Step(
        "delivered_page_of_envelopes",
        {**values, "after_id": after, "limit": limit},
        ["delivered_of_envelopes", "delivered_after"],
        "delivered_in_order",
    )


def chosen(account_id: str, query: LogQuery, after: Cursor | None) -> Step:
    """The step that counts what was delivered and a query selects, behind a cursor."""
    filters, values = _of(account_id, query, after)
    return Step("delivered_chosen", values, filters)


def _of(account_id: str, query: LogQuery, after: Cursor | None) -> tuple[list[str], dict[str, Any]]:
    usual = replace(query, error=None, envelope_id=None)
    filters, values = filters_of("delivered", account_id, usual, None)
    if query.envelope_id is not None:
        filters.append("delivered_of_envelopes")
        values["envelope_ids"] = [query.envelope_id]
    if after is not None:
        filters.append("delivered_after")
        values["after_id"] = after.row_id
    return filters, values


def send_again(
    account_id: str, some: Sequence[Any], who: str, now: int, job_id: int | None = None
) -> Verb[tuple[set[int], Rows]]:
    """Let deliveries wait to be sent again; `job_id` is the republish job that asks for it.

    `some` are rows of `delivered_page` or `delivery_of_log`; what has happened to them since they
    were read counts. Gives the configurations that are there still, and those that wait now, as
    rows of `delivered_again`.
    """
    connect_ids = sorted({row.connect_id for row in some})
    kept = yield Step("configurations_kept", {"account_id": account_id, "connect_ids": connect_ids})
    again = yield Step(
        "delivered_again",
        {
            "account_id": account_id,
            "ids": [row.delivery_id for row in some],
            "created": sorted({row.created_us for row in some}),
            "now": now,
            "who": who,
            "job_id": job_id,
        },
    )
    return {row.connect_id for row in kept if not row.deleted}, again


def resend(account_id: str, some: Sequence[Any], who: str, now: int) -> Verb[list[Requeued]]:
    """Let deliveries wait to be sent again, and say of each how it is; see `send_again`."""
    if not some:
        return []
    live, again = yield from send_again(account_id, some, who, now)
    moved = {row.delivery_id: row for row in again}
    asked = audit.of_deliveries(row.delivery_id for row in again)
    yield from audit.note(account_id, now, Action.DELIVERED_RESENT, *asked)
    others = [row.delivery_id for row in some if row.delivery_id not in moved]
    states: dict[int, DeliveryState] = {}
    if others:
        found = yield Step("progress", {"account_id": account_id, "ids": others})
        states = {row.delivery_id: DeliveryState(row.state) for row in found}
    done = []
    for row in some:
        to = moved.get(row.delivery_id)
        state, note = (
            _again(to)
            if to is not None
            else _not_again(states.get(row.delivery_id), deleted=row.connect_id not in live)
        )
        done.append(
            Requeued(
                delivery_id=row.delivery_id,
                envelope_id=row.envelope_id,
                connect_id=row.connect_id,
                config_url=row.config_url,
                attempts=row.attempts,
                state=state,
                note=note,
            )
        )
    return done


def _again(to: Any) -> tuple[DeliveryState, str]:
    """The state of what is sent again, a row of `delivered_again`, and what is said of it."""
    reason = reason_held(to.held_reason)
    return DeliveryState(to.state), _AGAIN if reason is None else held_back(reason)


def _not_again(found: DeliveryState | None, *, deleted: bool) -> tuple[DeliveryState, str]:
    """The same of what is not, which may be gone meanwhile."""
    if found is DeliveryState.DELIVERED:
        # What was asked for has failed, not the delivery.
        return DeliveryState.FAILED, NOWHERE_TO_SEND if deleted else _STATES[found]
    state = found or DeliveryState.CANCELLED
    return state, _STATES[state]
