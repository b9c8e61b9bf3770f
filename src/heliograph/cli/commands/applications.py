"""`heliograph applications`: integration keys, what they sign with, and who lets them act."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

import click
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from heliograph import files
from heliograph.access.credentials_file import Credentials
from heliograph.cli import asking
from heliograph.cli.account_calls import call, every, known_among, run, user_ids
from heliograph.cli.connection import Connection, json_option, segment, server_options, yes_option
from heliograph.cli.exits import wrong
from heliograph.cli.grouping import Commands
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
from heliograph.model.applications import IMPERSONATION, SCOPES, SIGNATURE, Rights

_BITS: Final = 3072

_key_argument = click.argument("integration_key", metavar="INTEGRATION_KEY")
_redirect_option = click.option(
    "--redirect-uri",
    "redirect_uris",
    multiple=True,
    help="Where users are sent back to, letter by letter; may be repeated.",
)
_role_option = click.option(
    "--role",
    type=click.Choice([rights.value for rights in Rights]),
    help="What it may do in its own name, without a user; none at first.",
)


@click.group(cls=Commands)
def applications() -> None:
    """Integration keys: programs that sign users in, or act for them, by OAuth."""


@applications.command("list", epilog="Example: heliograph applications list")
@json_option
@server_options
def list_applications(credentials: Credentials, as_json: bool) -> None:
    """List the applications that the account manages."""
    listing = run(credentials, lambda link: every(link, "applications", "applications"))
    if as_json:
        print_json(listing)
        return
    if not listing["applications"]:
        notes().print("No applications. `heliograph applications add` registers one.")
        return
    columns = [Column("NAME", gives_way=True), Column("KEYS"), Column("SECRETS"), Column("ROLE")]
    print_rows(output(), columns, [_row(application) for application in listing["applications"]])


@applications.command(epilog="Example: heliograph applications show 4f3c...")
@_key_argument
@json_option
@server_options
def show(credentials: Credentials, integration_key: str, as_json: bool) -> None:
    """Show one application with its keys and secrets.

    Secrets are shown by their ids only.
    """
    application = run(credentials, lambda link: call(link, "GET", _path(integration_key)))
    print_json(application) if as_json else _print(application)


@applications.command(
    epilog="\b\nExample:\n  heliograph applications add CRM \\\n"
    "      --redirect-uri https://crm.example.com/callback"
)
@click.argument("name")
@_redirect_option
@_role_option
@json_option
@server_options
def add(
    credentials: Credentials,
    as_json: bool,
    name: str,
    redirect_uris: Sequence[str],
    role: str | None,
) -> None:
    """Register an application.

    Users read its NAME when they consent.
    """
    body: dict[str, Any] = {"name": name, "redirectUris": list(redirect_uris)}
    body |= {"role": role} if role else {}
    application = run(credentials, lambda link: call(link, "POST", "applications", body))
    print_json(application) if as_json else _print(application)


@applications.command(epilog="\b\nExample:\n  heliograph applications change 4f3c... --role viewer")
@_key_argument
@click.option("--name", help="What users are to call it.")
@_redirect_option
@_role_option
@json_option
@server_options
def change(
    credentials: Credentials,
    as_json: bool,
    integration_key: str,
    name: str | None,
    redirect_uris: Sequence[str],
    role: str | None,
) -> None:
    """Change an application's name, redirect URIs or role.

    Redirect URIs that are given replace all there were. Tokens in its own name end where its role
    changes.
    """
    body: dict[str, Any] = {"name": name} if name else {}
    body |= {"redirectUris": list(redirect_uris)} if redirect_uris else {}
    body |= {"role": role} if role else {}
    if not body:
        raise wrong("Nothing to change.", "Give --name, --redirect-uri or --role.")
    changed = run(credentials, lambda link: call(link, "PUT", _path(integration_key), body))
    print_json(changed) if as_json else _print(changed)


@applications.command(epilog="Example: heliograph applications delete 4f3c...")
@_key_argument
@yes_option
@server_options
def delete(credentials: Credentials, integration_key: str, yes: bool) -> None:
    """Delete an application for good.

    Its tokens and users' consents end at once.
    """
    if not yes:
        name = _shown(credentials, integration_key)["name"]
        asking.confirm(f"Whoever uses the application {name} is refused. Go on?")
    run(credentials, lambda link: call(link, "DELETE", _path(integration_key)))
    output().print("Deleted.")


@applications.command(
    "add-key",
    epilog="\b\nExamples:\n  heliograph applications add-key 4f3c... --make private.pem\n"
    "  heliograph applications add-key 4f3c... --public-key public.pem",
)
@_key_argument
@click.option("--public-key", type=click.File(), help="An RSA public key, PEM; - standard input.")
@click.option(
    "--make",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Make a key pair and write the private key to this new file, mode 0600.",
)
@json_option
@server_options
def add_key(
    credentials: Credentials,
    as_json: bool,
    integration_key: str,
    public_key: TextIO | None,
    make: Path | None,
) -> None:
    """Let an application sign with another RSA key."""
    if (public_key is None) == (make is None):
        raise wrong("Give --public-key or --make, one of them.")
    path = f"{_path(integration_key)}/keys"
    given = contextlib.nullcontext(public_key.read()) if public_key is not None else None
    with given or _made_pair(make or Path()) as text:
        key = run(credentials, lambda link: call(link, "POST", path, {"publicKey": text}))
    if as_json:
        print_json(key)
        return
    shown = [("Key id", key["keyId"])]
    shown += [("Private key", str(make))] if make is not None else []
    print_fields(output(), shown)


@applications.command(
    "remove-key", epilog="Example: heliograph applications remove-key 4f3c... 9d2e..."
)
@_key_argument
@click.argument("key_id", metavar="KEY_ID")
@yes_option
@server_options
def remove_key(credentials: Credentials, integration_key: str, key_id: str, yes: bool) -> None:
    """Take a public key away.

    Tokens that it brought go on until they end.
    """
    if not yes:
        application = _shown(credentials, integration_key)
        keys, look = application.get("keys", ()), f"heliograph applications show {integration_key}"
        made = local_time_and_zone(known_among(keys, "keyId", key_id, "key", look)["created"])
        asking.confirm(
            f"Assertions of {application['name']} that are signed with the key of {made} "
            "are refused. Go on?"
        )
    path = f"{_path(integration_key)}/keys/{segment(key_id)}"
    run(credentials, lambda link: call(link, "DELETE", path))
    output().print("Removed.")


@applications.command("add-secret", epilog="Example: heliograph applications add-secret 4f3c...")
@_key_argument
@json_option
@server_options
def add_secret(credentials: Credentials, integration_key: str, as_json: bool) -> None:
    """Make a secret for the code grant; it is shown this once."""
    path = f"{_path(integration_key)}/secrets"
    secret = run(credentials, lambda link: call(link, "POST", path))
    if as_json:
        print_json(secret)
        return
    print_fields(output(), [("Secret id", secret["secretId"])])
    output().print(f"Secret  {secret['secret']}", soft_wrap=True)
    notes().print("Keep the secret now: it is not shown again.", style="dim")


@applications.command(
    "remove-secret", epilog="Example: heliograph applications remove-secret 4f3c... 77ab..."
)
@_key_argument
@click.argument("secret_id", metavar="SECRET_ID")
@yes_option
@server_options
def remove_secret(
    credentials: Credentials, integration_key: str, secret_id: str, yes: bool
) -> None:
    """Take a secret away.

    With the last one the application's refresh tokens end.
    """
    if not yes:
        application = _shown(credentials, integration_key)
        secrets, look = (
            application.get("secrets", ()),
            f"heliograph applications show {integration_key}",
        )
        secret = known_among(secrets, "secretId", secret_id, "secret", look)
        asking.confirm(
            f"Whoever uses the secret of {application['name']} that was made "
            f"{local_time_and_zone(secret['created'])} is refused. Go on?"
        )
    path = f"{_path(integration_key)}/secrets/{segment(secret_id)}"
    run(credentials, lambda link: call(link, "DELETE", path))
    output().print("Removed.")


@applications.command(epilog="Example: heliograph applications consents --user ada@example.com")
@click.option("--user", help="Only this user's: an id or an e-mail.")
@click.option("--application", help="Only those for this integration key.")
@json_option
@server_options
def consents(
    credentials: Credentials, as_json: bool, user: str | None, application: str | None
) -> None:
    """List what users let applications do, newest first."""

    async def work(connection: Connection) -> Any:
        query = {"integration_key": application} if application else {}
        query |= {"user_id": (await user_ids(connection, [user]))[0]} if user else {}
        return await every(connection, "consents", "consents", query)

    listing = run(credentials, work)
    if as_json:
        print_json(listing)
        return
    if not listing["consents"]:
        notes().print("No consents.")
        return
    zone = zone_of(consent["created"] for consent in listing["consents"])
    columns = [Column("APPLICATION", gives_way=True), Column("USER"), Column(f"SINCE ({zone})")]
    rows = [
        Row(
            [consent["applicationName"], consent["userId"], local_time(consent["created"])],
            f"{consent['integrationKey']}  {consent['scopes']}",
            "dim",
        )
        for consent in listing["consents"]
    ]
    print_rows(output(), columns, rows)


@applications.command(epilog="Example: heliograph applications consent 4f3c... ada@example.com")
@_key_argument
@click.argument("users", metavar="USER...", nargs=-1, required=True)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(sorted(SCOPES)),
    help=f"What is consented to; without, {SIGNATURE} and {IMPERSONATION}.",
)
@json_option
@server_options
def consent(
    credentials: Credentials,
    as_json: bool,
    integration_key: str,
    users: Sequence[str],
    scopes: Sequence[str],
) -> None:
    """Consent for users to one of the account's applications.

    Users are given by id or e-mail.
    """

    async def work(connection: Connection) -> Sequence[Any]:
        body = {"integrationKey": integration_key}
        body |= {"scopes": " ".join(scopes)} if scopes else {}
        ids = await user_ids(connection, users)
        return [
            await call(connection, "POST", "consents", {**body, "userId": user_id})
            for user_id in ids
        ]

    consented = run(credentials, work)
    if as_json:
        print_json({"consents": consented})
    else:
        output().print(f"Consented for {counted(len(consented), 'user')}.")


@applications.command(epilog="Example: heliograph applications withdraw 4f3c... ada@example.com")
@_key_argument
@click.argument("user", metavar="USER")
@yes_option
@server_options
def withdraw(credentials: Credentials, integration_key: str, user: str, yes: bool) -> None:
    """Take a user's consent back.

    The tokens that it brought end at once.
    """
    if not yes:
        consent = run(credentials, lambda link: _consent(link, integration_key, user))
        name = consent["applicationName"]
        asking.confirm(f"{name} can no more act for {user}. Go on?")

    async def work(connection: Connection) -> Any:
        (user_id,) = await user_ids(connection, [user])
        path = f"consents/{segment(integration_key)}/{segment(user_id)}"
        return await call(connection, "DELETE", path)

    run(credentials, work)
    output().print("Withdrawn.")


async def _consent(connection: Connection, integration_key: str, user: str) -> Mapping[str, Any]:
    """Raises Stop where the user has not consented."""
    (user_id,) = await user_ids(connection, [user])
    query = {"integration_key": integration_key, "user_id": user_id}
    listed = (await every(connection, "consents", "consents", query))["consents"]
    look = "heliograph applications consents"
    return known_among(listed, "userId", user_id, f"consent for {integration_key} of", look)


def _shown(credentials: Credentials, integration_key: str) -> Any:
    """The application. Raises Stop where there is none."""
    return run(credentials, lambda link: call(link, "GET", _path(integration_key)))


def _path(integration_key: str) -> str:
    return f"applications/{segment(integration_key)}"


@contextlib.contextmanager
def _made_pair(path: Path) -> Iterator[str]:
    """Write a private key to a new file, which stays if the block succeeds; the public key as
    PEM."""
    key = rsa.generate_private_key(65537, _BITS)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with files.room(path, again=True) as room:
        with room.new(path.name) as file:
            file.write(text)
        try:
            room.place(path.name)
        except FileExistsError:
            raise wrong(
                f"{path} is there already.", "Name a new file for the private key."
            ) from None
        room.flush()
        yield public.decode("ascii")


def _print(application: Mapping[str, Any]) -> None:
    shown = [
        ("Name", application["name"]),
        ("Integration key", application["integrationKey"]),
        ("Own role", application["role"]),
        ("Created", local_time(application["created"])),
    ]
    shown += [("Redirect URI", uri) for uri in application["redirectUris"]]
    shown += [
        ("Key", f"{each['keyId']}  {local_time(each['created'])}") for each in application["keys"]
    ]
    shown += [
        ("Secret", f"{each['secretId']}  {local_time(each['created'])}")
        for each in application["secrets"]
    ]
    print_fields(output(), shown)


def _row(application: Mapping[str, Any]) -> Row:
    counts = [str(len(application["keys"])), str(len(application["secrets"]))]
    return Row(
        [application["name"], *counts, application["role"]], application["integrationKey"], "dim"
    )
