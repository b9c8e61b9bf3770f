"""The query parameters of listings of users, groups and tokens, and the pages they lead to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import urlencode

from heliograph.api.contract import parameters
from heliograph.api.contract.operation import Call
from heliograph.api.contract.parameters import Parameter
from heliograph.errors import InvalidParameter
from heliograph.model.people import UserQuery, UserStatus
from heliograph.wire.names import LONGEST_EMAIL
from heliograph.wire.paging import Paged
from heliograph.wire.users import STATUSES

MOST: Final = 1000
"""Users, groups or tokens in one answer."""

DEFAULT: Final = 100
"""How many come when the caller does not say, as on DocuSign."""

_FURTHEST: Final = 10**9

P = TypeVar("P", bound=Paged)


def _statuses(text: str) -> frozenset[UserStatus] | None:
    words = {word.strip().lower() for word in text.split(",")} - {""}
    if not words or words == {"any"}:
        return None
    if unknown := words - {word.lower() for word in STATUSES}:
        raise InvalidParameter(
            f"status must be some of {', '.join(STATUSES)}, not {min(unknown)[:40]!r}."
        )
    return frozenset(status for status in UserStatus if status.value in words)


START: Final = parameters.number(
    "start_position", "The place of the first one, from 0.", 0, _FURTHEST, 0
)
COUNT: Final = parameters.number("count", "How many in one answer.", 1, MOST, DEFAULT)
NAME_PART: Final = parameters.text(
    "user_name_substring", "Whose name holds this.", LONGEST_EMAIL, printable=True
)
EMAIL_PART: Final = parameters.text(
    "email_substring", "Whose e-mail holds this.", LONGEST_EMAIL, printable=True
)
EMAIL: Final = parameters.text("email", "With this e-mail.", LONGEST_EMAIL, printable=True)
STATUS: Final[Parameter[frozenset[UserStatus] | None]] = Parameter(
    name="status",
    about=f"Of these, with commas between: {', '.join(STATUSES)}.",
    schema={"type": "string"},
    parse=_statuses,
    absent=None,
    example="Active",
)
GROUP_ID: Final = parameters.row("group_id", "In this group.")

PART: Final = (START, COUNT)
USERS: Final = (NAME_PART, EMAIL_PART, STATUS, *PART)
"""What every listing of users takes."""


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of a listing is meant: from the place `start` on, at most `count`."""

    start: int
    count: int

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Part:
        """Read `start_position` and `count`. Raises InvalidParameter."""
        return cls(START.read(query), COUNT.read(query))


def users(query: Mapping[str, str]) -> UserQuery:
    """The filters of listings of users; empty values count as not given.

    Raises:
        InvalidParameter: naming the parameter and what it takes.
    """
    return UserQuery(
        name=NAME_PART.read(query),
        email_part=EMAIL_PART.read(query),
        email=EMAIL.read(query),
        statuses=STATUS.read(query),
        group_id=GROUP_ID.read(query),
    )


def paged(answer: P, call: Call, part: Part, shown: int, total: int) -> P:
    """The answer with what its page says of itself; `shown` is how many are on it."""
    answer.start_position = str(part.start)
    answer.end_position = str(max(part.start + shown - 1, 0))
    answer.result_set_size = str(shown)
    answer.total_set_size = str(total)
    if shown and part.start + shown < total:
        answer.next_uri = _uri(call, part.start + shown, part.count)
    if part.start:
        answer.previous_uri = _uri(call, max(part.start - part.count, 0), part.count)
    return answer


def _uri(call: Call, start: int, count: int) -> str:
    """Works on this host as it stands, and behind the SDK's base path."""
    path = call.url_path.removeprefix("/restapi")
    return f"{path}?{urlencode({**call.query, 'start_position': start, 'count': count})}"
