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
from typing import Final

from heliograph.model import (
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
    """Growing delays. All figures are seconds; `jitter` is the largest share added."""

    first: float
    factor: float
    ceiling: float
    horizon: float
    jitter: float

    def delay(self, number: int, seed: int) -> float:
        """Seconds from the end of attempt `number` (from 1) to the next one's due time."""
        # The exponent is bounded so that a large number cannot overflow a float.
        plain = min(self.first * self.factor ** min(number - 1, 64), self.ceiling)
        return plain * (1.0 + self.jitter * _share(seed, number))


STANDARD: Final = Schedule(
    first=5.0, factor=2.0, ceiling=12 * 3600.0, horizon=15 * 24 * 3600.0, jitter=0.2
)
"""The default: seconds at first, hours later, 15 days in all."""


def judge(
    answer: Answer | Fault,
    *,
    number: int,
    started_at: datetime,
    seed: int,
    now: datetime,
    schedule: Schedule = STANDARD,
) -> Outcome:
    """Turn what came back into an outcome.

    Args:
        answer: The listener's answer, or why there is none.
        number: Which attempt of the schedule this was, from 1.
        started_at: When the schedule began (UTC); its horizon counts from there.
        seed: The delivery's stored seed for jitter.
        now: When the attempt ended (UTC).
        schedule: The delays to follow.

    Returns:
        `Delivered` for 200-299 (DocuSign: any 2xx is success), else `RetryAt`, or `GaveUp`
        when the next try would lie beyond the horizon.
    """
    if isinstance(answer, Answer) and 200 <= answer.status <= 299:
        return Delivered()
    why = explain(answer)
    end = started_at + timedelta(seconds=schedule.horizon)
    due = now + timedelta(seconds=schedule.delay(number, seed))
    if due > end:
        return GaveUp(why)
    asked = retry_after(answer, now)
    if asked is not None:
        latest = min(now + timedelta(seconds=RETRY_AFTER_CEILING), end)
        due = max(due, min(asked, latest))
    return RetryAt(due, why)


def explain(answer: Answer | Fault) -> Why:
    """The reason that the failure log shows for an answer that is no success."""
    if isinstance(answer, Fault):
        return Why(answer.phase, answer.what)
    said = f"{answer.status} {answer.reason}".strip()
    if 300 <= answer.status <= 399:
        location = _header(answer, "location")
        target = f" to {location[:200]}" if location else ""
        return Why(Phase.STATUS, f"{said}: redirect{target} is not followed")
    return Why(Phase.STATUS, f"{said}: the listener must answer 200 to 299")


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
