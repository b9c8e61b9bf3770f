"""HMAC keys that a command is given, rather than a server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import click

from heliograph.cli.exits import wrong
from heliograph.model.accounts import Secret

key_file_option = click.option(
    "--key-file", type=click.File("rb"), help="HMAC keys, one to a line."
)


def key_option(verb: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--key`; `verb` says what the command does with them."""
    return click.option(
        "--key",
        "keys",
        multiple=True,
        help=f"An HMAC key to {verb} with; may be repeated. Other users of this machine can read a "
        "command line: a file is the better place.",
    )


def given_keys(keys: Sequence[str], file: BinaryIO | None) -> tuple[Secret, ...]:
    """The keys of the options, then those of the file.

    Raises:
        Stop: one is empty, or the file is no text.
    """
    if not all(keys):
        raise wrong("An HMAC key must not be empty.")
    return (*map(Secret, keys), *_read(file))


def _read(file: BinaryIO | None) -> list[Secret]:
    if file is None:
        return []
    try:
        lines = file.read().decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise wrong(
            f"{file.name} is no UTF-8 text.", "It holds HMAC keys, one to a line."
        ) from None
    return [Secret(line.strip()) for line in lines if line.strip()]
