"""The port of what was published: every event, and every delivery, in any state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from heliograph.model.logs import AttemptDetail, Cursor
from heliograph.model.published import (
    DeliveryEntry,
    DeliveryQuery,
    EventDetail,
    EventEntry,
    EventQuery,
)
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
