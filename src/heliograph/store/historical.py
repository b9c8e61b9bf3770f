"""The port of historical publishing: envelopes that were published before, sent once more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from heliograph.errors import TooMuchPublished
from heliograph.model.configurations import ConnectConfiguration

MOST_AN_HOUR: Final = 9_999
"""Envelopes that an account may publish anew within an hour (DocuSign)."""

HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class PublishTransaction:
    """One historical publish and how far it is; counts are envelopes, times UTC.

    `envelopes` are those named, each once; `repeated` the times that one was named again.
    `unknown` have no stored event. `submitted` have a delivery, of which `unfinished` wait, are
    held or under way, and `failed` are open failures that are not tried any more.
    """

    transaction_id: str
    connect_id: int
    submitted_by: str
    envelopes: int
    repeated: int
    unknown: int
    submitted: int
    unfinished: int
    failed: int
    created_at: datetime
    cancelled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller asks for; `configuration` is not stored yet."""

    transaction_id: str
    configuration: ConnectConfiguration
    envelope_ids: tuple[str, ...]
    submitted_by: str

    @property
    def distinct(self) -> tuple[str, ...]:
        """Each envelope once, in the order given."""
        return tuple(dict.fromkeys(self.envelope_ids))


class HistoricalPublishing(Protocol):
    """Every verb takes the account (S8). One that changes something returns after its commit."""

    async def submit(self, wish: Wish) -> PublishTransaction:
        """Make a delivery of each known envelope's newest event, in one transaction.

        Raises:
            TooMuchPublished: more than `MOST_AN_HOUR` envelopes within the last hour.
        """
        ...

    async def transaction(self, account_id: str, transaction_id: str) -> PublishTransaction | None:
        """One of the account's, or None."""
        ...

    async def transactions(self, account_id: str, most: int) -> Sequence[PublishTransaction]:
        """The account's newest ones, newest first."""
        ...

    async def cancel(self, account_id: str, transaction_id: str, who: str) -> bool:
        """Cancel what was not sent yet; False where the account has no such one.

        An attempt under way goes on; if it fails it becomes a failure that is not tried again.
        """
        ...


def refuse_too_much(within_hour: int, more: int) -> None:
    """Raises TooMuchPublished when `more` envelopes are more than the hour leaves."""
    if within_hour + more > MOST_AN_HOUR:
        raise TooMuchPublished(
            f"At most {MOST_AN_HOUR} envelopes an hour can be published anew; {within_hour} were, "
            f"and {more} are asked for. Split the call, or wait."
        )
