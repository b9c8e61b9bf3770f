"""Whom tokens stand for, kept in memory: a call in a thousand asks the database.

What is kept must not outlive a revocation: it is forgotten when this process changes users or
tokens, and lives a second where other nodes may have changed them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from heliograph.bounded import Bounded
from heliograph.clock import Clock
from heliograph.model.accounts import Principal
from heliograph.model.tokens import token_hash
from heliograph.sharing import Shared

_MOST_KNOWN: Final = 10_000
_MOST_BYTES: Final = 32 * 2**20

Read = Callable[[bytes], Awaitable[Principal | None]]


class Principals:
    """Principals by the hash of their token."""

    def __init__(self, read: Read, clock: Clock, life: float | None = None) -> None:
        """`life` is in seconds; None where nobody else changes the database."""
        self._read = read
        self._clock = clock
        self._life = life
        self._known = _nothing_known()
        self._asked = Shared[bytes, Principal | None]()

    async def get(self, token: str) -> Principal | None:
        """Whom a token stands for now."""
        digest = token_hash(token)
        known = self._known.get(digest)
        if known is not None and self._fresh(known[0]):
            return self._unless_ended(known[1])
        return self._unless_ended(await self._asked.ask(digest, lambda: self._ask(digest)))

    def forget(self) -> None:
        """What is known, or is being read, may not be so any more."""
        self._known = _nothing_known()
        self._asked.forget()

    def _fresh(self, began: float) -> bool:
        return self._life is None or self._clock.monotonic() - began < self._life

    def _unless_ended(self, found: Principal | None) -> Principal | None:
        ended = found is not None and (
            found.expires_at is not None and found.expires_at <= self._clock.now()
        )
        return None if ended else found

    async def _ask(self, digest: bytes) -> Principal | None:
        # If it is forgotten meanwhile, so is this answer, which may be of before that.
        known, began = self._known, self._clock.monotonic()
        found = await self._read(digest)
        if found is not None:
            known[digest] = (began, found)
        return found


def _nothing_known() -> Bounded[bytes, tuple[float, Principal]]:
    return Bounded(_MOST_KNOWN, _MOST_BYTES)
