"""Accepts gather while some are committed, and go into the next transaction, in turn with sending.

A flush to disk costs the same for one event as for a hundred. Both engines accept so.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from heliograph.clock import Clock
from heliograph.errors import ConfigurationsChanged, EventConflict, StorageUnavailable
from heliograph.model.deliveries import Claim, Interrupted, Phase, Settlement, Why
from heliograph.model.events import Accepted, NewEvent, Verdict, Wanted
from heliograph.store import rows
from heliograph.store.openings import Openings, Taker
from heliograph.store.times import to_microseconds
from heliograph.store.verbs import PATIENCE

TURN: Final = 128
"""Deliveries of one turn of accepting (R23); a call that makes more has a turn of its own."""

TURN_BYTES: Final = 4 * 1024 * 1024
"""The same in bytes of documents: who has little to write is not committed with who has much."""

_NOT_SENT: Final = Why(Phase.CLAIM, "Heliograph stopped before this was sent")

_MOST_CALLS: Final = 512
_MOST_BATCHES: Final = 4


@dataclass(frozen=True, slots=True)
class Submitted:
    """One call of `Store.accept`, as the group commit gathers it."""

    account_id: str
    version: int
    events: Sequence[tuple[NewEvent, Sequence[Verdict]]]
    notifies: bool

    @property
    def deliveries(self) -> int:
        """Those that it makes, where none of its events is there already."""
        return sum(isinstance(verdict, Wanted) for _, asked in self.events for verdict in asked)

    @property
    def size(self) -> int:
        """Bytes of its documents."""
        return sum(len(event.document) for event, _ in self.events)


@dataclass(frozen=True, slots=True)
class New:
    """An event that is to be added, and for how many of those that were asked."""

    event: NewEvent
    verdicts: Sequence[Verdict]
    deliveries: int

    @property
    def known(self) -> rows.KnownEvent:
        """What a repeat of it in the same transaction is compared with."""
        return rows.KnownEvent(self.event.digest, self.event.meaning, self.deliveries)


Results = Sequence[Sequence[Accepted] | Exception]
"""The answer to each call of a batch, in its order, or why it was refused."""


@dataclass(frozen=True, slots=True)
class AcceptedBatch:
    """What became of a batch: the answers, and what was claimed for who sends.

    `behind` counts all of its deliveries where some that are due had to wait, else it is 0.
    """

    results: Results
    claims: Sequence[Claim] = ()
    behind: int = 0


Events = dict[tuple[str, str], New]
"""New events, by account and event id."""


def sorted_out(
    batch: Sequence[Submitted],
    versions: Mapping[str, tuple[int, bool]],
    live: Collection[tuple[int, str | None]],
    known: Mapping[tuple[str, str], rows.KnownEvent],
) -> tuple[list[Sequence[Accepted] | Exception], Events]:
    """The answers to a batch, each all or none, and what is to be added.

    Args:
        batch: In the order in which they came.
        versions: What `rows.refuse_changed` compares with, by account.
        live: As `rows.refuse_changed_ad_hoc` takes it.
        known: The events of the batch that are there already, by account and event id.
    """
    results: list[Sequence[Accepted] | Exception] = []
    new: Events = {}
    for submitted in batch:
        version = versions.get(submitted.account_id, (0, False))
        try:
            rows.refuse_changed(version, submitted.version, notifies=submitted.notifies)
            rows.refuse_changed_ad_hoc(live, submitted.events)
            receipts, added = _receipts_of(submitted, known, new)
        except (ConfigurationsChanged, EventConflict) as refusal:
            results.append(refusal)
            continue
        results.append(receipts)
        new |= added
    return results, new


def _receipts_of(
    submitted: Submitted, known: Mapping[tuple[str, str], rows.KnownEvent], new: Events
) -> tuple[list[Accepted], Events]:
    """The answers for one call, and what it adds; raises EventConflict."""
    receipts: list[Accepted] = []
    added: Events = {}
    for event, verdicts in submitted.events:
        key = (submitted.account_id, event.event_id)
        deliveries = sum(isinstance(verdict, Wanted) for verdict in verdicts)
        same = added.get(key) or new.get(key)
        before = known.get(key) if same is None else same.known
        if before is not None:
            receipts.append(before.repeated(event))
            continue
        added[key] = New(event, verdicts, deliveries)
        receipts.append(Accepted(event.event_id, deliveries, repeated=False))
    return receipts, added


def generated_us(event: NewEvent, now: int) -> int:
    """When an event was generated, in microseconds UTC; where nobody said so: now."""
    return now if event.generated_at is None else to_microseconds(event.generated_at)


@dataclass(slots=True, eq=False)
class _Waiting:
    """A call that has no answer yet; `at` is when it came, in the loop's time.

    `patient_since` is set while its transaction runs: what others commit no longer tells it
    anything then.
    """

    submitted: Submitted
    deliveries: int
    size: int
    at: float
    future: asyncio.Future[Sequence[Accepted]]
    patient_since: float | None = None

    @property
    def told(self) -> bool:
        """Whether its caller has an answer; who has gone away has none."""
        return self.future.done() and not self.future.cancelled()


class GroupCommit:
    """Gathers the accepts that come while a transaction runs, and commits them in the next one.

    It takes turns with sending (R23): a transaction makes at most `TURN` deliveries, of at most
    `TURN_BYTES`, or is one call's, and before the next one `let_send` has returned.
    """

    def __init__(
        self,
        commit: Callable[
            [Sequence[Submitted]], Awaitable[Sequence[Sequence[Accepted] | Exception]]
        ],
        let_send: Callable[[], Awaitable[None]],
    ) -> None:
        """What `commit` raises is everybody's."""
        self._commit = commit
        self._let_send = let_send
        self._waiting: deque[_Waiting] = deque()
        self._running: dict[asyncio.Task[None], list[_Waiting]] = {}
        self._expiry: asyncio.TimerHandle | None = None
        self._turns: asyncio.Task[None] | None = None
        self._progress = 0.0
        """When something was committed last, in the loop's time."""

    async def submit(self, submitted: Submitted) -> Sequence[Accepted]:
        """Wait for a turn as long as others are committed meanwhile, and until it is committed.

        What was submitted is committed also where its caller is cancelled.

        Raises:
            StorageUnavailable: for `PATIENCE` seconds nothing was committed, nor is it by then.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(
            submitted, submitted.deliveries, submitted.size, loop.time(), loop.create_future()
        )
        self._waiting.append(waiting)
        if self._turns is None or self._turns.done():
            self._turns = asyncio.create_task(self._take_turns())
        if self._expiry is None:
            self._expiry = loop.call_later(PATIENCE, self._expire)
        return await waiting.future

    def _expire(self) -> None:
        """Tell those that have waited for too long, and come back for the others."""
        loop = asyncio.get_running_loop()
        unanswered = [
            waiting
            for waiting in itertools.chain(*self._running.values(), self._waiting)
            if not waiting.future.done()
        ]
        ends = []
        for waiting in unanswered:
            since = waiting.patient_since
            end = (self._patient_since(waiting) if since is None else since) + PATIENCE
            if end > loop.time():
                ends.append(end)
            else:
                why = (
                    "The database did not answer in time: whether this was stored is unknown."
                    if since is not None
                    else "The database does not answer."
                )
                waiting.future.set_exception(StorageUnavailable(why))
        self._expiry = loop.call_at(min(ends), self._expire) if ends else None

    def _patient_since(self, waiting: _Waiting) -> float:
        """From when on the patience of who has no transaction yet is counted."""
        return max(waiting.at, self._progress)

    async def close(self) -> None:
        """Wait for what has begun."""
        if self._turns is not None:
            await asyncio.wait({self._turns})
        if self._expiry is not None:
            self._expiry.cancel()

    async def _take_turns(self) -> None:
        while self._waiting:
            batch = self._next()
            if not batch:
                continue
            task = asyncio.create_task(self._run(batch))
            self._running[task] = batch
            task.add_done_callback(self._running.pop)
            # A transaction that hangs must not hold up those behind it for ever.
            await asyncio.wait({task}, timeout=PATIENCE)
            if len(self._running) >= _MOST_BATCHES:
                await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            await self._let_send()

    def _next(self) -> list[_Waiting]:
        """Those whose turn it is, in the order in which they came; who was told is left out."""
        batch: list[_Waiting] = []
        deliveries = size = 0
        while self._waiting and len(batch) < _MOST_CALLS:
            waiting = self._waiting[0]
            if not waiting.told:
                deliveries += waiting.deliveries
                size += waiting.size
                if batch and (deliveries > TURN or size > TURN_BYTES):
                    break
                batch.append(waiting)
            self._waiting.popleft()
        return batch

    async def _run(self, batch: list[_Waiting]) -> None:
        results: Results
        try:
            results = await self._committed(batch)
            self._progress = asyncio.get_running_loop().time()
        except StorageUnavailable as error:
            results = [error] * len(batch)
        except Exception as error:
            if len(batch) > 1:  # one of them is to blame: each stands for itself
                for waiting in batch:
                    if not waiting.told:
                        await self._run([waiting])
                return
            results = [error]
        for waiting, result in zip(batch, results, strict=True):
            if waiting.future.done():
                continue
            if isinstance(result, Exception):
                waiting.future.set_exception(result)
            else:
                waiting.future.set_result(result)

    async def _committed(self, batch: list[_Waiting]) -> Results:
        for waiting in batch:
            waiting.patient_since = self._patient_since(waiting)
        try:
            return await self._commit([waiting.submitted for waiting in batch])
        finally:
            for waiting in batch:
                waiting.patient_since = None


class Accepting:
    """The accepts of a store: they hand over what can be sent at once (decision 38), and let what
    had to wait be sent before more is accepted (decision 39)."""

    def __init__(
        self,
        accepted: Callable[[Sequence[Submitted], Openings | None], Awaitable[AcceptedBatch]],
        settle: Callable[[Sequence[Settlement]], Awaitable[object]],
        clock: Clock,
    ) -> None:
        """`accepted` commits a batch, and claims what there are openings for."""
        self._accepted = accepted
        self._settle = settle
        self._clock = clock
        self._group = GroupCommit(self._accept, self._let_send)
        self._taker: Taker | None = None
        self._behind = 0

    def hand_to(self, taker: Taker | None) -> None:
        """See `Store.hand_to`."""
        self._taker = taker

    async def submit(self, submitted: Submitted) -> Sequence[Accepted]:
        """See `GroupCommit.submit`."""
        return await self._group.submit(submitted)

    async def close(self) -> None:
        """Wait for what has begun."""
        await self._group.close()

    async def _accept(self, batch: Sequence[Submitted]) -> Results:
        taker = self._taker
        openings = None if taker is None else taker.openings()
        claims: Sequence[Claim] = ()
        try:
            accepted = await self._accepted(batch, openings)
            claims, self._behind = accepted.claims, accepted.behind
        finally:
            gone = taker is not self._taker
            if taker is not None and openings is not None:
                taker.take(() if gone else claims)
        if claims and gone:
            await self._put_back(claims)
        return accepted.results

    async def _put_back(self, claims: Sequence[Claim]) -> None:
        """Let what was claimed for somebody who sends no more wait again (R15)."""
        outcome, now = Interrupted(_NOT_SENT), self._clock.now()
        # Where that is not to be had now, it is found in flight as after a crash.
        with suppress(StorageUnavailable):
            await self._settle([Settlement(claim, outcome, None, now, 0.0) for claim in claims])

    async def _let_send(self) -> None:
        """Between two turns (R23): of `_behind` deliveries some had to wait."""
        behind, self._behind = self._behind, 0
        if behind and self._taker is not None:
            await self._taker.get_on(behind)
