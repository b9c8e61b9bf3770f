"""`heliograph logs`: every post that was logged."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import click

from heliograph.access.credentials_file import Credentials
from heliograph.cli import asking
from heliograph.cli.asking import dry_run_option
from heliograph.cli.connection import Connection, json_option, segment, server_options, yes_option
from heliograph.cli.exits import wrong
from heliograph.cli.grouping import Commands
from heliograph.cli.listing import (
    next_try,
    print_exchange,
    sender,
    show_listing,
    tries,
)
from heliograph.cli.selecting import count_and_order_options, filter_options
from heliograph.cli.terminal import (
    counted,
    local_time_and_zone,
    notes,
    output,
    print_fields,
    print_json,
)


@click.group(cls=Commands)
def logs() -> None:
    """Every post of the configurations that keep a log (enableLog)."""


@logs.command("list", epilog="Example: heliograph logs list --connect-id 1 --from 2h")
@filter_options
@count_and_order_options
@click.option("--json", "as_json", is_flag=True, help="The API's document, with all records.")
@server_options
def list_logs(
    credentials: Credentials,
    chosen: dict[str, str],
    count: int | None,
    order: str,
    as_json: bool,
) -> None:
    """List log entries: one for each post."""
    query = {**chosen, "order": order}
    asyncio.run(show_listing(credentials, "logs", query, count, as_json))


@logs.command(epilog="Example: heliograph logs show 12")
@click.argument("log_id", metavar="ID")
@json_option
@server_options
def show(credentials: Credentials, log_id: str, as_json: bool) -> None:
    """Show one log entry with its exchange: what was sent and what came back."""

    async def run() -> None:
        async with Connection(credentials) as connection:
            answer = await connection.call(
                "GET", f"logs/{segment(log_id)}", query={"additional_info": "true"}
            )
        if as_json:
            print_json(answer.json)
            return
        entry = answer.json
        print_fields(
            output(),
            [
                ("Log entry", entry.get("logId")),
                ("Envelope", entry.get("envelopeId")),
                ("Event", entry.get("event")),
                ("Subject", entry.get("subject")),
                ("Sender", sender(entry)),
                ("Status", entry.get("status")),
                ("Configuration", f"{entry.get('connectId')}, {entry.get('configUrl')}"),
                ("Posted", local_time_and_zone(entry.get("created"))),
                ("Try", tries(entry)),
                ("Error", entry.get("error")),
                ("Open failure", entry.get("failureId")),
                ("Next try", local_time_and_zone(entry.get("nextTry")) or next_try(entry)),
            ],
        )
        print_exchange(entry)

    asyncio.run(run())


@logs.command(epilog="Example: heliograph logs delete --all --yes")
@click.argument("log_ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every entry of the log.")
@dry_run_option
@yes_option
@server_options
def delete(
    credentials: Credentials, log_ids: Sequence[str], everything: bool, dry_run: bool, yes: bool
) -> None:
    """Take entries from the log. Deliveries and failures are not touched.

    With --all it shows them first, and asks."""
    if bool(log_ids) == everything:
        raise wrong("Say which: one or more IDs, or --all.")
    if dry_run and log_ids:
        raise wrong("--dry-run takes --all.")

    async def call(**query: str) -> Any:
        async with Connection(credentials) as connection:
            return (await connection.call("DELETE", "logs", query={"all": "true", **query})).json

    if everything:
        if dry_run or not yes:
            console = output() if dry_run else notes()
            found = asyncio.run(call(dry_run="true"))
            asking.print_preview(console, found, "log entry", "log entries")
            if dry_run:
                return
            asking.confirm("Delete every log entry of the account?")
        asyncio.run(call())
        output().print("The log is empty.")
        return

    async def run() -> None:
        async with Connection(credentials) as connection:
            for log_id in log_ids:
                await connection.call("DELETE", f"logs/{segment(log_id)}")
            output().print(f"Deleted {counted(len(log_ids), 'log entry', 'log entries')}.")

    asyncio.run(run())
