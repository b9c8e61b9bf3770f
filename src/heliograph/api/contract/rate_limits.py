"""What an answer says of the limits of calls.

Source: DocuSign's page "API resource limits": the five headers below; the reset is seconds
since 1970 (its examples), and there is none for a burst.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from heliograph.access.limits import Standing

ABOUT: Final[Mapping[str, str]] = {
    "X-RateLimit-Limit": "Calls that the account may make in an hour.",
    "X-RateLimit-Remaining": "How many of them are left.",
    "X-RateLimit-Reset": "When the hour ends, in seconds since 1970.",
    "X-BurstLimit-Limit": "Calls that the account may make in 30 seconds.",
    "X-BurstLimit-Remaining": "How many of them are left.",
}
"""Each header in words; all are whole numbers."""


def headers(hour: Standing | None, burst: Standing | None) -> Mapping[str, str]:
    """The headers of an answer, in small letters; None stands for no such limit."""
    lines: dict[str, str] = {}
    if hour is not None:
        lines |= {
            "x-ratelimit-limit": str(hour.most),
            "x-ratelimit-remaining": str(hour.left),
            "x-ratelimit-reset": str(hour.ends),
        }
    if burst is not None:
        lines |= {
            "x-burstlimit-limit": str(burst.most),
            "x-burstlimit-remaining": str(burst.left),
        }
    return lines
