"""What is asked of the store about incidents. To count them is no verb, but part of each change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from heliograph.model.incidents import Incident, IncidentQuery, News
from heliograph.model.logs import Cursor
from heliograph.store.pages import Page


class Incidents(Protocol):
    """Open failures by cause. Errors common to all: StorageUnavailable and StorageBroken."""

    async def page(
        self, account_id: str, query: IncidentQuery, limit: int, after: Cursor | None = None
    ) -> Page[Incident]:
        """Some of an account's incidents, those that opened last first."""
        ...

    async def one(self, account_id: str, incident_id: int) -> Incident | None:
        """One incident with its envelopes, or None."""
        ...

    async def acknowledge(
        self, account_id: str, incident_id: int, who: str | None, note: str | None
    ) -> bool:
        """Note who has seen an incident (None: nobody has); False when there is none of this id."""
        ...

    async def tend(self) -> Sequence[News]:
        """Close those that are empty, note how many failures each has, and say what is to be told.

        What is said once, to whichever node asks first, is not said again. At most `MOST_TOLD` a
        call.
        """
        ...

    async def name_causes(self) -> int:
        """Give failures of older versions their cause, at most `BATCH` a call.

        Returns the number of them.
        """
        ...
