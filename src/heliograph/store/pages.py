"""Pages of a listing, and the walk through them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from heliograph.model.logs import Cursor

Q = TypeVar("Q")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Rows of a listing, and where the next page begins (None: this was the last)."""

    entries: tuple[R, ...]
    next_cursor: Cursor | None


async def every_page(
    listing: Callable[[str, Q, int, Cursor | None], Awaitable[Page[R]]],
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
