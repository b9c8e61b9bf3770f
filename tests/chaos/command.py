"""Runs faults, shows how it goes, writes the report: `python -m tests.chaos.command`."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from tests.chaos import host, report
from tests.chaos.bench import Result
from tests.chaos.catalogue import Context, Fault, NotHere, catalogue
from tests.chaos.installation import KINDS
from tests.chaos.report import Line

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "docs" / "reliability"
SEED = 20261123


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Break the server in every way that is promised for, and see what it does.

    Needs a checkout with its development packages; root for the faults that mount file
    systems or make network namespaces. Everything binds loopback.
    """


def selecting(command: click.decorators.FC) -> click.decorators.FC:
    """The options that `full` and `quick` have in common."""
    for option in (
        click.option(
            "--report",
            "folder",
            type=click.Path(path_type=Path),
            help="Where report.md "
            "and report.json go  [default: docs/reliability for full, none for quick]",
        ),
        click.option(
            "--keep",
            type=click.Path(path_type=Path, file_okay=False),
            help="Where the ledgers and databases of runs that failed are kept.",
        ),
        click.option("--seed", type=int, default=SEED, show_default=True, help="Of all chance."),
        click.option("--cycles", type=click.IntRange(1), help="Of each fault, instead of its own."),
        click.option("--fault", "ids", multiple=True, metavar="ID", help="Only this; repeatable."),
        click.option(
            "--engine",
            "kinds",
            multiple=True,
            type=click.Choice(KINDS),
            help="Only this installation; repeatable.",
        ),
    ):
        command = option(command)
    return command


@main.command()
@selecting
def full(folder: Path | None, **given: Any) -> None:
    """Every fault with its full count and every control; takes an hour and a half."""
    _run("full", folder=folder or REPORT, **given)


@main.command()
@selecting
def quick(**given: Any) -> None:
    """What every commit runs, and the controls; takes some minutes."""
    _run("quick", **given)


@main.command("list")
def list_() -> None:
    """The faults, with the installations and cycles of quick and full."""
    for one in catalogue():
        click.echo(f"{one.id:<4} {one.name}")
        click.echo(f"     quick: {_counts(one.quick)}; full: {_counts(one.full)}")
        click.echo(f"     {one.holds}")


def _counts(cycles: object) -> str:
    assert isinstance(cycles, dict)
    return ", ".join(f"{kind} x {count}" for kind, count in cycles.items()) or "none"


def _run(
    selection: str,
    *,
    kinds: Sequence[str],
    ids: Sequence[str],
    cycles: int | None,
    seed: int,
    folder: Path | None,
    keep: Path | None,
) -> None:
    known = {one.id for one in catalogue()}
    if unknown := set(ids) - known:
        raise click.BadParameter(
            f"{', '.join(sorted(unknown))}: see `python -m tests.chaos.command list`."
        )
    given = [*(f"--engine {one}" for one in kinds), *(f"--fault {one}" for one in ids)]
    said = " ".join([selection, *given, *([f"--cycles {cycles}"] if cycles else [])])
    lines: list[Line] = []
    for one, kind, count in _selected(selection, kinds, ids):
        lines.append(run_one(one, kind, cycles or count, seed, keep))
        click.echo(_told(lines[-1]))
        if folder is not None:
            report.write(folder, lines, host.facts(), said)
    if folder is not None:
        click.echo(f"Report: {folder / 'report.md'}")
    bad = [line for line in lines if not line.good]
    click.echo(f"{len(lines)} runs, {len(bad)} not as promised.")
    if bad or not lines:
        raise SystemExit(1)


def _selected(
    selection: str, kinds: Sequence[str], ids: Sequence[str]
) -> Iterator[tuple[Fault, str, int]]:
    for one in catalogue():
        if ids and one.id not in ids:
            continue
        counts = one.full if selection == "full" or ids else one.quick
        for kind, count in counts.items():
            if not kinds or kind in kinds:
                yield one, kind, count


def run_one(one: Fault, kind: str, cycles: int, seed: int, keep: Path | None = None) -> Line:
    """Run one fault; whatever goes wrong with it is a line of the report."""
    click.echo(f"{one.id:<4} {kind:<10} {one.name} ...")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hg-chaos-", ignore_cleanup_errors=True) as folder:
        try:
            result = asyncio.run(one.run(Context(kind, cycles, seed, Path(folder))))
        except NotHere as reason:
            return Line.of(one, kind, seed, why=str(reason))
        except Exception as error:
            traceback.print_exc()
            result = Result(problems=[f"the run broke: {error!r}"])
        line = Line.of(one, kind, seed, round(time.monotonic() - began, 1), result)
        if keep is not None and not line.good:
            shutil.copytree(folder, keep / f"{one.id}-{kind}", dirs_exist_ok=True)
    return line


def _told(line: Line) -> str:
    one = line.result
    if one is None:
        return f"     not done: {line.why}"
    figures = (
        f"cycles={one.cycles} acked={one.acked} delivered={one.delivered} failed={one.failed} "
        f"lost={one.lost} duplicates={one.duplicates}/{one.bound} reordered={one.reordered} "
        f"recovery={one.recovery:.1f}s in {line.seconds:.0f}s"
    )
    notes = "".join(f"\n       {text}" for text in [*one.problems, *one.notes])
    return f"     {line.verdict}: {figures}{notes}"


if __name__ == "__main__":
    main()
