"""R16, F21: migrations that are cut short anywhere, and versions N and N+1 on one database."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import apsw
import psycopg
import pytest

from heliograph.errors import UnsafeStorage
from heliograph.model.accounts import Account
from heliograph.store import sql
from heliograph.store.keyring import KeyRing
from heliograph.store.postgres.store import PostgresStore
from heliograph.store.sql import Migration
from heliograph.store.sqlite.store import SqliteStore
from tests.support import (
    ACCOUNT,
    ManualClock,
    accept,
    claim_all,
    deliver,
    new_event,
    wanted_configuration,
)

SPINE = (Path(sql.__file__).parent / "sqlite/migrations/0001_spine.sql").read_text("utf-8")

Cut = Callable[[str, int], None]


class PowerCutError(Exception):
    """The process ends here."""


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Cut:
    """Make the largest migration of an engine fail behind its statement number `count`."""
    real = sql.migrations

    def set_cut(engine: str, count: int) -> None:
        def migrations(asked: str) -> Sequence[Migration]:
            steps = list(real(asked))
            if asked == engine and count >= 0:
                one = largest(engine, steps)
                text = ";\n".join(statements(one.sql)[:count]) + ";\nselect no_such_column;"
                steps[one.number - 1] = Migration(one.number, one.name, one.checksum, text)
            return steps

        monkeypatch.setattr(sql, "migrations", migrations)

    return set_cut


def largest(engine: str, steps: Sequence[Migration]) -> Migration:
    """The migration with the most to cut, of those that the test's database still needs."""
    needed = steps[1:] if engine == "sqlite" else steps  # SQLite's first is there already
    return max(needed, key=lambda one: len(one.sql))


def statements(text: str) -> list[str]:
    """A migration's statements; those with a body ($$, begin) stay whole."""
    without = re.sub(r"^\s*--.*$", "", text, flags=re.MULTILINE)
    found, current = [], ""
    for part in without.split(";"):
        current += part + ";"
        in_body = current.count("$$") % 2 == 1 or (
            "create trigger" in current
            and "$$" not in current
            and "begin" in current
            and not re.search(r"\bend;\s*$", current)
        )
        if not in_body:
            found.append(current.strip().removesuffix(";"))
            current = ""
    return [one for one in found if one.strip()]


async def test_f21_r16_a_postgres_migration_cut_short_anywhere_leaves_nothing_and_runs_again(
    empty_database_url: str, tmp_path: Path, clock: ManualClock, cut: Cut
) -> None:
    keyring = KeyRing.load(tmp_path / "master.key")
    count = len(statements(largest("postgres", sql.migrations("postgres")).sql))
    assert count > 30
    for place in range(0, count + 1, 3):
        cut("postgres", place)
        with pytest.raises(psycopg.Error, match="no_such_column"):
            await PostgresStore.open(
                *(empty_database_url, keyring, clock), instance="x", accept_data_loss=True
            )
        with psycopg.connect(empty_database_url) as connection:
            left = connection.execute(
                "select relname from pg_class where relnamespace = 'public'::regnamespace"
            ).fetchall()
        assert left == []
    cut("postgres", -1)
    store = await PostgresStore.open(
        *(empty_database_url, keyring, clock), instance="x", accept_data_loss=True
    )
    await store.close()


async def test_f21_r16_an_older_sqlite_database_is_upgraded_or_left_as_it_was(
    tmp_path: Path, clock: ManualClock, cut: Cut
) -> None:
    path = tmp_path / "heliograph.db"
    old = _as_version_one_left_it(path)
    keyring = KeyRing.load(tmp_path / "master.key")
    count = len(statements(largest("sqlite", sql.migrations("sqlite")).sql))
    for place in range(count + 1):
        cut("sqlite", place)
        with pytest.raises(apsw.SQLError, match="no_such_column"):
            await SqliteStore.open(path, keyring, clock)
        assert _tables(path) == old
    cut("sqlite", -1)
    store = await SqliteStore.open(path, keyring, clock)
    assert list(await store.orphans()) == []
    claims = await claim_all(store)
    assert sorted(claim.event.event_id for claim in claims) == ["event-1", "event-2"]
    assert await deliver(store, claims) == [True, True]
    await store.close()


def _as_version_one_left_it(path: Path) -> list[tuple[str, str]]:
    connection = apsw.Connection(str(path))
    connection.execute("pragma journal_mode=wal")
    connection.execute(SPINE)
    step = sql.migrations("sqlite")[0]
    connection.execute(
        "create table schema_migration (number integer primary key, name text not null, "
        "checksum text not null, applied_us integer not null) strict"
    )
    connection.execute(
        "insert into schema_migration values (1, ?, ?, 1)", (step.name, step.checksum)
    )
    document = wanted_configuration().document
    connection.execute("insert into account values (?, 1, 'First', 0, 1)", (ACCOUNT,))
    connection.execute(
        "insert into connect_configuration (account_id, name, url, publishing, paused, document,"
        " created_us, changed_us) values (?, 'crm', 'https://x.example', 1, 0, ?, 1, 1)",
        (ACCOUNT, document),
    )
    for number in (1, 2):
        connection.execute(
            "insert into event (account_id, event_id, name, envelope_id, status, deliveries, "
            "generated_us, created_us, digest, document) "
            "values (?, ?, 'envelope-sent', ?, 'sent', 1, 1, 1, x'00', '{}')".replace(
                "'{}'", "cast('{}' as blob)"
            ),
            (ACCOUNT, f"event-{number}", f"env-{number}"),
        )
        connection.execute(
            "insert into delivery (account_id, event_row, connect_id, envelope_id, state, due_us, "
            "seed, schedule_started_us, created_us) values (?, ?, 1, ?, 'waiting', 1, 1, 1, 1)",
            (ACCOUNT, number, f"env-{number}"),
        )
    connection.close()
    return _tables(path)


def _tables(path: Path) -> list[tuple[str, str]]:
    connection = apsw.Connection(str(path))
    found = connection.execute("select name, sql from sqlite_schema order by name").fetchall()
    connection.close()
    return [(str(name), str(text)) for name, text in found]


async def test_r16_a_node_goes_on_while_a_newer_version_migrates_and_an_older_one_is_refused(
    database_url: str, tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring = KeyRing.load(tmp_path / "master.key")
    now = await PostgresStore.open(
        *(database_url, keyring, clock), instance="n", accept_data_loss=True
    )
    await now.create_account(Account(ACCOUNT, 1, "First"))
    await now.create_configuration(wanted_configuration())

    real = sql.migrations("postgres")
    newer = Migration(len(real) + 1, "newer.sql", "x", "alter table delivery add column newer text")
    monkeypatch.setattr(sql, "migrations", lambda engine: [*real, newer])
    later = await PostgresStore.open(
        *(database_url, keyring, clock), instance="n+1", accept_data_loss=True
    )
    for number in range(4):
        await accept(now, new_event(envelope_id=f"env-{number}", event_id=f"event-{number}"))
    claims = list((await now.claim(2, 2)).claims)
    assert await deliver(now, claims) == [True, True]
    assert await deliver(later, await claim_all(later)) == [True, True]
    await later.close()
    await now.close()

    monkeypatch.setattr(sql, "migrations", lambda engine: real)
    with pytest.raises(UnsafeStorage, match="made by a newer Heliograph"):
        await PostgresStore.open(
            *(database_url, keyring, clock), instance="n", accept_data_loss=True
        )
