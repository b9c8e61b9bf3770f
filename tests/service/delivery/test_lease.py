"""What happens now and then: the lease, other nodes' work, hints.

The store is real; where a test needs an answer that a healthy one does not give, it gives that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from heliograph.delivery.lease import LeaseKeeper, follow_hints, take_over
from heliograph.delivery.signals import Signals
from heliograph.errors import StorageBroken, StorageUnavailable
from heliograph.store import Store
from tests.busy import hang
from tests.support import ManualClock

LEASE = 30.0
CUT_OFF = 20.0


@pytest.fixture
def engine() -> str:
    """One is enough: that the other keeps the store's contract is told there."""
    return "sqlite"


async def until(condition: Callable[[], bool]) -> None:
    async with hang(10):
        while not condition():
            await asyncio.sleep(0)


async def rest(turns: int = 20) -> None:
    """Let everything that can go on go on."""
    for _ in range(turns):
        await asyncio.sleep(0)


class Node:
    """A lease keeper, what it tells the dispatcher, and a database that answers as it is told."""

    def __init__(self, store: Store, clock: ManualClock, patch: pytest.MonkeyPatch) -> None:
        self.store, self.clock = store, clock
        self.told: list[str] = []
        self.renewals = 0
        self.answer: bool | Exception = True
        self.takes: list[float] = []
        self.answering = asyncio.Event()
        self.answering.set()
        self.stop = asyncio.Event()
        patch.setattr(store, "renew_lease", self._renew)

    async def _renew(self) -> bool:
        self.renewals += 1
        self.clock.move(self.takes.pop(0) if self.takes else 0.0)
        await self.answering.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def suspend(self) -> int:
        self.told.append("suspend")
        return 0

    def resume(self) -> None:
        self.told.append("resume")

    def begin(self, **given: bool) -> asyncio.Task[None]:
        keeper = LeaseKeeper(self.store, self, self.clock, LEASE, **given)
        return asyncio.create_task(keeper.run(self.stop))

    @asynccontextmanager
    async def keeping(self, **given: bool) -> AsyncIterator[None]:
        running = self.begin(**given)
        try:
            await rest()
            yield
        finally:
            self.answering.set()
            self.stop.set()
            async with hang(10):
                await running

    async def passes(self, seconds: float) -> None:
        self.clock.move(seconds)
        await rest()


@pytest.fixture
def node(store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Node:
    clock.move(1000)  # a clock is never at its beginning
    return Node(store, clock, monkeypatch)


async def test_r8_the_lease_is_renewed_each_sixth_of_it(node: Node) -> None:
    async with node.keeping():
        for renewals in (1, 2, 3, 4, 5, 6, 7):
            assert (node.renewals, node.told) == (renewals, ["resume"] * renewals)
            await node.passes(LEASE / 6 - 0.1)
            assert node.renewals == renewals
            await node.passes(0.1)


async def test_r8_a_lost_lease_gives_up_what_is_in_flight_before_anything_is_claimed(
    node: Node,
) -> None:
    node.answer = False
    async with node.keeping():
        assert node.told == ["suspend", "resume"]


async def test_r8_a_lease_that_cannot_be_renewed_is_tried_each_second_until_it_is_too_old(
    node: Node,
) -> None:
    node.answer = StorageUnavailable("the database is away")
    async with node.keeping():
        for second in range(1, int(CUT_OFF)):
            await node.passes(0.9)
            assert node.renewals == second
            await node.passes(0.1)
            assert (node.renewals, node.told) == (second + 1, [])
        await node.passes(1)
        assert node.told == ["suspend"]
        node.answer = True
        await node.passes(1)
        assert node.told[-1] == "resume"


async def test_r8_sends_are_cut_off_although_a_renewal_hangs(node: Node) -> None:
    node.answering.clear()
    async with node.keeping():
        await node.passes(CUT_OFF - 0.1)
        assert node.told == []
        await node.passes(0.1)
        assert node.told == ["suspend"]
        # And again: who was claimed meanwhile is cut off as well.
        await node.passes(0.9)
        assert node.told == ["suspend"]
        await node.passes(0.1)
        assert (node.told, node.renewals) == (["suspend"] * 2, 1)


async def test_r8_an_answer_that_comes_too_late_resumes_nothing(node: Node) -> None:
    node.takes = [CUT_OFF]
    async with node.keeping():
        assert (node.renewals, node.told) == (2, ["resume"])


async def test_r8_the_lease_counts_from_before_its_renewal(node: Node) -> None:
    node.takes = [3.0]
    async with node.keeping():
        node.answering.clear()
        await node.passes(LEASE / 6)  # the second renewal hangs
        await node.passes(CUT_OFF - 3.0 - LEASE / 6 - 0.1)
        assert (node.told, node.renewals) == (["resume"], 2)
        await node.passes(0.1)
        assert node.told == ["resume", "suspend"]


async def test_r8_sends_are_not_cut_off_a_second_early(node: Node) -> None:
    node.answer = StorageUnavailable("the database is away")
    async with node.keeping():
        node.answer = True
        await node.passes(1)
        node.answering.clear()
        await node.passes(CUT_OFF - 1)  # when the watch first looks, a second is left
        assert node.told == ["resume"]
        await node.passes(1)
        assert node.told == ["resume", "suspend"]


async def test_a_node_that_shares_nothing_never_cuts_off(node: Node) -> None:
    node.takes = [CUT_OFF]
    async with node.keeping(shared=False):
        assert node.told == ["resume"]
        node.answering.clear()
        await node.passes(LEASE)
        await node.passes(LEASE)
        assert node.told == ["resume"]


async def test_f12_a_broken_storage_ends_the_keeping(node: Node) -> None:
    node.answer = StorageBroken("the disk is gone")
    before = asyncio.all_tasks()
    with pytest.raises(StorageBroken):
        await node.begin()
    assert asyncio.all_tasks() <= before


async def test_a_stop_ends_the_keeping_at_once(node: Node) -> None:
    before = asyncio.all_tasks()
    running = node.begin()
    await rest()
    node.stop.set()
    async with hang(10):
        await running
    assert asyncio.all_tasks() <= before
    assert (node.renewals, node.told) == (1, ["resume"])


async def test_r8_the_work_of_dead_nodes_is_taken_over_until_none_is_left_and_looked_for_again(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[int | Exception] = [3, 2, 0, StorageUnavailable("away"), 1, 0, 0]
    stop, looks = asyncio.Event(), 0

    async def taking() -> int:
        nonlocal looks
        looks += 1
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(store, "take_over", taking)
    running = asyncio.create_task(take_over(store, clock, stop, LEASE))
    for looked in (3, 4, 6, 7):
        await clock.until_waited_for()
        await rest()
        assert looks == looked
        clock.move(LEASE / 6 - 0.1)
        await rest()
        assert looks == looked
        if looked == 7:
            stop.set()
        clock.move(0.1)
        await rest()
    async with hang(10):
        await running
    assert answers == []


async def test_a_hint_of_another_node_wakes_the_dispatcher(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    hint, signals, stop = asyncio.Event(), Signals(), asyncio.Event()
    monkeypatch.setattr(store, "wait_for_hint", hint.wait)
    running = asyncio.create_task(follow_hints(store, signals, stop))
    await rest()
    assert not signals.work.is_set()
    stop.set()
    hint.set()
    async with hang(10):
        await running
    assert signals.work.is_set()
