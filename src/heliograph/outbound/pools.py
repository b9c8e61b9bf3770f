"""Pools of connections, one for each TLS identity, so that no connection serves two (S5)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

from heliograph.model.configurations import TlsIdentity
from heliograph.outbound import tls

MOST_POOLS: Final = 64
"""Pools that are kept while nothing uses them: each context has its own copy of the system's
roots, about 1 MB, and takes 20 ms to make."""


class Pools:
    """Makes a pool for an identity when it is first used, and closes what is idle longest."""

    def __init__(
        self, make: Callable[[ssl.SSLContext], aiohttp.ClientSession], most: int = MOST_POOLS
    ) -> None:
        self._make = make
        self._most = most
        self._pools: dict[TlsIdentity, _Pool] = {}  # what was used last is last

    def __len__(self) -> int:
        return len(self._pools)

    @asynccontextmanager
    async def of(self, identity: TlsIdentity) -> AsyncIterator[aiohttp.ClientSession]:
        """The identity's own pool, which stays open at least to the end of the block.

        Raises:
            tls.BadIdentity: nothing can be sent with the identity.
        """
        pool = self._pools.pop(identity, None)
        if pool is None or pool.failed:
            pool = _Pool(asyncio.create_task(self._opened(identity)))
            pool.opening.add_done_callback(_look)
        self._pools[identity] = pool
        pool.users += 1
        try:
            # Shielded: the others who wait for it still want it when this one gives up.
            yield await asyncio.shield(pool.opening)
        finally:
            pool.users -= 1
            await self._trim()

    async def close(self) -> None:
        """Close every pool and every connection in them."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.close()

    async def _opened(self, identity: TlsIdentity) -> aiohttp.ClientSession:
        # In a thread: reading the roots would keep everyone else waiting (R7).
        return self._make(await asyncio.to_thread(tls.context, identity))

    async def _trim(self) -> None:
        idle = [identity for identity, pool in self._pools.items() if not pool.users]
        excess = max(0, len(self._pools) - self._most)
        # Taken out before any is awaited: nobody can be given a pool that is being closed.
        for pool in [self._pools.pop(identity) for identity in idle[:excess]]:
            await pool.close()


class _Pool:
    __slots__ = ("opening", "users")

    def __init__(self, opening: asyncio.Task[aiohttp.ClientSession]) -> None:
        self.opening = opening
        self.users = 0

    @property
    def failed(self) -> bool:
        opening = self.opening
        return opening.done() and (opening.cancelled() or opening.exception() is not None)

    async def close(self) -> None:
        await asyncio.wait([self.opening])
        if not self.failed:
            await self.opening.result().close()


def _look(opening: asyncio.Task[aiohttp.ClientSession]) -> None:
    """Look at a failure even if whoever waited for it has gone: else asyncio complains."""
    if not opening.cancelled():
        opening.exception()
