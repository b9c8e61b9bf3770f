"""Random histories of order (R6): what may be sent is sent, what must wait waits, and no other.

    uv run python -m tests.contract.orders --histories 10000

Each history has two configurations, each with a `deliveryOrder` of its own, and some envelopes.
Events are published, claimed, delivered, failed, given up and interrupted as chance has it, on a
real SQLite store with an injected clock. After every claim both halves are looked at: an event
whose turn has not come was not sent, and every event whose turn has come was.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from heliograph.model.accounts import Account
from heliograph.model.configurations import Ordering
from heliograph.model.deliveries import Claim, Delivered, GaveUp, Interrupted, RetryAt
from heliograph.store import Store
from heliograph.store.keyring import KeyRing
from heliograph.store.sqlite.store import SqliteStore
from tests.support import WHY, ManualClock, accept, new_event, settled, wanted_configuration

ROOM = 1_000


@dataclass
class Pending:
    """One delivery that has not ended; `due` is None until its turn has come."""

    connect_id: int
    event_id: str
    lane: str | None
    place: int
    due: float | None
    in_flight: bool = False


class History:
    """One history in an account of its own, with the little model that it is held to."""

    def __init__(
        self, store: Store, clock: ManualClock, chance: random.Random, number: int
    ) -> None:
        self.store, self.clock, self.chance = store, clock, chance
        self.account_id = f"account-{number}"
        self.number = number
        self.orderings: dict[int, Ordering] = {}
        self.pending: list[Pending] = []
        self.published = 0
        self.sent = 0
        self.waited = 0

    async def run(self) -> None:
        """Some twenty steps, and then the listeners take everything.

        Raises:
            AssertionError: something was sent too early, or not when its turn had come.
        """
        await self.store.create_account(Account(self.account_id, self.number, "History"))
        for _ in range(2):
            ordering = self.chance.choice(list(Ordering))
            wanted = wanted_configuration(self.account_id, deliveryOrder=ordering.value)
            made = await self.store.create_configuration(wanted)
            self.orderings[made.connect_id] = ordering
        for _ in range(self.chance.randint(6, 14)):
            step = self.chance.choice((self._publish, self._publish, self._attempt, self._pass))
            await step()
        while self.pending:
            await self._attempt(heal=True)
            self.clock.move(61)

    async def _publish(self) -> None:
        events = []
        for _ in range(self.chance.randint(1, 3)):
            self.published += 1
            envelope_id = self.chance.choice(("env-a", "env-b", "env-c"))
            event_id = f"event-{self.number}-{self.published}"
            events.append(new_event(envelope_id=envelope_id, event_id=event_id))
            for connect_id, ordering in self.orderings.items():
                lanes = {
                    Ordering.ENVELOPE: envelope_id,
                    Ordering.CONFIGURATION: "all",
                    Ordering.NONE: None,
                }
                one = Pending(connect_id, event_id, lanes[ordering], self.published, None)
                one.due = None if self._before(one) else self.clock.monotonic()
                self.pending.append(one)
        await accept(self.store, *events, account_id=self.account_id)

    async def _pass(self) -> None:
        self.clock.move(self.chance.choice((1, 61)))

    async def _attempt(self, *, heal: bool = False) -> None:
        claims = (await self.store.claim(ROOM, ROOM)).claims
        self._judge(claims)
        settlements = []
        for claim in claims:
            outcome = self._outcome(heal=heal)
            settlements.append(settled(claim, outcome, self.clock.now()))
            self._ended(self._of(claim), outcome)
        if settlements:
            assert all(await self.store.settle(settlements))

    def _outcome(self, *, heal: bool) -> Delivered | GaveUp | Interrupted | RetryAt:
        if heal:
            return Delivered()
        later = RetryAt(self.clock.now() + timedelta(seconds=60), WHY)
        return self.chance.choice((Delivered(), later, later, GaveUp(WHY), Interrupted(WHY)))

    def _judge(self, claims: Sequence[Claim]) -> None:
        came = {(one.configuration.connect_id, one.event.event_id) for one in claims}
        now = self.clock.monotonic()
        turn = {
            (one.connect_id, one.event_id)
            for one in self.pending
            if one.due is not None and one.due <= now
        }
        assert came == turn, f"sent out of turn: {came - turn}; kept back: {turn - came}"
        self.sent += len(came)
        self.waited += len(self.pending) - len(came)

    def _of(self, claim: Claim) -> Pending:
        key = (claim.configuration.connect_id, claim.event.event_id)
        return next(one for one in self.pending if (one.connect_id, one.event_id) == key)

    def _ended(self, one: Pending, outcome: object) -> None:
        now = self.clock.monotonic()
        match outcome:
            case RetryAt():
                one.due = now + 60
            case Interrupted():
                one.due = now
            case _:
                self.pending.remove(one)
                after = [other for other in self.pending if self._same_lane(one, other)]
                if after and after[0].due is None:
                    after[0].due = now

    def _before(self, one: Pending) -> bool:
        return any(self._same_lane(one, other) for other in self.pending)

    @staticmethod
    def _same_lane(one: Pending, other: Pending) -> bool:
        return one.lane is not None and (one.connect_id, one.lane) == (other.connect_id, other.lane)


async def run(store: Store, clock: ManualClock, histories: int, seed: int) -> tuple[int, int]:
    """So many histories; how many deliveries were sent, and how many were seen to wait.

    Raises:
        AssertionError: names the history's seed.
    """
    sent = waited = 0
    for number in range(histories):
        history = History(store, clock, random.Random(f"{seed}:{number}"), 1_000 + number)
        try:
            await history.run()
        except AssertionError as wrong:
            raise AssertionError(f"history {number} of seed {seed}: {wrong}") from wrong
        sent += history.sent
        waited += history.waited
    return sent, waited


async def _main(histories: int, seed: int, folder: Path) -> None:
    clock, began = ManualClock(), time.monotonic()
    store = await SqliteStore.open(
        folder / "heliograph.db", KeyRing.load(folder / "master.key"), clock
    )
    try:
        sent, waited = await run(store, clock, histories, seed)
        assert list(await store.orphans()) == []
    finally:
        await store.close()
    seconds = time.monotonic() - began
    print(  # noqa: T201
        f"{histories} histories of seed {seed}: {sent} attempts in their turn, {waited} times a "
        f"delivery was seen to wait, none out of turn; {seconds:.0f} s"
    )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.contract.orders", description=__doc__)
    parser.add_argument("--histories", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=20261123)
    given = parser.parse_args()
    # What is looked at is order, not flushing: memory is as good a place, and ten times faster.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        try:
            asyncio.run(_main(given.histories, given.seed, Path(folder)))
        except AssertionError as wrong:
            sys.exit(f"NOT KEPT: {wrong}")


if __name__ == "__main__":
    main()
