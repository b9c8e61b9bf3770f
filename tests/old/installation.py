"""Where an old installation is: its data directory and its database, packed and unpacked.

Its SQL is of the schema that adad52a made, and is only run on databases that nothing newer has
opened, but for `shift`, which asks the database for the columns.
"""

from __future__ import annotations

import gzip
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import psycopg

from tests.postgres_server import binaries
from tests.process import Server, started

HERE = Path(__file__).parent
SECRETS = ("master.key", "credentials.json")
OPTIONS = (
    *("--adopt", "--legacy-header", "--assertions", "once"),
    *("--keep-logs", "0", "--disable-after", "0"),
)
"""However old the fixture is: nothing is deleted or switched off for its age."""

TIMES = {
    "sqlite": "select t.name, c.name from sqlite_schema as t, pragma_table_info(t.name) as c "
    r"where t.type = 'table' and c.name like '%\_us' escape '\'",
    "postgres": "select c.relname, a.attname from pg_class as c join pg_attribute as a "
    "on a.attrelid = c.oid where c.relnamespace = 'public'::regnamespace and c.relkind in "
    r"('r', 'p') and not c.relispartition and a.attname like '%\_us' and not a.attisdropped",
}
UNFINISHED = (
    "select count(*) from delivery as d join connect_configuration as c "
    "on d.connect_id = c.connect_id where d.state in ('waiting', 'held', 'failed') "
    "and c.deleted_us is null"
)
PUT_OFF = (
    "update delivery set due_us = due_us + 3600000000 where state = 'waiting' and failed_us is null"
)
ORPHANS = "select * from v_audit_orphans"


@dataclass(frozen=True)
class Installation:
    """A folder with `data` in it; `url` is that of the PostgreSQL, empty for SQLite."""

    engine: str
    folder: Path
    url: str = ""

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def database(self) -> Path:
        return self.data / "heliograph.db"

    @contextmanager
    def serving(self) -> Iterator[Server]:
        """A server process on it."""
        where = ("--database-url", self.url) if self.url else ()
        with started(self.folder, *OPTIONS, *where) as server:
            yield server

    def run(self, *statements: str) -> Sequence[Sequence[Any]]:
        """SQL in one transaction, while nothing serves; what the last statement finds."""
        found: Sequence[Sequence[Any]] = ()
        if self.url:
            with psycopg.connect(self.url) as connection:
                for statement in statements:
                    done = connection.execute(statement.encode())
                    found = done.fetchall() if done.description else ()
        else:
            with closing(apsw.Connection(str(self.database))) as file, file:
                for statement in statements:
                    found = file.execute(statement).fetchall()
        return found

    def shift(self, seconds: int) -> None:
        """Move every time that is stored."""
        tables: dict[str, list[str]] = {}
        for table, column in self.run(TIMES[self.engine]):
            tables.setdefault(table, []).append(f"{column} = {column} + {seconds * 10**6}")
        changes = [f"update {name} set {', '.join(sets)}" for name, sets in tables.items()]  # noqa: S608
        before, after = self._unguarded("audit_entry") if "audit_entry" in tables else ((), ())
        self.run(*before, *changes, *after)

    def _unguarded(self, table: str) -> tuple[Sequence[str], Sequence[str]]:
        """What takes a table's triggers away, which refuse to have its times moved; what brings
        them back."""
        if self.url:
            change = f"alter table {table} {{}} trigger user"
            return [change.format("disable")], [change.format("enable")]
        triggers = self.run(
            f"select name, sql from sqlite_schema where type = 'trigger' and tbl_name = '{table}'"  # noqa: S608
        )
        return [f"drop trigger {name}" for name, _ in triggers], [sql for _, sql in triggers]

    def pack(self) -> None:
        """Put it into this folder, where the tests find it."""
        packed = HERE / self.engine
        packed.mkdir(exist_ok=True)
        for name in SECRETS:
            (packed / name).write_bytes((self.data / name).read_bytes())
        if self.url:
            dump = (str(binaries() / "pg_dump"), "--inserts", "--no-owner", "--no-acl", self.url)
            text = subprocess.run(dump, check=True, capture_output=True).stdout
            # What only psql knows, and a setting that older servers do not.
            kept = [one for one in text.splitlines(True) if not one.startswith(NOT_SQL)]
            (packed / "heliograph.sql.gz").write_bytes(gzip.compress(b"".join(kept), mtime=0))
        else:
            assert not self.database.with_name("heliograph.db-wal").exists(), "it was not closed"
            packed_file = gzip.compress(self.database.read_bytes(), mtime=0)
            (packed / "heliograph.db.gz").write_bytes(packed_file)

    def unpack(self) -> None:
        """Take it from there."""
        packed = HERE / self.engine
        self.data.mkdir(mode=0o700)
        for name in SECRETS:
            file = self.data / name
            file.touch(0o600)
            file.write_bytes((packed / name).read_bytes())
        if self.url:
            script = gzip.decompress((packed / "heliograph.sql.gz").read_bytes())
            with psycopg.connect(self.url) as connection:
                connection.execute(script)
        else:
            self.database.touch(0o600)
            found = gzip.decompress((packed / "heliograph.db.gz").read_bytes())
            self.database.write_bytes(found)


NOT_SQL = (b"\\", b"SET transaction_timeout")
