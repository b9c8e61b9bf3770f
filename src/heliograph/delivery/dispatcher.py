"""The dispatcher: claim what is due, attempt it, settle in batches, wait for work."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never
from zoneinfo import ZoneInfo

import structlog

from heliograph.clock import Clock
from heliograph.delivery.attempt import Renderings, Sender, attempt, interrupted
from heliograph.delivery.disabling import Tell, disable_gone, tell_nobody
from heliograph.delivery.pacing import FIRST, Pacing
from heliograph.delivery.retry import DOCUSIGN, Schedule, judge, says_gone, schedule_for
from heliograph.delivery.signals import Signals
from heliograph.delivery.verbatim import Verbatim
from heliograph.errors import StorageUnavailable
from heliograph.failpoints import failpoint
from heliograph.model.configurations import ScheduleName
from heliograph.model.deliveries import (
    Claim,
    Delivered,
    Fault,
    GaveUp,
    Interrupted,
    Phase,
    RetryAt,
    Settlement,
)
from heliograph.store import Store, loads
from heliograph.store.loads import Load
from heliograph.store.openings import Openings
from heliograph.watch import UNWATCHED, Observer
from heliograph.wire.messages.legacy_times import UTC_ZONE

_STORAGE_PAUSE: Final = 1.0
"""Seconds between tries while the storage is unavailable (R11: work resumes within 5 s)."""

LONGEST_SLEEP: Final = 30.0
"""Seconds after which the dispatcher looks for what is due, whoever has forgotten to wake it."""

_SHORTEST_WAIT: Final = 0.001
"""Seconds between two looks for what is due."""

_TOO_MANY: Final = 429

_ROUNDS: Final = 8
"""Rounds of the loop that an attempt takes at the most between its beginning and its end, where its
listener answers at once."""

_LONGEST_TURN: Final = 0.25
"""Seconds that accepting waits for sending at the most: the storage may be slow for one of them."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much is sent at once; `bytes` as `store/loads.py` counts them.

    `nodes` answer on one port: each takes its part of the rate that a configuration allows.
    """

    in_flight: int = 512
    per_configuration: int = 8
    bytes: int = loads.MOST
    nodes: int = 1

    @property
    def per_account(self) -> int:
        """What one account may have in flight while others have something due (R7)."""
        return max(1, self.in_flight // 4)


class Dispatcher:
    """Sends deliveries until it is stopped; then finishes what is in flight."""

    def __init__(
        self,
        store: Store,
        sender: Sender,
        clock: Clock,
        signals: Signals,
        capacity: Capacity | None = None,
        *,
        schedule: Schedule | ScheduleName = ScheduleName.STANDARD,
        zone: ZoneInfo = UTC_ZONE,
        verbatim: Verbatim | None = None,
        observer: Observer = UNWATCHED,
        tell: Tell = tell_nobody,
        longest_sleep: float = LONGEST_SLEEP,
    ) -> None:
        """`schedule` is for configurations that name none, `zone` for messages with local times,
        `verbatim` for those that came through a relay;
        `longest_sleep` is in seconds."""
        self._store = store
        self._sender = sender
        self._clock = clock
        self._signals = signals
        self._capacity = capacity or Capacity()
        self._schedule = schedule
        self._observer = observer
        self._tell = tell
        self._longest_sleep = longest_sleep
        self._telling: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._suspended = False
        self._suspensions = 0
        self._pacing = Pacing(self._capacity.in_flight, self._capacity.per_configuration)
        self._load = Load(self._capacity.bytes)
        self._of_accounts: Counter[str] = Counter()
        # What the last look left, as `ClaimResult` has it; nobody has looked yet.
        self._left = self._crowded = True
        self._claiming = False
        self._taken = asyncio.Event()
        self._taken.set()
        self._offered_in = 0
        # How far sending has got, for who takes turns with it (R23).
        self._ended = self._steps = 0
        self._settling = False
        self._step = asyncio.Event()
        self._renderings = Renderings(zone, verbatim)
        self._sending: dict[asyncio.Task[None], Claim] = {}
        self._unsettled = 0
        self._finished: list[Settlement] = []
        self._finished_some = asyncio.Event()

    @property
    def in_flight(self) -> int:
        """Deliveries claimed and not yet settled."""
        return self._unsettled

    @property
    def bytes_in_flight(self) -> int:
        """What they need in memory that is heavy; what they share counts once."""
        return self._load.bytes

    def stop(self) -> None:
        """Claim nothing more; `run` then returns once everything in flight is settled."""
        self._stopping = True
        self._signals.work.set()

    def suspend(self) -> int:
        """Give up what is in flight, and claim nothing until `resume` (R8); how much that was.

        The attempts end as unknown; where another node has taken their deliveries over,
        settling them changes nothing, so that what their listeners took comes again (R3).
        """
        given_up = 0 if self._suspended else self._unsettled
        self._suspended = True
        self._suspensions += 1
        for task in list(self._sending):
            task.cancel()
        return given_up

    def resume(self) -> None:
        """Claim again."""
        if self._suspended:
            self._suspended = False
            self._signals.work.set()

    async def run(self, grace: float = 10.0) -> None:
        """Dispatch until `stop` is called.

        Args:
            grace: Seconds that attempts in flight at the stop may still take; what takes
                longer is cut off and waits again (R15).

        Raises:
            StorageBroken: the database's files failed; the process must end.
        """
        self._store.when_due(self._signals.work.set)
        self._store.hand_to(self)
        settling = asyncio.create_task(self._settle_finished())
        settling.add_done_callback(lambda _: self._signals.work.set())
        try:
            while not self._stopping:
                # Cleared before the claim looks, so that nothing said meanwhile is missed.
                self._signals.work.clear()
                if settling.done():
                    settling.result()
                looked = self._clock.monotonic()
                again, next_due = await self._look(looked)
                if again or self._stopping:
                    continue
                await self._clock.wait(self._signals.work, self._until(next_due, looked))
            await self._drain(grace, settling)
        except BaseException:
            if given_up := self.suspend():
                _log.error("sends_given_up", reason="sending ended", deliveries=given_up)
            raise
        finally:
            self._store.hand_to(None)
            for task in (settling, *self._telling):
                task.cancel()
            await asyncio.gather(settling, *self._telling, return_exceptions=True)

    def openings(self) -> Openings | None:
        """What an accept may claim for us, if it may: see `Taker`.

        It may not while a claim is under way, so that neither has to reckon with the other; nor
        while something waits for its turn (R7), nor for the last slots.
        """
        room = self._pacing.usual_slots - self._unsettled
        claimed_alone = self._claiming or not self._taken.is_set()
        if claimed_alone or self._crowded or self._suspended or self._stopping or room <= 0:
            return None
        self._taken.clear()
        self._offered_in = self._suspensions
        return Openings(
            room=room,
            first=FIRST,
            free=self._pacing.free(self._unsettled, self._clock.monotonic()),
            per_account=self._capacity.per_account,
            of_accounts=self._of_accounts.copy(),
            bytes=self._load.room(),
        )

    def take(self, claims: Sequence[Claim]) -> None:
        """Start an attempt for each delivery that was claimed as it was accepted."""
        self._taken.set()
        self._begin(claims, self._clock.monotonic(), self._offered_in)

    async def get_on(self, deliveries: int) -> None:
        """Have the loop until so many attempts have ended, or all that run wait for listeners.

        What is in our own hands is a look or a settlement under way, and whatever an attempt does
        in the loop: it has come to its listener's turn when the loop went round `_ROUNDS` times
        and none began or ended. Also it ends after `_LONGEST_TURN`.
        """
        ended = self._ended + deliveries
        still, steps = 0, self._steps
        with suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_TURN):
                while self._ended < ended and still < _ROUNDS and not self._stopping:
                    if self._claiming or self._settling:
                        self._step.clear()
                        await self._step.wait()
                    else:
                        await asyncio.sleep(0)
                    still, steps = (still + 1 if steps == self._steps else 0), self._steps

    def _stepped(self) -> None:
        """Sending has got on."""
        self._steps += 1
        self._step.set()

    async def _look(self, now: float) -> tuple[bool, datetime | None]:
        """Claim what is due; whether to look again at once, and if not when.

        `now` is in monotonic seconds.
        """
        self._claiming = True  # from here on an accept hands nothing over
        try:
            if not self._taken.is_set():
                await self._clock.wait(self._taken, _STORAGE_PAUSE)
            return await self._claim(now)
        except StorageUnavailable as trouble:
            await self._pause("claim", trouble)
            return True, None
        finally:
            self._claiming = False
            self._stepped()

    async def _claim(self, now: float) -> tuple[bool, datetime | None]:
        """See `_look`; starts an attempt for each delivery claimed."""
        room = self._capacity.in_flight - self._unsettled
        self._left = True
        if room <= 0 or self._suspended:
            self._crowded = True
            return False, None  # the next settlement, or `resume`, wakes us
        suspensions = self._suspensions
        free = self._pacing.free(self._unsettled, now)
        result = await self._store.claim(
            room=room,
            per_unlisted=FIRST,
            free=free,
            per_account=self._capacity.per_account,
            load=self._load,
        )
        self._left, self._crowded = result.left, result.crowded
        self._begin(result.claims, now, suspensions)
        # What a listener has no room for itself waits for a settlement.
        return result.crowded and bool(result.claims), result.next_due

    def _begin(self, claims: Sequence[Claim], now: float, suspensions: int) -> None:
        """Start attempts; those claimed before as many suspensions as there are now may be sent."""
        for claim in claims:
            self._unsettled += 1
            self._load.began(claim)
            self._of_accounts[claim.event.account_id] += 1
            configuration, rate = claim.configuration, claim.configuration.pace.rate
            part = None if rate is None else rate / self._capacity.nodes
            self._pacing.began(configuration.connect_id, part, now)
            task = asyncio.create_task(self._send(claim))
            self._sending[task] = claim
            task.add_done_callback(self._sent)
            if self._suspensions != suspensions:  # claimed under a lease that may be gone
                task.cancel()

    async def _pause(self, doing: str, trouble: StorageUnavailable) -> None:
        _log.warning("storage_pause", doing=doing, reason=str(trouble))
        began = self._clock.monotonic()
        await self._clock.wait(asyncio.Event(), _STORAGE_PAUSE)
        self._observer.paused(doing, self._clock.monotonic() - began)

    def _until(self, due: datetime | None, looked: float) -> float:
        """Seconds until something may be claimed by itself, or it is time to look anyway (R21).

        `looked` is when the claim began: a listener whose turn came after that was passed over.
        """
        turn = self._pacing.next_turn(looked)
        waits = [self._longest_sleep]
        if turn is not None:
            waits.append(looked + turn - self._clock.monotonic())
        if due is not None:
            waits.append((due - self._clock.now()).total_seconds())
        # The store's clock may be slower than the one we wait by.
        return max(_SHORTEST_WAIT, min(waits))

    async def _send(self, claim: Claim) -> None:
        try:
            settlement = await attempt(
                claim, self._sender, self._clock, self._schedule, self._renderings
            )
        except asyncio.CancelledError:
            settlement = interrupted(claim, self._clock)
        except Exception:
            _log.exception("attempt_broke", delivery=claim.delivery_id)
            settlement = self._broken(claim)
        self._finish(settlement)

    def _broken(self, claim: Claim) -> Settlement:
        """A bug of ours costs an attempt and shows in the failure log; it never hides (R4)."""
        now = self._clock.now()
        outcome = judge(
            Fault(Phase.CLAIM, "an internal error of Heliograph; its log has the details"),
            number=claim.schedule_number,
            started_at=claim.schedule_started_at,
            seed=claim.seed,
            now=now,
            schedule=schedule_for(claim.configuration, self._schedule),
        )
        return Settlement(claim, outcome, None, now, 0.0)

    def _sent(self, task: asyncio.Task[None]) -> None:
        claim = self._sending.pop(task)
        if task.cancelled():  # cut off before it had begun: nothing was sent
            self._finish(interrupted(claim, self._clock))

    def _finish(self, settlement: Settlement) -> None:
        self._pacing.ended(
            settlement.claim.configuration.connect_id,
            succeeded=_succeeded(settlement),
            seconds=settlement.seconds,
        )
        self._mark_down(settlement)
        self._finished.append(settlement)
        self._finished_some.set()
        self._stepped()
        self._observer.attempted(settlement)

    async def _settle_finished(self) -> None:
        while True:
            self._settling = False
            self._stepped()
            await self._finished_some.wait()
            self._finished_some.clear()
            self._settling = True
            batch, self._finished = self._finished, []
            await self._settle(batch)
            await self._queue_behind(batch)
            await self._hasten(batch)
            await self._disable_gone(batch)
            self._unsettled -= len(batch)
            self._ended += len(batch)
            for settlement in batch:
                self._load.ended(settlement.claim)
            self._of_accounts -= Counter(one.claim.event.account_id for one in batch)
            self._observer.settled(len(batch))
            self._signals.announce_settled()
            if self._left:
                self._signals.work.set()

    async def _settle(self, batch: list[Settlement]) -> None:
        failpoint("settle.batch_build")
        while True:
            try:
                await self._store.settle(batch)
            except StorageUnavailable as trouble:
                # What listeners have answered is not forgotten: it is kept until it fits.
                await self._pause("settle", trouble)
            else:
                return

    def _mark_down(self, settlement: Settlement) -> None:
        """Keep to DocuSign's way: one failure holds all messages to a listener up."""
        outcome, configuration = settlement.outcome, settlement.claim.configuration
        if isinstance(outcome, RetryAt) and outcome.counts and self._is_docusigns(settlement):
            wait = (outcome.when - self._clock.now()).total_seconds()
            self._pacing.down(configuration.connect_id, self._clock.monotonic() + wait)

    async def _queue_behind(self, batch: list[Settlement]) -> None:
        """What waits for a listener that is down waits in order, and is listed."""
        down: dict[tuple[str, int], datetime] = {}
        for settlement in batch:
            outcome = settlement.outcome
            if isinstance(outcome, RetryAt) and outcome.counts and self._is_docusigns(settlement):
                place = _listener(settlement)
                down[place] = max(outcome.when, down.get(place, outcome.when))
        for (account_id, connect_id), until in down.items():
            try:
                await self._store.queue_behind(account_id, connect_id, until)
            except StorageUnavailable as trouble:  # they are tried in another order
                _log.warning("not_queued", reason=str(trouble))

    async def _hasten(self, batch: list[Settlement]) -> None:
        """And one success lets all of them go at once."""
        up = {
            _listener(settlement)
            for settlement in batch
            if isinstance(settlement.outcome, Delivered)
            and self._is_docusigns(settlement)
            and self._pacing.up(settlement.claim.configuration.connect_id)
        }
        for account_id, connect_id in up:
            try:
                await self._store.hasten(account_id, connect_id)
            except StorageUnavailable as trouble:  # they go out at their own times
                _log.warning("not_hastened", reason=str(trouble))

    def _is_docusigns(self, settlement: Settlement) -> bool:
        configuration = settlement.claim.configuration
        return schedule_for(configuration, self._schedule) is DOCUSIGN

    async def _disable_gone(self, batch: list[Settlement]) -> None:
        """Switch off who says that it is gone; what it did not take is held, not lost."""
        gone = {
            _listener(settlement): settlement
            for settlement in batch
            if says_gone(settlement.answer)
        }
        for settlement in gone.values():
            configuration = settlement.claim.configuration
            try:
                alert = await disable_gone(self._store, configuration, settlement.started_at)
            except StorageUnavailable as trouble:  # its next 410 does it
                _log.warning("gone_not_disabled", reason=str(trouble))
                continue
            if alert is not None:
                # Who is told may take its time: no settlement waits for it.
                telling = asyncio.create_task(self._tell(alert))
                self._telling.add(telling)
                telling.add_done_callback(self._telling.discard)

    async def _drain(self, grace: float, settling: asyncio.Task[None]) -> None:
        """Let what is in flight finish within `grace`, cut the rest off, settle all of it."""
        if not self._taken.is_set():
            await self._clock.wait(self._taken, grace)
        if self._sending:
            await asyncio.wait(self._sending, timeout=grace)
        self._suspensions += 1  # what an accept hands over from here on is cut off as well
        for task in list(self._sending):
            task.cancel()
        if self._sending:
            await asyncio.wait(self._sending)
        while self._unsettled:
            settled = asyncio.ensure_future(self._signals.next_settled().wait())
            await asyncio.wait({settled, settling}, return_when=asyncio.FIRST_COMPLETED)
            settled.cancel()
            if settling.done():
                settling.result()


def _listener(settlement: Settlement) -> tuple[str, int]:
    """Whose listener it was: the ids of the account and of the configuration."""
    return settlement.claim.event.account_id, settlement.claim.configuration.connect_id


def _succeeded(settlement: Settlement) -> bool | None:
    """What a settlement says of how much the listener can take; None: nothing."""
    match settlement.outcome:
        case Delivered():
            return True
        case RetryAt(counts=False) | Interrupted():
            return None
        case RetryAt() | GaveUp():
            status = 0 if settlement.answer is None else settlement.answer.status
            # Such an answer is about the message: another one may be taken at once.
            return None if 300 <= status <= 499 and status != _TOO_MANY else False
        case _:
            assert_never(settlement.outcome)
