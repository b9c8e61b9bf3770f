"""`heliograph accounts`: the tenants of an installation."""

from __future__ import annotations

from typing import Final

import click

from heliograph.access.credentials_file import Credentials
from heliograph.cli.account_calls import call, run
from heliograph.cli.connection import (
    ACCESS_TOKEN,
    ACCOUNT_ID,
    BASE_URI,
    json_option,
    server_options,
)
from heliograph.cli.grouping import Commands
from heliograph.cli.terminal import Column, Row, notes, output, print_json, print_rows

_PATH: Final = "/restapi/v2.1/accounts"


@click.group(cls=Commands)
def accounts() -> None:
    """The tenants of an installation. These commands take an administrator's token of the
    first account, as it is in the data directory."""


@accounts.command("list", epilog="Example: heliograph accounts list")
@json_option
@server_options
def list_accounts(credentials: Credentials, as_json: bool) -> None:
    """List every account."""
    listing = run(credentials, lambda connection: call(connection, "GET", _PATH))
    if as_json:
        print_json(listing)
        return
    print_rows(
        output(),
        [Column("NO", right=True), Column("NAME", gives_way=True), Column("ACCOUNT")],
        [
            Row([account["externalAccountId"], account["accountName"], account["accountId"]])
            for account in listing["accounts"]
        ],
    )


@accounts.command(epilog="Example: heliograph accounts create 'Northwind Ltd'")
@click.argument("name")
@json_option
@server_options
def create(credentials: Credentials, name: str, as_json: bool) -> None:
    """Add an account, with an administrator's token that is shown this once."""
    body = {"accountName": name}
    account = run(credentials, lambda connection: call(connection, "POST", _PATH, body))
    if as_json:
        print_json(account)
        return
    console = output()
    console.print(
        f"Added account {account['externalAccountId']}, {account['accountName']}. To use it:"
    )
    console.print(f"  export {BASE_URI}={credentials.base_uri}", soft_wrap=True)
    console.print(f"  export {ACCOUNT_ID}={account['accountId']}", soft_wrap=True)
    console.print(f"  export {ACCESS_TOKEN}={account['accessToken']}", soft_wrap=True)
    notes().print("Keep the token now: it is not shown again.", style="dim")
