"""What selects failures by their cause, and lists incidents, has an index on both engines."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import apsw
import psycopg
import pytest

from heliograph.model.causes import Cause
from heliograph.model.logs import LogQuery
from heliograph.store.postgres.engine import VERBS as POSTGRES
from heliograph.store.sqlite.engine import VERBS as SQLITE
from heliograph.store.verbs import Step, log_rows
from tests.service.store.test_sqlite import open_sqlite
from tests.support import ACCOUNT, ManualClock

CAUSE = Cause("tls", "certificate expired")

STEPS = {
    "failure_by_incident": log_rows.listing(
        "failures", ACCOUNT, LogQuery(connect_id=3, cause=CAUSE), 100, None
    ),
    "failure_by_cause": log_rows.listing("failures", ACCOUNT, LogQuery(cause=CAUSE), 100, None),
    "failure_by_phase": log_rows.listing("failures", ACCOUNT, LogQuery(phase="tls"), 100, None),
    "incident_open": Step("incidents", {"account_id": ACCOUNT, "limit": 100}, ["incidents_open"]),
    "incident_listed": Step("incidents", {"account_id": ACCOUNT, "limit": 100}),
    "failure_unnamed": Step("failures_unnamed", {"most": 200}),
}
"""By the index that each is to use."""

FAILURES = """
insert into delivery (
    created_us, event_row, account_id, connect_id, envelope_id, state, seed, schedule_started_us,
    failed_us, error, phase, what
)
select
    n, n, %s, n %% 7, 'env', 'failed', 0, 0, 1, 'x',
    (array['tls', 'dns', 'status', 'connect', 'write'])[1 + n %% 5],
    case when n %% 5 = 0 and n %% 40 = 0 then 'certificate expired' else 'timed out ' || n %% 40 end
from generate_series(1, 20000) as n
"""


@pytest.mark.parametrize("index", STEPS)
async def test_sqlite_looks_it_up(tmp_path: Path, clock: ManualClock, index: str) -> None:
    await (await open_sqlite(tmp_path, clock)).close()
    step = STEPS[index]
    with contextlib.closing(apsw.Connection(str(tmp_path / "heliograph.db"))) as database:
        text = f"explain query plan {step.text(SQLITE)}"
        plan = [row[3] for row in database.execute(text, dict(step.values))]
    assert any(index in line for line in plan), plan
    assert not any(line == "SCAN d" or "TEMP B-TREE" in line for line in plan), plan


def explained(connection: psycopg.Connection, text: str, values: Mapping[str, object]) -> str:
    return "\n".join(row[0] for row in connection.execute(f"explain {text}", values))


def test_postgres_looks_it_up(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(FAILURES, (ACCOUNT,))
        connection.execute("analyze delivery")
        connection.execute("analyze incident")
        # There are no events beside them, by which the planner would count on few rows.
        for other in ("seqscan", "bitmapscan", "hashjoin", "mergejoin", "sort"):
            connection.execute(f"set enable_{other} = off")
        for index, step in STEPS.items():
            plan = explained(connection, step.text(POSTGRES), step.values)
            assert index in plan, plan
