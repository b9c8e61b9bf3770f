"""What the parts of one process tell each other: there is work, something was settled.

Signals are hints that save waiting; the database decides. A lost one costs time, never work. That
something may be due is said by the store alone, whatever has changed a delivery (`Store.when_due`).
"""

from __future__ import annotations

import asyncio


class Signals:
    """Two signals: `work` wakes the dispatcher, `settled` wakes whoever waits for outcomes."""

    def __init__(self) -> None:
        self.work = asyncio.Event()
        self._settled = asyncio.Event()

    def announce_settled(self) -> None:
        """Wake everyone that waits for outcomes."""
        self._settled.set()
        self._settled = asyncio.Event()

    def next_settled(self) -> asyncio.Event:
        """The event that the next `announce_settled` sets; take it before looking."""
        return self._settled
