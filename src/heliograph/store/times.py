"""Instants as the store keeps them: whole microseconds since 1970, UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


_MICROSECOND: Final = timedelta(microseconds=1)


def to_microseconds(when: datetime) -> int:
    """Microseconds since 1970 in UTC, exactly; negative before."""
    return (when - _EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    """The instant of `to_microseconds`."""
    return _EPOCH + timedelta(microseconds=value)
