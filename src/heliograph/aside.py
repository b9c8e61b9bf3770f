"""Work of the processor that the event loop cannot bear: done beside it, so that others get a turn.

Threads share the interpreter. What is written in Python gives way to the loop every few
milliseconds; a call into a library (JSON of a megabyte, say) at its end, so that no single one may
take long: bodies are bounded by cheap counting first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

BEARABLE: Final = 64 * 2**10
"""Bytes that are read or written within some milliseconds."""

RECORD: Final = 200
"""Bytes that one record of a listing, or one decision of many, counts as."""

_THREADS: Final = ThreadPoolExecutor(2, thread_name_prefix="aside")
"""Two: more would only share what one processor can do, and hold more bodies at once."""


async def aside(size: int, work: Callable[[], T]) -> T:
    """`work()`, in a thread where its `size`, about that in bytes, is more than `BEARABLE`."""
    if size <= BEARABLE:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_THREADS, work)
