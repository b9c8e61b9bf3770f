"""`heliograph secrets`: the master key that secrets are encrypted with."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from heliograph import files
from heliograph.cli.connection import data_dir_option
from heliograph.cli.exits import wrong
from heliograph.cli.grouping import Commands
from heliograph.cli.terminal import counted, notes, output, print_json
from heliograph.settings import environment_name, from_environment
from heliograph.store import opening
from heliograph.store.keyring import new_key, next_file, read_keys, write_keys

KEY_FILE = "master.key"

_database_option = click.option(
    "--database-url",
    envvar=environment_name("database_url"),
    help=f"The PostgreSQL of the nodes, instead of SQLite.  [{environment_name('database_url')}]",
)


@click.group(cls=Commands)
def secrets() -> None:
    """The master key, which HMAC keys, passwords and client keys are encrypted with."""


@secrets.command(epilog="Example: heliograph secrets rotate --data-dir ./hg")
@data_dir_option
@_database_option
@click.option("--json", "as_json", is_flag=True, help="What was done as one JSON document.")
def rotate(data_dir: Path, database_url: str | None, as_json: bool) -> None:
    """Encrypt every secret with a new master key.

    The server of this data directory must not run meanwhile. Cut short, it is run again. Where
    nodes share a PostgreSQL it takes `secrets add-key` before it, and a second run after it.
    """
    opening.check_url(database_url)
    path = _key_file(data_dir)
    keys, shared = read_keys(path), bool(database_url)
    # The next key's file goes when everything is sealed with that key: a run that was cut short
    # before is no sign that the other nodes have it.
    begun = len(keys) > 1 or (shared and files.left(path))
    finishing = begun and not next_file(path).exists()
    if len(keys) == 1 and not finishing:
        keys = [_next_key(path, shared=shared), *keys]
    count = asyncio.run(_reseal(data_dir, database_url, keys))
    next_file(path).unlink(missing_ok=True)
    if finishing or not shared:
        write_keys(path, keys[:1])
    done = len(read_keys(path)) == 1
    if as_json:
        print_json({"resealed": count, "masterKey": str(path), "done": done})
        return
    output().print(f"Encrypted {counted(count, 'secret')} with a new key.", soft_wrap=True)
    if done:
        advice = "The old key is forgotten here. Backups made before need it: keep it with them."
    else:
        advice = (
            f"{path} has both keys: give it to every node, restart them, and run `heliograph "
            "secrets rotate` again, which forgets the old one."
        )
    notes().print(advice, style="dim", soft_wrap=True)


@secrets.command("add-key", epilog="Example: heliograph secrets add-key --data-dir ./hg")
@data_dir_option
def add_key(data_dir: Path) -> None:
    """Make a new master key that only opens yet: the first step where there are many nodes."""
    path = _key_file(data_dir)
    upcoming = next_file(path)
    with files.room(upcoming, again=True) as room:
        if not upcoming.exists():
            with room.new(upcoming.name) as file:
                file.write(new_key())
            room.place(upcoming.name)
            room.flush()
        elif upcoming.name not in room.placed_before:
            raise wrong(f"{upcoming} is there already.", "Run `heliograph secrets rotate`.")
        output().print(
            f"Made {upcoming}: give it to every node beside its master.key, restart them, and run "
            "`heliograph secrets rotate` on one.",
            soft_wrap=True,
        )


def _next_key(path: Path, *, shared: bool) -> bytes:
    upcoming = next_file(path)
    if upcoming.exists():
        return read_keys(upcoming)[0]
    if shared:
        raise wrong(
            "The other nodes do not know a new key yet.", "Run `heliograph secrets add-key`."
        )
    return new_key()


async def _reseal(data_dir: Path, database_url: str | None, keys: list[bytes]) -> int:
    try:
        settings = from_environment(data_dir=data_dir, database_url=database_url)
    except ValueError as error:
        raise wrong(str(error)) from None
    path = data_dir / KEY_FILE
    async with opening.open_store(settings):
        pass  # no server runs here, and its key is the installation's
    # The ring knows both before anything is sealed with the new one.
    write_keys(path, keys)
    async with opening.open_store(settings) as store:
        return await store.reseal()


def _key_file(data_dir: Path) -> Path:
    path = data_dir / KEY_FILE
    if not path.exists():
        raise wrong(f"There is no {path}.", "Give another --data-dir.")
    return path
