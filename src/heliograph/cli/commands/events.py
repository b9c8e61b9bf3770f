"""`heliograph events`: what was published, and to whom it went."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import click

from heliograph.access.credentials_file import Credentials
from heliograph.cli import tails
from heliograph.cli.account_calls import run
from heliograph.cli.connection import Connection, json_option, segment, server_options
from heliograph.cli.export import exporting
from heliograph.cli.grouping import Commands
from heliograph.cli.listing import listing_options, sender, show_listing
from heliograph.cli.published import print_events, print_outcome, print_published
from heliograph.cli.selecting import event_filter_options, event_tail_options
from heliograph.cli.terminal import (
    counted,
    local_time,
    local_time_and_zone,
    output,
    print_fields,
    print_json,
)


@click.group(cls=Commands)
def events() -> None:
    """What was published, wanted or not."""


@events.command("list", epilog="Example: heliograph events list --sender ada@example.com")
@listing_options(event_filter_options)
def list_events(
    credentials: Credentials,
    chosen: dict[str, str],
    count: int | None,
    order: str,
    as_json: bool,
) -> None:
    """List events, with the number of their deliveries."""
    query = {**chosen, "order": order}
    show = partial(print_published, show=print_events)
    asyncio.run(show_listing(credentials, "events", query, count, as_json, show))


@events.command(
    "tail",
    epilog="\b\nExamples:\n  heliograph events tail --event envelope-completed\n"
    "  heliograph events tail --json | jq -r .envelopeId",
)
@event_tail_options
@tails.json_option
@server_options
def tail_events(credentials: Credentials, chosen: dict[str, str], as_json: bool) -> None:
    """Show each event as it is published, in a line, until Ctrl-C.

    It begins now, or with --from. Where the server goes away it waits for it, and leaves nothing
    out.
    """
    tails.tail(credentials, "events", chosen, _line, as_json=as_json)


def _line(event: Mapping[str, Any]) -> tuple[str, str]:
    to = counted(int(event["deliveryCount"]), "delivery", "deliveries")
    parts = [local_time(event["created"]), event["event"], event.get("envelopeId", "-"), to]
    return "  ".join([*parts, event.get("subject", "")]).rstrip(), ""


@events.command(epilog="Example: heliograph events show closing-of-e-1 --explain")
@click.argument("event_id", metavar="ID")
@click.option("--explain", is_flag=True, help="Say of all configurations why they do not get it.")
@json_option
@server_options
def show(credentials: Credentials, event_id: str, explain: bool, as_json: bool) -> None:
    """Show an event: to whom it went, with what result, and why not to others.

    The reasons are told from the configurations as they are now.
    """

    async def ask(connection: Connection) -> Any:
        query = {"explain": str(explain).lower(), "additional_info": "true"}
        return (await connection.call("GET", f"events/{segment(event_id)}", query=query)).json

    event = run(credentials, ask)
    if as_json:
        print_json(event)
        return
    print_fields(
        output(),
        [
            ("Event", event["event"]),
            ("Id", event["eventId"]),
            ("Envelope", event.get("envelopeId")),
            ("Subject", event.get("subject")),
            ("Sender", sender(event)),
            ("Status", event["status"]),
            ("Generated", local_time_and_zone(event["generated"])),
            ("Accepted", local_time_and_zone(event["created"])),
        ],
    )
    output().print()
    print_outcome(event)


events.add_command(
    exporting(
        "events",
        ("event", "events"),
        (
            "eventId",
            "event",
            "envelopeId",
            "subject",
            "userName",
            "email",
            "status",
            "created",
            "generated",
            "deliveryCount",
        ),
        event_filter_options,
    )
)
