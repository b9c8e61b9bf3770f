"""Pools of connections, one for each TLS identity, so that no connection serves two (S5)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp

from heliograph.bounded import Bounded
from heliograph.egress import Target
from heliograph.model.configurations import TlsIdentity
from heliograph.outbound import tls
from heliograph.sharing import Shared

MOST_POOLS: Final = 64
"""Pools that are kept while nothing uses them: each context has its own copy of the system's
roots, about 1 MB, and takes 20 ms to make."""

HASTY_SECONDS: Final = 60.0
"""How long no idle connection is used of a listener that has closed one; then it is tried anew."""

_MOST_HASTY: Final = 10_000
_MOST_HASTY_BYTES: Final = 8 * 2**20


@dataclass(frozen=True, slots=True)
class Sessions:
    """What posts with one identity, over connections that are `kept` or a `fresh` one each."""

    kept: aiohttp.ClientSession
    fresh: aiohttp.ClientSession

    async def close(self) -> None:
        """Close every connection."""
        await self.kept.close()
        await self.fresh.close()


class Hasty:
    """Listeners that were found to have closed an idle connection. A message may be on its way
    when they do so again, and is lost: for a minute each of theirs has a connection of its own."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` gives seconds that only go forward."""
        self._now = now
        self._found = Bounded[Target, float](_MOST_HASTY, _MOST_HASTY_BYTES)

    def note(self, listener: Target) -> None:
        """An idle connection of theirs is dead."""
        self._found[listener] = self._now()

    def __contains__(self, listener: Target) -> bool:
        found = self._found.get(listener)
        return found is not None and self._now() - found < HASTY_SECONDS


class Pools:
    """Makes a pool for an identity when it is first used, and closes what is idle longest."""

    def __init__(self, make: Callable[[ssl.SSLContext], Sessions], most: int = MOST_POOLS) -> None:
        self._make = make
        self._most = most
        self._pools: dict[TlsIdentity, _Pool] = {}  # what was used last is last
        self._opening = Shared[TlsIdentity, Sessions]()

    def __len__(self) -> int:
        return len(self._pools)

    @asynccontextmanager
    async def of(self, identity: TlsIdentity) -> AsyncIterator[Sessions]:
        """The identity's own pool, which stays open at least to the end of the block.

        Raises:
            tls.BadIdentity: nothing can be sent with the identity.
        """
        pool = self._pools.pop(identity, _Pool())
        self._pools[identity] = pool
        pool.users += 1
        try:
            yield pool.sessions or await self._opening.ask(
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

    async def _opened(self, identity: TlsIdentity, pool: _Pool) -> Sessions:
        # In a thread: reading the roots would keep everyone else waiting (R7).
        pool.sessions = self._make(await asyncio.to_thread(tls.context, identity))
        return pool.sessions

    async def _trim(self) -> None:
        idle = [identity for identity, pool in self._pools.items() if not pool.users]
        excess = max(0, len(self._pools) - self._most)
        # Taken out before any is awaited: nobody can be given a pool that is being closed.
        for pool in [self._pools.pop(identity) for identity in idle[:excess]]:
            await pool.close()


class _Pool:
    """`sessions` is None until they are open, `users` counts who waits for that as well."""

    __slots__ = ("sessions", "users")

    def __init__(self) -> None:
        self.sessions: Sessions | None = None
        self.users = 0

    async def close(self) -> None:
        if self.sessions is not None:
            await self.sessions.close()
