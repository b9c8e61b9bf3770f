"""What must happen now and then whether or not there is work."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from heliograph.clock import Clock
from heliograph.errors import StorageUnavailable
from heliograph.store import Store

HEARTBEAT_SECONDS: Final = 10.0
"""A third of the time after which the node's heartbeat counts as old (R20)."""

_log = structlog.get_logger()


async def heartbeat(store: Store, clock: Clock, stop: asyncio.Event) -> None:
    """Renew the node's heartbeat until `stop` is set.

    Raises:
        StorageBroken: the database's files failed; the process must end.
    """
    while not stop.is_set():
        await clock.wait(stop, HEARTBEAT_SECONDS)
        try:
            await store.beat()
        except StorageUnavailable as trouble:
            _log.warning("heartbeat_missed", reason=str(trouble))
