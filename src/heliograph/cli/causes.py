"""Open failures that filters select, by their cause: how many of each, since when, and one of them.

Of all that an account or a configuration has, incidents tell (open_incidents.py): nothing is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from heliograph.cli.connection import Connection

MOST_READ: Final = 20_000
"""Failures that are read to be counted: the newest ones."""


@dataclass(slots=True)
class Group:
    """Failures of one configuration that have one cause; `newest` is a record of the API."""

    connect_id: str
    cause: str
    newest: Mapping[str, str]
    count: int = 0
    since: str = ""
    envelopes: set[str] = field(default_factory=set)

    def add(self, record: Mapping[str, str]) -> None:
        """Count one that is not newer than those before."""
        self.count += 1
        self.since = record["created"]
        self.envelopes.add(record.get("envelopeId", ""))


@dataclass(frozen=True, slots=True)
class Causes:
    """What was counted, the commonest cause first; `more` tells that there are older failures."""

    groups: Sequence[Group]
    total: int
    more: bool


async def causes_of(connection: Connection, chosen: Mapping[str, str]) -> Causes:
    """Count the open failures that filters select, by configuration and cause.

    They are read one by one, and the newest only where they are very many.
    """
    groups: dict[tuple[str, str], Group] = {}
    total = 0
    query = {**chosen, "order": "desc"}
    async with connection.lines("failures", query) as lines:
        async for line in lines:
            total += 1
            if total > MOST_READ:
                break
            record = msgspec.json.decode(line, type=dict[str, str])
            key = (record["connectId"], record.get("cause", "unknown"))
            groups.setdefault(key, Group(*key, newest=record)).add(record)
    ordered = sorted(groups.values(), key=lambda group: -group.count)
    return Causes(ordered, min(total, MOST_READ), total > MOST_READ)
