"""What accept and settle write, turned into one list a column: how PostgreSQL takes sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

from heliograph.model.deliveries import (
    Delivered,
    DeliveryState,
    GaveUp,
    Interrupted,
    RetryAt,
    Settlement,
)
from heliograph.model.events import HeldReason
from heliograph.store import rows
from heliograph.store.accepting import Events, generated_us
from heliograph.store.times import to_microseconds


def columns(values: Sequence[tuple[Any, ...]], width: int) -> tuple[list[Any], ...]:
    """Rows turned into one list a column, as unnest takes them."""
    return tuple([row[place] for row in values] for place in range(width))


def summary_columns(
    new: Events, places: dict[tuple[str, str], int], now: int
) -> dict[str, list[Any]]:
    """The newest summary of each envelope, in one order for every transaction.

    Events of no envelope have none: they would all wait for one row.
    """
    merged: dict[tuple[str, str], list[Any]] = {}
    for (account_id, event_id), addition in new.items():
        envelope, generated = addition.event.envelope, generated_us(addition.event, now)
        if not envelope.envelope_id:
            continue
        fields = [envelope.subject, envelope.sender_name, envelope.sender_email, envelope.status]
        before = merged.get((account_id, envelope.envelope_id))
        if before is not None and generated < before[4]:
            continue
        if before is not None:
            fields = [
                older if newer is None else newer
                for newer, older in zip(fields, before[:4], strict=True)
            ]
        place = places[account_id, event_id]
        merged[account_id, envelope.envelope_id] = [*fields, generated, place]
    in_order = sorted(merged.items())
    names = ("subjects", "sender_names", "sender_emails", "statuses", "generated", "event_rows")
    return {
        "account_ids": [key[0] for key, _ in in_order],
        "envelope_ids": [key[1] for key, _ in in_order],
        "changed": [now] * len(in_order),
        "event_created": [now] * len(in_order),
        **{name: [values[place] for _, values in in_order] for place, name in enumerate(names)},
    }


def event_columns(
    new: Events, places: dict[tuple[str, str], int], now: int
) -> dict[str, list[Any]]:
    events = [addition.event for addition in new.values()]
    return {
        "event_rows": [places[key] for key in new],
        "created": [now] * len(new),
        "account_ids": [account_id for account_id, _ in new],
        "event_ids": [event.event_id for event in events],
        "names": [event.name for event in events],
        "envelope_ids": [event.envelope.envelope_id for event in events],
        "subjects": [event.envelope.subject for event in events],
        "sender_names": [event.envelope.sender_name for event in events],
        "sender_emails": [event.envelope.sender_email for event in events],
        "statuses": [event.envelope.status for event in events],
        "deliveries": [addition.deliveries for addition in new.values()],
        "generated": [generated_us(event, now) for event in events],
        "documents": [event.document for event in events],
    }


def fence_columns(settlements: Sequence[Settlement]) -> dict[str, list[int]]:
    return {
        "delivery_ids": [settlement.claim.delivery_id for settlement in settlements],
        "epochs": [settlement.claim.epoch for settlement in settlements],
        "attempt_ids": [settlement.claim.attempt_id for settlement in settlements],
    }


def where_next(
    settlement: Settlement, holding: dict[int, HeldReason | None], now: int
) -> dict[str, Any]:
    """Where a delivery goes that was not delivered; its configuration may have changed.

    `holding` says for each configuration that is not deleted why it holds deliveries, if so.
    """
    outcome = settlement.outcome
    values: dict[str, Any] = {
        "held": None,
        "due": None,
        **rows.because(None),
        "failed": False,
        "uncounted": 0,
    }
    match outcome:
        case GaveUp(why=why):
            values |= {"state": DeliveryState.FAILED, "failed": True}
            return values | rows.because(str(why))
        case RetryAt(when=when, why=why, counts=counts):
            values |= {"failed": True, "due": to_microseconds(when), **rows.because(str(why))}
            values["uncounted"] = int(not counts)
        case Interrupted():
            values["due"] = now
        case Delivered():
            raise AssertionError("delivered ones are settled apart")
        case _:
            assert_never(outcome)
    connect_id = settlement.claim.configuration.connect_id
    if connect_id not in holding:
        return {
            **values,
            "state": DeliveryState.FAILED,
            "due": None,
            "failed": True,
            **rows.because(rows.DELETED),
        }
    reason = holding[connect_id]
    state = DeliveryState.WAITING if reason is None else DeliveryState.HELD
    return {**values, "state": state, "held": reason}


def settle_columns(
    settlements: Sequence[Settlement], values: Sequence[dict[str, Any]], now: int
) -> dict[str, Any]:
    return {
        **fence_columns(settlements),
        "account_ids": [settlement.claim.event.account_id for settlement in settlements],
        "connect_ids": [settlement.claim.configuration.connect_id for settlement in settlements],
        "states": [value["state"].value for value in values],
        "due": [value["due"] for value in values],
        "held": [value["held"] and value["held"].value for value in values],
        "failed": [value["failed"] for value in values],
        "uncounted": [value["uncounted"] for value in values],
        "errors": [rows.storable(value["error"]) for value in values],
        "phases": [value["phase"] for value in values],
        "whats": [value["what"] for value in values],
        "last_tries": [to_microseconds(settlement.started_at) for settlement in settlements],
        "now": now,
    }


def place_columns(
    settlements: Sequence[Settlement], places: dict[int, tuple[int, int]]
) -> dict[str, list[int]]:
    """Where the events of settled deliveries are."""
    placed = [places[settlement.claim.attempt_id] for settlement in settlements]
    return {
        "event_rows": [event_row for event_row, _ in placed],
        "created": [created for _, created in placed],
    }


def attempt_columns(settlements: Sequence[Settlement]) -> dict[str, list[Any]]:
    closed = [rows.closing(settlement) for settlement in settlements]
    return {
        "attempt_ids": [values["attempt_id"] for values in closed],
        "started": [values["started_us"] for values in closed],
        "delivery_ids": [values["delivery_id"] for values in closed],
        "account_ids": [values["account_id"] for values in closed],
        "connect_ids": [values["connect_id"] for values in closed],
        "envelope_ids": [values["envelope_id"] for values in closed],
        "numbers": [values["number"] for values in closed],
        "epochs": [values["epoch"] for values in closed],
        "urls": [values["url"] for values in closed],
        "outcomes": [values["outcome"].value for values in closed],
        "logged": [values["logged"] for values in closed],
        "milliseconds": [values["milliseconds"] for values in closed],
        "phases": [values["phase"] and values["phase"].value for values in closed],
        "errors": [rows.storable(values["error"]) for values in closed],
        "answer_statuses": [values["answer_status"] for values in closed],
        "answer_reasons": [rows.storable(values["answer_reason"]) for values in closed],
        "answer_headers": [values["answer_headers"] for values in closed],
        "answer_bodies": [values["answer_body"] for values in closed],
        "resent_bys": [values["resent_by"] for values in closed],
    }
