"""A store that was closed: it says so, and holds up nobody."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from heliograph.errors import StorageUnavailable
from heliograph.store import Store
from tests.busy import hang
from tests.conftest import OpenStore
from tests.support import ACCOUNT, accept, new_event, wanted_configuration

CALLS: dict[str, Callable[[Store], Awaitable[object]]] = {
    "read": lambda store: store.configurations(ACCOUNT),
    "write": lambda store: store.create_configuration(wanted_configuration()),
    "accept": lambda store: accept(store, new_event()),
    "claim": lambda store: store.claim(1, 1),
    "renew": lambda store: store.renew_lease(),
}


@pytest.mark.parametrize("name", CALLS)
async def test_who_asks_a_closed_store_is_told(
    store: Store, open_store: OpenStore, name: str
) -> None:
    await store.close()
    async with hang(20):
        with pytest.raises(StorageUnavailable):
            await CALLS[name](store)
    await open_store()


async def test_a_store_that_is_closed_twice_closes_nothing_of_anybody_elses(
    store: Store, open_store: OpenStore, tmp_path: Path
) -> None:
    await store.close()
    # What is opened next has the numbers of what was closed.
    opened = [os.open(tmp_path, os.O_RDONLY) for _ in range(20)]
    async with hang(20):
        await store.close()
    for descriptor in opened:
        os.close(descriptor)
    await open_store()
