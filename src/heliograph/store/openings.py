"""What a node could send at once: an accept hands it over already claimed (decision 38).

Pure. Whatever is asked here is asked by the one accept that was given it, while its node begins
nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.deliveries import Claim
from heliograph.store.loads import Document, Room, parts_of


@dataclass(slots=True)
class Openings:
    """What may begin beside what is in flight; it notes what it was asked for and gave.

    `room` is for how many in all, `free` for how many of each configuration, and `first` of those
    that are not in it. Of several accounts each may have `per_account`, with what it has in flight
    (`of_accounts`). `bytes` is the room for what is heavy.
    """

    room: int
    first: int
    free: Mapping[int, int]
    per_account: int
    of_accounts: Counter[str]
    bytes: Room
    _of_configurations: Counter[int] = field(default_factory=Counter)

    def take(
        self, configuration: ConnectConfiguration, document: Document, *, several: bool
    ) -> bool:
        """Whether a delivery may begin; then it does. `several`: there is more than one account."""
        connect_id, account_id = configuration.connect_id, document.account_id
        begun = self._of_configurations[connect_id]
        if self.room <= 0 or self.free.get(connect_id, self.first) <= begun:
            return False
        if several and self.of_accounts[account_id] >= self.per_account:
            return False
        parts = parts_of(configuration, document)
        if not self.bytes.take(account_id, parts, several=several):
            return False
        self.room -= 1
        self._of_configurations[connect_id] += 1
        self.of_accounts[account_id] += 1
        return True


class Taker(Protocol):
    """Who sends: takes deliveries that were claimed as they were accepted."""

    def openings(self) -> Openings | None:
        """What it could begin now; None: what is accepted waits, and is claimed as anything is.

        Until it is told by `take` what came of them it begins nothing else.
        """
        ...

    def take(self, claims: Sequence[Claim]) -> None:
        """What was claimed by the last openings, and is committed; it must return at once."""
        ...

    async def get_on(self, deliveries: int) -> None:
        """Return when so many attempts have ended, or when sending waits for listeners alone.

        Asked after an accept of so many that has left some waiting: they are accepted no faster
        than they are sent, by as much as that is in our own hands (R23).
        """
        ...
