"""The port of what was published: every event, and every delivery, in any state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from heliograph.model.logs import AttemptDetail, Cursor
from heliograph.model.published import (
    DeliveryEntry,
    DeliveryQuery,
    EventDetail,
    EventEntry,
    EventQuery,
)
from heliograph.model.throughput import Backlog, Post
from heliograph.store.pages import Page


class Published(Protocol):
    """Every verb takes the account (S8), and none changes anything."""

    async def events(
        self, account_id: str, query: EventQuery, limit: int, after: Cursor | None = None
    ) -> Page[EventEntry]:
        """Events by when they were accepted."""
        ...

    async def deliveries(
        self, account_id: str, query: DeliveryQuery, limit: int, after: Cursor | None = None
    ) -> Page[DeliveryEntry]:
        """Deliveries by when their events were accepted."""
        ...

    async def count_events(self, account_id: str, query: EventQuery, most: int) -> int:
        """How many a query selects; with `most` as the answer it may be more."""
        ...

    async def count_deliveries(self, account_id: str, query: DeliveryQuery, most: int) -> int:
        """The same of deliveries."""
        ...

    async def event(self, account_id: str, event_id: str) -> EventDetail | None:
        """One event, or None."""
        ...

    async def delivery(self, account_id: str, delivery_id: int) -> DeliveryEntry | None:
        """One delivery, or None."""
        ...

    async def attempts(self, account_id: str, delivery_id: int) -> Sequence[AttemptDetail]:
        """The attempts of a delivery that have ended, oldest first, whatever was logged."""
        ...

    async def posts(
        self, account_id: str, connect_id: int | None, since: datetime, most: int
    ) -> Sequence[Post]:
        """The last attempts that ended and were logged, newest first; None: of all configurations.

        `since` (UTC) is when the oldest of them began at the earliest.
        """
        ...

    async def backlog(self, account_id: str, connect_id: int | None, most: int) -> Backlog:
        """How many deliveries have not ended, of each state up to `most`; None: of all
        configurations."""
        ...

    async def servers(self) -> int:
        """How many nodes are at work, for all accounts."""
        ...
