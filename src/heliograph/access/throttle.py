"""Slows down who guesses at passwords, grants and tokens (S13).

Memory is bounded: what is forgotten first is what was tried longest ago.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from heliograph.access.limits import MOST_BYTES, MOST_KEYS, Windows
from heliograph.bounded import Bounded
from heliograph.clock import Clock
from heliograph.errors import TooManyRefused

GUESSES: Final = 300
"""Seconds of a window in which wrong tokens are counted."""

_MOST_KEYS: Final = 20_000
_MOST_BYTES: Final = 16 * 2**20
"""Of as many keys a throttle keeps count: those that were tried last."""


class Throttle:
    """Tries by some key. One that succeeds is given back and counts for nothing."""

    def __init__(self, clock: Clock, burst: int, seconds: float) -> None:
        """`burst` tries may come at once, one more each `seconds`."""
        self._clock = clock
        self._burst = burst
        self._seconds = seconds
        # When nothing of the key's tries is left to wait for, by the monotonic clock.
        self._clear_at = Bounded[str, float](_MOST_KEYS, _MOST_BYTES)

    def take(self, key: str) -> int:
        """Count a try: 0, or where there were too many the seconds to wait (not counted)."""
        now = self._clock.monotonic()
        clear_at = max(now, self._clear_at.get(key) or now) + self._seconds
        wait = clear_at - now - self._burst * self._seconds
        if wait > 0:
            return math.ceil(wait)
        self._clear_at[key] = clear_at
        return 0

    def give_back(self, key: str) -> None:
        """The try succeeded."""
        clear_at = self._clear_at.get(key)
        if clear_at is None:
            return
        if clear_at - self._seconds <= self._clock.monotonic():
            self._clear_at.pop(key)
        else:
            self._clear_at[key] = clear_at - self._seconds


class Throttles:
    """Tries that several throttles count, each by a key of its own."""

    def __init__(self, *throttles: Throttle) -> None:
        """In the order in which they are asked."""
        self._throttles = throttles

    def take(self, *keys: str) -> int:
        """As `Throttle.take`; who is refused by one throttle is counted by none."""
        pairs = list(zip(self._throttles, keys, strict=True))
        for number, (throttle, key) in enumerate(pairs):
            if wait := throttle.take(key):
                for before, its_key in pairs[:number]:
                    before.give_back(its_key)
                return wait
        return 0

    def give_back(self, *keys: str) -> None:
        """The try succeeded."""
        for throttle, key in zip(self._throttles, keys, strict=True):
            throttle.give_back(key)


class PasswordGuesses:
    """Guesses at passwords, by the client's address and by the user that it tries.

    From one address 30, then one in 10 s, and 10 at one user, then one in a minute; from all
    addresses together 50 at one user, then one in 10 s. So one client alone cannot keep a user
    from signing in elsewhere. The address comes first: a client that tries many names does not
    make the memory forget them.
    """

    def __init__(self, clock: Clock, nodes: int = 1) -> None:
        """`nodes` answer on one port: together they let as many guesses pass."""
        self._throttles = Throttles(
            _shared(clock, 30, 10.0, nodes),
            _shared(clock, 10, 60.0, nodes),
            _shared(clock, 50, 10.0, nodes),
        )

    def take(self, address: str, user: str) -> int:
        """As `Throttle.take`."""
        return self._throttles.take(address, f"{address} {user}", user)

    def give_back(self, address: str, user: str) -> None:
        """The guess was right."""
        self._throttles.give_back(address, f"{address} {user}", user)


def token_requests(clock: Clock, nodes: int = 1) -> Throttle:
    """Failed grants: 100 from one address, then one a second; by all `nodes` of a port together.

    Not by the application, too: keys and secrets are not to be guessed, and whoever knows an
    integration key, which is no secret, could shut its application out.
    """
    return _shared(clock, 100, 1.0, nodes)


def _shared(clock: Clock, burst: int, seconds: float, nodes: int) -> Throttle:
    """A node's part of what all that answer on its port let pass."""
    return Throttle(clock, -(-burst // nodes), seconds * nodes)


class TokenGuesses:
    """Guesses at tokens, by the client: so many in five minutes, then none is looked up.

    A token that was good here before is looked up from everywhere: who guesses must not shut
    out the publishers behind the same address.
    """

    def __init__(self, most: int, now: Callable[[], float]) -> None:
        """`most` in five minutes, 0 for no limit; `now` tells the seconds since 1970."""
        self._now = now
        self._wrong = Windows(most, GUESSES)
        self._known = Bounded[int, bool](MOST_KEYS, MOST_BYTES)

    def refusal(self, client: str, token: str) -> TooManyRefused | None:
        """Why a token is not even looked up; None where it is."""
        if not self._wrong.most or self._known.get(hash(token)):
            return None
        now = self._now()
        standing = self._wrong.standing(client, now)
        if standing.left:
            return None
        return TooManyRefused(
            f"Too many calls from {client} were refused for their token: none is looked up for "
            "some minutes.",
            standing.wait(now),
        )

    def wrong(self, client: str, token: str) -> None:
        """A token that stands for nobody was sent."""
        self._known.pop(hash(token))
        if self._wrong.most:
            self._wrong.count(client, self._now())

    def right(self, token: str) -> None:
        """A token was good. Of it only a hash is kept, which leads nowhere."""
        if self._wrong.most and hash(token) not in self._known:
            self._known[hash(token)] = True
