"""Work that outlives the one who waits for it: a question of many, a write that must be told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")
Key = TypeVar("Key")

_RUNNING: Final[set[asyncio.Task[Any]]] = set()
"""The event loop itself holds tasks weakly."""


class _Question(Generic[T]):
    """A question on its way, and how many wait for the answer."""

    __slots__ = ("task", "waiting")

    def __init__(self, task: asyncio.Task[T]) -> None:
        self.task = task
        self.waiting = 0


class Shared(Generic[Key, T]):
    """Questions on their way, each asked once: who asks the same meanwhile shares the answer.

    Nothing is kept of one that has ended. One event loop's.
    """

    def __init__(self) -> None:
        self._pending: dict[Key, _Question[T]] = {}

    def __len__(self) -> int:
        """How many questions are on their way."""
        return len(self._pending)

    async def ask(self, key: Key, question: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The answer of `question`, or of the one of this key that is on its way.

        Raises what the question raises, to all who wait. One who is cancelled only leaves; a
        question that nobody waits for any more is cancelled, and joined by nobody.
        """
        pending = self._pending.get(key)
        if pending is None or pending.task.done():
            pending = self._pending[key] = _Question(asyncio.create_task(question()))
            pending.task.add_done_callback(_look)
        pending.waiting += 1
        try:
            return await asyncio.shield(pending.task)
        finally:
            pending.waiting -= 1
            if not pending.waiting:
                pending.task.cancel()  # does nothing to one that has ended
                if self._pending.get(key) is pending:
                    del self._pending[key]

    def forget(self) -> None:
        """Who asks from now on asks anew; who waits already gets the answer of before."""
        self._pending.clear()


async def to_the_end(work: Coroutine[Any, Any, T], then: Callable[[], None]) -> T:
    """Do `work` to its end, also when the caller is cancelled; it raises what `work` raises.

    `then` is called when the work has ended, however it did, and before the caller goes on.
    """
    task = _kept(work)
    task.add_done_callback(lambda _: then())
    return await asyncio.shield(task)


def beside(work: Coroutine[Any, Any, None]) -> None:
    """Do `work` while the caller goes on, who is not told how it ends."""
    _kept(work)


def _kept(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    task = asyncio.create_task(work)
    _RUNNING.add(task)
    task.add_done_callback(_RUNNING.discard)
    task.add_done_callback(_look)
    return task


def _look(task: asyncio.Task[Any]) -> None:
    """Look at a failure even if whoever waited has gone: else asyncio complains."""
    if not task.cancelled():
        task.exception()
