"""Where due deliveries may be: what spares a claim on PostgreSQL the look at all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

SECOND: Final = 1_000_000
"""In microseconds, as all of these."""

_OVERLAP_US: Final = 1 * SECOND
"""How far a look goes back behind the one before."""

_LOOK_BACK_US: Final = 60 * SECOND
_LOOK_BACK_EVERY_US: Final = 5 * SECOND
_LOOK_AT_ALL_EVERY_US: Final = 20 * SECOND


@dataclass(slots=True)
class DueMarks:
    """Where due deliveries may be, from what due time on, by configuration.

    Dead rows stay in the index while any old snapshot is open: a claim that began at the
    index's start each time would read all of them (F20). Everything below a mark is known
    to be claimed. Looks further back now and then find what was committed late.
    """

    marks: dict[int, int] = field(default_factory=dict)
    last_served: int = 0
    seen_until_us: int = 0
    looked_back_us: int = 0
    looked_at_all_us: int = 0

    def since(self, now: int) -> int:
        """From what due time on the next look must go."""
        if not 0 <= now - self.looked_at_all_us < _LOOK_AT_ALL_EVERY_US:
            self.looked_at_all_us = self.looked_back_us = now
            self.marks.clear()
            return 0
        if not 0 <= now - self.looked_back_us < _LOOK_BACK_EVERY_US:
            self.looked_back_us = now
            return self.seen_until_us - _LOOK_BACK_US
        return self.seen_until_us - _OVERLAP_US

    def note(self, connect_ids: Iterable[int], since: int, now: int) -> None:
        """Note where a look since `since` found something due."""
        for connect_id in connect_ids:
            self.marks[connect_id] = min(self.marks.get(connect_id, since), since)
        self.seen_until_us = now

    def mark(self, connect_id: int) -> int:
        """From what due time on something of a configuration may wait."""
        return self.marks.get(connect_id, self.seen_until_us - _OVERLAP_US)

    def turn(self) -> list[int]:
        """The configurations with a mark, beginning behind the one that was served last (R7)."""
        known = sorted(self.marks)
        later = [connect_id for connect_id in known if connect_id > self.last_served]
        return later + known[: len(known) - len(later)]
