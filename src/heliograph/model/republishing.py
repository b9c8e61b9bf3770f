"""Republish jobs: asking again for many deliveries, carefully, whatever happens to the nodes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from heliograph.model.logs import Cursor, LogQuery

MOST_RATE = 1_000
"""Deliveries a second that a job may ask for at the most."""

MOST_RAMP = 86_400
"""Seconds that a rate may take to its full height at the most."""


class Source(StrEnum):
    """What a job asks for again."""

    FAILURES = "failures"
    DELIVERED = "delivered"


class JobState(StrEnum):
    """What a job does. `stopped` is what it does to itself; a person may let it go on."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    CANCELLED = "cancelled"
    FINISHED = "finished"


ENDED = frozenset({JobState.CANCELLED, JobState.FINISHED})
"""From here no job goes on."""


@dataclass(frozen=True, slots=True)
class Care:
    """How carefully a job asks.

    `rate` is deliveries a second (None: as fast as they are sent), reached after `ramp` seconds.
    Of `canary` deliveries (0: none) all must be delivered before it asks for more. It stops itself
    where `stop_percent` of the outcomes of a while are failures.
    """

    rate: int | None = None
    ramp: int = 0
    canary: int = 0
    stop_percent: int = 50


@dataclass(frozen=True, slots=True)
class NewRepublishJob:
    """What somebody (`who`) asks for."""

    source: Source
    query: LogQuery
    who: str
    care: Care


@dataclass(frozen=True, slots=True)
class RepublishJob:
    """A job, and how far it is. Counts are deliveries, times UTC.

    It is about what was there when it was made (`created_at`): `total` then. In their order, up to
    `cursor`, it has `asked` for some and `passed_over` those that cannot be asked for: what is
    being sent just then, is held, or has nowhere to go. An outcome is the next attempt's:
    `delivered` or `failed`; `pending` have none yet, of which `outstanding` are not held. `walked`:
    none is left.

    `began_at` is when it was last started or let go on; what is judged counts from the `base_`
    figures on. `paced_at` is up to when its rate is used. Each change of all that is another
    `step`.
    """

    job_id: int
    account_id: str
    source: Source
    query: LogQuery
    who: str
    care: Care
    state: JobState
    why: str | None
    total: int
    asked: int
    passed_over: int
    delivered: int
    failed: int
    pending: int
    outstanding: int
    walked: bool
    canary_passed: bool
    base_asked: int
    base_delivered: int
    base_failed: int
    cursor: Cursor
    step: int
    runner: str | None
    lease_until: datetime
    created_at: datetime
    began_at: datetime
    paced_at: datetime
    ended_at: datetime | None

    @property
    def left(self) -> int:
        """Those that it still has to come to, as far as is known."""
        return 0 if self.walked else max(0, self.total - self.asked - self.passed_over)

    @property
    def gone(self) -> int:
        """What was there when the job was made, or was asked for, and ended in another way."""
        unseen = max(0, self.total - self.asked - self.passed_over) if self.walked else 0
        return unseen + max(0, self.asked - self.delivered - self.failed - self.pending)
