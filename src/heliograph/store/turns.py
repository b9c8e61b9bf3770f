"""Whose turn it is: configurations one after the other, and no account ahead of the others (R7).

Pure; both engines claim by it. An account that has its share in flight waits for as long as
another one has something due. Where none has, it may have more, but a share stays free for who
comes next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from heliograph.bounded import Bounded

_MOST_CONFIGURATIONS: Final = 20_000
"""Configurations of which a node knows whose they are: those that were due last."""

_MOST_BYTES: Final = 16 * 2**20
"""Bytes of all that it knows of whose they are."""


class Owners:
    """Whose configurations are; `several` tells whether they were ever of several accounts."""

    def __init__(self) -> None:
        self.several = False
        self._first: str | None = None
        self._accounts = Bounded[int, str](_MOST_CONFIGURATIONS, _MOST_BYTES)

    def known(self, connect_ids: Iterable[int]) -> dict[int, str]:
        """The accounts of those configurations that are known."""
        known = {connect_id: self._accounts.get(connect_id) for connect_id in connect_ids}
        return {connect_id: account for connect_id, account in known.items() if account}

    def note(self, accounts: Mapping[int, str]) -> None:
        """Remember whose configurations are."""
        for connect_id, account_id in accounts.items():
            self._accounts[connect_id] = account_id
            self._first = self._first or account_id
            self.several = self.several or account_id != self._first

    def forget(self) -> None:
        """What was noted may not be so."""
        self._accounts.clear()


class Turns:
    """One claim's turns. Counts are deliveries; accounts are named by their configurations."""

    def __init__(
        self, accounts: Mapping[int, str], in_flight: Mapping[int, int], share: int | None
    ) -> None:
        """`accounts` says whose each configuration is; `share` bounds one account, None nobody."""
        self._accounts = accounts
        self._share = share
        self._taken: Counter[str] = Counter()
        for connect_id, count in in_flight.items():
            self.took(connect_id, count)

    def room(self, connect_id: int) -> int | None:
        """How many more its account may have now; None: any number."""
        if self._share is None:
            return None
        return max(0, self._share - self._taken[self._accounts[connect_id]])

    def took(self, connect_id: int, count: int) -> None:
        """So many are in flight beside those that were."""
        if connect_id in self._accounts:
            self._taken[self._accounts[connect_id]] += count

    def each(self, room: int, configurations: int) -> int:
        """How many each of so many configurations may have, so that the last gets some too."""
        return max(1, (room if self._share is None else min(room, self._share)) // configurations)

    def beyond(self, room: int) -> int:
        """What of `room` accounts may have beyond their share when nobody else wants it."""
        return 0 if self._share is None else max(0, room - self._share)
