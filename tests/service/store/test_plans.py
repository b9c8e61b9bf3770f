"""Each filter of a listing costs by the page that it gives: its index has the order too."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import apsw
import psycopg
import pytest

from heliograph.model.deliveries import DeliveryState
from heliograph.model.logs import Cursor, Order
from heliograph.model.published import DeliveryQuery, EventQuery
from heliograph.store.postgres.engine import VERBS as POSTGRES
from heliograph.store.sql import migrations, with_pyformat
from heliograph.store.sqlite.engine import VERBS as SQLITE
from heliograph.store.times import to_microseconds
from heliograph.store.verbs import Step
from heliograph.store.verbs.published import beginning, last_posts, listing, waiting
from tests.conftest import new_database
from tests.postgres_server import PostgresServer
from tests.support import ACCOUNT, START

EVENTS: Final = 8_000
"""So many that to read them all costs more than to look some up."""

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
    ) select n, :account, '', '', true, false, '', 0, 0 from generate_series(1, 20) as n
    """,
    """
    insert into event (
        event_row, account_id, event_id, name, envelope_id, subject, sender_email, status,
        deliveries, generated_us, created_us, document
    )
    select
        n, :account, 'event-' || n,
        case when n % 4 = 0 then 'envelope-sent' else 'envelope-voided' end, 'env-' || (n % 2000),
        'Lease ' || (n % 800), 'ada' || (n % 40) || '@example.com', 'Sent', 1, :first + n,
        :first + n, ''
    from generate_series(1, :events) as n
    """,
    """
    insert into event_key (account_id, event_id, event_row, digest, deliveries, created_us)
    select account_id, event_id, event_row, '', 1, created_us from event
    """,
    """
    insert into delivery (
        delivery_id, account_id, event_row, connect_id, envelope_id, created_us, seed,
        schedule_started_us, state, due_us, held_reason, failed_us, epoch, attempt_id, claimed_us
    )
    select
        n, :account, n, n % 20 + 1, '', :first + n, 1, 1,
        case n % 40
            when 1 then 'waiting' when 2 then 'held' when 3 then 'failed' else 'in_flight'
        end,
        case when n % 40 = 1 then 1 end, case when n % 40 = 2 then 'paused' end,
        case when n % 40 = 3 then 1 end, case when n % 40 = 4 then 1 end, n, 1
    from generate_series(1, :events) as n where n % 40 in (1, 2, 3, 4)
    """,
    """
    insert into delivery_ended (
        delivery_id, created_us, event_row, account_id, connect_id, envelope_id, state,
        cancelled_by, attempts, attempt_id, ended_us
    )
    select
        n, :first + n, n, :account, n % 20 + 1, '',
        case n % 40 when 5 then 'cancelled' else 'delivered' end,
        case when n % 40 = 5 then 'ada' end, 1, n, :first + n
    from generate_series(1, :events) as n where n % 40 not in (1, 2, 3, 4)
    """,
    "analyze",
)
"""40 senders, 800 subjects, 2,000 envelopes, 20 configurations, and of each state but delivered one
delivery in 40."""

FILTERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "none": {},
    "name": {"name": "envelope-sent"},
    "envelope": {"envelope_id": "env-7"},
    "sender": {"sender": "ada7@example.com"},
    "subject": {"subject": "Lease 7"},
}
OF_DELIVERIES: Final[Mapping[str, Mapping[str, Any]]] = {
    **FILTERS,
    "event": {"event_id": "event-7"},
    "configuration": {"connect_id": 7},
    **{state.value: {"state": state} for state in DeliveryState},
}
INDEXES: Final = {
    "none": "SEARCH e USING INDEX event_listed (account_id=?",
    "name": "SEARCH e USING INDEX event_by_name (account_id=? AND <expr>=?",
    "envelope": "SEARCH e USING INDEX event_by_envelope (account_id=? AND envelope_id=?",
    "sender": "SEARCH e USING INDEX event_by_sender (account_id=? AND <expr>=?",
    "subject": "SEARCH e USING INDEX event_by_subject (account_id=? AND <expr>=?",
    "event": "SEARCH e USING INDEX sqlite_autoindex_event_1 (account_id=? AND event_id=?",
    "configuration": "SEARCH d USING INDEX delivery_by_configuration (connect_id=?",
    "in_flight": "SCAN d USING INDEX delivery_in_flight",
}
BY_STATE: Final = "SEARCH d USING INDEX delivery_by_state (account_id=? AND state=?"


