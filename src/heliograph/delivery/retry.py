"""What follows from an answer: delivered, another try at a set time, or the end of trying.

Pure. The time of the next try is a function of the schedule, the number of the attempt and
the delivery's stored seed (R9): it survives a restart, jitter only ever makes it later, and
a listener's Retry-After is honoured within bounds.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, assert_never

from heliograph.model.configurations import ConnectConfiguration, ScheduleName
from heliograph.model.deliveries import (
    Answer,
    Delivered,
    Fault,
    GaveUp,
    Outcome,
    Phase,
    RetryAt,
    Why,
)

RETRY_AFTER_CEILING: Final = 24 * 3600.0
"""Seconds: no listener may put a retry off for longer than a day (R9)."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Growing delays, or those of a list. All figures are seconds.

    `jitter` is the largest share added, `tries` how many attempts there are at most. With
    `listed` each is the delay after the attempt of its place, and there are no more.
    """

    first: float
    factor: float
    ceiling: float
    horizon: float
    jitter: float
    tries: int | None = None
    listed: tuple[float, ...] = ()

    @classmethod
    def of(cls, seconds: tuple[float, ...]) -> Schedule:
        """Exactly these delays, in seconds."""
        return cls(0.0, 1.0, 0.0, _LONGEST, 0.0, len(seconds) + 1, seconds)

    def is_last(self, number: int) -> bool:
        """Whether attempt `number` (from 1) is the last."""
        return self.tries is not None and number >= self.tries

    def delay(self, number: int, seed: int) -> float:
        """Seconds from the end of attempt `number` (from 1) to the next one's due time."""
        if self.listed:
            return self.listed[number - 1]
        # The exponent is bounded so that a large number cannot overflow a float.
        plain = min(self.first * self.factor ** min(number - 1, 64), self.ceiling)
        return plain * (1.0 + self.jitter * _share(seed, number))


_DAY: Final = 24 * 3600.0
_LONGEST: Final = 15 * _DAY

STANDARD: Final = Schedule(first=5.0, factor=2.0, ceiling=12 * 3600.0, horizon=_LONGEST, jitter=0.2)
"""The default: seconds at first, hours later, 15 days in all."""

DOCUSIGN: Final = Schedule(
    first=15.0, factor=2.0, ceiling=_DAY, horizon=7 * _DAY, jitter=0.0, tries=45
)
"""SIM: 15 s doubling to a day, 45 tries or 7 days, whichever is first."""

DOCUSIGN_AGGREGATE: Final = Schedule(
    first=_DAY, factor=1.0, ceiling=_DAY, horizon=_LONGEST, jitter=0.0, tries=10
)
"""Aggregate: daily, ten tries."""

ONCE: Final = Schedule(first=0.0, factor=1.0, ceiling=0.0, horizon=_LONGEST, jitter=0.0, tries=1)
"""Where no acknowledgement is required: a failed post stays a failure that can be republished."""

_OURS: Final = Schedule(first=5.0, factor=2.0, ceiling=300.0, horizon=_LONGEST, jitter=0.2)
"""After a fault of our own: soon again, for it is not the listener who needs rest."""


def schedule_for(configuration: ConnectConfiguration, default: Schedule | ScheduleName) -> Schedule:
    """The schedule that a configuration's deliveries follow."""
    if not configuration.pace.acknowledged:
        return ONCE
    chosen = default if configuration.pace.schedule is None else configuration.pace.schedule
    if isinstance(chosen, Schedule):
        return chosen
    if isinstance(chosen, tuple):
        return Schedule.of(chosen)
    match chosen:
        case ScheduleName.STANDARD:
            return STANDARD
        case ScheduleName.DOCUSIGN:
            return DOCUSIGN_AGGREGATE if configuration.pace.aggregate else DOCUSIGN
        case _:
            assert_never(chosen)


