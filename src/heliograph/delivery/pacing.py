"""How many attempts each listener gets at once: it earns them, and loses them by failing.

Pure. A listener begins with one attempt at a time; each success doubles what it may have, up
to the cap, each failure halves it (R10): after an outage the first message goes out alone. So does
a success that took far longer than the listener's usual time: it has more than it can do at once.
While most slots are taken nobody gets more than one, so that listeners which hang leave room
for the others (R7). A configuration may bound the messages that it gets in a second.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

FIRST: Final = 1
"""Attempts at once to a listener of which nothing is known."""

_RESERVED: Final = 0.25
"""The share of all slots from which nobody gets a second one."""

_SLOWER, _SLACK = 2.0, 0.1
"""A success is slow when it takes so many times the listener's usual time, and so many seconds
more: what one machine's scheduling costs is no sign of anything."""

_RECALL: Final = 16
"""Successes over which a usual time that no longer holds is forgotten."""

_MOST_KNOWN: Final = 20_000


@dataclass(slots=True)
class _Listener:
    """One listener. `tokens` are messages that its rate leaves now; `at` is when they were.

    `down_until` is set where one failure keeps all its messages back until a time. `usual` is
    how many seconds it takes for a message when it is not pressed.
    """

    limit: int = FIRST
    sending: int = 0
    rate: float | None = None
    tokens: float = 1.0
    at: float = 0.0
    down_until: float | None = None
    usual: float | None = None

    def is_pressed(self, seconds: float) -> bool:
        """Whether a success that took so long says that the listener has too much to do."""
        if self.usual is None:
            self.usual = seconds
        slow = seconds > self.usual * _SLOWER + _SLACK
        # Quicker is believed at once, slower little by little: it may be our doing.
        self.usual = min(seconds, self.usual + (seconds - self.usual) / _RECALL)
        return slow

    def tokens_at(self, now: float, rate: float) -> float:
        """The tokens at `now`; at most what a second brings, and always room for one."""
        return min(self.tokens + (now - self.at) * rate, max(1.0, rate))

    def turn_after(self, now: float) -> float | None:
        """Seconds until it may have a message, if its rate or its being down keeps it waiting."""
        waits = []
        if self.down_until is not None and self.down_until > now:
            waits.append(self.down_until - now)
        if self.rate is not None and (tokens := self.tokens_at(now, self.rate)) < 1.0:
            waits.append((1.0 - tokens) / self.rate)
        return min(waits, default=None)

    def free(self, now: float, limit: int) -> int:
        """How many more attempts may begin to it, of `limit` at once."""
        if self.down_until is not None:
            if now < self.down_until:
                return 0
            limit = FIRST
        free = limit - self.sending
        if self.rate is not None:
            free = min(free, int(self.tokens_at(now, self.rate)))
        return max(free, 0)


class Free(Mapping[int, int]):
    """How many more attempts may begin to each known listener; see `Pacing.free`.

    Each is worked out when it is asked for: a claim asks for those that something is due for, of
    any number that are known. May be read on another thread; nothing is changed by that.
    """

    def __init__(self, listeners: Mapping[int, _Listener], now: float, *, tight: bool) -> None:
        self._listeners = listeners
        self._now = now
        self._tight = tight

    def __getitem__(self, connect_id: int) -> int:
        listener = self._listeners[connect_id]
        return listener.free(self._now, FIRST if self._tight else listener.limit)

    def __iter__(self) -> Iterator[int]:
        return iter(self._listeners)

    def __len__(self) -> int:
        return len(self._listeners)


class Pacing:
    """What is known of the listeners of one node, by configuration. Times are monotonic seconds."""

    def __init__(self, slots: int, cap: int) -> None:
        """`slots` attempts may run at once in all, `cap` to one listener."""
        self._slots = slots
        self._cap = cap
        self._listeners: OrderedDict[int, _Listener] = OrderedDict()
        # Those whose turn a time may bring.
        self._timed: set[int] = set()

    @property
    def usual_slots(self) -> int:
        """Those of which a listener may have more than one."""
        return math.ceil(self._slots * (1.0 - _RESERVED))

    def began(self, connect_id: int, rate: float | None, now: float) -> None:
        """An attempt begins; `rate` is how many messages a second its configuration allows."""
        listener = self._listeners.setdefault(connect_id, _Listener(at=now))
        self._listeners.move_to_end(connect_id)
        listener.sending += 1
        listener.rate = rate
        if rate is not None:
            listener.tokens = listener.tokens_at(now, rate) - 1.0
            listener.at = now
            self._timed.add(connect_id)
        self._forget()

    def ended(self, connect_id: int, *, succeeded: bool | None, seconds: float = 0.0) -> None:
        """An attempt has ended after `seconds`; None: that says nothing of the listener."""
        listener = self._listeners.get(connect_id)
        if listener is None:
            return
        listener.sending -= 1
        if succeeded is not None:
            well = succeeded and not listener.is_pressed(seconds)
            grown = listener.limit * 2 if well else listener.limit // 2
            listener.limit = min(max(grown, FIRST), self._cap)

    def down(self, connect_id: int, until: float) -> None:
        """Send it nothing before a time."""
        listener = self._listeners.get(connect_id)
        if listener is not None:
            listener.down_until = until
            self._timed.add(connect_id)

    def up(self, connect_id: int) -> bool:
        """It has taken a message; whether it was down before."""
        listener = self._listeners.get(connect_id)
        if listener is None or listener.down_until is None:
            return False
        listener.down_until = None
        return True

    def free(self, sending: int, now: float) -> Mapping[int, int]:
        """How many more attempts may begin to each known listener; all others may have `FIRST`.

        `sending` is how many attempts run in all. This holds also for who acts on it a little
        late: what has ended by then leaves more room and not less, and what a failure takes
        away counts from the next time on.
        """
        return Free(self._listeners, now, tight=sending >= self.usual_slots)

    def next_turn(self, now: float) -> float | None:
        """Seconds until a listener that waits for its rate, or is down, may have a message."""
        turns = {
            connect_id: turn
            for connect_id in self._timed
            if (listener := self._listeners.get(connect_id)) is not None
            and (turn := listener.turn_after(now)) is not None
        }
        self._timed = set(turns)
        return min(turns.values(), default=None)

    def _forget(self) -> None:
        """Bound what is known: who was idle for longest begins anew."""
        while len(self._listeners) > _MOST_KNOWN:
            for connect_id, listener in self._listeners.items():
                if not listener.sending:
                    del self._listeners[connect_id]
                    break
            else:
                return
