"""Walk a listing through its pages, and show its records: here those of logs and failures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import click
import msgspec

from heliograph.access.credentials_file import Credentials
from heliograph.cli.connection import Connection, server_options
from heliograph.cli.selecting import Filters, count_and_order_options
from heliograph.cli.terminal import (
    Column,
    Row,
    counted,
    local_time,
    notes,
    output,
    print_json,
    print_payload,
    print_rows,
    print_text,
    until,
    zone_of,
)

Kind = Literal["failures", "logs", "events", "deliveries", "audit", "incidents"]

TABLE_MOST: Final = 100
"""Records that a table shows when nobody says how many."""

_PAGE_MOST: Final = 10_000

_MOST_COUNTED: Final = 10_000
"""Records that are counted to tell how many there are, as the API does of events."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The records of a listing in the API's document, and whether there are more."""

    kind: Kind
    document: dict[str, Any]
    more: bool

    @property
    def records(self) -> list[dict[str, str]]:
        records: list[dict[str, str]] = self.document[self.kind]
        return records


def listing_options(filters: Filters) -> Filters:
    """What the command of a listing takes: `chosen`, `count`, `order`, `as_json`, `credentials`."""
    as_json = click.option(
        "--json", "as_json", is_flag=True, help="The API's document, with all records."
    )
    return lambda command: filters(count_and_order_options(as_json(server_options(command))))


async def show_listing(
    credentials: Credentials,
    kind: Kind,
    query: Mapping[str, str],
    count: int | None,
    as_json: bool,
    show: Callable[[Listing], None],
) -> None:
    """Print a listing: as it is shown to people, or all of it as one document."""
    most = count if count or as_json else TABLE_MOST
    async with Connection(credentials) as connection:
        listing = await fetch(connection, kind, query, most)
        if listing.more and not as_json and "total" not in listing.document:
            listing.document.update(await _counted(connection, kind, query))
    if as_json:
        print_json(listing.document)
    else:
        show(listing)


async def fetch(
    connection: Connection,
    kind: Kind,
    query: Mapping[str, str],
    most: int | None,
    page: int = _PAGE_MOST,
) -> Listing:
    """Up to `most` records (None: all), following the pages, as one document."""
    size = page if most is None else min(most, page)
    answer = await connection.call("GET", kind, query={**query, "count": str(size)})
    document = answer.json
    records = document[kind]
    while (following := answer.next_page) and (most is None or len(records) < most):
        answer = await connection.call("GET", following)
        records += answer.json[kind]
    more = following is not None or (most is not None and len(records) > most)
    document[kind] = records if most is None else records[:most]
    document["totalRecords"] = str(len(document[kind]))
    return Listing(kind, document, more)


async def _counted(connection: Connection, kind: Kind, query: Mapping[str, str]) -> dict[str, str]:
    """How many records a listing has, where its answer does not say it: in the API's spelling."""
    number = 0
    async with connection.lines(kind, query) as lines:
        async for _ in lines:
            number += 1
            if number > _MOST_COUNTED:
                break
    return {
        "total": str(min(number, _MOST_COUNTED)),
        "totalCapped": "true" if number > _MOST_COUNTED else "false",
    }


def print_total(listing: Listing, one: str, several: str) -> None:
    """How many there are, and how to see the rest."""
    if not listing.more:
        output().print(f"{counted(len(listing.records), one, several)}.", style="dim")
        return
    total, capped = int(listing.document["total"]), listing.document["totalCapped"] == "true"
    shown = f"{len(listing.records):,} shown of {total:,}{' or more' if capped else ''}"
    rest = "--json has" if listing.kind == "logs" else f"`{listing.kind} export` writes"
    output().print(f"{shown}: --count N shows N, {rest} all.", style="dim", soft_wrap=True)


