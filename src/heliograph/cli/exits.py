"""How the program ends: the exit statuses, and the exception that carries one."""

from __future__ import annotations

from enum import IntEnum
from typing import IO, Any, Final

import click

from heliograph.plain import harmless


class Exit(IntEnum):
    """The exit statuses, documented in docs/reference/cli.md."""

    DONE = 0
    NO = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    UNSAFE = 5
    STORAGE = 74
    INTERRUPTED = 130


_MEANINGS: Final = {
    Exit.DONE: "done",
    Exit.NO: "the answer is no: a check failed, something is left undelivered",
    Exit.USAGE: "the command line, a setting or a file cannot be used",
    Exit.UNREACHABLE: "the server cannot be reached, or cannot take the call now",
    Exit.REFUSED: "the server refused the call",
    Exit.UNSAFE: "the storage is unsafe: the server does not start on it",
    Exit.STORAGE: "the database could not be read or written (serve)",
    Exit.INTERRUPTED: "interrupted; serve: a second stop signal",
}

STATUSES: Final = "\n".join(f"  {status.value:>3}  {text}" for status, text in _MEANINGS.items())


class Stop(click.ClickException):
    """The command ends here: what happened, and what to do next."""

    def __init__(self, status: Exit, what: str, *steps: str) -> None:
        super().__init__(what)
        self.status = status
        self.steps = steps

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """What click ends the process with."""
        return int(self.status)

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the message and the steps to standard error, as plain text."""
        click.echo(f"Error: {harmless(self.message)}", file=file, err=True)
        for step in self.steps:
            click.echo(f"  {harmless(step)}", file=file, err=True)


def wrong(what: str, *steps: str) -> Stop:
    """The command line, a setting or a file cannot be used."""
    return Stop(Exit.USAGE, what, *steps)
