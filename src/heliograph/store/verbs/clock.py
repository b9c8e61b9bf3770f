"""What the store's clock writes down, so that a wrong clock ends nothing (R22)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from heliograph.clock import MOST_APART, Clock, Leap, StoreClock, boot_id
from heliograph.model.checks import Check
from heliograph.store.times import from_microseconds, to_microseconds
from heliograph.store.verbs import Rows, Step, Verb

_MICROSECOND: Final = timedelta(microseconds=1)

_MOVED_ALONG: Final = (
    "nodes",
    "deliveries",
    "failing",
    "tokens",
    "refresh_tokens",
    "codes",
    "sessions",
    "console_sessions",
    "assertions",
)


def seen(clock: Clock) -> Verb[tuple[datetime, float | None] | None]:
    """What the clock of this database showed last, and how many seconds ago; None: not known."""
    row = (yield Step("clock_seen")).first
    if row is None:
        return None
    passed = clock.monotonic() - row.monotonic_us / 1_000_000
    same = row.boot_id == boot_id() != "" and passed >= 0
    return from_microseconds(row.shown_us), passed if same else None


def go_on(clock: StoreClock) -> Verb[None]:
    """Let the clock begin where one of this database has stopped."""
    last = yield from seen(clock)
    if last is not None:
        clock.go_on(*last)
    clock.follow(_leaps((yield Step("clock_leaps"))))


def beat(clock: StoreClock) -> Verb[tuple[Leap, ...]]:
    """Write down what the clock shows; the leaps that it must `follow` once that is committed."""
    leap = clock.due_leap()
    shown = to_microseconds(clock.now())
    values = {"monotonic": round(clock.monotonic() * 1_000_000), "boot_id": boot_id()}
    yield Step("clock_beat", {**values, "shown": shown})  # nodes take turns from here
    if leap is not None:
        made = {"at": to_microseconds(leap.at), "gain": leap.gain // _MICROSECOND}
        if (yield Step("clock_leap_add", made)).changed:
            for name in _MOVED_ALONG:
                yield Step(f"clock_leap_{name}", made)
    return _leaps((yield Step("clock_leaps")))


def check(clock: Clock) -> Verb[Check]:
    """What doctor says of the clock: whether it agrees with the time that has passed."""
    last = yield from seen(clock)
    if last is None:
        return Check("clock", True, "no server has run on this database yet")
    shown, passed = last
    apart = clock.machine() - shown - timedelta(seconds=passed or 0.0)
    if passed is None and apart > timedelta():
        return Check("clock", True, f"{_seconds(apart)} later than when a server last ran")
    way = "behind" if apart < timedelta() else "ahead of"
    return Check(
        "clock",
        abs(apart) <= MOST_APART,
        f"the machine's is {_seconds(abs(apart))} {way} the store's",
        "set the machine's clock, and let NTP keep it; until they agree, nothing is deleted for "
        "its age that may not be that old",
    )


def _seconds(time: timedelta) -> str:
    return f"{time.total_seconds():,.0f} s"


def _leaps(found: Rows) -> tuple[Leap, ...]:
    return tuple(Leap(from_microseconds(row.at_us), row.gain_us * _MICROSECOND) for row in found)
