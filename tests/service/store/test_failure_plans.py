"""A page of failures, of the log, or of what was delivered costs by what it gives."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any, Final

import apsw
import psycopg
import pytest

from heliograph.model.logs import Cursor, LogQuery, Order
from heliograph.store.postgres.queries import QUERIES as POSTGRES
from heliograph.store.sql import migrations, with_pyformat
from heliograph.store.sqlite.queries import QUERIES as SQLITE
from heliograph.store.times import from_microseconds, to_microseconds
from heliograph.store.verbs import Rows, Step, log_rows, resending
from tests.conftest import new_database
from tests.postgres_server import PostgresServer
from tests.service.store.test_plans import read_by
from tests.support import ACCOUNT, START

FAILURES: Final = 16_000
WANTING: Final = 40
"""Failures of one event, each listener's."""

PAGE: Final = 20
MOST_READ: Final = 12 * PAGE
"""Rows that a listing may read: some of each table for each row of the page."""

_FILL: Final = (
    """
    insert into account (account_id, external_id, name, created_us) values (:account, 1, '', 0)
    """,
    """
    insert into connect_configuration (
        connect_id, account_id, name, url, publishing, paused, document, created_us, changed_us
    ) select n, :account, '', '', true, false, '', 0, 0 from generate_series(1, :wanting) as n
    """,
    """
    insert into event (
        event_row, account_id, event_id, name, envelope_id, status, deliveries, generated_us,
        created_us, document
    )
    select
        n, :account, 'event-' || n, 'envelope-sent', 'env-' || n,
        case n % 100 when 1 then 'Voided' else 'Sent' end, :wanting, :first + n, :first + n, ''
    from generate_series(1, :failures / :wanting) as n
    """,
    """
    insert into delivery (
        delivery_id, account_id, event_row, connect_id, envelope_id, created_us, seed,
        schedule_started_us, state, failed_us, attempts, error
    )
    select
        (e.event_row - 1) * :wanting + n, :account, e.event_row, n, e.envelope_id, e.created_us, 1,
        1, 'failed', 1, 3,
        case
            when n = 7 and e.event_row = 7 then 'tls: the listener''s certificate has expired'
            when n = 8 then 'connect: 10.0.0.1 refused the connection'
            else 'status: 500 Internal Server Error'
        end
    from event as e cross join generate_series(1, :wanting) as n
    """,
    """
    insert into attempt (
        attempt_id, started_us, delivery_id, event_row, created_us, account_id, connect_id,
        envelope_id, number, epoch, url, outcome, logged, error, phase
    )
    select
        delivery_id, created_us + 1, delivery_id, event_row, created_us, account_id, connect_id,
        envelope_id, 1, 1, '', 'failed', true, error, ''
    from delivery
    """,
    """
    insert into delivery_ended (
        delivery_id, created_us, event_row, account_id, connect_id, envelope_id, state, attempts,
        attempt_id, ended_us
    )
    select
        delivery_id + :failures, created_us, event_row, account_id, connect_id, envelope_id,
        'delivered', 1, delivery_id, created_us
    from delivery
    """,
    "analyze",
)

FILTERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "none": {},
    "configuration": {"connect_id": 7},
    "envelope": {"envelope_id": "env-7"},
    "dates": {
        "from_date": from_microseconds(to_microseconds(START) + 100),
        "to_date": from_microseconds(to_microseconds(START) + 300),
    },
    "status of most": {"status": "Sent"},
    "error of most": {"error": "internal"},
}
INDEXES: Final = {
    "configuration": "by_configuration (account_id=? AND connect_id=?",
    "envelope": "by_envelope (account_id=? AND envelope_id=?",
}
QUERIES: Final = ("failures", "job_failures", "requeue_page", "logs")


