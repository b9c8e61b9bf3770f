"""The store port on the database in memory, as one node sees it: late, failing, or away."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeVar

from heliograph.clock import Clock, StoreClock
from heliograph.errors import StorageUnavailable
from heliograph.model.deliveries import Settlement
from heliograph.model.events import Accepted, NewEvent, Verdict
from heliograph.model.logs import Cursor, LogQuery, Requeued
from heliograph.store import ClaimResult, Configurations, DeliveryProgress, RequeuePage
from heliograph.store.loads import Load
from heliograph.store.openings import Taker
from heliograph.store.times import from_microseconds, to_microseconds
from tests.simulation.database import Database
from tests.simulation.loop import Owner, SimulatedLoop
from tests.simulation.watcher import Watcher
from tests.support import START

T = TypeVar("T")

LEASE: Final = 30.0
"""Seconds of a node's lease."""

_PATIENCE: Final = 1.7
"""Seconds after which a publish or a read is answered that it failed."""

_CHANGES: Final = ("accept", "settle", "requeue", "update", "take_over")
"""What may make something due."""

_BOUNDED: Final = ("accept", "configurations", "requeue", "progress", "update")


@dataclass
class Trouble:
    """What is wrong with the storage at this time. Times are of the loop, in seconds.

    away_until: nothing answers anybody. cut_until: nothing answers this node. away_hangs: a
    call then gets no answer, rather than a refusal. rough_until: until then calls fail
    before (`refuse`) or after (`swallow`) they are done, or `linger`, each this often.
    """

    away_until: float = 0.0
    away_hangs: bool = False
    cut_until: dict[str, float] = field(default_factory=dict)
    rough_until: float = 0.0
    refuse: float = 0.0
    swallow: float = 0.0
    linger: float = 0.0
    young_leases: bool = False
    """It is a violation to send on a lease whose renewal was asked for too long ago."""
    slow_clock: bool = False
    """The answer that the node's clock is set by may be on its way for seconds."""

    def away(self, name: str, now: float) -> float:
        """Until when the storage does not answer this node; 0: it does."""
        until = max(self.away_until, self.cut_until.get(name, 0.0))
        return until if until > now else 0.0


@dataclass(slots=True)
class Fate:
    """What becomes of one call: seconds until it is done, until it is answered, and how."""

    before: float
    after: float
    done: bool = True
    told: bool = True
    late: float = 0.0
    """Seconds after which it is done nevertheless, when the caller was told that it failed."""


class CarriedClock:
    """The database's clock, carried forward by the node's own, at the node's pace.

    What is skipped passes at the right pace: many an adjustment would have fallen into it.
    """

    def __init__(self, loop: SimulatedLoop, pace: float) -> None:
        self._loop, self._pace = loop, pace
        self._at, self._since, self._skipped = START, 0.0, 0.0

    def adjust(self, at: datetime) -> None:
        """Take over what the database shows."""
        self._at, self._since, self._skipped = at, self._loop.beat_time, self._loop.skipped

    def now(self) -> datetime:
        passed = (self._loop.beat_time - self._since) * self._pace
        return self._at + timedelta(seconds=passed + self._loop.skipped - self._skipped)


class NodeClock:
    """A node's clock: its wall clock, or the one that its store gives it, and its own pace.

    `beats` is True for the clock of what comes again and again: its waits are beats, and its
    monotonic time leaves out what was skipped.
    """

    def __init__(
        self, loop: SimulatedLoop, pace: float, wall: Callable[[], datetime], *, beats: bool = False
    ) -> None:
        self._loop, self._pace, self._wall, self._beats = loop, pace, wall, beats

    def now(self) -> datetime:
        return self._wall()

    def machine(self) -> datetime:
        return self._wall()

    def monotonic(self) -> float:
        return (self._loop.beat_time if self._beats else self._loop.time()) * self._pace

    async def wait(self, event: asyncio.Event, seconds: float | None) -> None:
        if seconds is not None:
            seconds /= self._pace
            if self._beats and seconds > 0:
                seconds = max(seconds, 1e-6)
                self._loop.beat_next()
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return


