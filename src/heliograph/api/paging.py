"""The query parameters of listings of users, groups and tokens, and the pages they lead to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import urlencode

from heliograph.api.contract import Call
from heliograph.api.selection import row_id
from heliograph.errors import InvalidParameter
from heliograph.people import UserQuery, UserStatus
from heliograph.wire.people import LONGEST_EMAIL, STATUSES, Paged

MOST: Final = 1000
"""Users, groups or tokens in one answer."""

DEFAULT: Final = 100
"""How many come when the caller does not say, as on DocuSign."""

_FURTHEST: Final = 10**9

P = TypeVar("P", bound=Paged)


@dataclass(frozen=True, slots=True)
class Place:
    """Which part of a listing is meant: from the place `start` on, at most `count`."""

    start: int
    count: int

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Place:
        """Read `start_position` and `count`. Raises InvalidParameter."""
        return cls(
            _number(query, "start_position", 0, 0, _FURTHEST),
            _number(query, "count", DEFAULT, 1, MOST),
        )


def users(query: Mapping[str, str]) -> UserQuery:
    """The filters of listings of users; empty values count as not given.

    Raises:
        InvalidParameter: naming the parameter and what it takes.
    """
    group = text(query, "group_id")
    return UserQuery(
        name=text(query, "user_name_substring"),
        email_part=text(query, "email_substring"),
        email=text(query, "email"),
        statuses=_statuses(query),
        group_id=None if group is None else row_id(group, "group_id"),
    )


def flag(query: Mapping[str, str], name: str, *, default: bool) -> bool:
    """A parameter that is true or false. Raises InvalidParameter."""
    word = query.get(name, "").strip().lower()
    if word not in ("", "true", "false"):
        raise InvalidParameter(f"{name} must be true or false.")
    return default if word == "" else word == "true"


def paged(answer: P, call: Call, place: Place, found: int, total: int) -> P:
    """The answer with what its page says of itself; `found` is how many are on it."""
    answer.start_position = str(place.start)
    answer.end_position = str(max(place.start + found - 1, 0))
    answer.result_set_size = str(found)
    answer.total_set_size = str(total)
    if found and place.start + found < total:
        answer.next_uri = _uri(call, place.start + found, place.count)
    if place.start:
        answer.previous_uri = _uri(call, max(place.start - place.count, 0), place.count)
    return answer


def _uri(call: Call, start: int, count: int) -> str:
    """Works on this host as it stands, and behind the SDK's base path."""
    path = call.url_path.removeprefix("/restapi")
    return f"{path}?{urlencode({**call.query, 'start_position': start, 'count': count})}"


def text(query: Mapping[str, str], name: str) -> str | None:
    """A text to look for, or None. Raises InvalidParameter."""
    given = query.get(name, "").strip()
    if len(given) > LONGEST_EMAIL or not given.isprintable():
        raise InvalidParameter(f"{name} must have at most {LONGEST_EMAIL} printable characters.")
    return given or None


def _statuses(query: Mapping[str, str]) -> frozenset[UserStatus] | None:
    given = {word.strip().lower() for word in query.get("status", "").split(",")} - {""}
    if not given or given == {"any"}:
        return None
    if unknown := given - {word.lower() for word in STATUSES}:
        raise InvalidParameter(
            f"status must be some of {', '.join(STATUSES)}, not {min(unknown)[:40]!r}."
        )
    return frozenset(one for one in UserStatus if one.value in given)


def _number(query: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    given = query.get(name, "").strip()
    if not given:
        return default
    digits = given.isascii() and given.isdigit() and len(given) <= len(str(most))
    if not digits or not least <= int(given) <= most:
        raise InvalidParameter(f"{name} must be a number from {least} to {most}.")
    return int(given)
