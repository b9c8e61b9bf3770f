"""`heliograph hmac-keys`: the keys that sign messages."""

from __future__ import annotations

import asyncio

import click

from heliograph.access.credentials_file import Credentials
from heliograph.cli import asking
from heliograph.cli.account_calls import known_among, run
from heliograph.cli.connection import Connection, json_option, segment, server_options, yes_option
from heliograph.cli.grouping import Commands
from heliograph.cli.terminal import (
    Column,
    Row,
    counted,
    local_time,
    local_time_and_zone,
    notes,
    output,
    print_json,
    print_rows,
    zone_of,
)


@click.group("hmac-keys", cls=Commands)
def hmac_keys() -> None:
    """The keys that sign messages. Every active key signs, so that a listener can change
    over to a new one without a gap."""


@hmac_keys.command(epilog="Example: heliograph hmac-keys create")
@json_option
@server_options
def create(credentials: Credentials, as_json: bool) -> None:
    """Make a key. Its secret is shown this once."""

    async def work() -> None:
        async with Connection(credentials) as connection:
            key = (await connection.call("POST", "secret")).json
        if as_json:
            print_json(key)
            return
        console = output()
        console.print(f"Key     {key['keyId']}", soft_wrap=True)
        console.print(f"Secret  {key['secret']}", soft_wrap=True)
        notes().print("Give the secret to the listener now: it is not shown again.", style="dim")

    asyncio.run(work())


@hmac_keys.command("list", epilog="Example: heliograph hmac-keys list")
@json_option
@server_options
def list_keys(credentials: Credentials, as_json: bool) -> None:
    """List the active keys, oldest first: the order of the signature headers."""

    async def work() -> None:
        async with Connection(credentials) as connection:
            listing = (await connection.call("GET", "secret")).json
        if as_json:
            print_json(listing)
            return
        keys = listing["secrets"]
        if not keys:
            notes().print("No keys: messages are not signed. `heliograph hmac-keys create`.")
            return
        zone = zone_of(key["created"] for key in keys)
        print_rows(
            output(),
            [Column("NO", right=True), Column("KEY"), Column(f"CREATED ({zone})")],
            [
                Row([str(at), key["keyId"], local_time(key["created"])])
                for at, key in enumerate(keys, start=1)
            ],
        )
        output().print("Key n signs in the header X-DocuSign-Signature-n.", style="dim")

    asyncio.run(work())


def _ask(credentials: Credentials, key_id: str) -> None:
    """Raises Stop where there is no such key."""
    keys = run(credentials, lambda link: link.call("GET", "secret")).json["secrets"]
    key = known_among(keys, "keyId", key_id, "key", "heliograph hmac-keys list")
    number, left = keys.index(key) + 1, len(keys) - 1
    made = local_time_and_zone(key["created"])
    then = f"{counted(left, 'key')} left" if left else "and nothing is signed any more"
    asking.confirm(
        f"Key {number}, made {made}: listeners that know only this one will refuse messages; "
        f"{then}. Go on?"
    )


@hmac_keys.command(epilog="Example: heliograph hmac-keys delete 0b0e3c1a-...")
@click.argument("key_id", metavar="KEY")
@yes_option
@server_options
def delete(credentials: Credentials, key_id: str, yes: bool) -> None:
    """Stop signing with a key."""
    if not yes:
        _ask(credentials, key_id)

    async def work() -> None:
        async with Connection(credentials) as connection:
            await connection.call("DELETE", f"secret/{segment(key_id)}")
        output().print("Deleted: new attempts are not signed with it.")

    asyncio.run(work())
