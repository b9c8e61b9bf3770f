"""How the program ends: the exit statuses, and the exception that carries one."""

from __future__ import annotations

import contextlib
import os
import sys
from enum import IntEnum
from typing import IO, Any, Final

import click

from heliograph.errors import (
    HeliographError,
    StorageBroken,
    StorageUnavailable,
    UnsafeStorage,
    UnusableSetting,
)
from heliograph.files import FULL
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
    Exit.STORAGE: "a file or the database could not be read or written: run it again",
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
        with contextlib.suppress(OSError):  # that may be a file on the disk which is full
            click.echo(f"Error: {harmless(self.message)}", file=file, err=True)
            for step in self.steps:
                click.echo(f"  {harmless(step)}", file=file, err=True)


def wrong(what: str, *steps: str) -> Stop:
    """The command line, a setting or a file cannot be used."""
    return Stop(Exit.USAGE, what, *steps)


def stop_for(error: BaseException) -> Stop | None:
    """How the program ends for what a command raised; None where that is a bug of ours."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    match error:
        case Stop():
            return error
        case UnsafeStorage():
            return Stop(Exit.UNSAFE, str(error))
        case StorageUnavailable() | StorageBroken():
            return Stop(Exit.STORAGE, str(error))
        case UnusableSetting():
            return wrong(str(error))
        case HeliographError():
            return Stop(Exit.NO, str(error))
        case OSError():
            _give_up_output()
            return unusable(error)
    return None


def unusable(error: OSError) -> Stop:
    """What the system says of a file, or of what standard output leads to."""
    what = os.fsdecode(error.filename) if error.filename else "What was to be written"
    said = f"{what} cannot be used: {error.strerror or error}."
    if error.errno in FULL:
        return Stop(Exit.STORAGE, said, "Make room, and run it again: nothing is half done.")
    return wrong(said)


def _give_up_output() -> None:
    """What standard output does not take now would be tried again at the very end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
