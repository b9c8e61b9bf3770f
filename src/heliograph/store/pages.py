"""Pages of a listing, and the walk through them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from heliograph.model.logs import Cursor


class Listed(Protocol):
    """A record of a listing, which knows its place in it."""

    @property
    def cursor(self) -> Cursor: ...


Q = TypeVar("Q")
R = TypeVar("R")
L = TypeVar("L", bound=Listed)


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Rows of a listing, and where the next page begins (None: this was the last)."""

    entries: tuple[R, ...]
    next_cursor: Cursor | None


def page_of(rows: Sequence[Any], limit: int, entry: Callable[[Any], L]) -> Page[L]:
    """The page of so many rows; where others follow, one of them is there."""
    entries = tuple(map(entry, rows[:limit]))
    return Page(entries, entries[-1].cursor if len(rows) > limit else None)


Listing = Callable[[str, Q, int, Cursor | None], Awaitable[Page[R]]]
"""Gives a page: of an account, what a query selects, so many rows, behind a cursor."""


async def every_page(
    listing: Listing[Q, R],
    account_id: str,
    query: Q,
    size: int,
    after: Cursor | None = None,
) -> AsyncIterator[Page[R]]:
    """Walk a listing page by page, so that a long one is never held in memory."""
    while True:
        page = await listing(account_id, query, size, after)
        yield page
        if page.next_cursor is None:
            return
        after = page.next_cursor