def steps_of(kind: str, given: Mapping[str, Any]) -> Iterator[Step]:
    """A listing's first page, and one in the middle, newest and oldest first."""
    for order in Order:
        for after in (None, Cursor(to_microseconds(START) + EVENTS // 2, EVENTS // 2)):
            if kind == "events":
                query = EventQuery(order=order, **given)
                yield listing("events_listed", "events", ACCOUNT, query, PAGE, after)
            else:
                asked = DeliveryQuery(order=order, **given)
                yield listing(*beginning(asked), ACCOUNT, asked, PAGE, after)


CASES: Final = [
    *(("events", name, given) for name, given in FILTERS.items()),
    *(("deliveries", name, given) for name, given in OF_DELIVERIES.items()),
]


@pytest.mark.parametrize(("kind", "name", "given"), CASES)
def test_a_filter_has_an_index_with_its_order_on_sqlite(
    kind: str, name: str, given: Mapping[str, Any]
) -> None:
    with contextlib.closing(apsw.Connection(":memory:")) as database:
        for migration in migrations("sqlite"):
            database.execute(migration.sql)
        for step in steps_of(kind, given):
            text = f"explain query plan {step.text(SQLITE)}"
            plan = [str(row[3]) for row in database.execute(text, dict(step.values))]
            assert plan[0].startswith(INDEXES.get(name, BY_STATE)), plan
            assert not any("SCAN" in line for line in plan[1:]), plan
            # What is in flight is little. Of one transaction the deliveries are put in order.
            allowed = name == "in_flight" or "USE TEMP B-TREE FOR ORDER BY" not in plan
            assert allowed, plan
            if step.values.get("after_us") and name not in ("in_flight", "event"):
                assert "created_us" in plan[0], plan


def test_what_waits_and_the_last_posts_are_found_by_their_indexes_on_sqlite() -> None:
    with contextlib.closing(apsw.Connection(":memory:")) as database:
        for migration in migrations("sqlite"):
            database.execute(migration.sql)

        def plan(step: Step) -> list[str]:
            rows = database.execute(f"explain query plan {step.text(SQLITE)}", dict(step.values))
            looks = [str(row[3]) for row in rows]
            return [look for look in looks if look.startswith(("SEARCH d", "SEARCH a", "SCAN d"))]

        assert plan(waiting(ACCOUNT, None, 10)) == [
            f"{BY_STATE.replace('SEARCH d USING', 'SEARCH d USING COVERING')})",
            f"{BY_STATE.replace('SEARCH d USING', 'SEARCH d USING COVERING')})",
            "SCAN d USING INDEX delivery_in_flight",
        ]
        assert plan(waiting(ACCOUNT, 7, 10)) == [
            f"SEARCH d USING INDEX delivery_{name} (connect_id=?)"
            for name in ("due", "held", "in_flight")
        ]
        for connect_id, index in ((None, "listed"), (7, "by_configuration")):
            (look,) = plan(last_posts(ACCOUNT, connect_id, START, 10))
            assert look.startswith(f"SEARCH a USING INDEX log_{index} (account_id=?")
            assert look.endswith("started_us>?)")


@pytest.fixture(scope="module")
def filled(postgres: PostgresServer) -> Iterator[psycopg.Connection]:
    """A database of PostgreSQL with all these, in days as they are kept."""
    with psycopg.connect(new_database(postgres), autocommit=True) as connection:
        for text in _FILL:
            values = {"account": ACCOUNT, "first": to_microseconds(START), "events": EVENTS}
            connection.execute(with_pyformat(text), values)
        yield connection


def read_by(node: Mapping[str, Any]) -> int:
    """Rows that the scans of a plan have read; of the few configurations there are, all may be."""
    own = 0
    if node.get("Relation Name", "connect_configuration") != "connect_configuration":
        looked_at = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        own = round(looked_at * node["Actual Loops"])
    return own + sum(map(read_by, node.get("Plans", ())))


@pytest.mark.parametrize(("kind", "name", "given"), CASES)
def test_a_filter_reads_little_more_than_a_page_on_postgresql(
    filled: psycopg.Connection, kind: str, name: str, given: Mapping[str, Any]
) -> None:
    for step in steps_of(kind, given):
        text = f"explain (analyze, format json) {step.text(POSTGRES)}"
        (found,) = filled.execute(text, dict(step.values)).fetchone() or ()
        read = read_by(found[0]["Plan"])
        # What is in flight is little, and put in order.
        most = MOST_READ + EVENTS // 8 if name == "in_flight" else MOST_READ
        assert read <= most, (read, found)


def test_what_waits_for_a_listener_is_counted_by_its_indexes_on_postgresql(
    filled: psycopg.Connection,
) -> None:
    step = waiting(ACCOUNT, 7, EVENTS)
    text = f"explain (analyze, format json) {step.text(POSTGRES)}"
    (found,) = filled.execute(text, dict(step.values)).fetchone() or ()
    assert read_by(found[0]["Plan"]) <= PAGE, found
