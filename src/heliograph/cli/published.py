"""Events and deliveries, shown: what has become of each, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from heliograph.cli.listing import Listing, about, print_half, print_total
from heliograph.cli.terminal import (
    Column,
    Row,
    counted,
    local_time,
    notes,
    output,
    print_rows,
    print_text,
    until,
    zone_of,
)

Records = Sequence[Mapping[str, Any]]

_NOUNS: Final = {"events": ("event", "events"), "deliveries": ("delivery", "deliveries")}


def print_published(listing: Listing, show: Callable[[Records], None]) -> None:
    """Events or deliveries, and how many there are."""
    noun = _NOUNS[listing.kind]
    if not listing.records:
        notes().print(f"No {noun[1]}.")
        return
    show(listing.records)
    print_total(listing, *noun)


def print_events(records: Records) -> None:
    """Events as a table; the subject and the id stand below each."""
    print_rows(
        output(),
        [
            Column(f"ACCEPTED ({zone_of(record['created'] for record in records)})"),
            Column("EVENT"),
            Column("ENVELOPE", gives_way=True),
            Column("DELIVERIES", right=True),
        ],
        [
            Row(
                [
                    local_time(record["created"]),
                    record["event"],
                    record.get("envelopeId", "-"),
                    record["deliveryCount"],
                ],
                " · ".join(filter(None, [record["eventId"], record.get("subject")])),
                "dim",
            )
            for record in records
        ],
    )


def print_deliveries(records: Records) -> None:
    """Deliveries as a table; what has become of each stands below it."""
    print_rows(
        output(),
        [
            Column("ID", right=True),
            Column("ENVELOPE", gives_way=True),
            Column("EVENT", gives_way=True),
            Column("CONFIG", right=True),
            Column(f"ACCEPTED ({zone_of(record['created'] for record in records)})"),
        ],
        [
            Row(
                [
                    record["deliveryId"],
                    about(record),
                    record["event"],
                    record["connectId"],
                    local_time(record["created"]),
                ],
                result(record),
                _style(record),
            )
            for record in records
        ],
    )


def print_outcome(event: Mapping[str, Any]) -> None:
    """To whom an event went with what result, and why not to others."""
    console = output()
    for delivery in event["deliveries"]:
        text = f"{delivery['connectId']} {delivery['configName']}: {result(delivery)}"
        print_text(console, text, style=_style(delivery) if "error" in delivery else "")
    for skip in event["skipped"]:
        since = " (its configuration was changed since)" if skip["changedSince"] == "true" else ""
        text = f"{skip['connectId']} {skip['name']}: not sent, {skip['reason']}{since}"
        print_text(console, text, style="dim")
    more = int(event["skippedCount"]) - len(event["skipped"])
    if more:
        others = counted(more, "more configuration")
        print_text(console, f"Not sent to {others}: `events show --explain`.", style="dim")


def print_attempts(attempts: Records) -> None:
    """Attempts as a table, and the exchange of the last one."""
    if not attempts:
        return
    output().print()
    print_rows(
        output(),
        [
            Column("TRY", right=True),
            Column(f"POSTED ({zone_of(attempt['started'] for attempt in attempts)})"),
            Column("RESULT"),
            Column("TOOK", right=True),
        ],
        [
            Row(
                [
                    attempt["attempt"],
                    local_time(attempt["started"]),
                    attempt["outcome"],
                    f"{attempt['milliseconds']} ms" if "milliseconds" in attempt else "",
                ],
                attempt.get("error", ""),
            )
            for attempt in attempts
        ],
    )
    for title, name in (("Sent", "message"), ("Came back", "answer")):
        if text := attempts[-1].get(name):
            print_half(title, text)


def result(delivery: Mapping[str, Any]) -> str:
    """What has become of a delivery, in a line."""
    state, tries = delivery["deliveryState"], counted(int(delivery["attemptCount"]), "try", "tries")
    error = delivery.get("error")
    match state:
        case "delivered":
            return f"delivered {local_time(delivery.get('lastTry'))}, {tries}"
        case "waiting":
            said = f"waiting, next try: {until(delivery.get('nextTry'))}, {tries}"
        case "held":
            said = f"held ({delivery.get('heldReason', '')}), {tries}"
        case "cancelled" if "mergedInto" in delivery:
            return f"merged into the message of event {delivery['mergedInto']}"
        case "cancelled":
            return f"cancelled by {delivery.get('cancelledBy', '')}, {tries}"
        case "in_flight":
            said = f"being sent, {tries}"
        case _:
            said = f"{state}, {tries}"
    return f"{said}: {error}" if error else said


def _style(delivery: Mapping[str, Any]) -> str:
    return "red" if "error" in delivery else "dim"