def steps_of(name: str, given: Mapping[str, Any]) -> Iterator[Step]:
    """The first page, and one in the middle, newest and oldest first."""
    for order in Order:
        for after in (None, Cursor(to_microseconds(START) + 200, FAILURES // 2)):
            step = log_rows.listing(name, ACCOUNT, LogQuery(order=order, **given), PAGE, after)
            yield Step(step.query, {**step.values, "frozen": 9}, step.filters, step.order)


@pytest.mark.parametrize("filtered", FILTERS)
@pytest.mark.parametrize("name", QUERIES)
def test_a_page_is_read_along_an_index_that_has_its_order_on_sqlite(
    name: str, filtered: str
) -> None:
    with contextlib.closing(apsw.Connection(":memory:")) as database:
        for migration in migrations("sqlite"):
            database.execute(migration.sql)
        for step in steps_of(name, FILTERS[filtered]):
            text = f"explain query plan {step.text(SQLITE)}"
            plan = [str(row[3]) for row in database.execute(text, dict(step.values))]
            log = "log" if name == "logs" else "failure"
            index = INDEXES.get(filtered, "listed (account_id=?")
            assert any(f"USING INDEX {log}_{index}" in line for line in plan), plan
            assert not any("SCAN" in line or "TEMP B-TREE" in line for line in plan), plan


OF_ERRORS: Final[Mapping[str, Mapping[str, Any]]] = {
    "most": {"error": "INTERNAL"},
    "1 in 40": {"error": "refused"},
    "one": {"error": "expired"},
    "some": {"error": "e"},
    "one, since": {"error": "expired", "from_date": START},
    "most, of a status": {"error": "internal", "status": "Sent"},
}
"""Parts of the errors that there are, and other filters."""

TEXTS: Final = (
    "connect: 10.0.0.1 refused the connection",
    "status: 500 Internal Server Error",
    "tls: the listener's certificate has expired",
)


def found_by(step: Step) -> tuple[Step, Step]:
    """What is asked first, and then where these are the different errors."""
    verb = log_rows.found(step)
    first = next(verb)
    part = step.values["error"].lower()
    matching = [(n, text) for n, text in enumerate(TEXTS, 1) if part in text.lower()]
    rows = [SimpleNamespace(text=text, place=n) for n, text in matching]
    return first, verb.send(Rows(rows, 0))


@pytest.mark.parametrize("given", OF_ERRORS.values(), ids=OF_ERRORS)
@pytest.mark.parametrize("name", QUERIES[:-1])
def test_failures_of_an_error_are_found_by_it_on_sqlite(
    name: str, given: Mapping[str, Any]
) -> None:
    with contextlib.closing(apsw.Connection(":memory:")) as database:
        for migration in migrations("sqlite"):
            database.execute(migration.sql)
        for step in steps_of(name, given):
            for one in found_by(step):
                values = {n: json.dumps(v) if n == "texts" else v for n, v in one.values.items()}
                text = f"explain query plan {one.text(SQLITE)}"
                plan = "\n".join(str(row[3]) for row in database.execute(text, values))
                assert "failure_by_error (account_id=? AND <expr>" in plan, plan
                assert not re.search(r"_listed \(account_id=\?( AND created_us[<>]\?)?\)", plan), (
                    plan
                )


@pytest.mark.parametrize("name", ["requeue_chosen", "failures_in_flight"])
def test_failures_that_are_asked_for_are_found_by_their_ids_on_sqlite(name: str) -> None:
    with contextlib.closing(apsw.Connection(":memory:")) as database:
        for migration in migrations("sqlite"):
            database.execute(migration.sql)
        values = {"account_id": ACCOUNT, "ids": "[1, 2]"}
        plan = database.execute(f"explain query plan {SQLITE[name]}", values)
        assert "USING INTEGER PRIMARY KEY (rowid=?)" in str(next(plan)[3])


@pytest.fixture(scope="module")
def filled(postgres: PostgresServer) -> Iterator[psycopg.Connection]:
    """A database of PostgreSQL with these failures."""
    with psycopg.connect(new_database(postgres), autocommit=True) as connection:
        for text in _FILL:
            values = {
                "account": ACCOUNT,
                "first": to_microseconds(START),
                "failures": FAILURES,
                "wanting": WANTING,
            }
            connection.execute(with_pyformat(text), values)
        yield connection


@pytest.mark.parametrize("filtered", FILTERS)
@pytest.mark.parametrize("name", QUERIES)
def test_a_page_reads_little_more_than_its_rows_on_postgresql(
    filled: psycopg.Connection, name: str, filtered: str
) -> None:
    for step in steps_of(name, FILTERS[filtered]):
        text = f"explain (analyze, format json) {step.text(POSTGRES)}"
        (found,) = filled.execute(text, dict(step.values)).fetchone() or ()
        read = read_by(found[0]["Plan"])
        assert read <= MOST_READ, (read, found)


@pytest.mark.parametrize("given", OF_ERRORS.values(), ids=OF_ERRORS)
@pytest.mark.parametrize("name", QUERIES[:-1])
def test_failures_of_an_error_are_found_by_it_on_postgresql(
    filled: psycopg.Connection, name: str, given: Mapping[str, Any]
) -> None:
    for step in steps_of(name, given):
        for one in found_by(step):
            text = f"explain (analyze, format json) {one.text(POSTGRES)}"
            (found,) = filled.execute(text, dict(one.values)).fetchone() or ()
            read = read_by(found[0]["Plan"])
            # Of each error a page, with its times and its rows.
            assert read <= len(TEXTS) * MOST_READ, (read, found)


@pytest.mark.parametrize("filtered", ["none", "envelope", "status of most"])
def test_what_is_to_be_sent_again_reads_little_more_than_its_rows_on_postgresql(
    filled: psycopg.Connection, filtered: str
) -> None:
    for after in (None, Cursor(0, FAILURES + FAILURES // 2)):
        step = resending.page(ACCOUNT, LogQuery(**FILTERS[filtered]), PAGE, after)
        text = f"explain (analyze, format json) {step.text(POSTGRES)}"
        (found,) = filled.execute(text, dict(step.values)).fetchone() or ()
        read = read_by(found[0]["Plan"])
        assert read <= MOST_READ, (read, found)
