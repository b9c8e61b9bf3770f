"""`heliograph bench`: what this machine can do, measured end to end."""

from __future__ import annotations

import contextlib
import signal
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

import click
import msgspec
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from heliograph import files
from heliograph.bench import report
from heliograph.bench.names import OF_POSTGRESQL, SCENARIOS
from heliograph.bench.options import own
from heliograph.bench.places import engine_of
from heliograph.bench.report import Result
from heliograph.bench.rig import Bench
from heliograph.bench.running import run
from heliograph.bench.sizes import FULL, QUICK
from heliograph.cli.exits import Exit, wrong
from heliograph.cli.terminal import Column, Row, notes, output, print_rows, print_text
from heliograph.settings import environment_name


@click.command(epilog="Example: heliograph bench --only single --repeat 5 --markdown bench.md")
@click.option(
    "--only",
    multiple=True,
    metavar="SCENARIO",
    type=click.Choice(list(SCENARIOS)),
    help=f"Measure this alone; give it again for more. One of {', '.join(SCENARIOS)}.",
)
@click.option("--quick", is_flag=True, help="Everything small: to see that it works, not how fast.")
@click.option("--repeat", type=click.IntRange(1), default=1, help="Runs; medians are told.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True, writable=True),
    help="Where databases are made, on the disk to measure.  [default: that of temporary files]",
)
@click.option(
    "--database-url",
    default="",
    envvar=environment_name("database_url"),
    help="A PostgreSQL to make databases on, instead of SQLite.  "
    f"[{environment_name('database_url')}]",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file to write the report to, for programs.",
)
@click.option(
    "--markdown",
    "markdown_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file to write the report to, as a page.",
)
@click.argument("options", nargs=-1, metavar="[-- OPTIONS]")
def bench(
    only: Sequence[str],
    quick: bool,
    repeat: int,
    folder: Path | None,
    database_url: str,
    json_file: Path | None,
    markdown_file: Path | None,
    options: Sequence[str],
) -> None:
    """Measure this machine, and Heliograph on it: rates, times, processor, memory.

    A server, a publisher and listeners run as processes of their own, on loopback and free ports,
    with databases that are gone at the end. The status is 1 if any delivery was lost or came
    twice. OPTIONS, after --, are those of `heliograph serve`, but for --data-dir and
    --database-url: each server has data of its own.
    """
    if given := own(options):
        raise wrong(
            f"{given[0]} cannot be among the options of serve: each server has data of its own.",
            "Give --folder, or --database-url before the --, to say where that is made.",
        )
    here = [name for name in SCENARIOS if database_url or name not in OF_POSTGRESQL]
    if missing := [name for name in only if name not in here]:
        raise wrong(f"{missing[0]} is measured on PostgreSQL alone: give --database-url.")
    scenarios = [name for name in here if name in only] or here
    for file in (json_file, markdown_file):
        if file is not None:
            with files.room(file):
                pass  # it can be written: known before hours have passed
    place = (folder or Path(tempfile.gettempdir())) / "heliograph-bench"
    with _ended_by_sigterm(), _progress() as progress, files.room(place) as room:
        shown = progress.add_task("")

        def tell(result: Result) -> None:
            progress.stop()  # its line is on the same terminal
            _print(result)
            progress.start()

        found = run(
            Bench(
                QUICK if quick else FULL,
                engine_of(room.folder, database_url),
                room.folder,
                options,
                lambda text: progress.update(shown, description=text),
            ),
            scenarios,
            repeat,
            tell,
        )
    if json_file is not None:
        files.write(json_file, msgspec.json.encode(report.document(found)) + b"\n", 0o644)
    if markdown_file is not None:
        files.write(markdown_file, report.markdown(found).encode(), 0o644)
    if not found.well:
        click.get_current_context().exit(Exit.NO)


def _print(result: Result) -> None:
    console = output()
    console.print()
    print_text(console, f"{result.scenario}: {SCENARIOS[result.scenario]}", 0, "bold cyan")
    for heads, rows in report.tables(result):
        columns = [Column(head.upper(), right=number > 0) for number, head in enumerate(heads)]
        print_rows(console, columns, [Row(row) for row in rows])
    print_text(console, f"{report.counts(result)}.", 0, "" if result.well else "red")


def _progress() -> Progress:
    console = notes()
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does: no process and no directory is left."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
