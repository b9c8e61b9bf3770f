"""Durations as people write them: `90s`, `5m`, `25h`, `3d`."""

from __future__ import annotations

import re
from typing import Final

from heliograph.errors import InvalidParameter

_UNITS: Final = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_DURATION: Final = re.compile(r"([0-9]{1,7}) ?([a-z]+)", re.ASCII)
_MOST: Final = 3 * 366 * 86_400


def seconds(text: str) -> int:
    """The seconds of a duration, at most three years. Raises InvalidParameter."""
    found = _DURATION.fullmatch(text.strip().lower())
    unit = _UNITS.get(found[2]) if found else None
    if found is None or unit is None or not 0 < int(found[1]) * unit <= _MOST:
        raise InvalidParameter(
            f"{text[:40]!r} is no duration: write it like 90s, 5m, 25h or 3d, three years at most."
        )
    return int(found[1]) * unit
