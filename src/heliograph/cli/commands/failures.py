"""`heliograph failures`: what did not arrive, and how it is sent again."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click
import msgspec

from heliograph.access.credentials_file import Credentials
from heliograph.cli.account_calls import run
from heliograph.cli.asking import dry_run_option
from heliograph.cli.bulk import Bulk, choose_one, print_unchanged
from heliograph.cli.causes import Causes, Group, causes_of
from heliograph.cli.connection import Connection, json_option, segment, server_options, yes_option
from heliograph.cli.exits import Exit, wrong
from heliograph.cli.export import exporting
from heliograph.cli.grouping import Commands
from heliograph.cli.listing import (
    listing_options,
    next_try,
    print_exchange,
    print_listing,
    sender,
    show_listing,
)
from heliograph.cli.selecting import failure_filter_options
from heliograph.cli.terminal import (
    Column,
    Row,
    counted,
    local_time,
    local_time_and_zone,
    notes,
    output,
    print_fields,
    print_json,
    print_rows,
    zone_of,
)
from heliograph.plain import harmless

_MOST_ENVELOPES: Final = 500
"""Of one republish call: they fit a body of 1 MiB however long their ids are."""

_ONE_BY_ONE: Final = 20
"""Of one call that waits: its answer comes before the server's longest wait is over."""

_WHICH: Final = "Say which failures: {}, or filters such as --connect-id"

_REPUBLISH: Final = Bulk(
    "PUT", "failures/retry_queue", "failure", "failures", "Send all of them again now?"
)
_DELETE: Final = Bulk(
    method="DELETE",
    path="failures",
    noun="failure",
    plural="failures",
    question="All of them are cancelled for good. Go on?",
    asks_above=0,
    goes_on=False,
)


_COLUMNS: Final = (
    "failureId",
    "envelopeId",
    "subject",
    "userName",
    "email",
    "status",
    "connectId",
    "configUrl",
    "created",
    "lastTry",
    "nextTry",
    "deliveryState",
    "heldReason",
    "retryCount",
    "error",
    "cause",
)
"""Of an export as CSV."""


@click.group(cls=Commands)
def failures() -> None:
    """What did not arrive: deliveries with a failed try and no success yet."""


@failures.command("list", epilog="Example: heliograph failures list --connect-id 1 --from 2h")
@click.option("--each", is_flag=True, help="A row for each, as with --count or --order asc.")
@listing_options(failure_filter_options)
def list_failures(
    credentials: Credentials,
    chosen: dict[str, str],
    count: int | None,
    order: str,
    as_json: bool,
    each: bool,
) -> None:
    """List open failures by their cause, with the number of each; or each with the reason of its
    last try."""
    if each or count or as_json or order == "asc":
        query = {**chosen, "order": order}
        asyncio.run(show_listing(credentials, "failures", query, count, as_json, print_listing))
    else:
        _print_causes(run(credentials, lambda connection: causes_of(connection, chosen)))


def _print_causes(found: Causes) -> None:
    if not found.groups:
        notes().print("No failures.")
        return
    print_rows(
        output(),
        [
            Column("CONFIG", right=True),
            Column("FAILURES", right=True),
            Column(f"SINCE ({zone_of(group.since for group in found.groups)})"),
            Column("CAUSE", gives_way=True),
        ],
        [
            Row(
                [group.connect_id, f"{group.count:,}", local_time(group.since), group.cause],
                f"{counted(len(group.envelopes), 'envelope')}. The newest, {_newest(group)}",
            )
            for group in found.groups
        ],
    )
    number = counted(found.total, "failure")
    number = f"The newest {number}, there are older ones" if found.more else number
    output().print(
        f"{number}, by cause: --each shows each of them, `failures show ID` one.", style="dim"
    )


def _newest(group: Group) -> str:
    failure_id, error = group.newest.get("failureId", ""), group.newest.get("error", "")
    return f"{failure_id}: {error} (next try: {next_try(group.newest)})"


@failures.command(epilog="Example: heliograph failures show 12")
@click.argument("failure_id", metavar="ID")
@json_option
@server_options
def show(credentials: Credentials, failure_id: str, as_json: bool) -> None:
    """Show a failure: its tries, and the exchange of the last one."""

    async def ask(connection: Connection) -> Any:
        path, query = f"failures/{segment(failure_id)}", {"additional_info": "true"}
        return (await connection.call("GET", path, query=query)).json

    failure = run(credentials, ask)
    if as_json:
        print_json(failure)
        return
    print_fields(
        output(),
        [
            ("Failure", failure.get("failureId")),
            ("Envelope", failure.get("envelopeId")),
            ("Event", failure.get("event")),
            ("Subject", failure.get("subject")),
            ("Sender", sender(failure)),
            ("Status", failure.get("status")),
            ("Configuration", f"{failure.get('connectId')}, {failure.get('configUrl')}"),
            ("Created", local_time_and_zone(failure.get("created"))),
            ("Last try", local_time_and_zone(failure.get("lastTry"))),
            ("Next try", local_time_and_zone(failure.get("nextTry")) or next_try(failure)),
            ("Resent by", failure.get("resentBy")),
            ("Error", failure.get("error")),
            ("Cause", failure.get("cause")),
        ],
    )
    _print_tries(failure.get("connectDebugLog") or [])
    print_exchange(failure)
    envelope_id = failure.get("envelopeId")
    which = f"--connect-id {failure.get('connectId')}"
    again = shlex.quote(harmless(envelope_id)) if envelope_id else which
    again = f"heliograph failures republish {again}"
    output().print(f"\nSend it again: {again}", style="dim", soft_wrap=True)


