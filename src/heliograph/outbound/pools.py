"""Connections that are kept: a pool for each TLS identity, so that none serves two (S5)."""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from heliograph.bounded import Bounded
from heliograph.model.configurations import TlsIdentity
from heliograph.outbound import tls
from heliograph.outbound.connections import Connection
from heliograph.sharing import Shared

KEPT_ALIVE: Final = 1.5
"""Seconds an idle connection is kept: less than the 2 s of gunicorn, the 5 s of Apache and
Node.js, the 60 s and more of load balancers, so that it is we who close it."""

MOST_POOLS: Final = 64
"""Pools that are kept while nothing uses them: each context has its own copy of the system's
roots, about 1 MB, and takes 20 ms to make."""

HASTY_SECONDS: Final = 60.0
"""How long no idle connection is used of a listener that has closed one; then it is tried anew."""

_MOST_HASTY: Final = 10_000
_MOST_HASTY_BYTES: Final = 8 * 2**20


class Hasty:
    """Listeners that were found to have closed an idle connection. A message may be on its way
    when they do so again, and is lost: for a minute each of theirs has a connection of its own."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` gives seconds that only go forward."""
        self._now = now
        self._found = Bounded[str, float](_MOST_HASTY, _MOST_HASTY_BYTES)

    def note(self, origin: str) -> None:
        """An idle connection of theirs is dead."""
        self._found[origin] = self._now()

    def __contains__(self, origin: str) -> bool:
        found = self._found.get(origin)
        return found is not None and self._now() - found < HASTY_SECONDS


class Pool:
    """The idle connections of one identity, by whom they lead to; `context` makes its TLS."""

    def __init__(self, context: ssl.SSLContext, hasty: Hasty) -> None:
        self.context = context
        self.closed = False
        self._hasty = hasty
        self._idle: dict[str, list[Connection]] = {}  # what was used last is last

    def take(self, origin: str) -> Connection | None:
        """A connection that may be used again, if there is one; none beside one found dead."""
        idle = self._idle.get(origin)
        if not idle:
            return None
        # What was used last: the others get old, and are closed.
        connection = idle.pop()
        if not idle:
            del self._idle[origin]
        return connection if connection.is_alive() else None

    def connection(
        self, origin: str, connected: socket.socket, secure: tls.Secure | None
    ) -> Connection:
        """A new connection, which may be given to this pool."""
        return Connection(connected, secure, functools.partial(self._ended, origin))

    def give(self, origin: str, connection: Connection) -> None:
        """Keep a connection for who posts next."""
        if self.closed:
            connection.close()
            return
        connection.rest(KEPT_ALIVE)
        self._idle.setdefault(origin, []).append(connection)

    def close(self) -> None:
        """Close all that are idle, and those that are in use once they are given back."""
        self.closed = True
        for idle in list(self._idle.values()):
            for connection in list(idle):
                connection.close()

    def _ended(self, origin: str, connection: Connection, by_listener: bool) -> None:
        idle = self._idle.get(origin, [])
        if connection in idle:
            idle.remove(connection)
            if not idle:
                del self._idle[origin]
        if by_listener:
            self._hasty.note(origin)


class Pools:
    """Makes a pool for an identity when it is first used, and closes what is idle longest."""

    def __init__(self, make: Callable[[ssl.SSLContext], Pool], most: int = MOST_POOLS) -> None:
        self._make = make
        self._most = most
        self._uses: dict[TlsIdentity, _Use] = {}  # what was used last is last
        self._opening = Shared[TlsIdentity, Pool]()

    def __len__(self) -> int:
        return len(self._uses)

    @asynccontextmanager
    async def of(self, identity: TlsIdentity) -> AsyncIterator[Pool]:
        """The identity's own pool, which stays open at least to the end of the block.

        Raises:
            tls.BadIdentity: nothing can be sent with the identity.
        """
        use = self._uses.pop(identity, _Use())
        self._uses[identity] = use
        use.users += 1
        try:
            yield use.pool or await self._opening.ask(identity, lambda: self._opened(identity, use))
        finally:
            use.users -= 1
            self._trim()

    def close(self) -> None:
        """Close every pool and every connection in them."""
        for use in self._uses.values():
            use.close()
        self._uses.clear()

    async def _opened(self, identity: TlsIdentity, use: _Use) -> Pool:
        # In a thread: reading the roots would keep everyone else waiting (R7).
        use.pool = self._make(await asyncio.to_thread(tls.context, identity))
        return use.pool

    def _trim(self) -> None:
        idle = [identity for identity, use in self._uses.items() if not use.users]
        excess = max(0, len(self._uses) - self._most)
        for identity in idle[:excess]:
            self._uses.pop(identity).close()


class _Use:
    """`pool` is None until it is open, `users` counts who waits for that as well."""

    __slots__ = ("pool", "users")

    def __init__(self) -> None:
        self.pool: Pool | None = None
        self.users = 0

    def close(self) -> None:
        if self.pool is not None:
            self.pool.close()
