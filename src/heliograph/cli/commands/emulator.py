"""`heliograph emulator`: the server, and DocuSign's envelopes beside it, on a laptop."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import uvloop

import heliograph
from heliograph import files, service
from heliograph.access.credentials_file import Credentials
from heliograph.cli import signals
from heliograph.cli.account_calls import call, run
from heliograph.cli.connection import json_option, server_options
from heliograph.cli.data_dirs import VARIABLE
from heliograph.cli.exits import wrong
from heliograph.cli.grouping import Commands
from heliograph.cli.terminal import output, print_json
from heliograph.clock import SystemClock
from heliograph.emulator.addition import adding
from heliograph.emulator.clock import AdvancingClock
from heliograph.emulator.quickstart import FILE_NAME, Quickstart, configuration
from heliograph.emulator.scenario import NOBODY, Scenario, read
from heliograph.incoming import dev_certificate
from heliograph.settings import Settings, from_environment
from heliograph.watch import logs

_FORMS = (".py", ".json")


@click.group(cls=Commands, invoke_without_command=True)
@click.option("--port", type=int, default=8080, help="Port to listen on; 0 takes a free one.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep everything there; without, all is deleted at the end.",
)
@click.option("--https", is_flag=True, help="Speak HTTPS, as DocuSign's SDKs need for JWT.")
@click.option(
    "--write-config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write what DocuSign's launchers read: a .py file as Python's ds_config.py, a .json file "
    "as Node's appsettings.json.",
)
@click.option(
    "--scenario",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A TOML file that says what recipients do by themselves.",
)
@click.pass_context
def emulator(
    context: click.Context,
    port: int,
    data_dir: Path | None,
    https: bool,
    write_config: Path | None,
    scenario: Path | None,
) -> None:
    """Run a server with the envelopes API that DocuSign's quickstarts call.

    \b
    Example: heliograph emulator --data-dir ./emulator

    Its envelopes fire Connect events, as DocuSign's do. It is for this machine alone, in the
    profile docusign, and signs nothing that binds anybody. Other settings are those of `serve`,
    as environment variables.
    """
    if context.invoked_subcommand is not None:
        return
    if write_config is not None and write_config.suffix not in _FORMS:
        raise wrong(f"--write-config takes a file that ends in {' or '.join(_FORMS)}.")
    try:
        played = NOBODY if scenario is None else read(scenario.read_text(encoding="utf-8"))
    except ValueError as error:
        raise wrong(f"--scenario {scenario}: {error}") from None
    with _folder(data_dir) as folder:
        _serve(_settings(port, folder, https=https), write_config, played)


@contextlib.contextmanager
def _folder(data_dir: Path | None) -> Iterator[Path]:
    if data_dir is not None:
        yield data_dir
        return
    with files.room(Path(tempfile.gettempdir()) / "heliograph-emulator") as room:
        yield room.folder


def _settings(port: int, folder: Path, *, https: bool) -> Settings:
    wanted: dict[str, Any] = {
        "egress": "emulator",
        "port": port,
        "data_dir": folder,
        "i_accept_data_loss": True,
    }
    try:
        if https:
            issued = dev_certificate.issue(folder / "tls")
            wanted |= {"tls_cert": str(issued.certificate), "tls_key": str(issued.key)}
        return from_environment(**wanted)
    except ValueError as error:
        raise wrong(str(error)) from None


def _serve(settings: Settings, write_config: Path | None, scenario: Scenario) -> None:
    clock, ready = AdvancingClock(SystemClock(), settings.data_dir), list[Quickstart]()

    def begun(server: service.Running) -> None:
        signals.heed(server)
        (found,) = ready
        if write_config is not None:
            files.write(write_config.absolute(), configuration(found, write_config.suffix))
        _announce(settings, found, write_config)

    added = adding(clock, ready.append, scenario)
    signals.hold()
    with logs.writing(settings.log_format, settings.log_level):
        uvloop.run(service.serve(settings, begun, clock=clock, adding=added))


def _announce(settings: Settings, found: Quickstart, write_config: Path | None) -> None:
    console, folder = output(), settings.data_dir.absolute()
    version, base = heliograph.__version__, found.base_uri
    console.print(f"Heliograph {version} emulates DocuSign on {base}", style="bold")
    for name, text in (
        ("Base URI", found.base_uri),
        ("Account", found.account_id),
        ("Integration", found.integration_key),
        ("User", f"{found.user_id} ({found.email})"),
        ("Secrets", str(folder / FILE_NAME)),
        ("Credentials", str(folder / "credentials.json")),
        *([] if write_config is None else [("Config", str(write_config.absolute()))]),
        ("Console", f"{found.base_uri}/console/"),
        ("Commands", f"export {VARIABLE}={folder}"),
        ("Stop", "Ctrl-C"),
    ):
        console.print(f"  {name:<12}{text}", soft_wrap=True)
    sys.stdout.flush()


@emulator.command(epilog="Example: heliograph emulator advance 25h")
@click.argument("duration")
@json_option
@server_options
def advance(credentials: Credentials, as_json: bool, duration: str) -> None:
    """Set the emulator's clock ahead by a DURATION such as 90s, 5m, 25h or 3d.

    Reminders, expirations and retries that are due by then happen.
    """
    asked = {"advance": duration}
    answer = run(credentials, lambda link: call(link, "POST", "emulator/clock", asked))
    print_json(answer) if as_json else output().print(f"It is {answer['now']}.")


@emulator.command(epilog="Example: heliograph emulator reset")
@json_option
@server_options
def reset(credentials: Credentials, as_json: bool) -> None:
    """Forget every envelope and template of the account.

    Configurations, users, events and logs stay.
    """
    answer = run(credentials, lambda link: call(link, "POST", "emulator/reset"))
    print_json(answer) if as_json else output().print(f"Forgotten: {answer['forgotten']}.")
