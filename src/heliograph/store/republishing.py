"""The port of republish jobs: durable, and one step of them is one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Protocol

from heliograph.model.logs import Cursor, LogQuery
from heliograph.model.republishing import NewRepublishJob, RepublishJob, Source

MOST_OPEN: Final = 100
"""Jobs of an account that have not ended: each costs a look now and then."""


class Republishing(Protocol):
    """Every verb of a caller takes the account (S8); those of the runner are for all accounts."""

    async def start(self, account_id: str, wanted: NewRepublishJob) -> RepublishJob:
        """Make a job, which then runs.

        Raises:
            TooManyRepublishJobs: `MOST_OPEN` of the account have not ended.
        """
        ...

    async def uncertain(self, account_id: str, query: LogQuery, source: Source) -> int:
        """Of what a query selects, how much its listener may have taken already."""
        ...

    async def job(self, account_id: str, job_id: int) -> RepublishJob | None:
        """One of the account's, or None."""
        ...

    async def jobs(self, account_id: str, most: int, after: Cursor) -> Sequence[RepublishJob]:
        """The account's, newest first, that come after a cursor."""
        ...

    async def change(
        self, account_id: str, job_id: int, change: Callable[[RepublishJob], RepublishJob]
    ) -> RepublishJob | None:
        """Change a job as a person wants it; None when the account has no such one.

        `change` is given it as it is, which stays so until the commit, and returns it as it shall
        be: its state and why, its care, and what its next judgement begins with. It may refuse by
        raising.
        """
        ...

    async def running(self) -> Sequence[RepublishJob]:
        """The jobs of all accounts that run."""
        ...

    async def take(self, job: RepublishJob, runner: str, until: datetime) -> bool:
        """Have a job that nobody else has; False where somebody does.

        It only spares two runners the same work: that none is done twice is seen to by `ask`.
        """
        ...

    async def let_go(self, runner: str) -> None:
        """Let others take the jobs of a runner at once."""
        ...

    async def ask(self, job: RepublishJob, most: int, paced_at: datetime) -> bool:
        """The next step of a job: ask for the next few, and go on behind them (R24).

        Both are one transaction, and it is undone where the job has changed since it was read:
        then it is False. Whoever runs the job, and however often, none is asked for twice.
        """
        ...

    async def rule(self, job: RepublishJob) -> bool:
        """Store what was decided of a job; False where it has changed since it was read."""
        ...
