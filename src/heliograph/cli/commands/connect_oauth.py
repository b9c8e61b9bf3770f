"""`heliograph connect-oauth`: the OAuth client that posts get tokens for listeners with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TextIO

import click
import msgspec

from heliograph.access.credentials_file import Credentials
from heliograph.cli import asking
from heliograph.cli.connection import Connection, json_option, server_options, yes_option
from heliograph.cli.exits import wrong
from heliograph.cli.grouping import Commands
from heliograph.cli.terminal import output, print_fields, print_json


@click.group("connect-oauth", cls=Commands)
def connect_oauth() -> None:
    """The account's OAuth client: configurations with includeOAuth that have none of their own
    send its tokens to their listeners."""


def _field_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--url", help="Where the authorization server gives tokens."),
        click.option("--client-id", help="Who asks for them."),
        click.option(
            "--secret-file",
            type=click.File("r", encoding="utf-8"),
            help="The client's secret, as the first line of a file; - reads standard input.",
        ),
        click.option("--scope", help="Sent with each request for a token; an empty one is none."),
        click.option(
            "--parameter",
            "parameters",
            multiple=True,
            metavar="NAME=VALUE",
            help="Sent too. All that are given replace all that were.",
        ),
    ):
        command = option(command)
    return command


@connect_oauth.command(
    epilog="\b\nExample:\n  heliograph connect-oauth create --client-id heliograph \\\n"
    "      --url https://login.example.com/oauth/token --secret-file secret.txt",
)
@_field_options
@json_option
@server_options
def create(credentials: Credentials, as_json: bool, **options: Any) -> None:
    """Give the account a client. Its secret is asked for unless a file has it."""
    document = _document(**options)
    missing = [
        option
        for option, name in (("--url", "authorizationServerUrl"), ("--client-id", "clientId"))
        if not document.get(name)
    ]
    if missing:
        raise wrong(f"Missing: {' and '.join(missing)}.")
    if "clientSecret" not in document:
        document["clientSecret"] = click.prompt("Client secret", hide_input=True, err=True)
    _print(_call(credentials, "POST", document), as_json=as_json)


@connect_oauth.command(
    epilog="Example: heliograph connect-oauth update --secret-file - < new-secret.txt"
)
@_field_options
@json_option
@server_options
def update(credentials: Credentials, as_json: bool, **options: Any) -> None:
    """Change the client; what is not given stays as it is."""
    document = _document(**options)
    if not document:
        raise wrong("Nothing to change was given.", "Give options such as --secret-file.")
    _print(_call(credentials, "PUT", document), as_json=as_json)


@connect_oauth.command(epilog="Example: heliograph connect-oauth show")
@json_option
@server_options
def show(credentials: Credentials, as_json: bool) -> None:
    """Show the client; its secret is never shown."""
    _print(_call(credentials, "GET"), as_json=as_json)


@connect_oauth.command(epilog="Example: heliograph connect-oauth delete --yes")
@yes_option
@server_options
def delete(credentials: Credentials, yes: bool) -> None:
    """Forget the client: posts that need it then fail."""
    if not yes:
        client = _call(credentials, "GET")
        which = f"{client['clientId']} at {client['authorizationServerUrl']}"
        asking.confirm(f"Posts that need tokens of {which} will fail. Go on?")
    _call(credentials, "DELETE")
    output().print("Deleted.")


def _document(
    url: str | None,
    client_id: str | None,
    secret_file: TextIO | None,
    scope: str | None,
    parameters: Sequence[str],
) -> dict[str, Any]:
    fields = {
        "authorizationServerUrl": url,
        "clientId": client_id,
        "clientSecret": secret_file and secret_file.readline().rstrip("\r\n"),
        "scope": scope,
        "customParameters": dict(map(_parameter, parameters)) or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise wrong("--parameter takes NAME=VALUE.")
    return name, value


def _call(credentials: Credentials, method: str, document: dict[str, Any] | None = None) -> Any:
    body = None if document is None else msgspec.json.encode(document)

    async def run() -> Any:
        async with Connection(credentials) as connection:
            return await connection.call(method, "oauth", body=body)

    return asyncio.run(run()).json


def _print(client: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(client)
        return
    parameters = client.get("customParameters", {})
    print_fields(
        output(),
        [
            ("Token URL", client["authorizationServerUrl"]),
            ("Client id", client["clientId"]),
            ("Secret", client["clientSecret"]),
            ("Scope", client.get("scope")),
            ("Parameters", ", ".join(f"{name}={value}" for name, value in parameters.items())),
        ],
    )
