"""Fixtures: every engine of the store, on real files."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings as hypothesis_settings
from psycopg.conninfo import conninfo_to_dict

from heliograph.model.accounts import Account
from heliograph.store import Store
from heliograph.store.keyring import KeyRing
from heliograph.store.postgres.store import PostgresStore
from heliograph.store.sqlite.store import SqliteStore
from tests.busy import hang_times
from tests.listener import LoopbackListener, listening
from tests.postgres_server import PostgresServer, postgres_server
from tests.server import Client, serving
from tests.support import ACCOUNT, OTHER_ACCOUNT, ManualClock

# Whoever starts the tests in the background lets them ignore Ctrl-C, and so all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Examples are the same each time unless their number is given: what is green stays green, and
# new ones are looked for on purpose. A time limit on one says more about the machine than the code.
SEARCHES = "HELIOGRAPH_EXAMPLES" in os.environ
EXAMPLES = int(os.environ.get("HELIOGRAPH_EXAMPLES", "100"))
hypothesis_settings.register_profile(
    "heliograph", deadline=None, max_examples=EXAMPLES, derandomize=not SEARCHES
)
hypothesis_settings.load_profile("heliograph")

YEARS = 1e8
"""Seconds of a lease that does not run out when a test moves its clock."""

OpenStore = Callable[[], Awaitable[Store]]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Lengthen the limits that end a test that hangs, where `tests.busy` slows all of them."""
    times = hang_times()
    if times == 1:
        return
    usual = float(config.getini("timeout"))
    for item in items:
        mark = item.get_closest_marker("timeout")
        limit = usual if mark is None else mark.args[0]
        item.add_marker(pytest.mark.timeout(limit * times), append=False)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """One PostgreSQL for all tests of a worker; each takes a database of its own."""
    with postgres_server() as server:
        with ThreadPoolExecutor(1) as thread:  # the test's own event loop runs already
            making = _make_template(server, tmp_path_factory.mktemp("template"))
            thread.submit(asyncio.run, making).result()
        yield server


async def _make_template(server: PostgresServer, folder: Path) -> None:
    """A migrated database that belongs to nobody yet; a copy of it is made in 30 ms."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("create database migrated")
    url = server.database_url("migrated")
    keyring = KeyRing.load(folder / "master.key")
    store = await PostgresStore.open(
        *(url, keyring, ManualClock()), instance="template", lease=YEARS, accept_data_loss=True
    )
    await store.close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("delete from installation")
        connection.execute("delete from node")


def new_database(server: PostgresServer, template: str = "migrated") -> str:
    """The URL of a database of the test's own."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"create database {name} template {template}")
    return server.database_url(name)


@contextmanager
def _database(server: PostgresServer, template: str) -> Iterator[str]:
    """One that goes with the test: thousands of them took half a minute to delete at the end, all
    within the last test's limit of time."""
    url = new_database(server, template)
    yield url
    name = conninfo_to_dict(url)["dbname"]
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"drop database if exists {name} with (force)")


@pytest.fixture
def database_url(postgres: PostgresServer) -> Iterator[str]:
    """A migrated database that nobody has used."""
    with _database(postgres, "migrated") as url:
        yield url


@pytest.fixture
def empty_database_url(postgres: PostgresServer) -> Iterator[str]:
    """A database without any table."""
    with _database(postgres, "template0") as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn: the contract is one (design: one port, one suite)."""
    name: str = request.param
    return name


@pytest.fixture
async def open_store(
    engine: str, tmp_path: Path, clock: ManualClock, request: pytest.FixtureRequest
) -> AsyncIterator[OpenStore]:
    """Opens the test's database; after a close it opens the same one again.

    What is open at the end is closed, and no delivery in it may be orphaned (R4).
    """
    opened: list[Store] = []
    url = request.getfixturevalue("database_url") if engine == "postgres" else ""

    async def open_it() -> Store:
        keyring = KeyRing.load(tmp_path / "master.key")
        store: Store
        if engine == "sqlite":
            store = await SqliteStore.open(tmp_path / "heliograph.db", keyring, clock)
        else:
            store = await PostgresStore.open(
                *(url, keyring, clock), instance="test", lease=YEARS, accept_data_loss=True
            )
        opened.append(store)
        return store

    yield open_it
    if opened:
        assert list(await opened[-1].orphans()) == []
        await opened[-1].close()


@pytest.fixture
async def store(open_store: OpenStore) -> Store:
    """An open store with two accounts."""
    opened = await open_store()
    await opened.create_account(Account(ACCOUNT, 1, "First"))
    await opened.create_account(Account(OTHER_ACCOUNT, 2, "Other"))
    return opened


@pytest.fixture
async def listener() -> AsyncIterator[LoopbackListener]:
    """A listener on loopback."""
    async with listening() as opened:
        yield opened


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Client]:
    """A server that admits loopback listeners, and a client of it."""
    async with serving(tmp_path) as client:
        yield client
