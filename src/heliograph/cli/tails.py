"""`heliograph logs tail`, `heliograph events tail`: a line for each row, as it comes.

What the server sends are server-sent events (WHATWG HTML, 9.2), of which these commands need the
fields `id` and `data`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

import click
import msgspec
from rich.text import Text

from heliograph.access.credentials_file import Credentials
from heliograph.cli.connection import Connection
from heliograph.cli.exits import Exit, Stop
from heliograph.cli.interrupts import heeded
from heliograph.cli.terminal import notes, output
from heliograph.plain import harmless, harmless_json

Shown = Callable[[Mapping[str, Any]], tuple[str, str]]
"""A row in one line, and its style."""

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 10.0
"""Seconds between two tries to reach a server that has gone away."""

json_option = click.option("--json", "as_json", is_flag=True, help="The API's records, one a line.")


def tail(
    credentials: Credentials, path: str, query: Mapping[str, str], shown: Shown, *, as_json: bool
) -> None:
    """Print what comes to a listing until Ctrl-C.

    Raises:
        Stop: the server refuses it, or was never reached.
    """
    asyncio.run(_tail(credentials, path, query, shown, as_json=as_json))


async def _tail(
    credentials: Credentials, path: str, query: Mapping[str, str], shown: Shown, *, as_json: bool
) -> None:
    last_id, reached, pause = "", False, _FIRST_PAUSE
    with heeded():
        async with Connection(credentials) as connection:
            while True:
                try:
                    async with connection.followed(path, query, last_id) as lines:
                        said = "Following again." if reached else "Following; Ctrl-C ends it."
                        if not reached or pause > _FIRST_PAUSE:
                            notes().print(said, style="dim")
                        reached, pause = True, _FIRST_PAUSE
                        async for place, data in _events(lines):
                            last_id = place or last_id
                            if data:
                                _print(data, shown, as_json=as_json)
                    why = "The server has ended the connection."
                except Stop as problem:
                    if not reached or problem.status is not Exit.UNREACHABLE:
                        raise
                    why = problem.message
                if pause == _FIRST_PAUSE:
                    notes().print(
                        harmless(f"{why} Going on from there as soon as it answers."),
                        style="yellow",
                        soft_wrap=True,
                    )
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_PAUSE)


async def _events(lines: AsyncIterator[bytes]) -> AsyncIterator[tuple[str, bytes]]:
    """The id and the data of each event; one that was cut is none, and comes again."""
    place, data = b"", b""
    async for line in lines:
        if line.startswith(b"id: "):
            place = line[4:]
        elif line.startswith(b"data: "):
            data = line[6:]
        elif not line:
            yield place.decode("ascii", "replace"), data
            data = b""


def _print(data: bytes, shown: Shown, *, as_json: bool) -> None:
    if as_json:
        click.echo(harmless_json(data.decode()))
        return
    line, style = shown(msgspec.json.decode(data, type=dict[str, Any]))
    output().print(Text(harmless(line), style), no_wrap=True, overflow="ellipsis")
