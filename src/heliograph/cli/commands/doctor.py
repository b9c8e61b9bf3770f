"""`heliograph doctor`: is the storage safe, and is the server well?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click

from heliograph.access.credentials_file import FILE_NAME, Credentials
from heliograph.cli.connection import Connection, data_dir_option
from heliograph.cli.exits import Exit, Stop, wrong
from heliograph.cli.open_incidents import OpenIncidents, open_incidents, to_do, what_fails
from heliograph.cli.terminal import Column, Row, counted, output, print_json, print_rows
from heliograph.errors import UnsafeStorage
from heliograph.incoming.exposure import exposure_check
from heliograph.model.checks import Check
from heliograph.settings import environment_name, from_environment
from heliograph.store.opening import DATABASE
from heliograph.store.sqlite.doctor import (
    clock_check,
    due_check,
    mode_checks,
    settings_check,
    storage_checks,
)

_WARNING: Final = "WARNING: "
"""Begins what a check has found that is no fault, and yet to be looked at."""


@click.command(epilog="Example: heliograph doctor --data-dir ./hg")
@data_dir_option
@click.option(
    "--database-url",
    envvar=environment_name("database_url"),
    help=f"The PostgreSQL of the nodes, instead of SQLite.  [{environment_name('database_url')}]",
)
@click.option("--json", "as_json", is_flag=True, help="The checks as one JSON document.")
def doctor(data_dir: Path, database_url: str | None, as_json: bool) -> None:
    """Check the storage, and the server if it runs. The exit status is 1 if a check fails."""
    if database_url:
        from heliograph.store.postgres.doctor import database_checks  # noqa: PLC0415 (the driver)

        checks = [*mode_checks(data_dir), *asyncio.run(database_checks(database_url))]
    else:
        database = data_dir / DATABASE
        now = time.time_ns() // 1000
        checks = [
            *storage_checks(data_dir),
            settings_check(database),
            clock_check(database),
            due_check(database, now),
        ]
    checks += [_exposure_check(data_dir), *asyncio.run(_server_checks(data_dir))]
    passed = all(check.passed for check in checks)
    if as_json:
        print_json({"passed": passed, "checks": [asdict(check) for check in checks]})
    else:
        print_rows(
            output(),
            [Column("CHECK"), Column("RESULT"), Column("FOUND", gives_way=True)],
            [_row(check) for check in checks],
        )
    if not passed:
        click.get_current_context().exit(Exit.NO)


def _exposure_check(data_dir: Path) -> Check:
    """With the settings of this environment, and the address that the last start has noted.

    What that start was given as options is not known here.
    """
    try:
        settings = from_environment(data_dir=data_dir)
        address = urlsplit(Credentials.read(data_dir).base_uri)
    except ValueError as error:
        raise wrong(str(error)) from None
    except FileNotFoundError:
        return exposure_check(settings)
    except (OSError, UnsafeStorage) as problem:
        return Check("exposure", False, str(problem), f"make {FILE_NAME} readable")
    if address.scheme == "http" and address.hostname:
        settings = replace(settings, host=address.hostname, tls_cert="")
    return exposure_check(settings)


async def _server_checks(data_dir: Path) -> Sequence[Check]:
    """Readiness, and whether credentials.json opens the door; a server that does not run is
    no fault."""
    try:
        credentials = Credentials.read(data_dir)
    except FileNotFoundError:
        return [Check("server", True, f"no {FILE_NAME} yet: the first start writes it")]
    except UnsafeStorage as problem:
        return [Check("server", False, str(problem), f"restore {FILE_NAME} from a backup")]
    except OSError as error:
        return [Check("server", False, str(error), f"make {FILE_NAME} readable")]
    async with Connection(credentials) as connection:
        health = await connection.alive()
        if health is None:
            return [Check("server", True, f"none runs at {credentials.base_uri}")]
        status, body = health
        if status != 200:
            reason = body.get("reason", "") if isinstance(body, dict) else ""
            found_text = f"{credentials.base_uri} answers {status}: {reason or 'not ready'}"
            return [Check("server", False, found_text, "see the server's log on standard error")]
        return [
            Check("server", True, f"ready at {credentials.base_uri}"),
            *await _account_checks(connection),
        ]


async def _account_checks(connection: Connection) -> Sequence[Check]:
    """Whether the token opens the door, whether a configuration gets less than it asks for, and
    whether there are failures.

    Those are no fault of the server: they do not make the doctor fail.
    """
    try:
        answer = await connection.call("GET", "")
    except Stop as refused:
        mend = f"is another server at this address? Restart this one, which renews {FILE_NAME}"
        return [Check("token", False, refused.message, mend)]
    listed = answer.json["configurations"]
    warnings = [
        f"{configuration['connectId']} ({configuration.get('name') or '-'}): {warning}"
        for configuration in listed
        for warning in configuration.get("warnings") or ()
    ]
    found = f"{_WARNING}{' '.join(warnings)}" if warnings else "each gets what it asks for"
    try:
        found_open = await open_incidents(connection)
    except Stop as refused:
        failures = Check("failures", False, refused.message, "ask again, or see the server's log")
    else:
        failures = Check("failures", True, _failures(found_open))
    return [
        Check("token", True, f"accepted; configurations: {answer.json['totalRecords']}"),
        Check("configurations", True, found),
        failures,
    ]


def _failures(found: OpenIncidents) -> str:
    """The incident with the most failures stands for all: `status` has the others."""
    if not found.records:
        return "none"
    worst = found.records[0]
    which = f"{worst['connectId']} ({worst['configName']})"
    others = len(found.records) - 1
    also = f" `heliograph status` has {counted(others, 'more incident')}." if others else ""
    return (
        f"{_WARNING}{found.text()}. {which}: {what_fails(worst)}. To do: {to_do(worst)}.{also} "
        f"`heliograph status` says how to send them again."
    )


def _row(check: Check) -> Row:
    if check.passed and (warning := check.found.removeprefix(_WARNING)) != check.found:
        return Row([check.name, "ok", _WARNING.rstrip(": ")], warning, "yellow")
    if check.passed:
        return Row([check.name, "ok", check.found])
    mend = f"{check.found.rstrip('.')}. To mend: {check.mend}." if check.mend else check.found
    return Row([check.name, "FAILED", ""], mend)
