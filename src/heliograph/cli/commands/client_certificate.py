"""`heliograph client-certificate`: what listeners with mutual TLS are shown."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click
import msgspec

from heliograph.access.credentials_file import Credentials
from heliograph.cli import asking
from heliograph.cli.connection import Connection, json_option, server_options, yes_option
from heliograph.cli.grouping import Commands
from heliograph.cli.terminal import output, print_fields, print_json

_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("client-certificate", cls=Commands)
def client_certificate() -> None:
    """The account's certificate for listeners that ask for one: configurations with
    requireMutualTls show it."""


@client_certificate.command(
    "set", epilog="Example: heliograph client-certificate set --certificate hg.pem --key hg.key"
)
@click.option("--certificate", required=True, type=_file, help="PEM; its chain follows it.")
@click.option("--key", required=True, type=_file, help="PEM, without a passphrase.")
@json_option
@server_options
def set_certificate(credentials: Credentials, certificate: Path, key: Path, as_json: bool) -> None:
    """Use a certificate and its key from now on; the key is stored encrypted."""
    document = {
        "certificate": certificate.read_text(encoding="ascii", errors="replace"),
        "privateKey": key.read_text(encoding="ascii", errors="replace"),
    }
    _print(_call(credentials, "PUT", msgspec.json.encode(document)), as_json=as_json)


@client_certificate.command(epilog="Example: heliograph client-certificate show")
@json_option
@server_options
def show(credentials: Credentials, as_json: bool) -> None:
    """Show the certificate; the key is never shown."""
    _print(_call(credentials, "GET"), as_json=as_json)


@client_certificate.command(epilog="Example: heliograph client-certificate delete --yes")
@yes_option
@server_options
def delete(credentials: Credentials, yes: bool) -> None:
    """Show none any more: posts with requireMutualTls then fail."""
    if not yes:
        subject = _call(credentials, "GET")["subject"]
        asking.confirm(f"Posts with requireMutualTls that show {subject} will fail. Go on?")
    _call(credentials, "DELETE")
    output().print("Deleted.")


def _call(credentials: Credentials, method: str, body: bytes | None = None) -> Any:
    async def run() -> Any:
        async with Connection(credentials) as connection:
            return await connection.call(method, "client_certificate", body=body)

    return asyncio.run(run()).json


def _print(certificate: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        print_json(certificate)
        return
    names = ("subject", "issuer", "expires", "fingerprint")
    print_fields(output(), [(name.capitalize(), certificate.get(name)) for name in names])
