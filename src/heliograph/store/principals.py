"""Whom tokens stand for, kept in memory: a call in a thousand asks the database.

What is kept must not outlive a revocation: it is forgotten when this process changes users or
tokens, and lives a second where other nodes may have changed them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from heliograph.clock import Clock
from heliograph.model.accounts import Principal
from heliograph.model.tokens import token_hash

_MOST_KNOWN: Final = 10_000

Read = Callable[[bytes], Awaitable[Principal | None]]


class Principals:
    """Principals by the hash of their token."""

    def __init__(self, read: Read, clock: Clock, life: float | None = None) -> None:
        """`life` is in seconds; None where nobody else changes the database."""
        self._read = read
        self._clock = clock
        self._life = life
        self._known: dict[bytes, tuple[float, Principal]] = {}
        self._asked: dict[bytes, asyncio.Task[Principal | None]] = {}

    async def get(self, token: str) -> Principal | None:
        """Whom a token stands for now."""
        digest = token_hash(token)
        known = self._known.get(digest)
        if known is not None and self._fresh(known[0]):
            return self._unless_ended(known[1])
        asked = self._asked.get(digest)
        if asked is None:  # many calls at once ask once
            asked = self._asked[digest] = asyncio.ensure_future(self._ask(digest))
            asked.add_done_callback(lambda done: self._answered(digest, done))
        # A caller that goes away does not take the answer from the others.
        return self._unless_ended(await asyncio.shield(asked))

    def forget(self) -> None:
        """What is known, or is being read, may not be so any more."""
        self._known.clear()
        self._asked.clear()

    def _fresh(self, began: float) -> bool:
        return self._life is None or self._clock.monotonic() - began < self._life

    def _unless_ended(self, found: Principal | None) -> Principal | None:
        ended = found is not None and (
            found.expires_at is not None and found.expires_at <= self._clock.now()
        )
        return None if ended else found

    async def _ask(self, digest: bytes) -> Principal | None:
        asked, began = asyncio.current_task(), self._clock.monotonic()
        found = await self._read(digest)
        # Unless it was forgotten meanwhile: the answer may be of before that.
        if found is not None and self._asked.get(digest) is asked:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[digest] = (began, found)
        return found

    def _answered(self, digest: bytes, done: asyncio.Task[Principal | None]) -> None:
        if self._asked.get(digest) is done:
            del self._asked[digest]
        if not done.cancelled():
            done.exception()  # taken, also where nobody waits any more
