"""`heliograph tokens`: who may call the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from heliograph.access.credentials_file import Credentials
from heliograph.cli import asking
from heliograph.cli.account_calls import call, every, known_among, run, user_ids
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
from heliograph.model.accounts import Role
from heliograph.wire import dates


@click.group(cls=Commands)
def tokens() -> None:
    """Who may call the API: each token acts for the account, or for one of its users."""


@tokens.command("list", epilog="Example: heliograph tokens list")
@click.option("--user", help="Only this user's: an id or an e-mail.")
@json_option
@server_options
def list_tokens(credentials: Credentials, as_json: bool, user: str | None) -> None:
    """List the tokens that work, newest first; their texts are never shown."""

    async def work(connection: Connection) -> Any:
        query = {"user_id": (await user_ids(connection, [user]))[0]} if user else {}
        return await every(connection, "tokens", "tokens", query)

    listing = run(credentials, work)
    if as_json:
        print_json(listing)
        return
    if not listing["tokens"]:
        notes().print("No tokens.")
        return
    zone = zone_of(token["created"] for token in listing["tokens"])
    columns = [
        Column("NAME", gives_way=True),
        Column("ROLE"),
        Column(f"CREATED ({zone})"),
        Column("EXPIRES"),
    ]
    print_rows(output(), columns, [_row(token) for token in listing["tokens"]])


@tokens.command(
    epilog="\b\nExamples:\n  heliograph tokens add dashboard\n"
    "  heliograph tokens add ci --role administrator --days 90"
)
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice([role.value for role in reversed(Role)]),
    default=Role.VIEWER.value,
    show_default=True,
    help="A viewer reads; an administrator does everything.",
)
@click.option("--user", help="Whom it acts for: an id or an e-mail; else the account.")
@click.option("--scope", "scopes", multiple=True, help="Kept with it; may be repeated.")
@click.option("--days", type=click.IntRange(1, 36_500), help="It ends after so many days.")
@json_option
@server_options
def add(
    credentials: Credentials,
    as_json: bool,
    name: str,
    role: str,
    user: str | None,
    scopes: Sequence[str],
    days: int | None,
) -> None:
    """Make a token. Its text is shown this once."""

    async def work(connection: Connection) -> Any:
        body = {"name": name, "role": role}
        if user:
            body["userId"] = (await user_ids(connection, [user]))[0]
        if scopes:
            body["scopes"] = " ".join(scopes)
        if days:
            body["expires"] = dates.render(datetime.now(UTC) + timedelta(days=days))
        return await call(connection, "POST", "tokens", body)

    token = run(credentials, work)
    if as_json:
        print_json(token)
        return
    shown = [("ID", token["tokenId"]), ("Role", token["role"])]
    shown += [("Expires", local_time(token["expires"]))] if token.get("expires") else []
    print_fields(output(), shown)
    output().print(f"Token  {token['accessToken']}", soft_wrap=True)
    notes().print("Keep the token now: it is not shown again.", style="dim")


@tokens.command(epilog="Example: heliograph tokens revoke 5b0e3c1a...")
@click.argument("token_id", metavar="ID")
@yes_option
@server_options
def revoke(credentials: Credentials, token_id: str, yes: bool) -> None:
    """Withdraw a token for good, given by the id that `list` shows."""
    if not yes:
        listed = run(credentials, lambda link: every(link, "tokens", "tokens"))["tokens"]
        token = known_among(listed, "tokenId", token_id, "token", "heliograph tokens list")
        asking.confirm(
            f"Whoever uses the {token['role']}'s token {token['name']} will be refused. Go on?"
        )
    run(credentials, lambda link: call(link, "DELETE", f"tokens/{segment(token_id)}"))
    output().print("Revoked.")


def _row(token: Mapping[str, str]) -> Row:
    note = token["tokenId"]
    note += f"  for user {token['userId']}" if token.get("userId") else ""
    note += f"  scopes {token['scopes']}" if token.get("scopes") else ""
    note += f"  by {token['integrationKey']}" if token.get("integrationKey") else ""
    expires = local_time(token.get("expires")) or "never"
    return Row([token["name"], token["role"], local_time(token["created"]), expires], note, "dim")
