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
from heliograph.sharing import Shared

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
        self._opening = Shared[TlsIdentity, aiohttp.ClientSession]()

    def __len__(self) -> int:
        return len(self._pools)

    @asynccontextmanager
    async def of(self, identity: TlsIdentity) -> AsyncIterator[aiohttp.ClientSession]:
        """The identity's own pool, which stays open at least to the end of the block.

        Raises:
            tls.BadIdentity: nothing can be sent with the identity.
        """
        pool = self._pools.pop(identity, _Pool())
        self._pools[identity] = pool
        pool.users += 1
        try:
            yield pool.session or await self._opening.ask(
                identity, lambda: self._opened(identity, pool)
            )
        finally:
            pool.users -= 1
            await self._trim()

    async def close(self) -> None:
        """Close every pool and every connection in them."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.close()

    async def _opened(self, identity: TlsIdentity, pool: _Pool) -> aiohttp.ClientSession:
        # In a thread: reading the roots would keep everyone else waiting (R7).
        pool.session = self._make(await asyncio.to_thread(tls.context, identity))
        return pool.session

    async def _trim(self) -> None:
        idle = [identity for identity, pool in self._pools.items() if not pool.users]
        excess = max(0, len(self._pools) - self._most)
        # Taken out before any is awaited: nobody can be given a pool that is being closed.
        for pool in [self._pools.pop(identity) for identity in idle[:excess]]:
            await pool.close()


class _Pool:
    """`session` is None until it is open, `users` counts who waits for that as well."""

    __slots__ = ("session", "users")

    def __init__(self) -> None:
        self.session: aiohttp.ClientSession | None = None
        self.users = 0

    async def close(self) -> None:
        if self.session is not None:
            await self.session.close()
