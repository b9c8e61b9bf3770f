"""`heliograph restore`: a backup becomes an installation."""

from __future__ import annotations

from pathlib import Path

import click

from heliograph.cli.data_dirs import VARIABLE
from heliograph.cli.terminal import output, print_json
from heliograph.settings import Settings
from heliograph.store.opening import DATABASE
from heliograph.store.sqlite.backup import SECRETS
from heliograph.store.sqlite.backup import restore as put_back


@click.command(epilog="Example: heliograph restore --from hg-2026-11-23.db --data-dir ./new")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Settings().data_dir,
    envvar=VARIABLE,
    show_envvar=True,
    show_default=True,
    help="Where it is put: a directory that has no database.",
)
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

    def tell(with_secrets: bool) -> None:
        if as_json:
            print_json({"dataDir": str(data_dir), "withSecrets": with_secrets})
            return
        console = output()
        console.print(f"Restored {source} to {data_dir}.", soft_wrap=True)
        if not with_secrets:
            names = " and ".join(SECRETS)
            console.print(f"Now put {names} of that installation into {data_dir}.", soft_wrap=True)

    put_back(source, data_dir, DATABASE, tell)
