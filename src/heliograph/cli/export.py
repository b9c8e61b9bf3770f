"""`heliograph failures export`: all failures of a selection, streamed to a file."""

from __future__ import annotations

import asyncio
import csv
import io
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import click
import msgspec

from heliograph import files
from heliograph.access.credentials_file import Credentials
from heliograph.cli.connection import Connection, server_options
from heliograph.cli.selecting import count_and_order_options, filter_options
from heliograph.cli.terminal import counted, notes
from heliograph.plain import harmless_json, spreadsheet_cell

COLUMNS: Final = (
    "failureId",
    "envelopeId",
    "subject",
    "userName",
    "email",
    "status",
    "connectId",
    "configUrl",
    "created",
    "lastTry",
    "nextTry",
    "deliveryState",
    "heldReason",
    "retryCount",
    "error",
    "cause",
)
"""Of a CSV file: fields of a failure as the API names them; dates are in UTC."""


@click.command(
    epilog="\b\nExamples:\n  heliograph failures export failures.csv\n"
    "  heliograph failures export - --connect-id 1 | jq -r .envelopeId"
)
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--format",
    "form",
    type=click.Choice(["ndjson", "csv"]),
    help="Default: csv for a FILE that ends in .csv, else ndjson.",
)
@filter_options
@count_and_order_options
@server_options
def export(
    credentials: Credentials,
    file: Path,
    form: str | None,
    chosen: dict[str, str],
    count: int | None,
    order: str,
) -> None:
    """Write failures to FILE (- for standard output), however many there are.

    NDJSON holds the API's records, one to a line. In CSV, what a spreadsheet could take for a
    formula, the whole cell or a part of it, begins with an apostrophe. FILE appears when it is
    complete, and only its owner can read it.
    """
    form = form or ("csv" if file.suffix.lower() == ".csv" else "ndjson")
    query = {**chosen, "order": order, **({"count": str(count)} if count else {})}
    with _opened(file) as stream:
        number = asyncio.run(_write(credentials, query, _csv if form == "csv" else _ndjson, stream))
    if str(file) != "-":
        notes().print(f"{counted(number, 'failure')} written to {file}.", soft_wrap=True)


_Convert = Callable[[bytes], bytes]


async def _write(
    credentials: Credentials, query: Mapping[str, str], convert: _Convert, stream: BinaryIO
) -> int:
    number = 0
    if convert is _csv:
        stream.write(_row(COLUMNS))
    async with (
        Connection(credentials) as connection,
        connection.lines("failures", query) as lines,
    ):
        async for line in lines:
            stream.write(convert(line))
            number += 1
    return number


def _ndjson(line: bytes) -> bytes:
    return harmless_json(line.decode()).encode() + b"\n"


def _csv(line: bytes) -> bytes:
    record = msgspec.json.decode(line, type=dict[str, str])
    return _row([spreadsheet_cell(record.get(name, "")) for name in COLUMNS])


def _row(cells: tuple[str, ...] | list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(cells)  # RFC 4180: quotes where needed, lines end in CR LF
    return text.getvalue().encode()


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    """Standard output, a pipe or device as it is, or a file that appears when it is whole."""
    if str(file) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if file.exists() and not file.is_file():
        with file.open("wb") as stream:
            yield stream
        return
    with files.room(file) as room:
        with room.new(file.name) as stream:
            yield stream
        room.replace(file.name)
        room.flush()
