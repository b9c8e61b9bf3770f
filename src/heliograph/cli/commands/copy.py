"""`heliograph copy`: move an installation from SQLite to PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
from rich.progress import MofNCompleteColumn, Progress, TaskID, TextColumn

from heliograph.cli.exits import wrong
from heliograph.cli.terminal import Column, Row, output, print_json, print_rows
from heliograph.store.copying import Compared
from heliograph.store.copying import copy as copy_all
from heliograph.store.postgres.url import parameters_of

_SQLITE = "sqlite:"


@click.command(
    epilog="Example: heliograph copy --from sqlite:hg/heliograph.db --to postgresql:///heliograph"
)
@click.option(
    "--from", "source", required=True, help="The SQLite database, as sqlite:PATH; stop its server."
)
@click.option(
    "--to",
    "target",
    required=True,
    envvar="HELIOGRAPH_COPY_TO",
    help="An empty PostgreSQL database, or one with an unfinished copy.  [HELIOGRAPH_COPY_TO]",
)
@click.option("--json", "as_json", is_flag=True, help="What was copied as one JSON document.")
def copy(source: str, target: str, as_json: bool) -> None:
    """Copy everything from SQLite to PostgreSQL, and compare both sides.

    It may be interrupted at any moment: run again, it goes on where it stopped. Nodes do not start
    on a copy that is not finished.
    """
    if not source.startswith(_SQLITE):
        raise wrong("--from takes sqlite:PATH, such as sqlite:hg/heliograph.db.")
    path = Path(source.removeprefix(_SQLITE))
    if not path.exists():
        raise wrong(f"There is no database at {path}.")
    if not target.startswith(("postgresql://", "postgres://")):
        raise wrong("--to takes postgresql://..., a database made with `createdb`.")
    parameters_of(target)
    compared = _copy(path, target)
    if as_json:
        print_json({"tables": [asdict(table) for table in compared]})
        return
    console = output()
    print_rows(
        console,
        [Column("TABLE"), Column("ROWS", right=True), Column("THE SAME ON BOTH SIDES")],
        [Row([table.name, f"{table.rows:,}", table.digest]) for table in compared],
    )
    console.print(
        f"Now start nodes with --database-url, each with a copy of {path.parent / 'master.key'}; "
        "never start the server on SQLite again.",
        soft_wrap=True,
    )


def _copy(path: Path, target: str) -> Sequence[Compared]:
    console = output()
    with Progress(
        TextColumn("{task.description:<22}"),
        MofNCompleteColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        tasks: dict[str, TaskID] = {}

        def advance(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=total)
            progress.update(tasks[name], completed=done, total=total)

        return asyncio.run(copy_all(path, target, advance))
