"""What an accept on PostgreSQL claims at once, for who sends (decision 38)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.deliveries import Claim
from heliograph.model.events import Event, NewEvent, Wanted
from heliograph.store.accepting import generated_us
from heliograph.store.loads import Document
from heliograph.store.openings import Openings
from heliograph.store.postgres.accounts import KnownAccount, proofs_of
from heliograph.store.postgres.connection import Connection, fetch, fetch_first
from heliograph.store.postgres.queries import QUERIES
from heliograph.store.postgres.queue import Queue
from heliograph.store.times import from_microseconds

_Q: Final = QUERIES


@dataclass(frozen=True, slots=True)
class New:
    """A delivery that is due as it is accepted: whose event it is of, and who wants it."""

    account_id: str
    event_row: int
    event: NewEvent
    verdict: Wanted


class Handing:
    """One accept's: what nothing waits before, and its node can send at once.

    `versions` are those of the accounts' configurations, `now` is microseconds UTC.
    """

    def __init__(
        self, queue: Queue, openings: Openings, versions: Mapping[str, int], now: int
    ) -> None:
        self._queue, self._openings, self._versions, self._now = queue, openings, versions, now
        self.epoch = queue.epoch
        self._accounts: dict[str, KnownAccount] = {}

    async def chosen(self, db: Connection, new: Sequence[New]) -> list[bool]:
        """Of each, oldest first, whether it is to be claimed; without a lease none is (R8)."""
        values = {"epoch": self.epoch, "now": self._now}
        if not new or await fetch_first(db, _Q["node_alive"], values) is None:
            return [False] * len(new)
        waits = await self._waits(db, new)
        for account_id in dict.fromkeys(one.account_id for one in new):
            of_account = {one.verdict.connect_id for one in new if one.account_id == account_id}
            try:
                self._accounts[account_id] = await self._queue.account_at(
                    db, account_id, self._versions[account_id], of_account
                )
            except psycopg.Error:
                raise
            except Exception:  # they wait, and the claim that parks them says what is wrong (R17)
                waits |= of_account
        chosen = []
        for one in new:
            connect_id = one.verdict.connect_id
            fits = connect_id not in waits and self._fits(one, self._accounts[one.account_id])
            if not fits:
                waits.add(connect_id)  # those that come after it wait too
            chosen.append(fits)
        return chosen

    async def _waits(self, db: Connection, new: Sequence[New]) -> set[int]:
        """The configurations for which something waits that could be claimed."""
        owners = {one.verdict.connect_id: one.account_id for one in new}
        known = self._queue.owners.known(owners)
        self._queue.owners.note({one: owners[one] for one in owners if one not in known})
        marks = [self._queue.due.mark(connect_id) for connect_id in owners]
        values = {"connect_ids": list(owners), "marks": marks, "now": self._now}
        return {connect_id for (connect_id,) in await fetch(db, _Q["due_of"], values)}

    def _fits(self, one: New, account: KnownAccount) -> bool:
        configuration = account.live.get(one.verdict.connect_id)
        # What another account proves is read by a claim.
        if configuration is None or configuration.integrator is not None:
            return False
        if configuration.pace.aggregate:
            return False
        event = one.event
        document = Document(one.account_id, event.event_id, event.name, len(event.document))
        return self._openings.take(configuration, document, several=self._queue.owners.several)

    def claim(self, one: New, row: Any, seed: int) -> Claim:
        """The claim of one that was chosen, and added as this row of `deliveries_add`."""
        account = self._accounts[one.account_id]
        configuration: ConnectConfiguration = account.live[one.verdict.connect_id]
        return Claim(
            delivery_id=row.delivery_id,
            attempt_id=row.attempt_id,
            epoch=self.epoch,
            number=1,
            schedule_number=1,
            schedule_started_at=from_microseconds(self._now),
            seed=seed,
            event=self._event(one),
            configuration=configuration,
            proofs=proofs_of(configuration, self._accounts),
            recipient=one.verdict.recipient,
        )

    def _event(self, one: New) -> Event:
        """The event, which claims that are in flight share."""
        event = self._queue.events.get(one.event_row)
        if event is None:
            new = one.event
            event = self._queue.events[one.event_row] = Event(
                one.account_id,
                new.event_id,
                new.name,
                new.envelope.envelope_id,
                from_microseconds(generated_us(new, self._now)),
                new.document,
            )
        return event
