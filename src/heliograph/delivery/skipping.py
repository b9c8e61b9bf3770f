"""Why configurations have no delivery of a stored event, as far as it can be told now. Pure.

Reasons are not stored: they are computed from the event as it is stored and the configurations as
they are now (docs/decisions/0041).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from heliograph.delivery.matching import match
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.events import NewEvent, Skip
from heliograph.model.people import Memberships
from heliograph.store import Changes

LATER: Final = "the configuration was made after the event"
WANTS_IT_NOW: Final = (
    "it would get the event now: the configuration, its users or its groups were changed since, or "
    "its delivery is not kept any more"
)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A configuration without a delivery of an event, and why, as it is now.

    `changed_since` tells that the configuration was changed after the event, so that it may have
    had another reason then.
    """

    connect_id: int
    name: str
    reason: str
    changed_since: bool


def without(
    configurations: Iterable[ConnectConfiguration], getting: Collection[int]
) -> list[ConnectConfiguration]:
    """Those that are not among the ids of `getting`, each once."""
    by_id = {one.connect_id: one for one in configurations if one.connect_id not in getting}
    return list(by_id.values())


def explained(
    configurations: Iterable[ConnectConfiguration],
    changes: Mapping[int, Changes],
    event: NewEvent,
    accepted_at: datetime,
    groups: Memberships,
) -> Iterator[Skipped]:
    """Why each of these, which has no delivery of the event, has none."""
    for configuration in configurations:
        changed = changes.get(configuration.connect_id)
        if changed is None:  # deleted just now
            continue
        verdict = match(configuration, event, groups)
        reason = verdict.reason if isinstance(verdict, Skip) else WANTS_IT_NOW
        if changed.created_at > accepted_at:
            reason = LATER
        yield Skipped(
            connect_id=configuration.connect_id,
            name=configuration.name,
            reason=reason,
            changed_since=changed.changed_at > accepted_at,
        )
