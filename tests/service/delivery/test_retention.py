"""What ended long ago is deleted, now and then and on demand.

The store is real; where a test needs an answer that a healthy one does not give, it gives that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import astuple
from datetime import datetime, timedelta
from typing import Any

import pytest

from heliograph.delivery.retention import retain, retain_audit, retire
from heliograph.errors import StorageUnavailable
from heliograph.model.audit import AuditQuery
from heliograph.model.deliveries import FEWEST_DAYS
from heliograph.store import Retired, Store
from tests.busy import hang
from tests.service.delivery.test_lease import rest
from tests.support import ACCOUNT, START, ManualClock

HOUR = 3600.0


@pytest.fixture
def engine() -> str:
    """One is enough: that the other keeps the store's contract is told there."""
    return "sqlite"


async def test_r14_retention_looks_each_hour_for_what_is_older_than_its_days(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    befores: list[datetime] = []
    real, stop = store.retire, asyncio.Event()

    async def retiring(before: datetime) -> Retired:
        befores.append(before)
        if len(befores) == 2:
            raise StorageUnavailable("away")
        return await real(before)

    monkeypatch.setattr(store, "retire", retiring)
    running = asyncio.create_task(retain(store, clock, stop, 40))
    for looks in (1, 2, 3):
        await clock.until_waited_for()
        await rest()
        assert len(befores) == looks
        clock.move(HOUR - 1)
        await rest()
        assert len(befores) == looks
        if looks == 3:
            stop.set()
        clock.move(1)
        await rest()
    async with hang(10):
        await running
    oldest = START - timedelta(days=40)
    assert befores == [oldest + timedelta(hours=hour) for hour in range(3)]


async def test_r14_a_stop_does_not_wait_for_all_that_is_old(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, batches = asyncio.Event(), 0

    async def retiring(_before: datetime) -> Retired:
        nonlocal batches
        batches += 1
        stop.set()
        return Retired(deliveries=1 if batches < 5 else 0)

    monkeypatch.setattr(store, "retire", retiring)
    async with hang(10):
        await retain(store, clock, stop, 40)
    assert batches == 1


async def test_r14_no_days_keep_everything(store: Store, clock: ManualClock) -> None:
    async with hang(10):
        await retain(store, clock, asyncio.Event(), 0)


async def test_the_audit_is_deleted_by_its_own_days(store: Store, clock: ManualClock) -> None:
    async def entries() -> int:
        return len((await store.audit.entries(ACCOUNT, AuditQuery(), 10)).entries)

    stop = asyncio.Event()
    async with hang(10):
        await retain_audit(store, clock, stop, 0)
    running = asyncio.create_task(retain_audit(store, clock, stop, 40))
    await clock.until_waited_for()
    assert await entries() == 1
    clock.move(timedelta(days=41).total_seconds())
    async with hang(10):
        while await entries():
            await asyncio.sleep(0)
        stop.set()
        await running


def scripted(batches: list[Retired]) -> Callable[..., Any]:
    async def retiring(_before: datetime) -> Retired:
        return batches.pop(0)

    return retiring


async def test_r14_batches_follow_each_other_until_one_is_empty_and_are_added_up(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = [Retired(1, 2, 3, 4), Retired(0, 0, 0, 30, 5), Retired(10, 20, 0, 0), Retired()]
    told: list[tuple[Any, ...]] = []
    monkeypatch.setattr(store, "retire", scripted([*batches, Retired(9, 9, 9, 9, 9)]))
    before = START - timedelta(days=FEWEST_DAYS)
    total = await retire(store, before, on_progress=lambda so_far: told.append(astuple(so_far)))
    assert astuple(total) == (11, 22, 3, 34, 5)
    assert told == [(1, 2, 3, 4, 0), (1, 2, 3, 34, 5), (11, 22, 3, 34, 5), (11, 22, 3, 34, 5)]


async def test_r14_what_waits_comes_between_two_batches_which_follow_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    came: list[str] = []

    async def retiring(_before: datetime) -> Retired:
        came.append("batch")
        if came.count("batch") == 3:
            return Retired()
        asyncio.get_running_loop().call_soon(came.append, "other")
        return Retired(1)

    monkeypatch.setattr(store, "retire", retiring)
    running = asyncio.create_task(retire(store, START - timedelta(days=FEWEST_DAYS)))
    await rest()
    assert running.done()
    assert came == ["batch", "other", "batch", "other", "batch"]


async def test_r14_a_stop_ends_retention_between_two_batches(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = asyncio.Event()
    monkeypatch.setattr(store, "retire", scripted([Retired(1), Retired(1)]))
    before = START - timedelta(days=FEWEST_DAYS)
    assert await retire(store, before, stop, lambda _: stop.set()) == Retired(1)


async def test_r14_what_repeats_may_come_back_to_is_kept_whoever_asks(store: Store) -> None:
    late = START - timedelta(days=FEWEST_DAYS) + timedelta(microseconds=1)
    with pytest.raises(ValueError, match=rf"^What is younger than {FEWEST_DAYS} days must be kept"):
        await retire(store, late)
