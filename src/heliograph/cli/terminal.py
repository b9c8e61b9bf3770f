"""What a person sees: listings that fit 80 columns, times in local time, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import click
import msgspec
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from heliograph.plain import harmless, harmless_json, harmless_lines
from heliograph.settings import told_by_shell
from heliograph.wire import dates

_GAP: Final = 2
_NARROWEST: Final = 8


_UNBOUNDED: Final = 10_000
"""Columns where nobody looks: a line in a file or a pipe is as long as it is."""


def output() -> Console:
    """Standard output. Markup, emoji codes and highlighting are off: text is only text."""
    width = None if sys.stdout.isatty() or told_by_shell("COLUMNS") else _UNBOUNDED
    return Console(markup=False, highlight=False, emoji=False, width=width)


def notes() -> Console:
    """Standard error, for progress and remarks."""
    return Console(stderr=True, markup=False, highlight=False, emoji=False)


def print_json(document: Any) -> None:
    """One JSON document on standard output, for programs; indented where a person looks."""
    text = msgspec.json.encode(document)
    if sys.stdout.isatty():
        text = msgspec.json.format(text, indent=2)
    click.echo(harmless_json(text.decode()))


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a listing; one that gives way is cut to what room is left."""

    title: str
    right: bool = False
    gives_way: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a listing; the note stands below it, as wide as it needs to be."""

    cells: Sequence[str]
    note: str = ""
    note_style: str = "red"


def print_rows(console: Console, columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """A listing without frames: ids and numbers stay whole, long text is cut or stands in the note.
    Where a line has no room for that, each cell has a line of its own."""
    plain = [[harmless(cell) for cell in row.cells] for row in rows]
    widths = [
        max(cell_len(text) for text in [column.title, *(cells[at] for cells in plain)])
        for at, column in enumerate(columns)
    ]
    spare = console.width - sum(widths) - _GAP * (len(columns) - 1)
    for at, column in enumerate(columns):
        if column.gives_way and spare < 0:
            narrower = max(min(widths[at], _NARROWEST), widths[at] + spare)
            spare += widths[at] - narrower
            widths[at] = narrower
    if spare < 0:
        _print_stacked(console, columns, rows)
        return
    console.print(Text(_line(columns, widths, [c.title for c in columns])), style="bold")
    # Beside a number, or a little to the right under a text.
    indent = widths[0] + _GAP if columns[0].right else 2 * _GAP
    for row, cells in zip(rows, plain, strict=True):
        console.print(Text(_line(columns, widths, cells)), no_wrap=True, overflow="ellipsis")
        if row.note:
            print_text(console, harmless(row.note), indent, row.note_style)


def _print_stacked(console: Console, columns: Sequence[Column], rows: Sequence[Row]) -> None:
    titles = [column.title for column in columns]
    for number, row in enumerate(rows):
        if number:
            console.print()
        print_fields(console, zip(titles, map(harmless, row.cells), strict=True))
        if row.note:
            print_text(console, harmless(row.note), _GAP, row.note_style)


def print_fields(console: Console, fields: Iterable[tuple[str, str | None]]) -> None:
    """A thing's fields, one to a line; long values wrap beside their name."""
    shown = [(name, text) for name, text in fields if text]
    width = max((len(name) for name, _ in shown), default=0) + _GAP
    for name, text in shown:
        lines = Text(harmless_lines(text)).wrap(console, max(console.width - width, 20))
        for number, line in enumerate(lines):
            line.rstrip()
            head = Text(name.ljust(width) if number == 0 else " " * width, style="bold")
            console.print(head + line, soft_wrap=True)


def print_text(console: Console, text: str, indent: int = 2, style: str = "") -> None:
    """Text of several lines, such as a message or an answer, wrapped beside its indent."""
    for line in Text(harmless_lines(text), style).wrap(console, max(console.width - indent, 20)):
        line.rstrip()
        console.print(Text(" " * indent) + line, soft_wrap=True)


def print_payload(console: Console, text: str, indent: int = 4) -> None:
    """A message or an answer, no line of which is broken: it may be copied."""
    for line in harmless_lines(text).split("\n"):
        console.print(Text(" " * indent + line), soft_wrap=True)


def local_time(text: str | None) -> str:
    """A date-time of the API in local time; the zone is named elsewhere."""
    when = _parsed(text)
    return text or "" if when is None else when.strftime("%Y-%m-%d %H:%M:%S")


def local_time_and_zone(text: str | None) -> str:
    """A date-time of the API in local time, with the zone."""
    when = _parsed(text)
    return text or "" if when is None else when.strftime("%Y-%m-%d %H:%M:%S %Z")


def until(text: str | None) -> str:
    """How long it is until a date-time of the API: `40 s`, `12 min`, `5 h`, `3 d`."""
    when = _parsed(text)
    if when is None:
        return text or ""
    seconds = (when - datetime.now().astimezone()).total_seconds()
    return "now" if seconds <= 0 else lasting(seconds)


def lasting(seconds: float) -> str:
    """How long that is: `40 s`, `12 min`, `5 h`, `3 d`."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"


def zone_of(texts: Iterable[str | None]) -> str:
    """The names of the local zones that these date-times fall in: two around a clock change."""
    zones = {when.strftime("%Z") for when in map(_parsed, texts) if when is not None}
    return "/".join(sorted(zones)) or datetime.now().astimezone().strftime("%Z")


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 failure`, `2 failures`, `12,345 failures`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def _parsed(text: str | None) -> datetime | None:
    try:
        return None if text is None else dates.parse(text).astimezone()
    except (ValueError, OverflowError):
        return None


def _line(columns: Sequence[Column], widths: Sequence[int], cells: Sequence[str]) -> str:
    parts = []
    for column, width, cell in zip(columns, widths, cells, strict=True):
        size = cell_len(cell)
        if size > width:
            parts.append(set_cell_size(cell, width - 1) + "…")
        else:
            parts.append(
                " " * (width - size) + cell if column.right else cell + " " * (width - size)
            )
    return (" " * _GAP).join(parts).rstrip()
