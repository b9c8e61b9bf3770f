"""Date-times on the wire: ISO 8601 in UTC with up to seven fractional digits and `Z`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

# DocuSign writes seven fractional digits, datetime keeps six: the rest is cut, not rounded,
# so that an instant never moves forward past another.
_LONG_FRACTION: Final = re.compile(r"(?<=[.,]\d{6})\d+")

_SHAPE: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}"
    r"(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,12})?)?(?:Z|z|[+-]\d{2}:?\d{2})?)?",
    re.ASCII,
)


def parse(text: str) -> datetime:
    """Read a date or date-time; without an offset it is UTC, as the page says.

    Raises:
        ValueError: the text is no date of the ISO 8601 forms above, or lies outside the
            years 1 to 9999 in UTC.
    """
    stripped = text.strip()
    if _SHAPE.fullmatch(stripped) is None:
        raise ValueError("not an ISO 8601 date")
    when = datetime.fromisoformat(_LONG_FRACTION.sub("", stripped).replace(",", ".").upper())
    if when.tzinfo is None:
        return when.replace(tzinfo=UTC)
    try:
        return when.astimezone(UTC)
    except OverflowError:
        raise ValueError("the date lies outside the years 1 to 9999") from None


def render(when: datetime) -> str:
    """Write an instant as DocuSign does: `2026-11-23T09:00:00.1234560Z`."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z").rjust(28, "0")
