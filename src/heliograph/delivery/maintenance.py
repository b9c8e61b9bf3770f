"""What must happen now and then whether or not there is work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from heliograph.clock import Clock
from heliograph.delivery.signals import Signals
from heliograph.errors import StorageUnavailable
from heliograph.model.deliveries import FEWEST_DAYS
from heliograph.store import Retired, Store

_TRY_AGAIN: Final = 1.0

_RETENTION_SECONDS: Final = 3600.0

_log = structlog.get_logger()


class Sending(Protocol):
    """What the lease keeper needs of the dispatcher."""

    def suspend(self) -> int:
        """Give up what is in flight and claim nothing until `resume`; how much that was."""
        ...

    def resume(self) -> None:
        """Claim again."""
        ...


class LeaseKeeper:
    """Renews the node's lease; gives up what is in flight before another node may take it.

    A renewal comes each sixth of the lease. After two thirds without one, by the monotonic
    clock, sends are cut off: whatever wall clocks show, and however long a call to the
    database hangs, that is before the lease has run out (R8, R12).
    """

    def __init__(
        self, store: Store, sending: Sending, clock: Clock, lease: float, *, shared: bool = True
    ) -> None:
        """`lease` is in seconds, the same that the store was opened with.

        Where no other node can take over (`shared` is False), nothing is ever cut off: a slow
        disk would cause duplicates for nothing.
        """
        self._shared = shared
        self._store = store
        self._sending = sending
        self._clock = clock
        self._lease = lease
        self._cut_off = lease * 2 / 3
        self._renewed = clock.monotonic()

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the lease until `stop` is set.

        Raises:
            StorageBroken: the database's files failed; the process must end.
        """
        renewing = asyncio.create_task(self._renew(stop))
        tasks = {renewing}
        if self._shared:
            tasks.add(asyncio.create_task(self._watch(stop)))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if renewing.done():
                renewing.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _renew(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            # The time before the call counts: the database may renew at any moment after it.
            began = self._clock.monotonic()
            try:
                kept = await self._store.renew_lease()
            except StorageUnavailable as trouble:
                _log.warning("lease_not_renewed", reason=str(trouble))
                await self._clock.wait(stop, _TRY_AGAIN)
                continue
            if not kept:
                _log.error("lease_lost", deliveries=self._sending.suspend())
            self._renewed = began
            if self._shared and self._clock.monotonic() - began >= self._cut_off:
                continue  # the answer was so late that the lease is old already
            self._sending.resume()
            await self._clock.wait(stop, self._lease / 6)

    async def _watch(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            left = self._renewed + self._cut_off - self._clock.monotonic()
            if left <= 0:
                _log.error(
                    "sends_given_up",
                    reason="the lease could not be renewed in time",
                    deliveries=self._sending.suspend(),
                )
                left = _TRY_AGAIN
            await self._clock.wait(stop, left)


async def take_over(
    store: Store, signals: Signals, clock: Clock, stop: asyncio.Event, lease: float
) -> None:
    """Put back what dead nodes had in flight until `stop` is set.

    Looks each sixth of the lease: a node's work is taken over within 35 s of its death.
    """
    while not stop.is_set():
        try:
            while taken := await store.take_over():
                _log.warning("took_over", deliveries=taken)
                signals.work.set()
        except StorageUnavailable as trouble:
            _log.warning("take_over_paused", reason=str(trouble))
        await clock.wait(stop, lease / 6)


async def follow_hints(store: Store, signals: Signals, stop: asyncio.Event) -> None:
    """Wake the dispatcher when another node may have left work, until `stop` is set."""
    while not stop.is_set():
        await store.wait_for_hint()
        signals.work.set()


async def retain(store: Store, clock: Clock, stop: asyncio.Event, days: int) -> None:
    """Delete what ended and is older than `days`, soon and then each hour (R14).

    Many nodes may do it at once: each deletes what it finds.
    """
    while days and not stop.is_set():
        try:
            await retire(store, clock.now() - timedelta(days=days), stop)
        except StorageUnavailable as trouble:
            _log.warning("retention_paused", reason=str(trouble))
        await clock.wait(stop, _RETENTION_SECONDS)


async def retire(
    store: Store,
    before: datetime,
    stop: asyncio.Event | None = None,
    on_progress: Callable[[Retired], None] = lambda _: None,
) -> Retired:
    """Delete batch after batch of what ended and was accepted before a time; how much it was.

    Raises:
        ValueError: `before` is younger than what retries and repeats may come back to.
        StorageUnavailable: what was deleted until then stays so.
    """
    if before > store.clock.now() - timedelta(days=FEWEST_DAYS):
        raise ValueError(f"What is younger than {FEWEST_DAYS} days must be kept.")
    total = Retired()
    while stop is None or not stop.is_set():
        batch = await store.retire(before)
        total = Retired(
            total.deliveries + batch.deliveries,
            total.attempts + batch.attempts,
            total.events + batch.events,
            total.envelopes + batch.envelopes,
        )
        on_progress(total)
        if not batch.total:
            break
        await asyncio.sleep(0)  # what is waiting on the event loop comes first
    if total.total:
        _log.info("retired", before=before.isoformat(), **asdict(total))
    return total
