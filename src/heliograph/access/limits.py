"""How often somebody may call the API (S13): counts in fixed windows, as DocuSign counts.

An hour begins at the full hour, and 30 seconds begin at :00 and at :30, for everybody alike.
Counts are kept in memory, by the process: each node allows as much as the rules say.

Source: DocuSign's page "API resource limits": hourly limits refresh at the top of the hour,
bursts are counted over 30 seconds, both by the account.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from heliograph.bounded import Bounded
from heliograph.errors import (
    ApiError,
    BurstLimitExceeded,
    HourlyLimitExceeded,
)

HOUR: Final = 3600
BURST: Final = 30
"""Seconds of each window."""

MOST_KEYS: Final = 10_000
MOST_BYTES: Final = 4 * 2**20
"""Of as many accounts, tokens or clients a window keeps count: those that came last."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where somebody stands in the window that is open; `ends` is seconds since 1970."""

    most: int
    used: int
    ends: int

    @property
    def left(self) -> int:
        """How much may still be counted."""
        return max(0, self.most - self.used)

    def wait(self, now: float) -> int:
        """Whole seconds until the window ends."""
        return max(1, math.ceil(self.ends - now))


class Count:
    """What a key has used; it is kept and grows, for to keep it anew takes longer than a call."""

    __slots__ = ("used",)

    def __init__(self) -> None:
        self.used = 0


class Windows:
    """Counts by key of the window that is open; with `most` 0 nothing is counted."""

    def __init__(self, most: int, seconds: int, keys: int = MOST_KEYS) -> None:
        self.most = most
        self._seconds = seconds
        self._begins = self._ends = 0
        self._counts = Bounded[str, Count](keys, MOST_BYTES)

    def standing(self, key: str, now: float) -> Standing:
        """Where `key` stands; `now` is seconds since 1970."""
        self._open(now)
        count = self._counts.get(key)
        return self.told(count or Count())

    def told(self, count: Count) -> Standing:
        """Where the key of a count of the window that is open stands."""
        return Standing(self.most, count.used, self._ends)

    def count(self, key: str, now: float, cost: int = 1) -> None:
        """Count `cost` for `key`."""
        self.counted(key, now).used += cost

    def counted(self, key: str, now: float) -> Count:
        """What `key` has used in the window that is open: to be read and raised at once."""
        self._open(now)
        count = self._counts.get(key)
        if count is None:
            self._counts[key] = count = Count()
        return count

    def __len__(self) -> int:
        return len(self._counts)

    def _open(self, now: float) -> None:
        if not self._begins <= now < self._ends:
            self._begins = int(now // self._seconds) * self._seconds
            self._ends = self._begins + self._seconds
            self._counts.clear()


@dataclass(frozen=True, slots=True)
class Rules:
    """How many calls; 0 is no limit.

    `hourly` and `burst` are of an account, in an hour and in 30 seconds; `token` is of one
    token, in 30 seconds.
    """

    hourly: int = 0
    burst: int = 0
    token: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """What is said to a call: where the account stands after it, None without such a limit,
    and why the call is refused, None where it is not."""

    hour: Standing | None = None
    burst: Standing | None = None
    refusal: ApiError | None = None


_UNCOUNTED: Final = Decision()


class CallLimits:
    """The rules, applied to every call."""

    def __init__(self, rules: Rules, now: Callable[[], float]) -> None:
        """`now` tells the seconds since 1970."""
        self._now = now
        self._hour = Windows(rules.hourly, HOUR)
        self._burst = Windows(rules.burst, BURST)
        self._token = Windows(rules.token, BURST)
        self._are_some = rules != Rules()

    def call(self, account: str, token_id: str) -> Decision:
        """Count a call, unless that is one too many."""
        if not self._are_some:
            return _UNCOUNTED
        now = self._now()
        rules = (self._token, token_id), (self._burst, account), (self._hour, account)
        counts = {windows: windows.counted(key, now) for windows, key in rules if windows.most}
        refusal = None
        for windows, count in counts.items():
            if count.used >= windows.most:
                refusal = self._refusal(windows, windows.told(count), now)
                break
        else:
            for count in counts.values():
                count.used += 1
        hour, burst = counts.get(self._hour), counts.get(self._burst)
        return Decision(
            None if hour is None else self._hour.told(hour),
            None if burst is None else self._burst.told(burst),
            refusal,
        )

    def _refusal(self, windows: Windows, standing: Standing, now: float) -> ApiError:
        wait = standing.wait(now)
        if windows is self._hour:
            return HourlyLimitExceeded(
                "The maximum number of hourly API invocations has been exceeded. The hourly "
                f"limit is {standing.most}.",
                wait,
            )
        whose = "one token" if windows is self._token else "the account"
        return BurstLimitExceeded(
            f"The maximum number of API invocations of {whose} in {BURST} seconds has been "
            f"exceeded. The burst limit is {standing.most}.",
            wait,
        )


UNLIMITED: Final = CallLimits(Rules(), lambda: 0.0)
"""Everybody may call as often as they like."""
