"""What an account does to a store, a step a word: configure, publish, claim, settle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.deliveries import Claim, Outcome
from heliograph.model.events import Accepted, NewEvent
from heliograph.store import Store
from tests import support
from tests.support import ACCOUNT, START, new_event, retry_in, settled, wanted_configuration


@dataclass(frozen=True)
class Traffic:
    """The events and deliveries of one account of a store."""

    store: Store
    account_id: str = ACCOUNT

    async def configure(self, **fields: Any) -> ConnectConfiguration:
        """A new configuration; `fields` replace or add those that any has in tests."""
        wanted = wanted_configuration(self.account_id, **fields)
        return await self.store.create_configuration(wanted)

    async def publish(
        self, name: str = "envelope-sent", envelope_id: str = "env-1", **over: Any
    ) -> Accepted:
        """Publish one event in a call of its own; `over` as `new_event` takes it."""
        (accepted,) = await self.accept(new_event(name, envelope_id, **over))
        return accepted

    async def accept(self, *events: NewEvent) -> list[Accepted]:
        """Publish these events in one call."""
        return await support.accept(self.store, *events, account_id=self.account_id)

    async def claim_all(self, room: int = 100, per_configuration: int = 100) -> list[Claim]:
        """Claim whatever is due now, of any account."""
        return await support.claim_all(self.store, room, per_configuration)

    async def settle(self, claim: Claim, outcome: Outcome, at: datetime = START) -> bool:
        """Settle one claim; False when it was no longer ours."""
        (ours,) = await self.store.settle([settled(claim, outcome, at)])
        return ours

    async def retry(self, claim: Claim, seconds: float, at: datetime = START) -> bool:
        """Settle one claim as failed, to be due again so many seconds after `at`."""
        return await self.settle(claim, retry_in(seconds, at), at)

    async def deliver(self, claims: Sequence[Claim]) -> list[bool]:
        """Settle claims as delivered; of each whether it was still ours."""
        return await support.deliver(self.store, claims)

    async def give_up(self, claims: Sequence[Claim]) -> list[bool]:
        """Settle claims as failed for good; of each whether it was still ours."""
        return await support.give_up(self.store, claims)
