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
_COMMENTS = re.compile(r"\A(--.*(\n|\Z))+")
_PLACEHOLDER = re.compile(r"(?<!:):(\w+)")
_PART = re.compile(r"\{(\w+)(?::(\w+))?\}")


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


def verbs(engine: str) -> Mapping[str, str]:
    """The queries of `store/verbs`, as an engine's `verbs.sql` completes or replaces them.

    In a query `{name}` stands for another one, and `{name:it}` for one with `it` in the place of
    its `<it>`. Other braces stay, and those of `{filters}`, `{within}` and `{order}`, for `Step`.
    """
    queries: dict[str, str] = {}
    for file in sorted(files(__package__).joinpath("verbs").iterdir(), key=lambda it: it.name):
        if file.name.endswith(".sql"):
            found = named_queries(f"verbs/{file.name}")
            if twice := queries.keys() & found:
                raise ValueError(f"{file.name} gives {min(twice)} again")
            queries |= found
    queries |= named_queries(f"{engine}/verbs.sql")
    return {name: _filled(text, queries) for name, text in queries.items()}


def _filled(text: str, queries: Mapping[str, str]) -> str:
    def fill(part: re.Match[str]) -> str:
        name, it = part.groups(default="")
        if name not in queries:
            return part[0]
        return _filled(queries[name], queries).replace("<it>", it)

    return _PART.sub(fill, _COMMENTS.sub("", text))


def with_pyformat(text: str) -> str:
    """A query as psycopg takes it: `%(name)s` for `:name`."""
    return _PLACEHOLDER.sub(r"%(\1)s", text.replace("%", "%%"))


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step; its checksum tells whether the file was changed after use."""

    number: int
    name: str
    checksum: str
    sql: str

    def row(self, now: int) -> dict[str, int | str]:
        """The values of `migration_add`; `now` is microseconds UTC."""
        return {"number": self.number, "name": self.name, "checksum": self.checksum, "now": now}


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
