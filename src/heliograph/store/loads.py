"""How many bytes are in flight on a node: a claim stops at a bound, and goes on as they end (S17).

Pure; both engines claim by it. What attempts share counts once: an event's document, and its
message in each form. What is light does not count: `--in-flight` bounds it, and nothing heavy keeps
it waiting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Final

from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.deliveries import Claim
from heliograph.wire.messages import message

LIGHT: Final = 64 * 1024
"""Bytes of a document up to which it does not count."""

MOST: Final = 256 * 2**20
"""Bytes in flight, where nothing else is said."""

_SHARE: Final = 4
"""An account has at most one part in so many, where there are others: they come next (R7)."""

Parts = Mapping[Hashable, int]
"""What a delivery needs in memory that is heavy, by what it shares it under, in bytes."""


@dataclass(frozen=True, slots=True)
class Document:
    """An event's document: whose event it is, and of how many bytes it is."""

    account_id: str
    event_id: str
    name: str
    bytes: int


def parts_of(
    configuration: ConnectConfiguration, event: Document, shown: Document | None = None
) -> Parts:
    """What is heavy of a delivery of `event`; its message shows `shown`, None: that event."""
    shown = shown or event
    if event.bytes <= LIGHT and shown.bytes <= LIGHT:
        return {}
    place = (shown.account_id, shown.event_id)
    sizes: dict[Hashable, int] = {
        (event.account_id, event.event_id): event.bytes,
        place: shown.bytes,
        (*place, message.recipe(shown.name, configuration)): shown.bytes,
    }
    return {part: size for part, size in sizes.items() if size > LIGHT}


class Room:
    """What one claim may still take; it notes what it takes."""

    def __init__(self, sizes: dict[Hashable, int], of_accounts: dict[str, int], most: int) -> None:
        self._sizes = sizes
        self._of_accounts = of_accounts
        self._most = most
        self._bytes = sum(sizes.values())

    def take(self, account_id: str, parts: Parts, *, several: bool) -> bool:
        """Whether there is room; then it is taken. `several` accounts each leave some to others.

        However much it is, one goes where nothing heavy is in flight.
        """
        size = sum(size for part, size in parts.items() if part not in self._sizes)
        of_account = self._of_accounts.get(account_id, 0)
        if size and self._sizes:
            if self._bytes + size > self._most:
                return False
            if several and of_account and of_account + size > self._most // _SHARE:
                return False
        self._sizes.update(parts)
        self._bytes += size
        self._of_accounts[account_id] = of_account + size
        return True


class Load:
    """What a node has in flight."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._sizes: dict[Hashable, int] = {}
        self._users: Counter[Hashable] = Counter()
        self._of_accounts: Counter[str] = Counter()

    @property
    def bytes(self) -> int:
        """All that counts, each part once."""
        return self._of_accounts.total()

    def room(self) -> Room:
        """For one claim, or one try of it; may be asked for on another thread."""
        return Room(self._sizes.copy(), dict(self._of_accounts), self._most)

    def began(self, claim: Claim) -> None:
        """A claim is in flight."""
        for part, size in _parts(claim).items():
            if not self._users[part]:
                self._sizes[part] = size
                self._of_accounts[claim.event.account_id] += size
            self._users[part] += 1

    def ended(self, claim: Claim) -> None:
        """It is no more."""
        account_id = claim.event.account_id
        for part, size in _parts(claim).items():
            self._users[part] -= 1
            if not self._users[part]:
                del self._users[part], self._sizes[part]
                self._of_accounts[account_id] -= size
        if not self._of_accounts[account_id]:
            del self._of_accounts[account_id]


def _parts(claim: Claim) -> Parts:
    event, shown = (
        Document(one.account_id, one.event_id, one.name, len(one.document))
        for one in (claim.event, claim.shown)
    )
    return parts_of(claim.configuration, event, shown)
