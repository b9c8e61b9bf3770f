"""`heliograph logs`: every post that was logged."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from heliograph.access.credentials_file import Credentials
from heliograph.cli import tails
from heliograph.cli.asking import dry_run_option
from heliograph.cli.bulk import Bulk, choose_one, print_unchanged
from heliograph.cli.connection import Connection, json_option, segment, server_options, yes_option
from heliograph.cli.exits import Exit, wrong
from heliograph.cli.grouping import Commands
from heliograph.cli.listing import (
    about,
    listing_options,
    next_try,
    print_exchange,
    print_listing,
    sender,
    show_listing,
    tries,
)
from heliograph.cli.selecting import filter_options, log_tail_options
from heliograph.cli.terminal import (
    counted,
    local_time,
    local_time_and_zone,
    notes,
    output,
    print_fields,
    print_json,
)

_RESEND: Final = Bulk(
    method="PUT",
    path="logs/retry_queue",
    noun="message",
    plural="messages",
    question="Send all of them again, to listeners that have taken them before?",
)
_DELETE: Final = Bulk(
    method="DELETE",
    path="logs",
    noun="log entry",
    plural="log entries",
    question="Delete every log entry of the account?",
    asks_above=-1,
)


@click.group(cls=Commands)
def logs() -> None:
    """Every post of the configurations that keep a log (enableLog)."""


@logs.command("list", epilog="Example: heliograph logs list --connect-id 1 --from 2h")
@listing_options(filter_options)
def list_logs(
    credentials: Credentials,
    chosen: dict[str, str],
    count: int | None,
    order: str,
    as_json: bool,
) -> None:
    """List log entries: one for each post."""
    query = {**chosen, "order": order}
    asyncio.run(show_listing(credentials, "logs", query, count, as_json, print_listing))


@logs.command(
    "tail",
    epilog="\b\nExamples:\n  heliograph logs tail --connect-id 1 --from 10m\n"
    "  heliograph logs tail --json | jq -r .envelopeId",
)
@log_tail_options
@tails.json_option
@server_options
def tail_logs(credentials: Credentials, chosen: dict[str, str], as_json: bool) -> None:
    """Show each post as it ends, in a line, until Ctrl-C.

    It begins now, or with --from. Where the server goes away it waits for it, and leaves nothing
    out.
    """
    tails.tail(credentials, "logs", chosen, _line, as_json=as_json)


def _line(entry: Mapping[str, Any]) -> tuple[str, str]:
    error = entry.get("error")
    parts = [
        local_time(entry.get("created")),
        "no" if error else "ok",
        f"{entry.get('connectId', ''):>3}",
        about(entry),
        error or entry.get("subject", ""),
    ]
    return "  ".join(parts).rstrip(), "red" if error else ""


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
                ("Resent by", entry.get("resentBy")),
                ("Subject", entry.get("subject")),
                ("Sender", sender(entry)),
                ("Status", entry.get("status")),
                ("Configuration", f"{entry.get('connectId')}, {entry.get('configUrl')}"),
                ("Posted", local_time_and_zone(entry.get("created"))),
                ("Try", tries(entry)),
                ("Error", entry.get("error")),
                ("Cause", entry.get("cause")),
                ("Open failure", entry.get("failureId")),
                ("Next try", local_time_and_zone(entry.get("nextTry")) or next_try(entry)),
            ],
        )
        print_exchange(entry)

    asyncio.run(run())


@logs.command(
    epilog="\b\nExamples:\n  heliograph logs resend 12\n"
    "  heliograph logs resend --connect-id 1 --from 2h --dry-run"
)
@click.argument("log_ids", metavar="[ID]...", nargs=-1)
@filter_options
@click.option("--all", "everything", is_flag=True, help="Whatever was delivered and is kept.")
@dry_run_option
@yes_option
@click.option("--json", "as_json", is_flag=True, help="The outcome as one JSON document.")
@server_options
def resend(
    credentials: Credentials,
    log_ids: Sequence[str],
    chosen: dict[str, str],
    everything: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Send again what was delivered, to the same listeners: what these log entries are of, what
    filters select (logged or not), or all.

    Each message goes out with the id that it had and a higher retryCount. Where filters or --all
    mean more than 100, they are shown first, and it asks. The exit status is 1 if one of the IDs is
    of a delivery that is not sent again.
    """
    which = "Say which: one or more IDs, or filters such as --envelope-id"
    choose_one(log_ids, chosen, everything, which)
    if "error" in chosen:
        raise wrong("--error selects failures: what was delivered has none.")
    if log_ids:
        if dry_run:
            raise wrong("--dry-run takes filters or --all.")
        _resend_each(credentials, log_ids, as_json=as_json)
        return
    done = _RESEND.run(credentials, chosen, yes=yes, dry_run=dry_run, as_json=as_json)
    if done is None:
        return
    if as_json:
        print_json(done)
        return
    if done["changed"] == done["unchanged"] == "0":
        notes().print("Nothing to send: nothing of what is meant was delivered.")
        return
    output().print(f"{counted(int(done['changed']), 'message')} queued to be sent again.")
    print_unchanged(done)


def _resend_each(credentials: Credentials, log_ids: Sequence[str], *, as_json: bool) -> None:
    async def run() -> list[dict[str, str]]:
        results: list[dict[str, str]] = []
        async with Connection(credentials) as connection:
            for log_id in log_ids:
                answer = await connection.call("PUT", f"logs/{segment(log_id)}/retry_queue")
                results += answer.json["retryQueue"]
        return results

    results = asyncio.run(run())
    if as_json:
        print_json({"retryQueue": results})
    else:
        for log_id, result in zip(log_ids, results, strict=True):
            said = f"{log_id}: {result['status']}. {result.get('statusMessage', '')}"
            output().print(said, soft_wrap=True)
    if any(result["status"] not in ("queued", "held") for result in results):
        click.get_current_context().exit(Exit.NO)


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

    if everything and not _DELETE.is_meant(credentials, {}, yes=yes, dry_run=dry_run):
        return

    async def run() -> None:
        async with Connection(credentials) as connection:
            if everything:
                await connection.call("DELETE", "logs", query={"all": "true"})
                output().print("The log is empty.")
                return
            for log_id in log_ids:
                await connection.call("DELETE", f"logs/{segment(log_id)}")
            output().print(f"Deleted {counted(len(log_ids), 'log entry', 'log entries')}.")

    asyncio.run(run())
