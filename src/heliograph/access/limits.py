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


class _Count:
    """What a key has used; it is kept and grows, for to keep it anew takes longer than a call."""

    __slots__ = ("used",)

    def __init__(self) -> None:
        self.used = 0


class Windows:
    """Counts by key of the window that is open; with `most` 0 nothing is counted."""

    def __init__(self, most: int, seconds: int, keys: int = MOST_KEYS) -> None:
        self.most = most
        self._seconds = seconds
        self._number = 0
        self._counts = Bounded[str, _Count](keys, MOST_BYTES)

    def standing(self, key: str, now: float) -> Standing:
        """Where `key` stands; `now` is seconds since 1970."""
        return Standing(self.most, self._used(key, now), (self._number + 1) * self._seconds)

    def is_full(self, key: str, now: float) -> bool:
        """Whether `key` has nothing left."""
        return self._used(key, now) >= self.most

    def count(self, key: str, now: float, cost: int = 1) -> None:
        """Count `cost` for `key`."""
        self._open(now)
        count = self._counts.get(key)
        if count is None:
            self._counts[key] = count = _Count()
        count.used += cost

    def __len__(self) -> int:
        return len(self._counts)

    def _used(self, key: str, now: float) -> int:
        self._open(now)
        count = self._counts.get(key)
        return 0 if count is None else count.used

    def _open(self, now: float) -> None:
        number = int(now // self._seconds)
        if number != self._number:
            self._number = number
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
            return Decision()
        now = self._now()
        rules = (self._token, token_id), (self._burst, account), (self._hour, account)
        counted = [(windows, key) for windows, key in rules if windows.most]
        refusal = None
        for windows, key in counted:
            if windows.is_full(key, now):
                refusal = self._refusal(windows, windows.standing(key, now), now)
                break
        else:
            for windows, key in counted:
                windows.count(key, now)
        return Decision(
            self._hour.standing(account, now) if self._hour.most else None,
            self._burst.standing(account, now) if self._burst.most else None,
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
