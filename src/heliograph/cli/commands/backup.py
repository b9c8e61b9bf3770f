"""`heliograph backup`: an SQLite installation, while it runs."""

from __future__ import annotations

from pathlib import Path

import click
from rich.progress import Progress

from heliograph.cli.connection import data_dir_option
from heliograph.cli.terminal import output, print_json
from heliograph.store.opening import DATABASE
from heliograph.store.sqlite.backup import SECRETS, back_up


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

    def tell() -> None:
        size = target.stat().st_size
        if as_json:
            print_json({"file": str(target), "bytes": size, "withSecrets": with_secrets})
            return
        console.print(f"Wrote {target}: {size:,} bytes, checked.", soft_wrap=True)
        if not with_secrets:
            console.print(
                f"Its secrets open with {data_dir / SECRETS[0]} only: keep a copy of that "
                "elsewhere.",
                soft_wrap=True,
            )

    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Pages", total=None)
        back_up(
            data_dir / DATABASE,
            target,
            with_secrets=with_secrets,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
            on_placed=tell,
        )
