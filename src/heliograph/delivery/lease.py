"""A node's claim to be alive: kept, given up in time, and what dead nodes left taken over (R8)."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

import structlog

from heliograph.clock import Clock
from heliograph.delivery.signals import Signals
from heliograph.errors import StorageUnavailable
from heliograph.store import Store

_LONGEST_APART: Final = 30.0
"""Seconds between two renewals, however long the lease: they also say when the node looked."""

_TRY_AGAIN: Final = 1.0
"""Seconds after a renewal that failed."""

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
            await self._clock.wait(stop, min(self._lease / 6, _LONGEST_APART))

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


async def take_over(store: Store, clock: Clock, stop: asyncio.Event, lease: float) -> None:
    """Put back what dead nodes had in flight until `stop` is set.

    Looks each sixth of the lease: a node's work is taken over within 35 s of its death.
    """
    while not stop.is_set():
        try:
            while taken := await store.take_over():
                _log.warning("took_over", deliveries=taken)
        except StorageUnavailable as trouble:
            _log.warning("take_over_paused", reason=str(trouble))
        await clock.wait(stop, lease / 6)


async def follow_hints(store: Store, signals: Signals, stop: asyncio.Event) -> None:
    """Wake the dispatcher when another node may have left work, until `stop` is set."""
    while not stop.is_set():
        await store.wait_for_hint()
        signals.work.set()
