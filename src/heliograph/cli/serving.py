"""A server in the foreground: the options of its settings, what it says when it runs."""

from __future__ import annotations

import contextlib
import errno
import shlex
import sys
from collections.abc import Callable, Collection
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click
import structlog
import uvloop

import heliograph
from heliograph import service
from heliograph.access.credentials_file import FILE_NAME, Credentials
from heliograph.cli import processes, signals
from heliograph.cli.data_dirs import VARIABLE
from heliograph.cli.exits import Stop, stop_for, unusable, wrong
from heliograph.cli.terminal import output
from heliograph.errors import HeliographError
from heliograph.files import FULL
from heliograph.incoming.address import base_uri_of
from heliograph.incoming.bounds import proxies_from
from heliograph.incoming.certificate import ServerCertificate
from heliograph.incoming.door import bound_socket
from heliograph.incoming.exposure import refuse_exposure
from heliograph.settings import Settings, environment_name, from_environment
from heliograph.store.opening import check_url
from heliograph.watch import logs
from heliograph.watch.watching import check_tracing

_log = structlog.get_logger()


def _option_type(default: Any) -> Any:
    if isinstance(default, Path):
        return click.Path(path_type=Path, file_okay=False)
    return type(default)


def setting_options(
    command: Callable[..., Any], without: Collection[str] = ()
) -> Callable[..., Any]:
    """One option for each setting: names, defaults and texts are those of `Settings`."""
    for setting in reversed(
        [setting for setting in fields(Settings) if setting.name not in without]
    ):
        flag = isinstance(setting.default, bool)
        notes = [environment_name(setting.name)]
        if not flag and setting.default != "":
            notes.append(f"default: {setting.default}")
        attributes: dict[str, Any] = (
            {"is_flag": True} if flag else {"type": _option_type(setting.default)}
        )
        name = setting.name.replace("_", "-")
        command = click.option(
            f"--{name}/--no-{name}" if flag and setting.default else f"--{name}",
            setting.name,
            default=None,
            help=f"{setting.metadata['about']}  [{'; '.join(notes)}]",
            **attributes,
        )(command)
    return command


def run(options: dict[str, Any], *, api: bool) -> None:
    """Run a server, or without `api` a node that only sends, until it is stopped.

    Raises:
        Stop: the settings cannot be used, or the server cannot start with them.
    """
    try:
        settings = from_environment(**options)
        service.guard_from(settings)
        proxies_from(settings)
        certificate = ServerCertificate.named(settings)
        check_tracing(settings)
        check_url(settings.database_url)
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
    if settings.processes > 1 and not settings.database_url:
        raise wrong(
            "--processes above 1 needs --database-url: an SQLite file has one process that writes."
        )
    settings = replace(settings, processes=processes.chosen(settings))
    announce = _announce if api else _announce_node
    signals.hold()
    try:
        if settings.processes == 1:
            with logs.writing(settings.log_format, settings.log_level):
                _serve(settings, api, lambda server: announce(settings, server.base_uri))
            return
        with contextlib.closing(bound_socket(settings)) as listening:
            address = base_uri_of(settings.host, listening.getsockname()[1], certificate)
            become = processes.divide(
                settings.processes, listening, lambda: announce(settings, address)
            )
            if isinstance(become, int):
                click.get_current_context().exit(become)
            with logs.writing(
                *(settings.log_format, settings.log_level),
                process=become.number,
                turn=become.log_turn,
            ):
                _take_place(processes.share(settings), api, become)
    except OSError as error:
        raise _not_started(settings, error) from None


def _serve(
    settings: Settings,
    api: bool,
    answers: Callable[[service.Running], None],
    place: service.Place | None = None,
) -> None:
    """Run a server, or one of the nodes of one, in this process."""

    def begun(server: service.Running) -> None:
        signals.heed(server)
        answers(server)

    uvloop.run(service.serve(settings, begun, api=api, place=place))


def _take_place(settings: Settings, api: bool, place: service.Place) -> None:
    """Run one of several nodes. The others go on while one that replaces another does not start:
    that is told in the log, which they write (S12), and not as the last word of a command."""
    if place.replaces is not None:
        _log.warning("process_replaced", status=place.replaces)
    try:
        _serve(settings, api, lambda _: place.tell_that_it_answers(), place)
    except (HeliographError, OSError, ExceptionGroup) as error:
        stop = stop_for(error)
        if place.replaces is None or stop is None:
            raise
        _log.error("process_failed", error=stop.message)
        click.get_current_context().exit(stop.exit_code)


def _announce(settings: Settings, base_uri: str) -> None:
    console = output()
    try:
        account = Credentials.read(settings.data_dir).account_id
    except FileNotFoundError:  # another node made the first account
        account = "{accountId}"
    profile = {
        "public": "on the Internet",
        "private": f"on the Internet, and at {settings.egress_allow or 'nothing more'}",
        "emulator": "anywhere, this machine too",
    }[settings.egress]
    console.print(f"Heliograph {heliograph.__version__} listens on {base_uri}", style="bold")
    for name, text in (
        ("API", f"{base_uri}/restapi/v2.1/accounts/{account}"),
        ("Reference", f"{base_uri}/docs"),
        *([("Console", f"{base_uri}/console/")] if settings.console else []),
        ("Data", str(settings.data_dir.absolute())),
        ("Credentials", str(settings.data_dir.absolute() / FILE_NAME)),
        ("Listeners", f"{profile} (--egress {settings.egress})"),
        ("Fidelity", f"{service.fidelity_from(settings)} (--fidelity {settings.fidelity})"),
        *_of_several(settings),
        ("Commands", f"export {VARIABLE}={shlex.quote(str(settings.data_dir.absolute()))}"),
        ("Stop", "Ctrl-C"),
    ):
        console.print(f"  {name:<12}{text}", soft_wrap=True)
    sys.stdout.flush()


def _of_several(settings: Settings) -> list[tuple[str, str]]:
    if settings.processes == 1:
        return []
    return [("Processes", f"{settings.processes}, each a node (--processes)")]


def _announce_node(settings: Settings, base_uri: str) -> None:
    console = output()
    console.print(f"Heliograph {heliograph.__version__} sends what others publish", style="bold")
    for name, text in (
        ("Health", f"{base_uri}/readyz"),
        *_of_several(settings),
        ("Stop", "Ctrl-C"),
    ):
        console.print(f"  {name:<12}{text}", soft_wrap=True)
    sys.stdout.flush()


def _not_started(settings: Settings, error: OSError) -> Stop:
    if error.errno in FULL:
        return unusable(error)
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
