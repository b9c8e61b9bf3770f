"""A listing as NDJSON: one record to a line, however many there are."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import TypeVar

import msgspec

from heliograph.store.pages import Page
from heliograph.wire.codec import encode_json

R = TypeVar("R")


async def lines(
    pages: AsyncIterator[Page[R]], count: int | None, shown: Callable[[R], msgspec.Struct]
) -> AsyncGenerator[bytes, None]:
    """The lines of pages, at most `count`; a record is `shown` as the API has it."""
    left = count
    async for page in pages:
        entries: Sequence[R] = page.entries if left is None else page.entries[:left]
        yield b"".join(encode_json(shown(entry)) + b"\n" for entry in entries)
        if left is not None:
            left -= len(entries)
            if left <= 0:
                return
