"""`heliograph serve`: the server in the foreground."""

from __future__ import annotations

import errno
import functools
import sys
from collections.abc import Callable, Collection
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import uvloop

import heliograph
from heliograph import service
from heliograph.access.credentials_file import FILE_NAME, Credentials
from heliograph.cli.exits import Stop, wrong
from heliograph.cli.terminal import output
from heliograph.incoming.bounds import proxies_from
from heliograph.incoming.certificate import ServerCertificate
from heliograph.incoming.exposure import refuse_exposure
from heliograph.settings import NOT_OF_DISPATCH, Settings, environment_name, from_environment
from heliograph.watch import logs
from heliograph.watch.watching import check_tracing


def _option_type(default: Any) -> Any:
    if isinstance(default, Path):
        return click.Path(path_type=Path, file_okay=False)
    return type(default)


def setting_options(
    command: Callable[..., Any], without: Collection[str] = ()
) -> Callable[..., Any]:
    """One option for each setting: names, defaults and texts are those of `Settings`."""
    for one in reversed([one for one in fields(Settings) if one.name not in without]):
        flag = isinstance(one.default, bool)
        notes = [environment_name(one.name)]
        if not flag and one.default != "":
            notes.append(f"default: {one.default}")
        given: dict[str, Any] = {"is_flag": True} if flag else {"type": _option_type(one.default)}
        name = one.name.replace("_", "-")
        command = click.option(
            f"--{name}/--no-{name}" if flag and one.default else f"--{name}",
            one.name,
            default=None,
            help=f"{one.metadata['about']}  [{'; '.join(notes)}]",
            **given,
        )(command)
    return command


@click.command(epilog="Example: heliograph serve --data-dir ./hg --egress emulator")
@setting_options
def serve(**given: Any) -> None:
    """Run the server until SIGTERM or Ctrl-C; a second signal stops it at once.

    Each setting is an option or an environment variable; the option wins. The log goes to
    standard error: one JSON object to a line, or lines to read on a terminal.
    """
    _run(given, api=True)


@click.command(epilog="Example: heliograph dispatch --data-dir ./node2 --port 8081")
@functools.partial(setting_options, without=NOT_OF_DISPATCH)
def dispatch(**given: Any) -> None:
    """Run a node that only sends, beside nodes of `serve` on the same PostgreSQL.

    It answers /healthz and /readyz and takes no events. Its data directory needs a copy of
    master.key from a node that runs.
    """
    _run(given, api=False)


def _run(given: dict[str, Any], *, api: bool) -> None:
    try:
        settings = from_environment(**given)
        service.guard_from(settings)
        proxies_from(settings)
        ServerCertificate.named(settings)
        check_tracing(settings)
        if api:
            refuse_exposure(settings)
    except ValueError as error:
        raise wrong(str(error)) from None
    if not api and not settings.database_url:
        raise wrong(
            "A node that only sends needs a PostgreSQL that others publish to.",
            "Give --database-url, or run `heliograph serve`.",
        )
    if settings.no_dispatch and not settings.database_url:
        raise wrong("--no-dispatch needs --database-url: on SQLite no other node can send.")
    if not api and settings.no_dispatch:
        raise wrong("--no-dispatch would leave `heliograph dispatch` nothing to do.")
    announce = _announce if api else _announce_node
    with logs.writing(settings.log_format, settings.log_level):
        try:
            uvloop.run(service.serve(settings, announce, api=api))
        except OSError as error:
            raise _not_started(settings, error) from None


def _announce(server: service.Running) -> None:
    settings, console = server.settings, output()
    try:
        account = Credentials.read(settings.data_dir).account_id
    except FileNotFoundError:  # another node made the first account
        account = "{accountId}"
    profile = {
        "public": "on the Internet",
        "private": f"on the Internet, and at {settings.egress_allow or 'nothing more'}",
        "emulator": "anywhere, this machine too",
    }[settings.egress]
    console.print(f"Heliograph {heliograph.__version__} listens on {server.base_uri}", style="bold")
    for name, text in (
        ("API", f"{server.base_uri}/restapi/v2.1/accounts/{account}"),
        ("Data", str(settings.data_dir.absolute())),
        ("Credentials", str(settings.data_dir.absolute() / FILE_NAME)),
        ("Listeners", f"{profile} (--egress {settings.egress})"),
        ("Stop", "Ctrl-C"),
    ):
        console.print(f"  {name:<12}{text}", soft_wrap=True)
    sys.stdout.flush()


def _announce_node(server: service.Running) -> None:
    console = output()
    console.print(f"Heliograph {heliograph.__version__} sends what others publish", style="bold")
    for name, text in (("Health", f"{server.base_uri}/readyz"), ("Stop", "Ctrl-C")):
        console.print(f"  {name:<12}{text}", soft_wrap=True)
    sys.stdout.flush()


def _not_started(settings: Settings, error: OSError) -> Stop:
    where = f"{settings.host}:{settings.port}"
    if error.errno == errno.EADDRINUSE:
        return wrong(
            f"Another program listens on {where}.",
            "Choose another --port; 0 takes a free one.",
        )
    if error.filename is not None:
        return wrong(
            f"{error.filename} cannot be used: {error.strerror}.",
            "Choose another --data-dir, or mend its permissions.",
        )
    return wrong(
        f"Cannot listen on {where}: {error.strerror or error}.",
        "Choose a --host that this machine has, and a --port that you may use.",
    )