class NodeStore:
    """The port's verbs, those that sending and publishing use."""

    def __init__(
        self,
        name: str,
        owner: Owner,
        loop: SimulatedLoop,
        database: Database,
        trouble: Trouble,
        watcher: Watcher,
        wall: Callable[[], datetime],
        pace: float,
    ) -> None:
        self._name, self._owner, self._loop = name, owner, loop
        self._database, self._trouble, self._watcher = database, trouble, watcher
        self._random = random.Random(f"store {name} {database.random.random()}")
        self._wall = wall
        shown: Callable[[], datetime] = wall
        if database.leases:
            self._carried = CarriedClock(loop, pace)
            shown = self._carried.now
        else:
            since = from_microseconds(max(database.last_beat, to_microseconds(START)))
            steady = StoreClock(NodeClock(loop, pace, wall))
            steady.go_on(since, None)
            shown = steady.now
        self._clock = NodeClock(loop, pace, shown)
        self.beats = NodeClock(loop, pace, shown, beats=True)
        self.epoch = 0
        self.epoch_since = 0.0
        self._claimed: dict[int, int] = {}
        self._claims_lost = False
        self._hint = asyncio.Event()
        self._wake: Callable[[], None] = lambda: None
        self.calling = 0

    @property
    def clock(self) -> Clock:
        return self._clock

    def _now(self) -> int:
        return to_microseconds(self._clock.now())

    # --------------------------------------------------------------------- how calls go

    def _fate(self, verb: str) -> Fate:
        chance, trouble, now = self._random, self._trouble, self._loop.time()
        fate = Fate(_latency(chance), _latency(chance))
        away = trouble.away(self._name, now)
        if away:
            if trouble.away_hangs and chance.random() < 0.5:
                fate.before += away - now  # it is done once the storage is back
            else:
                fate.before, fate.done, fate.told = chance.uniform(0.005, 3.0), False, False
        elif now < trouble.rough_until:
            dice = chance.random()
            if dice < trouble.refuse:
                fate.done = fate.told = False
            elif dice < trouble.refuse + trouble.swallow:
                # An embedded file's commit is known to its caller, and so is its failure.
                fate.told = not self._database.leases
                if not fate.told and verb in ("accept", "settle") and chance.random() < 0.2:
                    fate.late = chance.uniform(0.5, 10.0)
            elif dice < trouble.refuse + trouble.swallow + trouble.linger:
                slow = chance.uniform(0.5, 20.0)
                if chance.random() < 0.5:
                    fate.before += slow
                else:
                    fate.after += slow
        return fate

    async def _call(self, verb: str, work: Callable[[], T]) -> T:
        """Run `work` on the database's side; what the caller learns of it is another matter."""
        if self._owner.dead:
            raise asyncio.CancelledError
        fate = self._fate(verb)
        answer: asyncio.Future[T] = self._loop.create_future()
        refused = StorageUnavailable("the simulated storage is away")

        def reply(result: T | None, error: Exception | None) -> None:
            self.calling -= 1
            if error is None and verb in _CHANGES:
                self._wake()
            if answer.done():
                return
            if error is not None:
                answer.set_exception(error)
                answer.exception()  # its caller may be gone
            else:
                answer.set_result(result)  # type: ignore[arg-type]

        def arrive() -> None:
            result: T | None = None
            error: Exception | None = None
            # What a process had sent when it died may arrive, or not.
            if fate.done and not (self._owner.dead and self._random.random() < 0.5):
                try:
                    result = work()
                except Exception as raised:
                    error = raised
                self._watcher.committed(verb)
            if fate.late:
                return
            if not fate.told:
                error = refused
            self._loop.call_later(fate.after, reply, result, error, context=Context())

        self.calling += 1
        self._loop.call_later(fate.before + fate.late, arrive, context=Context())
        if fate.late:
            self._loop.call_later(fate.before, reply, None, refused, context=Context())
        if verb not in _BOUNDED:
            return await answer
        done, _ = await asyncio.wait({answer}, timeout=_PATIENCE)
        if not done:
            answer.cancel()
            raise StorageUnavailable("the simulated storage did not answer in time")
        return answer.result()

    # ----------------------------------------------------------------------------- the node

    def _adjust(self) -> None:
        """Take over the database's time; where it is slow on its way, the clock goes after."""
        if not self._database.leases:
            return
        late = self._random.uniform(0.0002, 0.002)
        if self._trouble.slow_clock and self._random.random() < 0.2:
            late = self._random.uniform(1.0, 20.0)
        self._carried.adjust(self._wall() - timedelta(seconds=late))

    async def open(self) -> None:
        """Begin an epoch; what this node had in flight before is put back."""

        def begin() -> None:
            self._adjust()
            self._begin(self._database.start(self._name, self._now()))

        await self._call("start", begin)

    def _begin(self, epoch: int) -> None:
        self.epoch = epoch
        self.epoch_since = self._loop.time()
        self._claimed.clear()

    async def close(self) -> None:
        def stop() -> None:
            self._database.stop(self.epoch, self._now())
            self._database.take_over(self._now())

        await self._call("stop", stop)

    async def renew_lease(self) -> bool:
        def renew() -> bool:
            self._adjust()
            if self._database.renew(self.epoch, self._now()):
                return True
            self._begin(self._database.start(self._name, self._now()))
            return False

        return await self._call("renew", renew)

    async def take_over(self) -> int:
        if not self._database.leases:
            return 0
        return await self._call("take_over", lambda: self._database.take_over(self._now()))

    def when_due(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    def hand_to(self, taker: Taker | None) -> None:
        """Nothing is handed over here: what is accepted waits."""

    async def wait_for_hint(self) -> None:
        if not self._database.leases:
            await asyncio.Event().wait()
        # A node looks each second; skipped time is full of such looks.
        await self.beats.wait(self._hint, self._random.choice((1.0, 5.0, 20.0)))
        self._hint.clear()

    def hint(self) -> None:
        """Another node may have left work."""
        if self._random.random() < 0.9:
            self._hint.set()

    def _give_hint(self) -> None:
        self._watcher.hint()

    # ----------------------------------------------------------------------------- the flow

    async def configurations(
        self, account_id: str, known: Configurations | None = None
    ) -> Configurations:
        database = self._database
        return await self._call(
            "configurations",
            lambda: Configurations(database.version, tuple(database.configurations.values())),
        )

    async def accept(
        self,
        account_id: str,
        version: int,
        events: Sequence[tuple[NewEvent, Sequence[Verdict]]],
        *,
        notifies: bool = True,  # it has no ad hoc ones
    ) -> Sequence[Accepted]:
        accepted = await self._call(
            "accept", lambda: self._database.accept(account_id, version, events, self._now())
        )
        self._give_hint()
        return accepted

    async def claim(
        self,
        room: int,
        per_unlisted: int,
        free: Mapping[int, int] | None = None,
        per_account: int | None = None,  # there is but one
        load: Load | None = None,  # every message is light
    ) -> ClaimResult:
        # Decided when the transaction begins, however late it is committed.
        began, lost = self._loop.time(), self._claims_lost

        def claim() -> ClaimResult:
            now = self._now()
            if not self._database.alive(self.epoch, now):
                return ClaimResult((), None, left=True)
            if lost:
                self._database.unclaim(self.epoch, self._claimed, now)
            in_flight = Counter(self._claimed.values())
            result = self._database.claim(
                self.epoch, now, room, per_unlisted, free or {}, in_flight
            )
            self._watcher.claimed(self._name, result.claims, began)
            return result

        self._watcher.claiming(self._name)
        try:
            result = await self._call("claim", claim)
        except BaseException:
            self._claims_lost = True
            raise
        self._claims_lost = False
        for each in result.claims:
            if each.epoch == self.epoch:
                self._claimed[each.attempt_id] = each.configuration.connect_id
        return result

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[bool]:
        def settle() -> list[bool]:
            ours = self._database.settle(settlements, self._now())
            self._watcher.settled(settlements, ours)
            return ours

        ours = await self._call("settle", settle)
        for each in settlements:
            self._claimed.pop(each.claim.attempt_id, None)
        return ours

    async def progress(
        self, account_id: str, delivery_ids: Sequence[int]
    ) -> dict[int, DeliveryProgress]:
        def look() -> dict[int, DeliveryProgress]:
            found = {one: self._database.deliveries[one] for one in delivery_ids}
            return {
                one: DeliveryProgress(each.state, each.attempts, each.error)
                for one, each in found.items()
            }

        return await self._call("progress", look)

    async def requeue_envelopes(
        self, account_id: str, envelope_ids: Sequence[str], after: int = 0
    ) -> Sequence[Requeued]:
        return [] if after else await self._requeue(lambda envelope: envelope in envelope_ids)

    async def requeue_failures(
        self, account_id: str, query: LogQuery, after: Cursor | None = None
    ) -> RequeuePage:
        return RequeuePage(tuple(await self._requeue(lambda _: True)), None)

    async def resend_envelopes(
        self, account_id: str, envelope_ids: Sequence[str], who: str, after: int = 0
    ) -> Sequence[Requeued]:
        return []  # nobody asks here for what was delivered

    async def _requeue(self, wanted: Callable[[str], bool]) -> list[Requeued]:
        def requeue() -> list[Requeued]:
            found = [d for d in self._database.failures() if wanted(d.event.envelope_id)]
            self._watcher.requeued(found)
            return [self._database.requeue(each, self._now()) for each in found]

        done = await self._call("requeue", requeue)
        self._give_hint()
        return done

    # ----------------------------------------------------------- configurations, failures

    async def set_paused(self, connect_id: int, paused: bool) -> bool:
        """`update_configuration`, as far as the simulation goes."""
        return await self._call(
            "update", lambda: self._database.set_paused(connect_id, paused, self._now())
        )

    async def delete_configuration(self, account_id: str, connect_id: int) -> bool:
        return await self._call(
            "update", lambda: self._database.delete_configuration(connect_id, self._now())
        )

    async def delete_failure(self, account_id: str, failure_id: int, who: str) -> bool:
        return await self._call("update", lambda: self._database.cancel(failure_id, self._now()))


def _latency(chance: random.Random) -> float:
    """Mostly a few milliseconds, now and then a few hundred."""
    return chance.uniform(0.0003, 0.003) if chance.random() < 0.9 else chance.uniform(0.01, 0.4)
