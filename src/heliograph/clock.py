"""The one source of time for what is accepted, sent and kept (R12).

What tells a person the time, or looks at a certificate's days, may read the machine's clock itself.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

_MONOTONIC: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Counts the machine's sleep, too."""

_CATCHING_UP: Final = 0.5
"""Seconds that a clock which is ahead of the machine's shows for each that passes."""

MOST_APART: Final = timedelta(minutes=1)
"""A step ahead that is followed at once; clocks that differ by more are warned of."""

_STOOD: Final = 3600.0
"""Seconds after which a larger one is followed: time enough for NTP to answer."""

_LONGEST_STOP: Final = timedelta(days=1)
"""For which a machine may have been off without its clock being doubted."""


class Clock(Protocol):
    """Time as Heliograph sees it; tests inject one that they move by hand."""

    def now(self) -> datetime:
        """The wall-clock time, aware, in UTC."""
        ...

    def machine(self) -> datetime:
        """What the machine's clock shows, right or wrong: for what others compare with theirs."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards, for durations; since the machine's start, its sleep
        included, so that processes of one machine agree."""
        ...

    async def wait(self, event: asyncio.Event, seconds: float | None) -> None:
        """Return when `event` is set, or after `seconds` (None: only the event)."""
        ...


@dataclass(frozen=True, slots=True)
class Leap:
    """A step ahead that the store's clock followed, from `at`: that `gain` passed is not known."""

    at: datetime
    gain: timedelta


class StoreClock:
    """The store's time: it never runs backwards, and believes no large step at once (R12, R22).

    While the clock below is behind, this one goes on at half of the monotonic pace until it
    is caught up with. Standing still instead would make whatever is due wait for as long as
    the jump was; the full pace would keep what was wrong for ever.

    A step ahead of more than a minute is doubted: this clock then goes on by the monotonic one.
    One that has stood for an hour is taken for a correction, and the store makes the `Leap`.
    """

    def __init__(self, inner: Clock) -> None:
        self._inner = inner
        self._latest = inner.now()
        self._monotonic = inner.monotonic()
        self._doubt = timedelta()
        self._doubt_since = 0.0
        self._leaps: tuple[Leap, ...] = ()
        self._lock = threading.Lock()  # a store's thread looks too

    def go_on(self, shown: datetime, passed: float | None) -> None:
        """Begin where a clock of this store has stopped.

        Args:
            shown: What it showed last.
            passed: Seconds since then; None: they are not known, for the machine was started
                anew. Then up to a day is believed.
        """
        with self._lock:
            machine, self._monotonic = self._inner.now(), self._inner.monotonic()
            known = timedelta(seconds=passed or 0.0)
            if machine - shown - known > (_LONGEST_STOP if passed is None else MOST_APART):
                self._latest = shown + known
            else:
                self._latest = max(shown + known * _CATCHING_UP, machine)

    def now(self) -> datetime:
        with self._lock:
            monotonic = self._inner.monotonic()
            passed = timedelta(seconds=monotonic - self._monotonic)
            self._monotonic = monotonic
            machine = self._inner.now()
            ahead = machine - self._latest - passed
            if ahead > MOST_APART:
                if abs(ahead - self._doubt) > MOST_APART:  # another one than before
                    self._doubt_since = monotonic
                self._doubt = ahead
                self._latest += passed
            else:
                self._doubt = timedelta()
                self._latest = max(self._latest + _CATCHING_UP * passed, machine)
            return self._latest

    def machine(self) -> datetime:
        return self._inner.machine()

    def monotonic(self) -> float:
        return self._inner.monotonic()

    async def wait(self, event: asyncio.Event, seconds: float | None) -> None:
        await self._inner.wait(event, seconds)

    def differs(self) -> timedelta:
        """By how much this clock is ahead of the machine's; negative: behind."""
        return self.now() - self.machine()

    def doubted(self) -> timedelta:
        """How far ahead the clock below is without being believed; zero mostly."""
        self.now()
        return self._doubt

    def due_leap(self) -> Leap | None:
        """The step ahead that has stood for so long that it is to be followed, if there is one."""
        now = self.now()
        stood = self._monotonic - self._doubt_since >= _STOOD
        return Leap(now, self._doubt) if self._doubt and stood else None

    def follow(self, leaps: Sequence[Leap]) -> bool:
        """Know these leaps, oldest first, and make the last if it is still to be made.

        Whether there were any that it had not known.
        """
        new = tuple(leaps) != self._leaps
        self.now()
        with self._lock:
            if new and self._doubt:
                self._latest += min(self._doubt, leaps[-1].gain)
                self._doubt = timedelta()
            self._leaps = tuple(leaps)
        return new

    def sure(self) -> datetime:
        """A time that has certainly come, whatever the leaps were."""
        return self.now() - sum((leap.gain for leap in self._leaps), timedelta())

    def ago(self, age: timedelta) -> datetime:
        """What this clock showed when `age` had certainly passed since: leaps do not count."""
        when = self.now() - age
        for leap in reversed(self._leaps):
            if when <= leap.at + leap.gain:
                when -= leap.gain
        return when


class SystemClock:
    """The machine's clock."""

    def __init__(self) -> None:
        monotonic = time.clock_gettime(_MONOTONIC)
        # What moves a process's clocks may move this one too; it does not reach the kernel's file.
        self._shift = (_uptime() or monotonic) - monotonic

    def now(self) -> datetime:
        return datetime.now(UTC)

    def machine(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.clock_gettime(_MONOTONIC) + self._shift

    async def wait(self, event: asyncio.Event, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return


def boot_id() -> str:
    """Names this run of this machine's kernel; empty where the kernel does not say."""
    return _kernel_says("/proc/sys/kernel/random/boot_id")


def _uptime() -> float:
    """Seconds since the machine's start; 0 where the kernel does not say."""
    return float(_kernel_says("/proc/uptime").partition(" ")[0] or 0)


def _kernel_says(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""
