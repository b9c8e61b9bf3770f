"""`heliograph backup` and `heliograph restore`: an SQLite installation, while it runs."""

from __future__ import annotations

from pathlib import Path

import click
from rich.progress import Progress

from heliograph.cli.connection import data_dir_option
from heliograph.cli.terminal import output, print_json
from heliograph.service import DATABASE
from heliograph.store.sqlite.backup import SECRETS, back_up
from heliograph.store.sqlite.backup import restore as put_back


@click.command(epilog="Example: heliograph backup --data-dir ./hg --to hg-2026-11-23.db")
@data_dir_option
@click.option(
    "--to",
    "target",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write; it must not exist.",
)
@click.option(
    "--with-secrets", is_flag=True, help="Also copy master.key and credentials.json beside it."
)
@click.option("--json", "as_json", is_flag=True, help="What was written as one JSON document.")
def backup(data_dir: Path, target: Path, with_secrets: bool, as_json: bool) -> None:
    """Copy the database of one moment to a file, while the server runs.

    The copy is checked before it gets its name. Secrets in it are sealed with master.key, which
    is not in it: keep a copy of that elsewhere, or give --with-secrets.
    """
    console = output()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Pages", total=None)
        back_up(
            data_dir / DATABASE,
            target,
            with_secrets=with_secrets,
            told=lambda done, total: progress.update(task, completed=done, total=total),
        )
    size = target.stat().st_size
    if as_json:
        print_json({"file": str(target), "bytes": size, "withSecrets": with_secrets})
        return
    console.print(f"Wrote {target}: {size:,} bytes, checked.", soft_wrap=True)
    if not with_secrets:
        console.print(
            f"Its secrets open with {data_dir / SECRETS[0]} only: keep a copy of that elsewhere.",
            soft_wrap=True,
        )


@click.command(epilog="Example: heliograph restore --from hg-2026-11-23.db --data-dir ./new")
@data_dir_option
@click.option(
    "--from",
    "source",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A file that `heliograph backup` wrote.",
)
@click.option("--json", "as_json", is_flag=True, help="What was done as one JSON document.")
def restore(data_dir: Path, source: Path, as_json: bool) -> None:
    """Put a backup into a data directory that has no database.

    What was in flight at the backup's moment is sent again, as after a crash; what was delivered
    before it is not. The server that the backup is of must never start again.
    """
    with_secrets = put_back(source, data_dir, DATABASE)
    if as_json:
        print_json({"dataDir": str(data_dir), "withSecrets": with_secrets})
        return
    console = output()
    console.print(f"Restored {source} to {data_dir}.", soft_wrap=True)
    if not with_secrets:
        names = " and ".join(SECRETS)
        console.print(f"Now put {names} of that installation into {data_dir}.", soft_wrap=True)
