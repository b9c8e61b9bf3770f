"""The port of relays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from heliograph.model.relays import Refusal, Relay

MOST_REFUSALS: Final = 20
"""Messages of each relay that are kept although they were not taken."""

MOST_RETIRED: Final = 10
"""Messages that one transaction deletes: each may have 100 MB."""


@dataclass(frozen=True, slots=True)
class MessageId:
    """Names a message that came through a relay of an account."""

    account_id: str
    message_id: str


class Relays(Protocol):
    """Relays of accounts, by their names."""

    async def create(self, relay: Relay) -> bool:
        """Add a relay; False when the account has one of this name."""
        ...

    async def all(self, account_id: str) -> Sequence[Relay]:
        """The account's relays, by name."""
        ...

    async def get(self, account_id: str, name: str) -> Relay | None:
        """The account's relay of this name, or None."""
        ...

    async def update(
        self, account_id: str, name: str, change: Callable[[Relay], Relay]
    ) -> Relay | None:
        """Replace a relay by what `change` makes of it, and return that; None when there is none.

        Nobody changes it meanwhile. What `change` raises is raised, and nothing is changed then.
        """
        ...

    async def delete(self, account_id: str, name: str) -> bool:
        """Delete a relay and what it has refused; False when there is none."""
        ...

    async def refuse(self, relay: Relay, refusal: Refusal) -> None:
        """Keep what a relay did not take, instead of the oldest beyond `MOST_REFUSALS`."""
        ...

    async def refusals(self, relay: Relay) -> Sequence[Refusal]:
        """What a relay did not take last, the newest first."""
        ...

    async def is_accepted(self, account_id: str, event_id: str) -> bool:
        """Whether there is an event of this id: a repeat of it need not be kept."""
        ...

    async def keep(self, message: MessageId, event_id: str, number: int, content: bytes) -> None:
        """Write a part of a message, from number 0, which begins it; it is durable then.

        The message is kept for as long as the event is, or, where none of this id is accepted, for
        a while (`retire`).
        """
        ...

    async def part(self, message: MessageId, number: int) -> bytes | None:
        """A part of a message, or None where there is none."""
        ...

    async def forget(self, message: MessageId) -> None:
        """Delete a message, if it is there."""
        ...

    async def retire(self, before: datetime) -> int:
        """Delete a batch of messages that came before a time and whose event there is not; how
        many."""
        ...
