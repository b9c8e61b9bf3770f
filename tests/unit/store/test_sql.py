"""Named queries and numbered migrations."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

import apsw
import pytest

from heliograph.errors import UnsafeStorage
from heliograph.store import sql
from heliograph.store.sql import Migration, migrations, named_queries, pending

ONE, TWO, THREE = (
    Migration(number, f"000{number}_step.sql", f"sum{number}", "select 1") for number in (1, 2, 3)
)


def applied(*steps: Migration) -> list[tuple[int, str, str]]:
    return [(step.number, step.name, step.checksum) for step in steps]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for the package's folder of .sql files."""
    (tmp_path / "sqlite" / "migrations").mkdir(parents=True)
    monkeypatch.setattr(sql, "files", lambda _: tmp_path)
    return tmp_path


def test_queries_are_read_by_the_name_above_each(package: Path) -> None:
    (package / "x.sql").write_text(
        "-- About the file.\n\n-- name: first\nselect 1;\n\n"
        "-- name: second\n-- why\nselect ';' -- name: inside\nfrom t\n;\n"
    )
    assert named_queries("x.sql") == {
        "first": "select 1",
        "second": "-- why\nselect ';' -- name: inside\nfrom t\n",
    }


def test_a_name_given_twice_is_refused(package: Path) -> None:
    (package / "x.sql").write_text("-- name: a\nselect 1;\n-- name: a\nselect 2;\n")
    with pytest.raises(ValueError, match=r"x\.sql gives a name twice"):
        named_queries("x.sql")


def test_verbs_are_filled_with_the_words_of_an_engine(package: Path) -> None:
    (package / "verbs").mkdir()
    (package / "verbs" / "a.sql").write_text(
        "-- name: columns\n-- why\na.x, a.y;\n\n"
        "-- name: both\nselect {columns} from a where a.x {among:xs} {filters} {locked_row};\n"
    )
    (package / "verbs" / "b.sql").write_text("-- name: own\nselect 1;\n")
    (package / "sqlite" / "verbs.sql").write_text(
        "-- name: among\n-- A list.\nin (select value from json_each(:<it>));\n\n"
        "-- name: locked_row\n-- There is one writer.\n;\n\n-- name: own\nselect 2;\n"
    )
    verbs = sql.verbs("sqlite")
    filled = "select a.x, a.y from a where a.x in (select value from json_each(:xs)) {filters} "
    assert (verbs["both"], verbs["own"]) == (filled, "select 2")


def test_a_name_given_by_two_files_of_verbs_is_refused(package: Path) -> None:
    (package / "verbs").mkdir()
    for name in ("a.sql", "b.sql"):
        (package / "verbs" / name).write_text("-- name: same\nselect 1;\n")
    with pytest.raises(ValueError, match=r"b\.sql gives same again"):
        sql.verbs("sqlite")


def test_psycopg_gets_its_own_placeholders_and_every_other_sign_as_it_is() -> None:
    text = "select 5 % 2, x::text like '%a' from t where y = :y and z = any(:zs::bigint[])"
    assert sql.with_pyformat(text) == (
        "select 5 %% 2, x::text like '%%a' from t where y = %(y)s and z = any(%(zs)s::bigint[])"
    )


def test_every_name_line_of_the_real_file_is_understood() -> None:
    # A name that the pattern does not take would be swallowed by the query before it.
    text = files("heliograph.store").joinpath("sqlite/store.sql").read_text(encoding="utf-8")
    lines = [
        line for line in text.splitlines() if line.lower().replace(" ", "").startswith("--name")
    ]
    queries = named_queries("sqlite/store.sql")
    assert len(lines) == len(queries) > 30
    assert all(query.strip() for query in queries.values())


def test_every_file_among_the_real_migrations_is_one() -> None:
    folder = files("heliograph.store").joinpath("sqlite", "migrations")
    names = sorted(file.name for file in folder.iterdir() if not file.name.startswith("__"))
    assert [step.name for step in migrations("sqlite")] == names


def test_the_real_migrations_run_and_their_checksums_are_of_their_text() -> None:
    database = apsw.Connection(":memory:")
    for step in migrations("sqlite"):
        database.execute(step.sql)
        assert step.checksum == hashlib.sha256(step.sql.encode()).hexdigest()
    assert database.execute("select count(*) from v_audit_orphans").get == 0
    database.close()


@pytest.mark.parametrize(
    "names", [["0002_a"], ["0001_a", "0003_b"], ["0001_a", "0001_b"], ["0000_a", "0001_b"]]
)
def test_r16_a_gap_or_a_twin_among_the_numbers_is_refused(package: Path, names: list[str]) -> None:
    for name in names:
        (package / "sqlite" / "migrations" / f"{name}.sql").write_text("select 1")
    with pytest.raises(ValueError, match="without a gap"):
        migrations("sqlite")


def test_migrations_come_in_the_order_of_their_numbers(package: Path) -> None:
    for name in ("0002_b", "0010_j", *(f"000{n}_x" for n in (9, 8, 7, 6, 5, 4, 3)), "0001_z"):
        (package / "sqlite" / "migrations" / f"{name}.sql").write_text(name)
    (package / "sqlite" / "migrations" / "README.md").write_text("not a step")
    assert [step.number for step in migrations("sqlite")] == list(range(1, 11))


def test_r16_what_is_pending_is_what_was_not_applied() -> None:
    assert pending([ONE, TWO], []) == [ONE, TWO]
    assert pending([ONE, TWO], applied(ONE)) == [TWO]
    assert pending([ONE, TWO], applied(ONE, TWO)) == []


def test_r16_a_database_of_a_newer_version_is_refused_with_the_cure() -> None:
    with pytest.raises(UnsafeStorage, match=r"newer Heliograph \(migration 0003_step\.sql\)"):
        pending([ONE, TWO], applied(ONE, TWO, THREE))


def test_r16_a_step_that_was_changed_after_use_is_refused_by_name() -> None:
    with pytest.raises(UnsafeStorage, match=r"0001_step\.sql was changed"):
        pending([ONE, TWO], [(1, "0001_step.sql", "another sum")])
