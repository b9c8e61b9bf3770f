"""`heliograph completion`: the shell knows the commands and their options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
from click.shell_completion import get_completion_class

from heliograph import files
from heliograph.cli.exits import wrong
from heliograph.cli.grouping import Commands
from heliograph.cli.terminal import notes, output
from heliograph.settings import told_by_shell

_PROGRAM: Final = "heliograph"
_SHELLS: Final = ("bash", "zsh", "fish")


def _shell_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--shell", type=click.Choice(_SHELLS), help="Without, the one of the environment's SHELL."
    )(command)


@click.group(cls=Commands)
def completion() -> None:
    """The Tab key completes commands and options, in bash, zsh and fish."""


@completion.command(epilog="Example: heliograph completion install")
@_shell_option
def install(shell: str | None) -> None:
    """Write it where the shell looks for it, for the user who asks; a new shell has it."""
    shell = shell or _own_shell()
    path = _place(shell)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, _script(shell).encode())
    output().print(f"Wrote {path}: a new {shell} completes {_PROGRAM}.", soft_wrap=True)
    if shell == "zsh":
        hint = (
            f"If it does not, ~/.zshrc lacks: fpath+={path.parent}; autoload -U compinit; compinit"
        )
        notes().print(hint, soft_wrap=True)


@completion.command(epilog="Example: heliograph completion show --shell bash")
@_shell_option
def show(shell: str | None) -> None:
    """Print it, to be put elsewhere."""
    click.echo(_script(shell or _own_shell()))


def _own_shell() -> str:
    shell = Path(told_by_shell("SHELL")).name
    if shell not in _SHELLS:
        raise wrong(f"SHELL does not name one of {', '.join(_SHELLS)}.", "Say which with --shell.")
    return shell


def _place(shell: str) -> Path:
    if shell == "bash":
        data = told_by_shell("XDG_DATA_HOME") or Path.home() / ".local" / "share"
        return Path(data) / "bash-completion" / "completions" / _PROGRAM
    if shell == "zsh":
        return Path.home() / ".zfunc" / f"_{_PROGRAM}"
    settings = told_by_shell("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(settings) / "fish" / "completions" / f"{_PROGRAM}.fish"


def _script(shell: str) -> str:
    writer = get_completion_class(shell)
    if writer is None:  # click has all three
        raise AssertionError(shell)
    command = click.get_current_context().find_root().command
    return writer(command, {}, _PROGRAM, f"_{_PROGRAM.upper()}_COMPLETE").source()
