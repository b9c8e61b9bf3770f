"""SQL lives in .sql files: named queries, and numbered migrations with their checksums."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from heliograph.errors import UnsafeStorage

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
_FILE = re.compile(r"(\d{4})_\w+\.sql")


def named_queries(file: str) -> Mapping[str, str]:
    """The queries of a .sql file below this package, by the name in the line above each."""
    text = files(__package__).joinpath(file).read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    names, bodies = parts[::2], parts[1::2]
    queries = {
        name: body.strip().removesuffix(";") for name, body in zip(names, bodies, strict=True)
    }
    if len(queries) != len(names):
        raise ValueError(f"{file} gives a name twice")
    return queries


def filled_queries(file: str) -> Mapping[str, str]:
    """The same, where `{name}` in a query stands for another one of the file."""
    queries = named_queries(file)
    return {name: text.format_map(queries) for name, text in queries.items()}


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step; its checksum tells whether the file was changed after use."""

    number: int
    name: str
    checksum: str
    sql: str


def migrations(engine: str) -> Sequence[Migration]:
    """All steps for an engine, in order, without a gap."""
    found = []
    for file in files(__package__).joinpath(engine, "migrations").iterdir():
        matched = _FILE.fullmatch(file.name)
        if matched is None:
            continue
        sql = file.read_text(encoding="utf-8")
        checksum = hashlib.sha256(sql.encode()).hexdigest()
        found.append(Migration(int(matched[1]), file.name, checksum, sql))
    found.sort(key=lambda migration: migration.number)
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"the {engine} migrations are not numbered without a gap")
    return found


def pending(
    known: Sequence[Migration], applied: Sequence[tuple[int, str, str]]
) -> Sequence[Migration]:
    """The steps still to apply, given (number, name, checksum) of those that were.

    Raises:
        UnsafeStorage: the database is newer than this program, or an applied step differs.
    """
    for number, name, checksum in applied:
        if number > len(known):
            raise UnsafeStorage(
                f"The database was made by a newer Heliograph (migration {name}): "
                "start that version, or restore a backup made before the upgrade."
            )
        if known[number - 1].checksum != checksum:
            raise UnsafeStorage(
                f"Migration {name} was changed after it had been applied to this database: "
                "start the Heliograph version that made it."
            )
    return known[len(applied) :]
