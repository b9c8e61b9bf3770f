"""`heliograph incidents`: what fails, by configuration and cause."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import click
import msgspec

from heliograph.access.credentials_file import Credentials
from heliograph.cli.account_calls import run
from heliograph.cli.connection import Connection, json_option, segment, server_options
from heliograph.cli.grouping import Commands
from heliograph.cli.listing import fetch
from heliograph.cli.open_incidents import again, seen_by
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
from heliograph.model.incidents import IncidentState

_PAGE: Final = 1_000


@click.group(cls=Commands)
def incidents() -> None:
    """What fails: open failures by configuration and cause."""


@incidents.command("list", epilog="Example: heliograph incidents list --state any")
@click.option(
    "--state",
    type=click.Choice([*(state.value for state in IncidentState), "any"]),
    default=IncidentState.OPEN.value,
    show_default=True,
    help="Those that are open, closed, or any.",
)
@click.option("--connect-id", help="Only this configuration's.")
@json_option
@server_options
def list_incidents(
    credentials: Credentials, state: str, connect_id: str | None, as_json: bool
) -> None:
    """List incidents, the one that opened last first."""
    query = {"state": state, **({"connect_id": connect_id} if connect_id else {})}
    listing = run(credentials, lambda link: fetch(link, "incidents", query, None, _PAGE))
    if as_json:
        print_json(listing.document)
        return
    listed = listing.records
    if not listed:
        notes().print("No incidents." if state == "any" else f"No {state} incidents.")
        return
    zone = zone_of(one["opened"] for one in listed)
    columns = [
        Column("ID", right=True),
        Column("LISTENER", gives_way=True),
        Column("FAILURES", right=True),
        Column(f"SINCE ({zone})"),
    ]
    print_rows(output(), columns, [_row(one) for one in listed])
    failures = sum(int(one["failures"]) for one in listed)
    text = f"{counted(len(listed), 'incident')}, {counted(failures, 'failure')}."
    output().print(text, style="dim")


@incidents.command(epilog="Example: heliograph incidents show 3")
@click.argument("incident_id", metavar="ID")
@json_option
@server_options
def show(credentials: Credentials, incident_id: str, as_json: bool) -> None:
    """Show an incident, and what its failures are to be republished with."""
    incident = run(credentials, lambda link: _call(link, "GET", incident_id))
    _print(incident, as_json=as_json)


@incidents.command(
    epilog="\b\nExamples:\n  heliograph incidents acknowledge 3 --note 'their deploy'\n"
    "  heliograph incidents acknowledge 3 --undo"
)
@click.argument("incident_id", metavar="ID")
@click.option("--note", help="What there is to say of it.")
@click.option("--undo", is_flag=True, help="Nobody has seen it after all.")
@json_option
@server_options
def acknowledge(
    credentials: Credentials, incident_id: str, note: str | None, undo: bool, as_json: bool
) -> None:
    """Say that you have seen an incident; it stays so until it closes."""
    if undo and note:
        raise click.UsageError("--note is for an incident that somebody has seen.")
    document = {"acknowledged": "false"} if undo else {"note": note or ""}
    incident = run(credentials, lambda link: _call(link, "PUT", incident_id, document))
    _print(incident, as_json=as_json)


async def _call(
    connection: Connection,
    method: str,
    incident_id: str,
    document: Mapping[str, str] | None = None,
) -> Any:
    body = None if document is None else msgspec.json.encode(document)
    return (await connection.call(method, f"incidents/{segment(incident_id)}", body=body)).json


def _row(incident: Mapping[str, str]) -> Row:
    note = incident["cause"]
    if seen := seen_by(incident):
        note += f" ({seen})"
    cells = [
        incident["incidentId"],
        f"{incident['connectId']}, {incident['configName']}",
        f"{int(incident['failures']):,}",
        local_time(incident["opened"]),
    ]
    return Row(cells, note, "red" if incident["state"] == IncidentState.OPEN else "dim")


def _print(incident: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(incident)
        return
    closed = local_time_and_zone(incident.get("closed"))
    growth = [f"{int(minute['failures']):,}" for minute in incident.get("growth", ())[-10:]]
    least = "at least " if incident["envelopesCapped"] == "true" else ""
    print_fields(
        output(),
        [
            ("Incident", f"{incident['incidentId']}, {incident['state']}"),
            ("Cause", incident["cause"]),
            ("Configuration", f"{incident['connectId']}, {incident['configName']}"),
            (
                "Failures",
                f"{int(incident['failures']):,} of {least}"
                f"{counted(int(incident['envelopes']), 'envelope')}",
            ),
            ("Opened", local_time_and_zone(incident["opened"])),
            ("Newest", local_time_and_zone(incident["newest"])),
            ("Closed", closed or None),
            ("By the minute", " ".join(growth) or None),
            ("Acknowledged", seen_by(incident) or None),
            ("One of them", incident.get("failureId")),
        ],
    )
    if incident["state"] == IncidentState.OPEN:
        text = f"\nSend them again: {again(incident)} --canary 1"
        output().print(text, style="dim", soft_wrap=True)
