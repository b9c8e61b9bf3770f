"""Fixtures: every engine of the store, on real files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

from heliograph.keyring import KeyRing
from heliograph.model import Account
from heliograph.store import Store
from heliograph.store.sqlite import SqliteStore
from tests.listener import LoopbackListener, listening
from tests.server import Client, serving
from tests.support import ACCOUNT, OTHER_ACCOUNT, ManualClock

# A time limit on one example says more about the machine than about the code.
hypothesis_settings.register_profile("heliograph", deadline=None)
hypothesis_settings.load_profile("heliograph")

OpenStore = Callable[[], Awaitable[Store]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["sqlite"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn: the contract is one (design: one port, one suite)."""
    name: str = request.param
    return name


@pytest.fixture
async def open_store(engine: str, tmp_path: Path, clock: ManualClock) -> AsyncIterator[OpenStore]:
    """Opens the test's database; after a close it opens the same one again.

    What is open at the end is closed, and no delivery in it may be orphaned (R4).
    """
    assert engine == "sqlite"
    opened: list[Store] = []

    async def open_it() -> Store:
        keyring = KeyRing.load(tmp_path / "master.key")
        opened.append(await SqliteStore.open(tmp_path / "heliograph.db", keyring, clock))
        return opened[-1]

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
