"""`heliograph status`: is all well, what fails, since when, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import click

from heliograph.access.credentials_file import Credentials
from heliograph.cli.account_calls import run
from heliograph.cli.commands.configurations import state_of
from heliograph.cli.connection import Connection, json_option, server_options
from heliograph.cli.exits import Exit, Stop
from heliograph.cli.open_incidents import (
    OpenIncidents,
    again,
    open_incidents,
    to_do,
    what_fails,
)
from heliograph.cli.terminal import (
    counted,
    output,
    print_json,
    print_text,
)

_MOST_SHOWN: Final = 20
"""Incidents that are shown, those with the most failures."""


@dataclass(frozen=True, slots=True)
class Status:
    """What was found: open incidents, and configurations that get nothing now."""

    server: str
    incidents: OpenIncidents
    resting: Sequence[Mapping[str, Any]]

    @property
    def disabled(self) -> Sequence[Mapping[str, Any]]:
        """Configurations that the server has switched off."""
        return [one for one in self.resting if state_of(one) == "disabled"]

    @property
    def well(self) -> bool:
        """Whether everybody gets what they are to get."""
        return not self.incidents.unmeant.records and not self.disabled


@click.command(epilog="Example: out=$(heliograph status) || echo \"$out\" | mail -s 'Not well' ops")
@json_option
@server_options
def status(credentials: Credentials, as_json: bool) -> None:
    """Say whether all is well, and else what fails, since when, and what to do.

    The exit status is 0 if it is, 1 if something fails or was switched off by the server, and 3 if
    the server does not answer or is not ready.
    """
    found = run(credentials, lambda connection: _look(connection, credentials.base_uri))
    print_json(_document(found)) if as_json else _print(found)
    if not found.well:
        click.get_current_context().exit(Exit.NO)


async def _look(connection: Connection, server: str) -> Status:
    """Raises Stop where the server is not ready."""
    health = await connection.alive()
    if health is not None and health[0] != 200:
        reason = health[1].get("reason", "") if isinstance(health[1], dict) else ""
        raise Stop(
            Exit.UNREACHABLE,
            f"NOT WELL: {server} answers {health[0]}: {reason or 'not ready'}.",
            "`heliograph doctor` looks at its storage; its log says more.",
        )
    listed = (await connection.call("GET", "")).json["configurations"]
    return Status(
        server,
        await open_incidents(connection),
        [one for one in listed if state_of(one) != "publishing"],
    )


def _document(found: Status) -> dict[str, Any]:
    return {
        "well": found.well,
        "server": found.server,
        "failures": found.incidents.failures,
        "incidents": found.incidents.records,
        "resting": [
            {"connectId": one["connectId"], "name": one.get("name"), "state": state_of(one)}
            for one in found.resting
        ],
    }


def _print(found: Status) -> None:
    console = output()
    failing, disabled = found.incidents.unmeant, found.disabled
    if found.well:
        print_text(console, f"Well: {found.server} is ready, and nothing fails.", 0, "bold green")
    else:
        parts = [failing.text()] if failing.records else []
        parts += [f"{counted(len(disabled), 'listener')} switched off"] if disabled else []
        print_text(console, f"NOT WELL: {'; '.join(parts)}.", 0, "bold red")
    shown = failing.records[:_MOST_SHOWN]
    for incident in shown:
        name = f"{incident['connectId']} {incident['configName']}"
        print_text(console, f"{name}: {what_fails(incident)}", 0)
        print_text(console, f"To do: {to_do(incident)}.", 2, "dim")
    if more := len(failing.records) - len(shown):
        others = counted(more, "more incident")
        print_text(console, f"... and {others}: `heliograph incidents list`.", 0)
    if shown:
        print_text(console, "Once mended, they are tried again by and by, or when you say so:", 0)
        for incident in shown:
            print_text(console, again(incident), 2, "dim")
    for one in found.resting:
        print_text(console, _resting(one), 0, "yellow")


def _resting(configuration: Mapping[str, Any]) -> str:
    state, connect_id = state_of(configuration), configuration["connectId"]
    option = "--resume" if state == "paused" else "--on"
    name = configuration.get("name") or "-"
    return (
        f"{connect_id} {name} is {state}: `heliograph configurations update {connect_id} {option}`."
    )
