"""`heliograph historical`: envelopes of the past, published once more."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click
import msgspec

from heliograph.access.credentials_file import Credentials
from heliograph.cli import asking
from heliograph.cli.connection import Connection, json_option, segment, server_options, yes_option
from heliograph.cli.grouping import Commands
from heliograph.cli.terminal import (
    Column,
    Row,
    local_time,
    notes,
    output,
    print_fields,
    print_json,
    print_rows,
    zone_of,
)

_PATH = "envelopes/publish/historical"


@click.group("historical", cls=Commands)
def historical() -> None:
    """Envelopes that were published before, sent once more: each one's newest event, as JSON, to
    an address of its own."""


@historical.command(
    epilog="Example: heliograph historical publish --url https://archive.example.com/hook e-1 e-2"
)
@click.argument("envelopes", nargs=-1, metavar="[ENVELOPE]...")
@click.option("--url", required=True, help="The listener that gets them.")
@click.option("--name", help="Names it in logs and failures.")
@click.option("--no-hmac", is_flag=True, help="Do not sign the messages.")
@click.option("--no-log", is_flag=True, help="Keep no log entries; failures are kept anyway.")
@json_option
@server_options
def publish(
    credentials: Credentials,
    envelopes: tuple[str, ...],
    url: str,
    name: str | None,
    no_hmac: bool,
    no_log: bool,
    as_json: bool,
) -> None:
    """Publish envelopes anew. Without ENVELOPE their ids are read from standard input, one to a
    line."""
    ids = envelopes or tuple(filter(None, (line.strip() for line in sys.stdin)))
    config: dict[str, str] = {
        "urlToPublishTo": url,
        "includeHMAC": "false" if no_hmac else "true",
        "enableLog": "false" if no_log else "true",
        **({"name": name} if name else {}),
    }

    async def run() -> None:
        async with Connection(credentials) as connection:
            body = msgspec.json.encode({"envelopes": ids, "config": config})
            answer = await connection.call("POST", _PATH, body=body)
        _show(answer.json, as_json)
        if not as_json:
            named = answer.json["envelopePublishTransactionId"]
            notes().print(f"Follow it with `heliograph historical show {named}`.", style="dim")

    asyncio.run(run())


@historical.command("list", epilog="Example: heliograph historical list")
@json_option
@server_options
def list_transactions(credentials: Credentials, as_json: bool) -> None:
    """List the historical publishes, newest first."""

    async def run() -> None:
        async with Connection(credentials) as connection:
            listing = (await connection.call("GET", _PATH)).json
        if as_json:
            print_json(listing)
            return
        listed: Sequence[Mapping[str, Any]] = listing["envelopePublishTransactions"]
        if not listed:
            notes().print("None. `heliograph historical publish --url URL ENVELOPE...`.")
            return
        zone = zone_of(transaction["submissionDate"] for transaction in listed)
        print_rows(
            output(),
            [
                Column(f"SUBMITTED ({zone})"),
                Column("STATUS"),
                Column("DONE", right=True),
                Column("OF", right=True),
                Column("ERRORS", right=True),
            ],
            [
                Row(
                    [
                        local_time(transaction["submissionDate"]),
                        transaction["processingStatus"],
                        transaction["processedEnvelopeCount"],
                        _submitted(transaction),
                        transaction["errorCount"],
                    ],
                    transaction["envelopePublishTransactionId"],
                    "dim",
                )
                for transaction in listed
            ],
        )

    asyncio.run(run())


@historical.command(epilog="Example: heliograph historical show 6f0b...")
@click.argument("transaction_id", metavar="ID")
@json_option
@server_options
def show(credentials: Credentials, transaction_id: str, as_json: bool) -> None:
    """Show how far one is."""

    async def run() -> None:
        async with Connection(credentials) as connection:
            answer = await connection.call("GET", f"{_PATH}/{segment(transaction_id)}")
        _show(answer.json, as_json)

    asyncio.run(run())


@historical.command(epilog="Example: heliograph historical cancel 6f0b...")
@click.argument("transaction_id", metavar="ID")
@yes_option
@json_option
@server_options
def cancel(credentials: Credentials, transaction_id: str, yes: bool, as_json: bool) -> None:
    """Cancel what was not sent yet."""
    if not yes:
        known = asyncio.run(_known(credentials, transaction_id))
        done, of = known["processedEnvelopeCount"], known["envelopeCount"]
        asking.confirm(f"{done} of {of} envelopes are done; the rest will not be sent. Go on?")

    async def run() -> None:
        async with Connection(credentials) as connection:
            answer = await connection.call("DELETE", f"{_PATH}/{segment(transaction_id)}")
        _show(answer.json, as_json)

    asyncio.run(run())


async def _known(credentials: Credentials, transaction_id: str) -> Any:
    """Raises Stop where there is none."""
    async with Connection(credentials) as connection:
        return (await connection.call("GET", f"{_PATH}/{segment(transaction_id)}")).json


def _show(transaction: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(transaction)
        return
    errors = [
        f"{rollup['count']} {rollup['errorType']}"
        for rollup in transaction["envelopeLevelErrorRollups"]
    ]
    print_fields(
        output(),
        [
            ("Id", transaction["envelopePublishTransactionId"]),
            ("Status", transaction["processingStatus"]),
            ("Envelopes", transaction["envelopeCount"]),
            ("Done", f"{transaction['processedEnvelopeCount']} of {_submitted(transaction)}"),
            ("Errors", ", ".join(errors) or "none"),
            ("Configuration", transaction["connectId"]),
            ("Submitted", local_time(transaction["submissionDate"])),
            ("By", transaction["submittedByUserInfo"]["userName"]),
        ],
    )


def _submitted(transaction: Mapping[str, Any]) -> str:
    return str(transaction["submittedForPublishingEnvelopeCount"])
