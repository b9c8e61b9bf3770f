"""Where a bench's servers keep their data: new directories, and on PostgreSQL new databases."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from heliograph.bench import host
from heliograph.model.checks import Check
from heliograph.settings import environment_name
from heliograph.store.sqlite.doctor import storage_checks

_DATABASE_URL: Final = environment_name("database_url")
_names = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Place:
    """The data of one installation. `database` is the process of its database, where there is one
    on this machine that may be looked at."""

    folder: Path
    database_url: str = ""
    database: int | None = None

    @property
    def data_dir(self) -> Path:
        """The first node's data directory."""
        return self.folder / "data"

    @property
    def environment(self) -> Mapping[str, str]:
        """What tells a server where its database is: a URL may hold a password."""
        return {_DATABASE_URL: self.database_url}


class Engine(Protocol):
    """SQLite or PostgreSQL, as the bench uses it."""

    name: str

    def place(self) -> contextlib.AbstractContextManager[Place]:
        """A new installation's, gone with the block."""
        ...

    def checks(self) -> Sequence[Check]:
        """What durability rests on (R18)."""
        ...


class Sqlite:
    """Databases in a folder."""

    name = "SQLite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def place(self) -> Iterator[Place]:
        """A new folder."""
        with _new_folder(self._folder) as folder:
            yield Place(folder)

    def checks(self) -> Sequence[Check]:
        """The library and the file system."""
        return storage_checks(self._folder)


class Postgres:
    """Databases of one PostgreSQL."""

    name = "PostgreSQL"

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = url

    @contextlib.contextmanager
    def place(self) -> Iterator[Place]:
        """A new database, beside the one that the URL names."""
        from heliograph.store.postgres.fresh import fresh_database  # noqa: PLC0415 (the driver)

        with (
            _new_folder(self._folder) as folder,
            fresh_database(self._url, _postmaster) as fresh,
        ):
            yield Place(folder, fresh.url, fresh.process)

    def checks(self) -> Sequence[Check]:
        """The database's settings."""
        from heliograph.store.postgres.doctor import database_checks  # noqa: PLC0415 (the driver)

        return asyncio.run(database_checks(self._url))


def engine_of(folder: Path, database_url: str) -> Engine:
    """SQLite in a folder, unless there is a URL."""
    return Postgres(folder, database_url) if database_url else Sqlite(folder)


@contextlib.contextmanager
def _new_folder(parent: Path) -> Iterator[Path]:
    folder = parent / f"{next(_names)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _postmaster(backend: int) -> int | None:
    """The process whose child a backend is, if that is one of PostgreSQL's on this machine."""
    if host.name(backend) != "postgres":
        return None
    postmaster = host.parent(backend)
    return postmaster if postmaster and host.name(postmaster) == "postgres" else None
