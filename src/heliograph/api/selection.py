"""The query parameters of listings: which log entries or failures a caller means.

`from_date` and `to_date` are the page's; the others are extensions, and without them the
answer is what the SDK expects.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from heliograph.errors import InvalidParameter
from heliograph.model import Cursor, LogQuery, Order
from heliograph.wire import dates
from heliograph.wire.json_sim import LONGEST_ID, STATUS_WORDS

MOST_RECORDS: Final = 10_000
"""Records in one answer, and how many come when the caller does not say (ConnectLogs has no
place to tell an SDK's user that there are more)."""

NAMES: Final = (
    "from_date",
    "to_date",
    "connect_id",
    "envelope_id",
    "status",
    "error",
    "count",
    "cursor",
    "order",
)

_LARGEST_ID: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Selection:
    """A listing's filters, how many records of it, and where it begins."""

    query: LogQuery
    count: int | None
    cursor: Cursor | None


def read(query: Mapping[str, str]) -> Selection:
    """Read a query string; empty values count as not given.

    Raises:
        InvalidParameter: naming the parameter and what it takes.
    """
    given = {name: query[name].strip() for name in NAMES if query.get(name, "").strip()}
    error = given.get("error")
    if error is not None and len(error) > LONGEST_ID:
        raise InvalidParameter(f"error must have at most {LONGEST_ID} characters.")
    return Selection(
        LogQuery(
            from_date=_date(given, "from_date"),
            to_date=_date(given, "to_date"),
            connect_id=_connect_id(given),
            envelope_id=given.get("envelope_id"),
            status=_status(given),
            error=error,
            order=_order(given),
        ),
        count=_count(given),
        cursor=_cursor(given),
    )


def row_id(text: str, name: str) -> int:
    """An id of ours in a path; anything else than a number cannot name a row."""
    digits = text.isascii() and text.isdigit() and len(text) <= len(str(_LARGEST_ID))
    if not digits or int(text) > _LARGEST_ID:
        raise InvalidParameter(f"{name} must be a number.")
    return int(text)


def write_cursor(cursor: Cursor) -> str:
    """A cursor as text that callers hand back and do not read."""
    plain = f"{cursor.created_us}.{cursor.row_id}".encode()
    return base64.urlsafe_b64encode(plain).decode().rstrip("=")


def next_link(path: str, query: Mapping[str, str], cursor: Cursor) -> str:
    """The Link header (RFC 8288) of the next page."""
    kept = {name: query[name] for name in NAMES if name in query and name != "cursor"}
    return f'<{path}?{urlencode({**kept, "cursor": write_cursor(cursor)})}>; rel="next"'


def _date(given: Mapping[str, str], name: str) -> datetime | None:
    text = given.get(name)
    if text is None:
        return None
    try:
        return dates.parse(text)
    except ValueError:
        raise InvalidParameter(
            f"{name} must be a UTC date-time such as 2026-11-23T09:00:00Z, not {text[:40]!r}."
        ) from None


def _connect_id(given: Mapping[str, str]) -> int | None:
    text = given.get("connect_id")
    return None if text is None else row_id(text, "connect_id")


def _status(given: Mapping[str, str]) -> str | None:
    text = given.get("status")
    if text is None or text.lower() == "any":
        return None
    word = STATUS_WORDS.get(text.lower())
    if word is None:
        raise InvalidParameter(f"status must be one of {', '.join(STATUS_WORDS.values())}.")
    return word


def _order(given: Mapping[str, str]) -> Order:
    try:
        return Order(given.get("order", Order.NEWEST_FIRST.value).lower())
    except ValueError:
        raise InvalidParameter("order must be asc or desc.") from None


def _count(given: Mapping[str, str]) -> int | None:
    text = given.get("count")
    if text is None:
        return None
    digits = text.isascii() and text.isdigit() and len(text) <= len(str(MOST_RECORDS))
    if not digits or not 1 <= int(text) <= MOST_RECORDS:
        raise InvalidParameter(f"count must be a number from 1 to {MOST_RECORDS}.")
    return int(text)


def _cursor(given: Mapping[str, str]) -> Cursor | None:
    text = given.get("cursor")
    if text is None:
        return None
    try:
        plain = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        created, row = plain.decode("ascii").split(".")
        cursor = Cursor(int(created), int(row))
        if max(abs(cursor.created_us), abs(cursor.row_id)) > _LARGEST_ID:
            raise ValueError
    except (binascii.Error, ValueError):
        raise InvalidParameter(
            "cursor is not one that Heliograph gave: take it from the Link header."
        ) from None
    return cursor
