"""In place of a dispatcher: takes what accepts hand over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from heliograph.model.deliveries import Claim
from heliograph.store import Store
from heliograph.store.loads import Load
from heliograph.store.openings import Openings


class Sending:
    """Takes what is handed over, and settles nothing; `bounds` are those of its openings."""

    def __init__(self, store: Store, **bounds: Any) -> None:
        self.taken: list[Claim] = []
        self.told = 0
        self.load = Load(2**20)
        self._bounds = bounds
        store.hand_to(self)

    def openings(self) -> Openings:
        free: Mapping[int, int] = {}
        usual = {"room": 100, "first": 100, "free": free, "per_account": 100}
        return Openings(**{**usual, **self._bounds}, of_accounts=Counter(), bytes=self.load.room())

    def take(self, claims: Sequence[Claim]) -> None:
        self.told += 1
        for claim in claims:
            self.load.began(claim)
        self.taken += claims

    async def get_on(self, deliveries: int) -> None:
        """It sends nothing: nobody waits for it."""

    @property
    def envelopes(self) -> list[str]:
        """The envelopes of what was taken."""
        return [claim.event.envelope_id for claim in self.taken]
