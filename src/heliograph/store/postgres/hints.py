"""Hints between nodes by LISTEN and NOTIFY: they save waiting, and may be lost."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import psycopg

from heliograph.errors import StorageUnavailable
from heliograph.store.postgres.connection import Connection, Database, run
from heliograph.store.postgres.queries import QUERIES

_LOOK_ANYWAY: Final = 1.0
"""Seconds after which a node looks for work without a hint."""

_APART: Final = 0.05
"""Seconds between two hints of one node."""


class Hints:
    """Tells other nodes that work was left, and waits for them to tell us.

    A hint is given after the commit and apart from it: NOTIFY inside of a transaction makes
    all commits of the database go one by one. Behind a pooler, where a session is not ours,
    nodes just look every second.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._told = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self._giving: asyncio.Task[None] | None = None
        self._again = False

    def give(self) -> None:
        """Tell other nodes, soon, that there is work."""
        self._again = True
        if self._giving is None or self._giving.done():
            self._giving = asyncio.create_task(self._give())

    async def wait(self) -> None:
        """Return at the next hint, or after a second."""
        if self._listening is None and not self._database.behind_pooler:
            self._listening = asyncio.create_task(self._listen())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_ANYWAY):
                await self._told.wait()
        self._told.clear()

    async def close(self) -> None:
        """End listening."""
        for task in (self._listening, self._giving):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _give(self) -> None:
        while self._again:
            self._again = False

            async def notify(db: Connection) -> None:
                await run(db, QUERIES["hint"])

            with contextlib.suppress(StorageUnavailable):
                await self._database.transact(notify)
            await asyncio.sleep(_APART)

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(StorageUnavailable, psycopg.Error, OSError):
                async with self._database.dedicated() as connection:
                    await connection.execute(QUERIES["listen"])
                    async for _ in connection.notifies():
                        self._told.set()
            await asyncio.sleep(_LOOK_ANYWAY)
