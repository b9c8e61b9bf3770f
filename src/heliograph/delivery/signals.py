"""What the parts of one process tell each other: there is work, something was settled.

Signals are hints that save waiting; the database decides. A lost one costs time, never work. That
something may be due is said by the store alone, whatever has changed a delivery (`Store.when_due`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Signals:
    """`work` wakes the dispatcher, `settled` wakes whoever waits for outcomes, and what is `new`
    whoever follows the events or the log, until all that is `stopped`."""

    def __init__(self) -> None:
        self.work = asyncio.Event()
        self.stopped = asyncio.Event()
        """Set once nobody is to follow any more."""
        self._settled = asyncio.Event()
        self._following: set[asyncio.Event] = set()

    def announce_settled(self) -> None:
        """Wake everyone that waits for outcomes."""
        self._settled.set()
        self._settled = asyncio.Event()
        self.announce_new()

    def next_settled(self) -> asyncio.Event:
        """The event that the next `announce_settled` sets; take it before looking."""
        return self._settled

    def announce_new(self) -> None:
        """Wake everyone that follows what happens."""
        for news in self._following:
            news.set()

    @contextmanager
    def following(self) -> Iterator[asyncio.Event]:
        """An event that is set whenever there is something new; clear it before looking."""
        news = asyncio.Event()
        self._following.add(news)
        try:
            yield news
        finally:
            self._following.discard(news)

    def stop_following(self) -> None:
        """Let everyone that follows end, now and from now on."""
        self.stopped.set()
        self.announce_new()
