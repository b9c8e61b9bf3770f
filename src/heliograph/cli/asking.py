"""Before something is changed: what it is about, and whether to go on."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final

import click
from rich.console import Console

from heliograph.cli.exits import wrong
from heliograph.cli.terminal import Column, Row, counted, local_time_and_zone, print_rows
from heliograph.plain import harmless

MOST_UNASKED: Final = 100
"""What changes no more than so many, and nothing for good, is not asked about."""

_MOST_ROWS: Final = 20
"""Configurations that a preview shows."""

dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Change nothing, and show what would be changed."
)


def confirm(question: str) -> None:
    """Ask, and end the command unless the answer is yes. What is in the question is only text.

    Raises:
        Stop: nobody is there to ask.
    """
    try:
        agreed = click.confirm(harmless(question), err=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise  # Ctrl-C, or Ctrl-D
        raise wrong(
            "This asks before it goes on, and standard input is no terminal.",
            "Say --yes if it is meant.",
        ) from None
    if not agreed:
        raise click.Abort


def print_preview(console: Console, dry_run: Mapping[str, Any], noun: str, plural: str) -> None:
    """What a call in bulk is about, as its dry run has answered."""
    count = int(dry_run["count"])
    if not count:
        console.print(f"No {noun} is meant.")
        return
    first, last = (local_time_and_zone(dry_run[end]) for end in ("oldest", "newest"))
    console.print(f"{counted(count, noun, plural)}, created from {first} to {last}:")
    rows = dry_run["configurations"]
    print_rows(
        console,
        [Column("CONFIG", right=True), Column("HOW MANY", right=True), Column("NAME")],
        [
            Row(
                [one["connectId"], f"{int(one['count']):,}", one["name"]],
                one["urlToPublishTo"],
                "dim",
            )
            for one in rows[:_MOST_ROWS]
        ],
    )
    if len(rows) > _MOST_ROWS:
        console.print(f"... and {counted(len(rows) - _MOST_ROWS, 'configuration')} more.")
