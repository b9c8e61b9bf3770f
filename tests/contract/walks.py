"""Random walks: any history of calls on a store, each on a database of its own."""

from __future__ import annotations

import asyncio
import functools
import itertools
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from heliograph.store import Store
from heliograph.store.keyring import KeyRing
from heliograph.store.postgres.store import PostgresStore
from heliograph.store.sqlite.store import SqliteStore
from tests.conftest import EXAMPLES, YEARS, new_database
from tests.postgres_server import PostgresServer
from tests.support import ManualClock

T = TypeVar("T")

Open = Callable[[ManualClock], Coroutine[Any, Any, Store]]

ENGINES = ("sqlite", "postgres")
SHARE = {"sqlite": 3, "postgres": 10}
"""Of the examples that are wanted an engine makes one in so many: each is forty steps on a
database of its own, which on PostgreSQL takes seconds."""

walk_limit = pytest.mark.timeout(240 * max(1, EXAMPLES // 100))
"""When a test that walks hangs."""


class Walk(RuleBasedStateMachine):
    """A store, and the calls that a subclass's rules make; `make` is a database for one walk."""

    make: Callable[[], Open]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.open = type(self).make()
        self.clock = ManualClock()
        self.store = self.run(self.open(self.clock))
        self.numbers = itertools.count(1)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run(work)

    def teardown(self) -> None:
        assert list(self.run(self.store.orphans())) == []
        self.run(self.store.close())
        self.loop.close()


def sqlite_opener(within: Path) -> Open:
    folder = Path(tempfile.mkdtemp(dir=within))

    async def open_it(clock: ManualClock) -> Store:
        keyring = KeyRing.load(folder / "master.key")
        return await SqliteStore.open(folder / "heliograph.db", keyring, clock)

    return open_it


def postgres_opener(within: Path, server: PostgresServer) -> Open:
    folder = Path(tempfile.mkdtemp(dir=within))
    url = new_database(server)

    async def open_it(clock: ManualClock) -> Store:
        keyring = KeyRing.load(folder / "master.key")
        return await PostgresStore.open(
            *(url, keyring, clock),
            instance="test",
            lease=YEARS,
            accept_data_loss=True,
        )

    return open_it


def run_walks(
    walk: type[Walk], engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Walk on an engine, as often as examples are wanted; what fails is made as short as can be."""
    if engine == "sqlite":
        opener = functools.partial(sqlite_opener, tmp_path)
    else:
        opener = functools.partial(postgres_opener, tmp_path, request.getfixturevalue("postgres"))

    run_state_machine_as_test(
        type("Machine", (walk,), {"make": staticmethod(opener)}),
        settings=settings(
            max_examples=max(1, EXAMPLES // SHARE[engine]),
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
