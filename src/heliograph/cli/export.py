"""`heliograph failures export` and its like: all of a selection, streamed to a file."""

from __future__ import annotations

import asyncio
import csv
import io
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click
import msgspec

from heliograph import files
from heliograph.access.credentials_file import Credentials
from heliograph.cli.connection import Connection, server_options
from heliograph.cli.selecting import Filters, count_and_order_options
from heliograph.cli.terminal import counted, notes
from heliograph.plain import harmless_json, spreadsheet_cell


def exporting(
    path: str,
    noun: tuple[str, str],
    columns: tuple[str, ...],
    filters: Filters,
    example: str = "envelopeId",
) -> click.Command:
    """The command that writes a listing to a file.

    Args:
        path: The listing.
        noun: One of its records in words, and several.
        columns: Of a CSV file: fields of a record as the API names them; dates are in UTC.
        filters: Its options.
        example: A field that the help's example picks.
    """

    @click.command(
        "export",
        epilog=f"\b\nExamples:\n  heliograph {path} export {path}.csv\n"
        f"  heliograph {path} export - --from 2h | jq -r .{example}",
    )
    @click.argument("file", metavar="FILE", type=click.Path(path_type=Path, allow_dash=True))
    @click.option(
        "--format",
        "form",
        type=click.Choice(["ndjson", "csv"]),
        help="Default: csv for a FILE that ends in .csv, else ndjson.",
    )
    @filters
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
        form = form or ("csv" if file.suffix.lower() == ".csv" else "ndjson")
        query = {**chosen, "order": order, **({"count": str(count)} if count else {})}
        with _opened(file) as stream:
            csv_columns = columns if form == "csv" else None
            number = asyncio.run(_write(credentials, path, query, csv_columns, stream))
        if str(file) != "-":
            notes().print(f"{counted(number, *noun)} written to {file}.", soft_wrap=True)

    export.help = (
        f"Write {noun[1]} to FILE (- for standard output), however many there are.\n\n"
        "NDJSON holds the API's records, one to a line. In CSV, what a spreadsheet could take for "
        "a formula, the whole cell or a part of it, begins with an apostrophe. FILE appears when "
        "it is complete, and only its owner can read it."
    )
    return export


async def _write(
    credentials: Credentials,
    path: str,
    query: Mapping[str, str],
    columns: tuple[str, ...] | None,
    stream: BinaryIO,
) -> int:
    """Write records as CSV with these columns, or as NDJSON; the number of them."""
    number = 0
    if columns is not None:
        stream.write(_row(columns))
    async with Connection(credentials) as connection, connection.lines(path, query) as lines:
        async for line in lines:
            stream.write(_ndjson(line) if columns is None else _csv(line, columns))
            number += 1
    return number


def _ndjson(line: bytes) -> bytes:
    return harmless_json(line.decode()).encode() + b"\n"


def _csv(line: bytes, columns: tuple[str, ...]) -> bytes:
    record = msgspec.json.decode(line, type=dict[str, Any])
    return _row([spreadsheet_cell(_text(record.get(name, ""))) for name in columns])


def _text(value: object) -> str:
    """A field as it is, or as JSON where it is no text."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


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
