"""Times of the legacy message: told in the account's time zone, without saying which that is.

Recorded posts name no offset at a time and end no fraction in 0, but for `TimeGenerated`, which has
seven digits; `TimeZone` has Windows' name of the zone (Unicode CLDR maps it), which is the same in
summer, and `TimeZoneOffset` the hours of the day that the message was made.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from tzlocal.windows_tz import tz_win

from heliograph.wire import dates

UTC_ZONE: Final = ZoneInfo("UTC")
"""The zone of who has chosen none."""

_FRACTION: Final = re.compile(r"[.,](\d+)", re.ASCII)

_HOUR: Final = timedelta(hours=1)


class Times:
    """Tells times in one zone."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone

    @property
    def zone_name(self) -> str:
        """Windows' name of the zone, or its own where Windows has none."""
        return tz_win.get(self._zone.key, self._zone.key)

    def offset_hours(self, when: datetime) -> int:
        """Whole hours ahead of UTC at a time: the schema has an integer, so that a part is cut."""
        offset = self._local(when).utcoffset() or timedelta()
        return int(offset / _HOUR)

    def published(self, value: object) -> str | None:
        """A date-time that was published; None of what is none."""
        if not isinstance(value, str):
            return None
        try:
            return self._told(dates.parse(value))
        except ValueError:
            return None

    def with_ticks(self, when: datetime, published: str | None) -> str:
        """A time with seven digits of its second, as `TimeGenerated` has them.

        The seventh, which a datetime does not keep, is that of the text that was published.
        """
        ticks = f"{when.microsecond:06}0"
        found = _FRACTION.search(published or "")
        if found and ticks.startswith(found[1][:6].ljust(6, "0")):
            ticks = found[1][:7].ljust(7, "0")
        return f"{self._told(when.replace(microsecond=0))}.{ticks}"

    def _told(self, when: datetime) -> str:
        text = self._local(when).replace(tzinfo=None).isoformat()
        return text.rstrip("0") if "." in text else text

    def _local(self, when: datetime) -> datetime:
        try:
            return when.astimezone(self._zone)
        except OverflowError:  # within a day of the year 1 or 9999: there is no local time
            return when.astimezone(UTC)