def is_last(
    *, number: int, started_at: datetime, seed: int, now: datetime, schedule: Schedule
) -> bool:
    """Whether attempt `number` of a schedule, begun `now`, is followed by no other should the
    listener not take it. The arguments are those of `judge`."""
    if schedule.is_last(number):
        return True
    wait = schedule.delay(number, seed)
    return now + timedelta(seconds=wait) > started_at + timedelta(seconds=schedule.horizon)


def judge(
    answer: Answer | Fault,
    *,
    number: int,
    started_at: datetime,
    seed: int,
    now: datetime,
    machine: datetime | None = None,
    schedule: Schedule = STANDARD,
    uncounted: int = 0,
) -> Outcome:
    """Turn what came back into an outcome.

    Args:
        answer: The listener's answer, or why there is none.
        number: Which attempt of the schedule this was, from 1.
        started_at: When the schedule began (UTC); its horizon counts from there.
        seed: The delivery's stored seed for jitter.
        now: When the attempt ended (UTC), by the clock that due times are computed with.
        machine: When that was by the machine's clock, with which the listener's date is
            compared; None: the same.
        schedule: The delays to follow.
        uncounted: How many attempts lie outside the schedule: the fault was ours, or they came
            before a republish began it anew.

    Returns:
        `Delivered` where the message `was_taken`, else `RetryAt`, or `GaveUp`
        when there is no next try, or it would lie beyond the horizon.
    """
    if was_taken(answer):
        return Delivered()
    why = explain(answer)
    end = started_at + timedelta(seconds=schedule.horizon)
    counts = not (isinstance(answer, Fault) and answer.ours)
    if counts and schedule.is_last(number):
        return GaveUp(why)
    wait = schedule.delay(number, seed) if counts else _OURS.delay(uncounted + 1, seed)
    due = now + timedelta(seconds=wait)
    if due > end:
        return GaveUp(why)
    machine = machine or now
    not_before = retry_after(answer, machine)
    if not_before is not None:
        latest = min(now + timedelta(seconds=RETRY_AFTER_CEILING), end)
        due = max(due, min(now + (not_before - machine), latest))
    return RetryAt(due, why, counts)


def was_taken(answer: Answer | Fault) -> bool:
    """Whether the listener took the message (DocuSign: any 2xx is success)."""
    return isinstance(answer, Answer) and 200 <= answer.status <= 299


def says_gone(answer: Answer | None) -> bool:
    """Whether the listener will never take a message again (RFC 9110, 15.5.11)."""
    return answer is not None and answer.status == 410


def explain(answer: Answer | Fault) -> Why:
    """The reason that the failure log shows for an answer that is no success."""
    if isinstance(answer, Fault):
        return Why(answer.phase, answer.what)
    status_line = f"{answer.status} {answer.reason}".strip()
    if 300 <= answer.status <= 399:
        location = _header(answer, "location")
        target = f" to {location[:200]}" if location else ""
        return Why(Phase.STATUS, f"{status_line}: redirect{target} is not followed")
    return Why(Phase.STATUS, f"{status_line}: the listener must answer 200 to 299")


def retry_after(answer: Answer | Fault, now: datetime) -> datetime | None:
    """When the listener asks to be tried again (RFC 9110, 10.2.3): seconds or a date.

    A negative number, a date in the past, or text that is neither, asks for nothing.
    """
    value = _header(answer, "retry-after") if isinstance(answer, Answer) else None
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        # Anything above the ceiling is the ceiling; a float takes any number of digits.
        return now + timedelta(seconds=min(float(text), RETRY_AFTER_CEILING))
    try:
        when = parsedate_to_datetime(text)
        when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError):  # a date of the year 99999 overflows
        return None
    return when if when > now else None


def _header(answer: Answer, name: str) -> str | None:
    return next((value for key, value in answer.headers if key.lower() == name), None)


def _share(seed: int, number: int) -> float:
    """A number in [0, 1) that only the seed and the attempt decide."""
    digest = hashlib.blake2b(f"{seed}:{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