def print_listing(listing: Listing, *, footer: bool = True) -> None:
    """The records as a table that fits 80 columns; errors stand below their line."""
    records = listing.records
    if not records:
        notes().print(f"No {listing.kind}." if listing.kind == "failures" else "No log entries.")
        return
    if listing.kind == "failures":
        _print_failures(records)
    else:
        _print_logs(records)
    if footer:
        failures = listing.kind == "failures"
        print_total(
            listing, *(("failure", "failures") if failures else ("log entry", "log entries"))
        )


def print_exchange(record: Mapping[str, Any], which: int = -1) -> None:
    """Both halves of one exchange: the message that was sent, and what came back."""
    halves: Sequence[Mapping[str, Any]] = record.get("connectDebugLog") or ()
    pairs = [halves[at : at + 2] for at in range(0, len(halves), 2)]
    if not pairs:
        return
    for title, half in zip(("Sent", "Came back"), pairs[which], strict=False):
        error = half.get("errorDetails") or {}
        reasons = [half.get("eventDescription", ""), error.get("message", "")]
        print_half(title, half.get("payload", ""), ": ".join(filter(None, reasons)))


def print_half(title: str, payload: str, said: str = "") -> None:
    """A half of an exchange: what is `said` of it, and its bytes as text."""
    console = output()
    console.print(f"\n{title}", style="bold")
    if said:
        print_text(console, said)
    if payload:
        console.print()
        print_payload(console, _readable(payload))


def _readable(payload: str) -> str:
    """A message with its JSON indented for people; --json has its exact bytes."""
    try:
        return msgspec.json.format(payload, indent=2)
    except msgspec.DecodeError:
        return payload


def _print_failures(records: Sequence[Mapping[str, str]]) -> None:
    columns = [
        Column("ID", right=True),
        Column("ENVELOPE", gives_way=True),
        Column("CONFIG", right=True),
        Column("TRIES", right=True),
        Column(f"LAST TRY ({zone_of(record.get('lastTry') for record in records)})"),
    ]
    print_rows(
        output(),
        columns,
        [
            Row(
                [
                    record.get("failureId", ""),
                    about(record),
                    record.get("connectId", ""),
                    tries(record),
                    local_time(record.get("lastTry")),
                ],
                # The error of a failure that is held says that its next try is skipped.
                record.get("error", "")
                if "heldReason" in record
                else f"{record.get('error', '')} (next try: {next_try(record)})",
            )
            for record in records
        ],
    )


def _print_logs(records: Sequence[Mapping[str, str]]) -> None:
    columns = [
        Column("ID", right=True),
        Column("ENVELOPE", gives_way=True),
        Column("CONFIG", right=True),
        Column("TRY", right=True),
        Column("OK"),
        Column(f"POSTED ({zone_of(record.get('created') for record in records)})"),
    ]
    print_rows(
        output(),
        columns,
        [
            Row(
                [
                    record.get("logId", ""),
                    about(record),
                    record.get("connectId", ""),
                    tries(record),
                    "no" if record.get("error") else "ok",
                    local_time(record.get("created")),
                ],
                record.get("error", ""),
            )
            for record in records
        ],
    )


def about(record: Mapping[str, str]) -> str:
    """What an entry is about: its envelope, or where there is none its event."""
    return record.get("envelopeId") or record.get("event", "")


def sender(record: Mapping[str, str]) -> str:
    """Name and address of the envelope's sender, as far as known."""
    return " ".join(filter(None, [record.get("userName"), record.get("email")]))


def next_try(record: Mapping[str, str]) -> str:
    """When a failure is tried again, or why that is not known."""
    state = record.get("deliveryState", "")
    if state == "waiting":
        return until(record.get("nextTry"))
    if state == "held":
        return record.get("heldReason", state)
    return {"failed": "ended", "in_flight": "now"}.get(state, state)


def tries(record: Mapping[str, str]) -> str:
    """How many tries there were: the first one is no retry."""
    retries = record.get("retryCount", "0")
    return str(int(retries) + 1) if retries.isdigit() else retries
