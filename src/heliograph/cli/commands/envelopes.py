"""`heliograph envelopes`: what has become of an envelope's events."""

from __future__ import annotations

from typing import Any

import click

from heliograph.access.credentials_file import Credentials
from heliograph.cli.account_calls import run
from heliograph.cli.connection import Connection, json_option, segment, server_options
from heliograph.cli.exits import wrong
from heliograph.cli.grouping import Commands
from heliograph.cli.listing import fetch, sender
from heliograph.cli.published import print_outcome
from heliograph.cli.terminal import (
    local_time_and_zone,
    output,
    print_fields,
    print_json,
    print_text,
)


@click.group(cls=Commands)
def envelopes() -> None:
    """What was published of an envelope, and to whom it went."""


@envelopes.command(epilog="Example: heliograph envelopes show 7f0c1b1e-...")
@click.argument("envelope_id", metavar="ID")
@json_option
@server_options
def show(credentials: Credentials, envelope_id: str, as_json: bool) -> None:
    """Show an envelope's timeline: every event, to whom it went or why not, and the result."""

    async def ask(connection: Connection) -> list[Any]:
        query = {"envelope_id": envelope_id, "order": "asc"}
        listed = await fetch(connection, "events", query, None)
        return [
            (await connection.call("GET", f"events/{segment(event['eventId'])}")).json
            for event in listed.records
        ]

    timeline = run(credentials, ask)
    if not timeline:
        raise wrong(
            f"No event of envelope {envelope_id} is kept.",
            "`heliograph events list` shows what was published.",
        )
    if as_json:
        print_json({"envelopeId": envelope_id, "events": timeline})
        return
    console, newest = output(), timeline[-1]
    print_fields(
        console,
        [
            ("Envelope", envelope_id),
            ("Subject", newest.get("subject")),
            ("Sender", sender(newest)),
            ("Status", newest["status"]),
        ],
    )
    for event in timeline:
        console.print()
        print_text(console, f"{local_time_and_zone(event['created'])}  {event['event']}", 0, "bold")
        print_outcome(event)
