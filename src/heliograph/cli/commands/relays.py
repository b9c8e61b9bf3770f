"""`heliograph relays`: where a real DocuSign Connect configuration posts to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TextIO

import click
import msgspec

from heliograph.access.credentials_file import Credentials
from heliograph.cli import asking
from heliograph.cli.connection import Connection, json_option, segment, server_options, yes_option
from heliograph.cli.exits import wrong
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


@click.group("relays", cls=Commands)
def relays() -> None:
    """Relays: each is a URL that one DocuSign Connect configuration posts to; what comes there is
    published to the account's configurations."""


def _field_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--secret-file",
            "secret_files",
            multiple=True,
            type=click.File("r", encoding="utf-8"),
            help="A file with DocuSign's Connect keys, one a line; - reads standard input. All "
            "that are given replace all that were.",
        ),
        click.option("--user-name", help="What DocuSign names itself by; an empty one is nobody."),
        click.option(
            "--password-file",
            type=click.File("r", encoding="utf-8"),
            help="Its password, as the first line of a file.",
        ),
    ):
        command = option(command)
    return command


@relays.command(epilog="Example: heliograph relays create docusign --secret-file keys.txt")
@click.argument("name")
@_field_options
@json_option
@server_options
def create(credentials: Credentials, name: str, as_json: bool, **options: Any) -> None:
    """Make a relay. A key is asked for unless a file, or a user name, is given."""
    document = _document(**options)
    if not document:
        document["hmacSecrets"] = [click.prompt("Connect key", hide_input=True, err=True)]
    _print(_call(credentials, "POST", body={"name": name, **document}), as_json=as_json)


@relays.command("list", epilog="Example: heliograph relays list")
@json_option
@server_options
def list_(credentials: Credentials, as_json: bool) -> None:
    """List the relays and their URLs."""
    found = _call(credentials, "GET")
    if as_json:
        print_json(found)
    elif not found["relays"]:
        notes().print("There are no relays: heliograph relays create makes one.")
    else:
        rows = [
            Row([one["name"], str(len(one["hmacSecrets"])), one.get("userName", "")], one["url"])
            for one in found["relays"]
        ]
        columns = [Column("NAME"), Column("KEYS"), Column("USER NAME", gives_way=True)]
        print_rows(output(), columns, rows)


@relays.command(epilog="Example: heliograph relays show docusign")
@click.argument("name")
@json_option
@server_options
def show(credentials: Credentials, name: str, as_json: bool) -> None:
    """Show a relay; of each of its keys only the beginning is shown."""
    _print(_call(credentials, "GET", name), as_json=as_json)


@relays.command(epilog="Example: heliograph relays update docusign --secret-file keys.txt")
@click.argument("name")
@_field_options
@json_option
@server_options
def update(credentials: Credentials, name: str, as_json: bool, **options: Any) -> None:
    """Change what a relay knows its messages by; what is not given stays as it is."""
    document = _document(**options)
    if not document:
        raise wrong("Nothing to change was given.", "Give options such as --secret-file.")
    _print(_call(credentials, "PUT", name, body=document), as_json=as_json)


@relays.command(epilog="Example: heliograph relays refusals docusign")
@click.argument("name")
@json_option
@server_options
def refusals(credentials: Credentials, name: str, as_json: bool) -> None:
    """Show what a relay did not take last, and why: the newest first."""
    found = _call(credentials, "GET", name, "refusals")
    if as_json:
        print_json(found)
        return
    if not found["refusals"]:
        notes().print("It has refused nothing.")
        return
    zone = zone_of(one["created"] for one in found["refusals"])
    columns = [Column(f"WHEN ({zone})"), Column("REASON"), Column("BYTES"), Column("FROM")]
    rows = [
        Row([local_time(one["created"]), one["reason"], one["size"], one["address"]])
        for one in found["refusals"]
    ]
    print_rows(output(), columns, rows)
    notes().print("--json shows their headers, and how each begins.", style="dim")


@relays.command(epilog="Example: heliograph relays delete docusign --yes")
@click.argument("name")
@yes_option
@server_options
def delete(credentials: Credentials, name: str, yes: bool) -> None:
    """Delete a relay: what DocuSign posts there is refused from then on."""
    if not yes:
        asking.confirm("What DocuSign posts there will be refused. Go on?")
    _call(credentials, "DELETE", name)
    output().print("Deleted.")


def _document(
    secret_files: Sequence[TextIO], user_name: str | None, password_file: TextIO | None
) -> dict[str, Any]:
    lines = [line.strip() for file in secret_files for line in file.read().splitlines()]
    fields = {
        "hmacSecrets": [line for line in lines if line] or None,
        "userName": user_name,
        "password": password_file and password_file.readline().rstrip("\r\n"),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _call(
    credentials: Credentials, method: str, *of: str, body: dict[str, Any] | None = None
) -> Any:
    path = "/".join(["relays", *(segment(part) for part in of)])
    encoded = None if body is None else msgspec.json.encode(body)

    async def run() -> Any:
        async with Connection(credentials) as connection:
            return await connection.call(method, path, body=encoded)

    return asyncio.run(run()).json


def _print(relay: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(relay)
        return
    print_fields(
        output(),
        [
            ("Name", relay["name"]),
            ("URL", relay["url"]),
            ("Keys", ", ".join(relay["hmacSecrets"])),
            ("User name", relay.get("userName")),
            ("Created", relay["created"]),
        ],
    )
