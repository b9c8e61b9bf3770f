"""`heliograph status`: is all well, what fails, since when, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import click

from heliograph.access.credentials_file import Credentials
from heliograph.cli.account_calls import run
from heliograph.cli.causes import Causes, Group, causes_of
from heliograph.cli.commands.configurations import state_of
from heliograph.cli.connection import Connection, json_option, server_options
from heliograph.cli.exits import Exit, Stop
from heliograph.cli.terminal import (
    counted,
    local_time_and_zone,
    output,
    print_json,
    print_text,
)
from heliograph.model.causes import WAITING
from heliograph.model.deliveries import Phase

_RESTING: Final = f"{WAITING}: configuration paused"
"""The cause of what fails because somebody wants it to wait."""

_LOOK: Final = "what was sent and what came back: `heliograph failures show {failure}`"
_TRY: Final = "try it with a sample message: `heliograph configurations test {config}`"
_TO_DO: Final[Mapping[str, str]] = {
    Phase.TOKEN: "look at the OAuth client, `heliograph connect-oauth show`, and at its server",
    Phase.DNS: "is the host name in its URL right? `heliograph configurations show {config}`",
    Phase.REFUSED_ADDRESS: "its URL leads where --egress of `heliograph serve` admits nobody: "
    "change the one or the other",
    Phase.CONNECT: f"is the listener up, and reachable from the server? Then {_TRY}",
    Phase.TLS: f"mend the listener's certificate or its TLS, then {_TRY}",
    Phase.STATUS: f"the listener's own log says why it refuses; {_LOOK}",
    WAITING: "it waits for what is before it in its order",
}
"""By the phase of a cause; of any other one looks at a failure."""


@dataclass(frozen=True, slots=True)
class Status:
    """What was found: causes of open failures, and configurations that get nothing now."""

    server: str
    causes: Causes
    resting: Sequence[Mapping[str, Any]]
    names: Mapping[str, str]

    @property
    def failing(self) -> Sequence[Group]:
        """The groups that nobody has meant."""
        return [group for group in self.causes.groups if group.cause != _RESTING]

    @property
    def disabled(self) -> Sequence[Mapping[str, Any]]:
        """Configurations that the server has switched off."""
        return [one for one in self.resting if state_of(one) == "disabled"]

    @property
    def well(self) -> bool:
        """Whether everybody gets what they are to get; what was not read may be failing."""
        return not self.failing and not self.disabled and not self.causes.more


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
        await causes_of(connection, {}),
        [one for one in listed if state_of(one) != "publishing"],
        {one["connectId"]: one.get("name") or "-" for one in listed},
    )


def _document(found: Status) -> dict[str, Any]:
    return {
        "well": found.well,
        "server": found.server,
        "failures": found.causes.total,
        "moreFailures": found.causes.more,
        "causes": found.causes.document(),
        "resting": [
            {"connectId": one["connectId"], "name": one.get("name"), "state": state_of(one)}
            for one in found.resting
        ],
    }


def _print(found: Status) -> None:
    console = output()
    failing, disabled = found.failing, found.disabled
    if found.well:
        print_text(console, f"Well: {found.server} is ready, and nothing fails.", 0, "bold green")
    else:
        total = sum(group.count for group in failing)
        parts = [Causes(failing, total, found.causes.more).text()] if failing else []
        parts += [f"{counted(len(disabled), 'listener')} switched off"] if disabled else []
        if found.causes.more and not failing:
            parts.append("there are more open failures than were read, whose cause is not known")
        print_text(console, f"NOT WELL: {'; '.join(parts)}.", 0, "bold red")
    for group in failing:
        what = f"{group.connect_id} {found.names.get(group.connect_id, '(deleted)')}: {group.cause}"
        since = f"since {local_time_and_zone(group.since)}"
        print_text(console, f"{what}, {counted(group.count, 'failure')} {since}", 0)
        print_text(console, _to_do(group), 2, "dim")
    if failing:
        print_text(console, "Once mended, they are tried again by and by, or when you say so:", 0)
        ids = dict.fromkeys(group.connect_id for group in failing)
        for connect_id in ids:
            print_text(console, f"heliograph republish start --connect-id {connect_id}", 2, "dim")
    for one in found.resting:
        print_text(console, _resting(one), 0, "yellow")


def _to_do(group: Group) -> str:
    phase = group.cause.partition(": ")[0]
    failure = group.newest.get("failureId", "")
    text = _TO_DO.get(phase, _LOOK).format(config=group.connect_id, failure=failure)
    return f"To do: {text}."


def _resting(configuration: Mapping[str, Any]) -> str:
    state, connect_id = state_of(configuration), configuration["connectId"]
    option = "--resume" if state == "paused" else "--on"
    name = configuration.get("name") or "-"
    return (
        f"{connect_id} {name} is {state}: `heliograph configurations update {connect_id} {option}`."
    )
