"""Accepts gather while one is committed, and all of them go into the next transaction.

A flush to disk costs the same for one event as for a hundred. Both engines accept so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from heliograph.errors import ConfigurationsChanged, EventConflict, StorageUnavailable
from heliograph.model.events import Accepted, NewEvent, Verdict, Wanted
from heliograph.store import rows
from heliograph.store.times import to_microseconds
from heliograph.store.verbs import PATIENCE

T = TypeVar("T")
Item = TypeVar("Item")

_MOST_ITEMS: Final = 512
_MOST_BATCHES: Final = 4


@dataclass(frozen=True, slots=True)
class Submitted:
    """One call of `Store.accept`, as the group commit gathers it."""

    account_id: str
    version: int
    events: Sequence[tuple[NewEvent, Sequence[Verdict]]]
    notifies: bool


@dataclass(frozen=True, slots=True)
class New:
    """An event that is to be added, and for how many of those that were asked."""

    event: NewEvent
    verdicts: Sequence[Verdict]
    deliveries: int

    @property
    def known(self) -> rows.KnownEvent:
        """What a repeat of it in the same transaction is compared with."""
        return rows.KnownEvent(self.event.digest, self.event.meaning, self.deliveries)


Events = dict[tuple[str, str], New]
"""New events, by account and event id."""


def sorted_out(
    batch: Sequence[Submitted],
    versions: Mapping[str, tuple[int, bool]],
    live: Collection[tuple[int, str | None]],
    known: Mapping[tuple[str, str], rows.KnownEvent],
) -> tuple[list[Sequence[Accepted] | Exception], Events]:
    """The answers to a batch, each all or none, and what is to be added.

    Args:
        batch: In the order in which they came.
        versions: What `rows.refuse_changed` compares with, by account.
        live: As `rows.refuse_changed_ad_hoc` takes it.
        known: The events of the batch that are there already, by account and event id.
    """
    results: list[Sequence[Accepted] | Exception] = []
    new: Events = {}
    for submitted in batch:
        version = versions.get(submitted.account_id, (0, False))
        try:
            rows.refuse_changed(version, submitted.version, notifies=submitted.notifies)
            rows.refuse_changed_ad_hoc(live, submitted.events)
            receipts, added = _receipts_of(submitted, known, new)
        except (ConfigurationsChanged, EventConflict) as refusal:
            results.append(refusal)
            continue
        results.append(receipts)
        new |= added
    return results, new


def _receipts_of(
    submitted: Submitted, known: Mapping[tuple[str, str], rows.KnownEvent], new: Events
) -> tuple[list[Accepted], Events]:
    """The answers for one call, and what it adds; raises EventConflict."""
    receipts: list[Accepted] = []
    added: Events = {}
    for event, verdicts in submitted.events:
        key = (submitted.account_id, event.event_id)
        deliveries = sum(isinstance(verdict, Wanted) for verdict in verdicts)
        same = added.get(key) or new.get(key)
        before = known.get(key) if same is None else same.known
        if before is not None:
            receipts.append(before.repeated(event))
            continue
        added[key] = New(event, verdicts, deliveries)
        receipts.append(Accepted(event.event_id, deliveries, repeated=False))
    return receipts, added


def generated_us(event: NewEvent, now: int) -> int:
    """When an event was generated, in microseconds UTC; where nobody said so: now."""
    return now if event.generated_at is None else to_microseconds(event.generated_at)


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Item, T]):
    item: Item
    future: asyncio.Future[T]
    begun: bool = False


class GroupCommit(Generic[Item, T]):
    """Gathers what is submitted while a transaction runs, and commits it in the next one.

    `commit` gets items and gives a result, or an error of its own, for each; an error that it
    raises is everybody's.
    """

    def __init__(
        self, commit: Callable[[Sequence[Item]], Awaitable[Sequence[T | Exception]]]
    ) -> None:
        self._commit = commit
        self._waiting: list[_Waiting[Item, T]] = []
        self._running: set[asyncio.Task[None]] = set()
        self._turns: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> T:
        """Wait until the item is committed.

        Raises:
            StorageUnavailable: not within `PATIENCE` seconds.
        """
        waiting: _Waiting[Item, T] = _Waiting(item, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._turns is None or self._turns.done():
            self._turns = asyncio.create_task(self._take_turns())
        await asyncio.wait({waiting.future}, timeout=PATIENCE)
        if waiting.future.done():
            return waiting.future.result()
        waiting.future.cancel()
        raise StorageUnavailable(
            "The database did not answer in time: whether this was stored is unknown."
            if waiting.begun
            else "The database does not answer."
        )

    async def close(self) -> None:
        """Wait for what has begun."""
        if self._turns is not None:
            await asyncio.wait({self._turns})

    async def _take_turns(self) -> None:
        while self._waiting:
            batch = [
                waiting for waiting in self._waiting[:_MOST_ITEMS] if not waiting.future.done()
            ]
            del self._waiting[:_MOST_ITEMS]
            if not batch:
                continue
            for waiting in batch:
                waiting.begun = True
            task = asyncio.create_task(self._run(batch))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            # A transaction that hangs must not hold up those behind it for ever.
            await asyncio.wait({task}, timeout=PATIENCE)
            if len(self._running) >= _MOST_BATCHES:
                await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)

    async def _run(self, batch: list[_Waiting[Item, T]]) -> None:
        try:
            results: Sequence[T | Exception] = await self._commit(
                [waiting.item for waiting in batch]
            )
        except StorageUnavailable as error:
            results = [error] * len(batch)
        except Exception as error:
            if len(batch) > 1:  # one of them is to blame: each stands for itself
                for waiting in batch:
                    await self._run([waiting])
                return
            results = [error]
        for waiting, result in zip(batch, results, strict=True):
            if waiting.future.done():
                continue
            if isinstance(result, Exception):
                waiting.future.set_exception(result)
            else:
                waiting.future.set_result(result)
