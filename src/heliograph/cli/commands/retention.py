"""`heliograph retention`: delete what is older than it must be kept, now."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import click
from rich.status import Status

from heliograph.cli.connection import data_dir_option
from heliograph.cli.exits import Exit, Stop, wrong
from heliograph.cli.terminal import counted, output, print_json
from heliograph.delivery.retention import retire
from heliograph.errors import ClockDoubted
from heliograph.settings import Settings, environment_name, from_environment
from heliograph.store import Retired, opening


@click.command(epilog="Example: heliograph retention --data-dir ./hg --keep-logs 30")
@data_dir_option
@click.option(
    "--database-url",
    envvar=environment_name("database_url"),
    help=f"The PostgreSQL of the nodes, instead of SQLite.  [{environment_name('database_url')}]",
)
@click.option(
    "--keep-logs",
    type=int,
    default=Settings().keep_logs,
    envvar=environment_name("keep_logs"),
    show_default=True,
    help=f"Days that are kept, from 16.  [{environment_name('keep_logs')}]",
)
@click.option("--json", "as_json", is_flag=True, help="What was deleted as one JSON document.")
def retention(data_dir: Path, database_url: str | None, keep_logs: int, as_json: bool) -> None:
    """Delete events and logs whose deliveries ended more than --keep-logs days ago.

    A server does this by itself each hour. On SQLite it must not run meanwhile; nodes on
    PostgreSQL may. Unfinished deliveries and open failures always stay, with their events.
    """
    try:
        settings = from_environment(
            data_dir=data_dir, database_url=database_url, keep_logs=keep_logs
        )
    except ValueError as error:
        raise wrong(str(error)) from None
    if not settings.keep_logs:
        raise wrong("--keep-logs 0 keeps everything: give a number of days.")
    if not database_url and not (data_dir / opening.DATABASE).exists():
        raise wrong(f"There is no database in {data_dir}.", "Give another --data-dir.")
    try:
        done = asyncio.run(_retire(settings, quiet=as_json))
    except ClockDoubted as doubted:
        raise Stop(Exit.NO, str(doubted)) from None
    if as_json:
        print_json({"keepDays": settings.keep_logs, **asdict(done)})
        return
    output().print(f"Deleted {_counts(done)} of more than {settings.keep_logs} days ago.")


async def _retire(settings: Settings, *, quiet: bool) -> Retired:
    console = output()
    async with opening.open_store(settings) as store:
        before = store.clock.ago(timedelta(days=settings.keep_logs))
        if quiet or not console.is_terminal:
            return await retire(store, before)
        with Status("Looking for what is old enough", console=console) as status:
            return await retire(
                store, before, on_progress=lambda total: status.update(f"Deleted {_counts(total)}")
            )


def _counts(done: Retired) -> str:
    return ", ".join(
        (
            counted(done.deliveries, "delivery", "deliveries"),
            counted(done.attempts, "attempt"),
            counted(done.events, "event"),
            counted(done.envelopes, "envelope"),
        )
    )
