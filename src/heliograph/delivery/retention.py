"""What ended long ago is deleted, soon and then each hour (R14)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Final

import structlog

from heliograph.clock import Clock
from heliograph.errors import ClockDoubted, StorageUnavailable
from heliograph.model.deliveries import FEWEST_DAYS
from heliograph.store import BATCH_MOST, Retired, Store
from heliograph.store.relays import MOST_RETIRED

_EACH_HOUR: Final = 3600.0
"""Seconds between two looks."""

_UNACCEPTED: Final = timedelta(days=1)
"""For how long a message of a relay may wait for its event: it is accepted within seconds."""

_log = structlog.get_logger()


async def retain(store: Store, clock: Clock, stop: asyncio.Event, days: int) -> None:
    """Delete what ended and is older than `days`, soon and then each hour (R14).

    Many nodes may do it at once: each deletes what it finds. While the clock is doubted
    nothing is deleted (R22).
    """

    async def retire_old() -> None:
        await retire(store, store.clock.ago(timedelta(days=days)), stop)

    if days:
        await _each_hour(retire_old, clock, stop)


async def retain_audit(store: Store, clock: Clock, stop: asyncio.Event, days: int) -> None:
    """Delete what the audit tells of more than `days` ago, likewise."""

    async def retire_old() -> None:
        _refuse_doubted(store)
        before = store.clock.ago(timedelta(days=days))
        while not stop.is_set():
            if await store.audit.retire(before) < BATCH_MOST:
                return
            await asyncio.sleep(0)  # what is waiting on the event loop comes first

    if days:
        await _each_hour(retire_old, clock, stop)


async def retain_relayed(store: Store, clock: Clock, stop: asyncio.Event) -> None:
    """Delete the messages of relays whose event is gone, or never came, likewise."""

    async def retire_old() -> None:
        _refuse_doubted(store)
        before = store.clock.ago(_UNACCEPTED)
        while not stop.is_set():
            if await store.relays.retire(before) < MOST_RETIRED:
                return
            await asyncio.sleep(0)  # what is waiting on the event loop comes first

    await _each_hour(retire_old, clock, stop)


async def _each_hour(
    work: Callable[[], Awaitable[None]], clock: Clock, stop: asyncio.Event
) -> None:
    while not stop.is_set():
        try:
            await work()
        except ClockDoubted as doubted:
            _log.warning("retention_waits", reason=str(doubted))
        except StorageUnavailable as trouble:
            _log.warning("retention_paused", reason=str(trouble))
        await clock.wait(stop, _EACH_HOUR)


async def retire(
    store: Store,
    before: datetime,
    stop: asyncio.Event | None = None,
    on_progress: Callable[[Retired], None] = lambda _: None,
) -> Retired:
    """Delete batch after batch of what ended and was accepted before a time.

    Returns how much it was; `on_progress` hears of it after each batch.

    Raises:
        ClockDoubted: the clock may be wrong; nothing was deleted (R22).
        ValueError: `before` is younger than what retries and repeats may come back to.
        StorageUnavailable: what was deleted until then stays so.
    """
    _refuse_doubted(store)
    if before > store.clock.ago(timedelta(days=FEWEST_DAYS)):
        raise ValueError(f"What is younger than {FEWEST_DAYS} days must be kept.")
    total = Retired()
    while stop is None or not stop.is_set():
        batch = await store.retire(before)
        total = Retired(
            total.deliveries + batch.deliveries,
            total.attempts + batch.attempts,
            total.events + batch.events,
            total.envelopes + batch.envelopes,
            total.configurations + batch.configurations,
        )
        on_progress(total)
        if not batch.total:
            break
        await asyncio.sleep(0)  # what is waiting on the event loop comes first
    if total.total:
        _log.info("retired", before=before.isoformat(), **asdict(total))
    return total


def _refuse_doubted(store: Store) -> None:
    """Raises ClockDoubted where nothing may be deleted by its age (R22)."""
    if ahead := store.clock.doubted():
        raise ClockDoubted(
            f"The clock is {ahead.total_seconds():.0f} s ahead of the time that has passed: set "
            "it right. If it is right, it is believed once a server has run for an hour."
        )
