"""The port of what follows a listing: the rows that have come since, each once, none left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from heliograph.model.logs import Cursor, LogEntry, LogQuery
from heliograph.model.published import EventEntry, EventQuery

R = TypeVar("R")

MOST_PENDING: Final = 1_000
"""Posts in flight that a place leaves open: behind more of them the log waits until some end."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a listing was followed: to the cursor, but for what was `pending`.

    Those are the ids of posts that were in flight, and may have begun before the cursor: a post has
    its row in the log when it has ended, and there where it began.
    """

    cursor: Cursor
    pending: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Passage(Generic[R]):
    """Rows that came behind a place, each with the place behind it; where it ends, and whether
    `more` are there already."""

    entries: Sequence[tuple[R, Place]]
    place: Place
    more: bool = False


class Tails(Protocol):
    """Every verb takes the account (S8), and none changes anything.

    A place of None stands for the beginning: where the query has a `from_date` all that it selects,
    else what comes from now on, which the first passage says and no more. The query's order counts
    for nothing: the oldest come first, but for posts that took longer than later ones.
    """

    async def logs(
        self, account_id: str, query: LogQuery, place: Place | None, limit: int
    ) -> Passage[LogEntry]:
        """Log entries behind a place, at most `limit` beside those that were pending."""
        ...

    async def events(
        self, account_id: str, query: EventQuery, place: Place | None, limit: int
    ) -> Passage[EventEntry]:
        """Events behind a place, at most `limit`."""
        ...
