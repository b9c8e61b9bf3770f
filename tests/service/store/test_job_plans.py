"""What a step of a republish job reads on SQLite is as much as it changes, whatever there is."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from heliograph.model.logs import Cursor, LogQuery, Order
from heliograph.store.keyring import KeyRing
from heliograph.store.sqlite.engine import VERBS
from heliograph.store.sqlite.store import SqliteStore
from heliograph.store.verbs import log_rows
from tests.support import ManualClock


@pytest.fixture
async def database(tmp_path: Path, clock: ManualClock) -> apsw.Connection:
    path = tmp_path / "heliograph.db"
    await (await SqliteStore.open(path, KeyRing.load(tmp_path / "key"), clock)).close()
    return apsw.Connection(str(path))


def plan(database: apsw.Connection, text: str) -> str:
    values = {name: "[1]" if name == "ids" else 1 for name in re.findall(r":(\w+)", text)}
    return "\n".join(row[3] for row in database.execute(f"explain query plan {text}", values))


async def test_deliveries_that_a_step_asks_for_are_found_by_their_ids(
    database: apsw.Connection,
) -> None:
    for name in ("job_asks_ended", "job_asks_waiting", "job_left"):
        first, *_ = plan(database, VERBS[name]).splitlines()
        assert first == "SEARCH delivery USING INTEGER PRIMARY KEY (rowid=?)", name


async def test_what_has_no_outcome_yet_is_found_by_an_index_of_it_alone(
    database: apsw.Connection,
) -> None:
    for name in ("job", "jobs", "jobs_running"):
        shown = plan(database, VERBS[name])
        assert shown.count("SEARCH d USING COVERING INDEX delivery_of_job") == 2, name
        assert "SCAN d" not in shown
    assert "INDEX republish_job_listed (account_id=? AND created_us<?)" in plan(
        database, VERBS["jobs"]
    )
    assert "INDEX republish_job_running" in plan(database, VERBS["jobs_running"])
    assert "INDEX republish_job_ended" in plan(database, VERBS["jobs_retire"])


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (LogQuery(), "failure_listed (account_id=? AND created_us>?)"),
        (
            LogQuery(connect_id=1),
            "failure_by_configuration (account_id=? AND connect_id=? AND created_us>?)",
        ),
        (
            LogQuery(envelope_id="e"),
            "failure_by_envelope (account_id=? AND envelope_id=? AND created_us>?)",
        ),
    ],
)
async def test_the_next_failures_of_a_job_are_read_from_its_cursor_on(
    database: apsw.Connection, query: LogQuery, index: str
) -> None:
    oldest_first = replace(query, order=Order.OLDEST_FIRST)
    step = log_rows.listing("job_failures", "a", oldest_first, 10, Cursor(0, 0))
    shown = plan(database, step.text(VERBS))
    assert f"SEARCH d USING INDEX {index}" in shown
    assert "TEMP B-TREE" not in shown
