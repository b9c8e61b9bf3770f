"""`heliograph configurations`: who gets which events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, BinaryIO, Final

import click
import msgspec

from heliograph.access.credentials_file import Credentials
from heliograph.cli import asking
from heliograph.cli.account_calls import run
from heliograph.cli.connection import Connection, json_option, segment, server_options, yes_option
from heliograph.cli.exits import Exit, wrong
from heliograph.cli.grouping import Commands
from heliograph.cli.open_incidents import (
    OpenIncidents,
    again,
    open_incidents,
    to_do,
    what_fails,
)
from heliograph.cli.terminal import (
    Column,
    Row,
    counted,
    notes,
    output,
    print_fields,
    print_json,
    print_rows,
    print_text,
)
from heliograph.wire.docusign import PUBLISHED, VERSION

AS_DOCUSIGN: Final[Mapping[str, Any]] = {
    "configurationType": "custom",
    "deliveryMode": "SIM",
    "eventData": {"version": VERSION},
}
"""What DocuSign wants beside `events`; they are what is meant in either profile."""

_UNSET: Final[Sequence[Any]] = ("", "false", [], {"version": ""})


def _field_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What create and update set; each of these lies over what a --file says."""
    options = (
        click.option(
            "--file", type=click.File("rb"), help="A configuration as JSON (- standard input)."
        ),
        click.option("--url", help="The listener's URL."),
        click.option("--name", help="A name for people."),
        click.option(
            "--event",
            "events",
            multiple=True,
            help="An event that it gets, such as envelope-completed; give it again for more.",
        ),
        click.option("--all-users", is_flag=True, default=None, help="Events of every user."),
        click.option(
            "--user-id", "user_ids", multiple=True, help="Events of this user; may be repeated."
        ),
        click.option(
            "--group-id",
            "group_ids",
            multiple=True,
            help="Events of this group's users; may be repeated.",
        ),
        click.option(
            "--verbatim/--rendered",
            "verbatim",
            default=None,
            help="What came through a relay goes out as it came, or rendered (the default).",
        ),
        click.option("--log/--no-log", default=None, help="Whether each post is logged."),
        click.option("--on/--off", "on", default=None, help="Whether it gets new events at all."),
        click.option("--pause/--resume", default=None, help="Hold its deliveries, or let them go."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(cls=Commands)
def configurations() -> None:
    """Who gets which events: each configuration is a listener and what it wants."""


@configurations.command("list", epilog="Example: heliograph configurations list")
@json_option
@server_options
def list_configurations(credentials: Credentials, as_json: bool) -> None:
    """List the account's configurations."""
    listing = _call(credentials, "GET", "")
    if as_json:
        print_json(listing)
        return
    if not listing["configurations"]:
        notes().print("No configurations. `heliograph configurations create --help` tells how.")
        return
    print_rows(
        output(),
        [
            Column("ID", right=True),
            Column("NAME", gives_way=True),
            Column("STATE"),
            Column("LOG"),
            Column("EVENTS"),
        ],
        [_row(configuration) for configuration in listing["configurations"]],
    )
    _warn(listing["configurations"])


@configurations.command(epilog="Example: heliograph configurations show 1")
@click.argument("connect_id", metavar="ID")
@json_option
@server_options
def show(credentials: Credentials, connect_id: str, as_json: bool) -> None:
    """Show one configuration with every field that is set, and what it has not got."""
    listing = _call(credentials, "GET", segment(connect_id))
    if as_json:
        print_json(listing)
        return
    found = run(credentials, lambda connection: open_incidents(connection, connect_id))
    _print_configuration(listing["configurations"][0], found)
    _warn(listing["configurations"])
    if found.records:
        print_text(notes(), f"Warning: {found.text()}.", 0, "yellow")
    for incident in found.records:
        text = f"{what_fails(incident)}. To do: {to_do(incident)}. Then: `{again(incident)}`."
        print_text(notes(), text, 2, "yellow")


@configurations.command(
    epilog="\b\nExample:\n  heliograph configurations create --name crm --all-users --log \\\n"
    "      --url http://127.0.0.1:9000/hook --event envelope-completed"
)
@_field_options
@json_option
@server_options
def create(credentials: Credentials, as_json: bool, file: BinaryIO | None, **options: Any) -> None:
    """Create a configuration. It publishes at once, and logs its posts unless --no-log.

    Without a --file it is what DocuSign calls JSON SIM, and signed where the account has a key.
    """
    if file is None:
        missing = [
            option
            for option, value in (
                ("--url", options["url"]),
                ("--event", options["events"]),
                (
                    "--all-users, --user-id or --group-id",
                    options["all_users"] or options["user_ids"] or options["group_ids"],
                ),
            )
            if not value
        ]
        if missing:
            raise wrong(f"Missing: {', '.join(missing)}.", "Or give the whole as --file.")
    _suggest(options["events"])
    defaults: dict[str, Any] = {"allowEnvelopePublish": "true", "enableLog": "true"}
    if file is None:
        defaults |= {"includeHMAC": "true", **AS_DOCUSIGN}
    configuration = _call(credentials, "POST", "", {**defaults, **_document(file, options)})
    if as_json:
        print_json(configuration)
    else:
        output().print(f"Created configuration {configuration['connectId']}.")
        _print_configuration(configuration)
        _warn([configuration])


@configurations.command(
    epilog="\b\nExamples:\n  heliograph configurations update 1 --pause\n"
    "  heliograph configurations update 1 --file crm.json"
)
@click.argument("connect_id", metavar="ID")
@_field_options
@json_option
@server_options
def update(
    credentials: Credentials, connect_id: str, as_json: bool, file: BinaryIO | None, **options: Any
) -> None:
    """Change a configuration; what is not given stays as it is."""
    document = _document(file, options)
    _suggest(options["events"])
    if not document:
        raise wrong("Nothing to change was given.", "Give --file, or options such as --pause.")
    changed = _call(credentials, "PUT", "", {**document, "connectId": connect_id})
    if as_json:
        print_json(changed)
    else:
        output().print(f"Updated configuration {changed['connectId']}.")
        _print_configuration(changed)
        _warn([changed])


@configurations.command(epilog="Example: heliograph configurations delete 1")
@click.argument("connect_id", metavar="ID")
@yes_option
@server_options
def delete(credentials: Credentials, connect_id: str, yes: bool) -> None:
    """Delete a configuration. What it had still to get becomes a failure."""
    if not yes:
        (known,) = _call(credentials, "GET", segment(connect_id))["configurations"]
        failing = run(credentials, lambda connection: open_incidents(connection, connect_id))
        of_it = [known.get("name"), known.get("urlToPublishTo")]
        of_it += [counted(failing.failures, "open failure")] if failing.records else []
        text = ", ".join(filter(None, of_it))
        asking.confirm(f"Delete configuration {connect_id} ({text})?")
    _call(credentials, "DELETE", segment(connect_id))
    output().print("Deleted.")


@configurations.command("test", epilog="Example: heliograph configurations test 1")
@click.argument("connect_id", metavar="ID")
@json_option
@server_options
def test_send(credentials: Credentials, connect_id: str, as_json: bool) -> None:
    """Send a sample message to a listener now, and show the whole exchange.

    Nothing is stored or retried; the status is 1 when the listener does not take it.
    """
    result = _call(credentials, "POST", f"{segment(connect_id)}/test")
    if as_json:
        print_json(result)
    else:
        _print_exchange(result)
    if result["success"] != "true":
        raise SystemExit(Exit.NO)


def _print_exchange(result: Mapping[str, Any]) -> None:
    console = output()
    taken = "taken" if result["success"] == "true" else "not taken"
    console.print(f"POST {result['url']}", soft_wrap=True, style="bold")
    for line in result["requestHeaders"]:
        console.print(f"  {line}", soft_wrap=True)
    console.print(f"\n{result['requestBody']}\n", soft_wrap=True)
    if result.get("responseStatus"):
        console.print(result["responseStatus"], soft_wrap=True, style="bold")
        for line in result.get("responseHeaders") or ():
            console.print(f"  {line}", soft_wrap=True)
        if result.get("responseBody"):
            console.print(f"\n{result['responseBody']}", soft_wrap=True)
    if result.get("error"):
        console.print(result["error"], soft_wrap=True)
    console.print(f"\nThe message was {taken}, after {result['seconds']} s.")


def _call(
    credentials: Credentials,
    method: str,
    path: str,
    document: Mapping[str, Any] | None = None,
) -> Any:
    body = None if document is None else msgspec.json.encode(document)

    async def run() -> Any:
        async with Connection(credentials) as connection:
            return await connection.call(method, path, body=body)

    return asyncio.run(run()).json


def _document(file: BinaryIO | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration that a file and options say together."""
    document: dict[str, Any] = {}
    if file is not None:
        try:
            document = msgspec.json.decode(file.read(), type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise wrong(f"--file is no configuration as JSON: {error}.") from None
    texts = {"url": "urlToPublishTo", "name": "name"}
    lists = {"events": "events", "user_ids": "userIds", "group_ids": "groupIds"}
    flags = {
        "all_users": "allUsers",
        "log": "enableLog",
        "verbatim": "verbatim",
        "on": "allowEnvelopePublish",
        "pause": "pausePublish",
    }
    document |= {wire: options[name] for name, wire in texts.items() if options[name] is not None}
    document |= {wire: list(options[name]) for name, wire in lists.items() if options[name]}
    document |= {
        wire: "true" if options[name] else "false"
        for name, wire in flags.items()
        if options[name] is not None
    }
    return document


def _row(configuration: Mapping[str, Any]) -> Row:
    events = _events(configuration)
    shown = events[0] if len(events) == 1 else f"{len(events)} events" if events else "none"
    return Row(
        [
            configuration["connectId"],
            configuration.get("name") or "-",
            state_of(configuration),
            "on" if configuration.get("enableLog") == "true" else "off",
            shown,
        ],
        configuration.get("urlToPublishTo", ""),
        "dim",
    )


def state_of(configuration: Mapping[str, Any]) -> str:
    """Whether it gets its events: publishing, paused, off, or disabled by the server."""
    if configuration.get("allowEnvelopePublish") != "true":
        return "disabled" if configuration.get("disabledBy") else "off"
    return "paused" if configuration.get("pausePublish") == "true" else "publishing"


def _events(configuration: Mapping[str, Any]) -> Sequence[str]:
    """Every event it names: the legacy lists count too."""
    names = list(configuration.get("events", ()))
    names += [f"envelope {word}" for word in configuration.get("envelopeEvents", ())]
    names += [f"recipient {word}" for word in configuration.get("recipientEvents", ())]
    return names


def _print_configuration(
    configuration: Mapping[str, Any], failing: OpenIncidents | None = None
) -> None:
    state = state_of(configuration)
    if failing is not None and failing.records:
        state += f", {counted(failing.failures, 'open failure')}"
    users = [
        *configuration.get("userIds", ()),
        *(f"group {group}" for group in configuration.get("groupIds", ())),
    ]
    who = "all" if configuration.get("allUsers") == "true" else ", ".join(users) or "none"
    if configuration.get("allUsersExcept") == "true":
        who = f"all except {', '.join(users) or 'nobody'}"
    known = {
        "connectId",
        "name",
        "urlToPublishTo",
        "allowEnvelopePublish",
        "pausePublish",
        "enableLog",
        "includeHMAC",
        "events",
        "envelopeEvents",
        "recipientEvents",
        "allUsers",
        "allUsersExcept",
        "userIds",
        "groupIds",
        "warnings",
    }
    rest = [
        (name, _as_text(value))
        for name, value in configuration.items()
        if name not in known and value not in _UNSET
    ]
    print_fields(
        output(),
        [
            ("Configuration", configuration["connectId"]),
            ("Name", configuration.get("name")),
            ("Listener", configuration.get("urlToPublishTo")),
            ("State", state),
            ("Events", ", ".join(_events(configuration)) or "none: it gets nothing"),
            ("Users", who),
            ("Log", "on" if configuration.get("enableLog") == "true" else "off"),
            (
                "Signed",
                "yes, if there is a key" if configuration.get("includeHMAC") == "true" else "no",
            ),
            *rest,
        ],
    )


def _warn(listed: Sequence[Mapping[str, Any]]) -> None:
    """What will not arrive, on standard error: the answer says it of each configuration."""
    for configuration in listed:
        for warning in configuration.get("warnings") or ():
            text = f"Warning: configuration {configuration['connectId']}: {warning}"
            print_text(notes(), text, 0, "yellow")


def _suggest(names: Sequence[str]) -> None:
    """Say which event a name may be meant for, where it is nearly one of DocuSign's."""
    for name in names:
        near = get_close_matches(name, PUBLISHED, n=1)
        if name not in PUBLISHED and near:
            text = f"Warning: {name} is no event of DocuSign's. Did you mean {near[0]}?"
            print_text(notes(), text, 0, "yellow")


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
