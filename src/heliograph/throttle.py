"""Slows down who guesses: so many attempts at once, then one in a while (S13).

Memory is bounded: what is forgotten first is what was tried longest ago.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Final

from heliograph.clock import Clock

_MOST_KNOWN: Final = 20_000


class Throttle:
    """Attempts by some key. An attempt that succeeds is given back and counts for nothing."""

    def __init__(self, clock: Clock, burst: int, seconds: float) -> None:
        """`burst` attempts may come at once, one more each `seconds`."""
        self._clock = clock
        self._burst = burst
        self._seconds = seconds
        # When nothing of the key's attempts is left to wait for, by the monotonic clock.
        self._clear_at: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str) -> int:
        """Count an attempt: 0, or where there were too many the seconds to wait (not counted)."""
        now = self._clock.monotonic()
        clear_at = max(now, self._clear_at.get(key, now)) + self._seconds
        wait = clear_at - now - self._burst * self._seconds
        if wait > 0:
            return math.ceil(wait)
        self._clear_at[key] = clear_at
        self._clear_at.move_to_end(key)
        if len(self._clear_at) > _MOST_KNOWN:
            self._clear_at.popitem(last=False)
        return 0

    def give_back(self, key: str) -> None:
        """The attempt succeeded."""
        clear_at = self._clear_at.get(key)
        if clear_at is None:
            return
        if clear_at - self._seconds <= self._clock.monotonic():
            del self._clear_at[key]
        else:
            self._clear_at[key] = clear_at - self._seconds


class Attempts:
    """Attempts by the client's address and by what it tries to open."""

    def __init__(self, by_address: Throttle, by_name: Throttle) -> None:
        self._by_address = by_address
        self._by_name = by_name

    def take(self, address: str, name: str) -> int:
        """As `Throttle.take`; the address is looked at first, so that one client that tries
        many names does not make the memory forget them."""
        if wait := self._by_address.take(address):
            return wait
        if wait := self._by_name.take(name):
            self._by_address.give_back(address)
            return wait
        return 0

    def give_back(self, address: str, name: str) -> None:
        """The attempt succeeded."""
        self._by_address.give_back(address)
        self._by_name.give_back(name)


def sign_ins(clock: Clock) -> Attempts:
    """Guesses at passwords: 30 from one address, 10 at one user, then one in 10 s or 60 s."""
    return Attempts(Throttle(clock, 30, 10.0), Throttle(clock, 10, 60.0))


def token_requests(clock: Clock) -> Attempts:
    """Failed grants: 100 from one address or for one application, then one a second."""
    return Attempts(Throttle(clock, 100, 1.0), Throttle(clock, 100, 1.0))
