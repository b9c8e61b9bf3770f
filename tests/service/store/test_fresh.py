"""A new database for a while: it is gone whatever happens."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import psycopg
import pytest

from heliograph.errors import StorageUnavailable
from heliograph.store.postgres.fresh import fresh_database
from tests.postgres_server import PostgresServer, postgres_server


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that admits nobody to any database but the one that is there."""
    with postgres_server() as server:
        server.stop()
        (server.data / "pg_hba.conf").write_text("local postgres all trust\n")
        server.start()
        yield server


def left(server: PostgresServer) -> list[str]:
    with psycopg.connect(server.url) as connection:
        names = connection.execute("select datname from pg_database").fetchall()
    return [name for (name,) in names if name.startswith("heliograph_bench")]


def test_a_database_that_nobody_may_connect_to_is_dropped(server: PostgresServer) -> None:
    with (
        pytest.raises(StorageUnavailable, match="pg_hba"),
        fresh_database(server.url, lambda process: process),
    ):
        pass
    assert left(server) == []


def test_the_process_of_a_connection_is_looked_at_while_it_serves_it(
    postgres: PostgresServer,
) -> None:
    with fresh_database(postgres.url, lambda process: psutil.Process(process).ppid()) as fresh:
        assert fresh.process == postgres.postmaster()
        assert len(left(postgres)) == 1
    assert left(postgres) == []