@failures.command(
    epilog="\b\nExamples:\n  heliograph failures republish 7f0c1b1e-... --wait\n"
    "  heliograph failures republish --connect-id 1 --from 2h\n"
    "  heliograph failures republish --all"
)
@click.argument("envelope_ids", metavar="[ENVELOPE_ID]...", nargs=-1)
@failure_filter_options
@click.option("--all", "everything", is_flag=True, help="Every open failure.")
@click.option("--wait", is_flag=True, help="Wait for the outcome (of ENVELOPE_IDs).")
@dry_run_option
@yes_option
@click.option("--json", "as_json", is_flag=True, help="The outcome as one JSON document.")
@server_options
def republish(
    credentials: Credentials,
    envelope_ids: Sequence[str],
    chosen: dict[str, str],
    everything: bool,
    wait: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Send failures again now: those of some envelopes, those that filters select, or all.

    Where filters or --all mean more than 100, they are shown first, and it asks. They go through
    the retry queue. Of an envelope that has no failure, what was delivered is sent again. The exit
    status is 1 if it has neither, or, with --wait, if one was not delivered.
    """
    choose_one(envelope_ids, chosen, everything, _WHICH.format("ENVELOPE_IDs"))
    if wait and not envelope_ids:
        raise wrong("--wait takes ENVELOPE_IDs.", "In bulk, look at `heliograph failures list`.")
    if dry_run and envelope_ids:
        raise wrong("--dry-run takes filters or --all.", "An envelope: --envelope-id ID.")
    if envelope_ids:
        results = asyncio.run(_republish_envelopes(credentials, envelope_ids, wait=wait))
        if as_json:
            print_json({"retryQueue": results})
        else:
            _print_results(results)
        good = {"success"} if wait else {"success", "queued", "in_progress"}
        if any(result["status"] not in good for result in results):
            click.get_current_context().exit(Exit.NO)
        return
    done = _REPUBLISH.run(credentials, chosen, yes=yes, dry_run=dry_run, as_json=as_json)
    if done is None:
        return
    if as_json:
        print_json(done)
        return
    if done["changed"] == done["unchanged"] == "0":
        notes().print("Nothing to send: no open failure is meant.")
        return
    output().print(f"{counted(int(done['changed']), 'failure')} queued to be sent now.")
    print_unchanged(done)
    notes().print("What is left after that: heliograph failures list", style="dim")


@failures.command(
    epilog="\b\nExamples:\n  heliograph failures delete 12 13\n"
    "  heliograph failures delete --connect-id 1 --to 30d --yes"
)
@click.argument("failure_ids", metavar="[ID]...", nargs=-1)
@failure_filter_options
@click.option("--all", "everything", is_flag=True, help="Every open failure.")
@dry_run_option
@yes_option
@server_options
def delete(
    credentials: Credentials,
    failure_ids: Sequence[str],
    chosen: dict[str, str],
    everything: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Delete failures: their deliveries are cancelled and never tried again.

    Those that filters or --all mean are shown first, and it asks."""
    choose_one(failure_ids, chosen, everything, _WHICH.format("IDs"))
    if dry_run and failure_ids:
        raise wrong("--dry-run takes filters or --all.")
    if failure_ids:
        asyncio.run(_delete_each(credentials, failure_ids))
        output().print(f"Deleted {counted(len(failure_ids), 'failure')}.")
        return
    done = _DELETE.run(credentials, chosen, yes=yes, dry_run=dry_run)
    if done is not None and done["changed"] == "0":
        notes().print("Nothing to delete: no open failure is meant.")
    elif done is not None:
        output().print(f"Deleted {counted(int(done['changed']), 'failure')}.")


failures.add_command(
    exporting("failures", ("failure", "failures"), _COLUMNS, failure_filter_options)
)


async def _republish_envelopes(
    credentials: Credentials, envelope_ids: Sequence[str], *, wait: bool
) -> list[dict[str, str]]:
    wanted, size = list(dict.fromkeys(envelope_ids)), _ONE_BY_ONE if wait else _MOST_ENVELOPES
    results: list[dict[str, str]] = []
    async with Connection(credentials) as connection:
        for at in range(0, len(wanted), size):
            body = {
                "envelopeIds": wanted[at : at + size],
                "synchronous": "true" if wait else "false",
            }
            answer = await connection.call(
                "PUT", "envelopes/retry_queue", body=msgspec.json.encode(body)
            )
            results += answer.json["retryQueue"]
    return results


async def _delete_each(credentials: Credentials, failure_ids: Sequence[str]) -> None:
    async with Connection(credentials) as connection:
        for failure_id in failure_ids:
            await connection.call("DELETE", f"failures/{segment(failure_id)}")


def _print_results(results: Sequence[Mapping[str, str]]) -> None:
    print_rows(
        output(),
        [Column("ENVELOPE", gives_way=True), Column("CONFIG", right=True), Column("RESULT")],
        [
            Row(
                [
                    result.get("envelopeId", ""),
                    result.get("configId", "-"),
                    result.get("status", ""),
                ],
                result.get("statusMessage", ""),
                "red" if result.get("status") in ("failed", "not_found") else "dim",
            )
            for result in results
        ],
    )


def _print_tries(halves: Sequence[Mapping[str, Any]]) -> None:
    answers = halves[1::2]
    if not answers:
        return
    output().print()
    print_rows(
        output(),
        [
            Column("TRY", right=True),
            Column(f"POSTED ({zone_of(answer.get('eventDateTime') for answer in answers)})"),
            Column("RESULT"),
        ],
        [
            Row(
                [
                    str(number),
                    local_time(answer.get("eventDateTime")),
                    answer.get("eventDescription", ""),
                ],
                (answer.get("errorDetails") or {}).get("message", ""),
            )
            for number, answer in enumerate(answers, start=1)
        ],
    )
