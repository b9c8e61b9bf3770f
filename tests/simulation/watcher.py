"""What must hold, looked at while a world runs and when it is over.

The watcher keeps books of its own: of claims, settlements, sends and answers. It never reads
what the code under test believes.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from heliograph.delivery.retry import RETRY_AFTER_CEILING, Schedule
from heliograph.model.deliveries import (
    Claim,
    Delivered,
    DeliveryState,
    Interrupted,
    RetryAt,
    Settlement,
)
from tests.simulation.database import UNFINISHED, Database, Delivery, Pair
from tests.simulation.loop import SimulatedLoop

ZOMBIE_SECONDS: Final = 2.0
"""How long after a freeze a node may still send what is no longer its own."""

LATEST: Final = 60.0
"""Seconds after which a due delivery must have been claimed while nothing is wrong."""

DRIFT: Final = 2e-4
"""By how much a node's clock may go wrong: one that doubts a step goes by it alone (R22)."""

_TOLERANCE: Final = 0.1
_WINDOW: Final = 60.0


class Violation(AssertionError):
    """A promise was broken."""


@dataclass(slots=True, eq=False)
class Send:
    """One post. `answered` is the listener's status, `lost` that nobody got to know it."""

    pair: Pair
    node: str
    began: float
    retry_count: int
    answered: int | None = None
    answered_at: tuple[float, float] = (0.0, 0.0)
    asked: float = 0.0
    lost: bool = False


@dataclass(slots=True)
class NodeBook:
    """What the watcher knows of a node."""

    frozen: bool = False
    thawed: float = -1e9
    disturbed: float = -1e9
    """When something last happened that may leave attempts without a known outcome."""
    epoch_since: float = -1e9
    claims: deque[float] = field(default_factory=deque)
    causes: deque[float] = field(default_factory=deque)


class Watcher:
    """Books and judgement of one world."""

    def __init__(
        self,
        loop: SimulatedLoop,
        database: Database,
        schedule: Schedule,
        cap: int,
        show: Callable[[str], None] | None = None,
    ) -> None:
        self.loop, self.database, self.schedule, self.cap = loop, database, schedule, cap
        self.now_db: Callable[[], float] = lambda: 0.0
        self.hint: Callable[[], None] = lambda: None
        self.nodes: dict[str, NodeBook] = {}
        self.open: dict[Pair, list[Send]] = defaultdict(list)
        self.sends = 0
        self.calls = 0
        self.took: Counter[Pair] = Counter()
        self.turned: dict[int, float] = {}
        self.lost_replies: Counter[Pair] = Counter()
        self.first_sent: set[Pair] = set()
        self.last_send: dict[Pair, Send] = {}
        self.newest_claim: dict[int, int] = {}
        self.claimed_at: dict[int, tuple[str, float]] = {}
        self.effective: set[int] = set()
        self.delivered: set[Pair] = set()
        self.not_before: dict[Pair, tuple[float, float, float]] = {}
        self.receipts: dict[str, int] = {}
        self.judging = True
        self.jumped = -1e9
        self.jumps = 0.0
        self.trouble_until = 0.0
        self._by_pair: dict[Pair, Delivery] = {}
        self._known_deliveries = 0
        self._show = show
        self._digest = hashlib.blake2b(digest_size=16)
        self.kinds: Counter[str] = Counter()

    # ---------------------------------------------------------------------------- the trace

    def note(self, kind: str, text: str) -> None:
        """Write a line of the trace."""
        line = f"{self.loop.time():.6f} {kind} {text}"
        self._digest.update(line.encode())
        self.kinds[kind] += 1
        if self._show is not None:
            self._show(line)

    @property
    def trace(self) -> str:
        """The trace in short: the same for the same seed."""
        return self._digest.hexdigest()

    def fail(self, text: str) -> None:
        """Say that a promise is broken."""
        if not self.judging:
            return
        message = f"at {self.loop.time():.3f}: {text}"
        self.note("VIOLATION", text)
        # Some callers are callbacks: the world looks here whether one of them found something.
        self.loop.problems.append(message)
        raise Violation(message)

    def trouble(self, until: float) -> None:
        """Nothing is expected to be in time until then, and a while longer."""
        self.trouble_until = max(self.trouble_until, until + 90.0)

    @property
    def calm(self) -> bool:
        """Whether everything must be in time."""
        return self.loop.time() > self.trouble_until

    def jump(self, seconds: float) -> None:
        """The database's clock jumped."""
        self.jumped = self.loop.time()
        # Who sleeps until a due time, sleeps by a clock that does not jump.
        self.jumps += abs(seconds)

    def disturb(self, name: str) -> None:
        """Attempts of this node may have no known outcome from here on."""
        self.nodes[name].disturbed = self.loop.time()

    # --------------------------------------------------------------------------- each commit

    def committed(self, verb: str) -> None:
        """A call reached the database; cheap looks at the whole."""
        self.calls += 1
        if verb in ("renew", "take_over") and self.calm:
            self._look_for_overdue()
        if verb in ("claim", "settle", "take_over") and self.database.leases:
            for delivery in self.database.unfinished.values():
                if delivery.epoch is not None and delivery.epoch not in self.database.nodes:
                    self.fail(f"{delivery.pair} is in flight of a node that is gone (R4)")

    def _look_for_overdue(self) -> None:
        now, long_ago = self.now_db(), self.loop.time() - 10.0
        in_flight = Counter(
            each.connect_id for each in self.database.unfinished.values() if each.epoch is not None
        )
        for delivery in self.database.unfinished.values():
            late = now - delivery.due / 1e6 - self.jumps
            if (
                delivery.state is DeliveryState.WAITING
                and late > LATEST
                # A listener that fails may have but one at a time (R10).
                and not in_flight[delivery.connect_id]
                and self.turned.get(delivery.connect_id, 0.0) < long_ago
            ):
                self.fail(f"{delivery.pair} was due {late:.0f} s ago, and nobody claims it")

    def cause(self, name: str) -> None:
        """A reason for a node to look for work."""
        self.nodes[name].causes.append(self.loop.time())

    def claiming(self, name: str) -> None:
        """A node looks for work; how often it does is bounded by what happened (no hot loop)."""
        book, now = self.nodes[name], self.loop.time()
        book.claims.append(now)
        for times in (book.claims, book.causes):
            while times and times[0] < now - _WINDOW:
                times.popleft()
        if len(book.claims) > 200 + 6 * len(book.causes):
            self.fail(f"{name} claimed {len(book.claims)} times within {_WINDOW:.0f} s")

    def claimed(self, name: str, claims: Sequence[Claim], asked: float) -> None:
        """A claim was committed that was asked for at a time."""
        for claim in claims:
            self.newest_claim[claim.delivery_id] = claim.attempt_id
            self.claimed_at[claim.attempt_id] = (name, asked)
            self.cause(name)
            self.note("claim", f"{name} {claim.delivery_id} #{claim.number} e{claim.epoch}")

    def settled(self, settlements: Sequence[Settlement], ours: Sequence[bool]) -> None:
        """A settle was committed."""
        for settlement, effect in zip(settlements, ours, strict=True):
            claim = settlement.claim
            name, since = self.claimed_at[claim.attempt_id]
            self.cause(name)
            self.turned[claim.configuration.connect_id] = self.loop.time()
            outcome = type(settlement.outcome).__name__
            self.note("settle", f"{name} {claim.delivery_id} #{claim.number} {outcome} {effect}")
            if not effect:
                continue
            if self.newest_claim[claim.delivery_id] != claim.attempt_id:
                self.fail(f"delivery {claim.delivery_id}: a claim that is not the newest settled")
            if claim.attempt_id in self.effective:
                self.fail(f"delivery {claim.delivery_id}: one claim settled twice (R8)")
            self.effective.add(claim.attempt_id)
            if isinstance(settlement.outcome, Interrupted) and not self._disturbed(name, since):
                self.fail(f"delivery {claim.delivery_id} was cut off for no reason")
            self._settled(settlement)

    def _settled(self, settlement: Settlement) -> None:
        claim, outcome = settlement.claim, settlement.outcome
        pair = (claim.event.event_id, claim.configuration.connect_id)
        send = self.last_send.get(pair)
        if isinstance(outcome, Delivered):
            self.delivered.add(pair)
            if not self.took[pair]:
                self.fail(f"{pair} is delivered, and its listener never said so (R5)")
        if isinstance(outcome, RetryAt) and send is not None:
            plain = self.schedule.first * self.schedule.factor ** (claim.schedule_number - 1)
            wait = max(min(plain, self.schedule.ceiling), min(send.asked, RETRY_AFTER_CEILING))
            left = claim.schedule_started_at.timestamp() + self.schedule.horizon
            at, at_db = send.answered_at
            self.not_before[pair] = (at + wait, min(at_db + wait, left), at)
        else:
            self.not_before.pop(pair, None)

    def _disturbed(self, name: str, since: float) -> bool:
        book = self.nodes[name]
        return book.frozen or max(book.disturbed, self.jumped) >= since - ZOMBIE_SECONDS

    def requeued(self, deliveries: Sequence[Delivery]) -> None:
        """Someone asked for another try now."""
        for delivery in deliveries:
            self.not_before.pop(delivery.pair, None)

    def accepted(self, event_id: str, deliveries: int) -> None:
        """A publisher got a receipt."""
        self.receipts[event_id] = deliveries

    # ----------------------------------------------------------------------------- each send

    def begin(self, name: str, pair: Pair, retry_count: int) -> Send:
        """A post begins."""
        now = self.loop.time()
        send = Send(pair, name, now, retry_count)
        self.note("send", f"{name} {pair} {retry_count}")
        self.sends += 1
        delivery = self._delivery(pair)
        for other in self.open[pair]:
            if not self._zombie(other.node, now) and not self._zombie(name, now):
                self.fail(f"{pair} is sent by {name} while {other.node} sends it")
        at_once = sum(
            1
            for sends in self.open.values()
            for each in sends
            if each.node == name and each.pair[1] == pair[1]
        )
        book = self.nodes[name]
        settling = now - max(book.epoch_since, book.thawed, book.disturbed) > ZOMBIE_SECONDS
        if at_once >= self.cap and settling and now - self.jumped > LATEST:
            self.fail(f"{name} sends {at_once + 1} at once to configuration {pair[1]}")
        if pair not in self.first_sent:
            self.first_sent.add(pair)
            self._check_order(delivery)
        early = self.not_before.get(pair)
        if early is not None and self.jumped < early[2] - LATEST:
            loop_left, db_left = early[0] - now, early[1] - self.now_db()
            if min(loop_left, db_left) > _TOLERANCE + DRIFT * (now - early[2]):
                self.fail(f"{pair} is sent {min(loop_left, db_left):.2f} s too early (R9)")
        self.open[pair].append(send)
        self.last_send[pair] = send
        return send

    def answer(self, send: Send, status: int, asked: float, lost: bool) -> None:
        """The listener answered, whether or not anybody got to know it."""
        send.answered, send.asked, send.lost = status, asked, lost
        send.answered_at = (self.loop.time(), self.now_db())
        self.note("answer", f"{send.pair} {status} {lost}")
        if 200 <= status <= 299:
            self.took[send.pair] += 1
            self.lost_replies[send.pair] += lost

    def end(self, send: Send) -> None:
        """The post is over, or its process is."""
        if send in self.open[send.pair]:
            self.open[send.pair].remove(send)
            if not self.open[send.pair]:
                del self.open[send.pair]

    def end_all(self, name: str) -> None:
        """A process is gone, and with it what it was sending."""
        for sends in list(self.open.values()):
            for send in list(sends):
                if send.node == name:
                    self.end(send)

    def _zombie(self, name: str, now: float) -> bool:
        book = self.nodes[name]
        if book.frozen or now - book.thawed <= ZOMBIE_SECONDS:
            return True
        # Leases are kept by the database's clock: when that jumps, all of them are over.
        return now - self.jumped <= 2 * LATEST

    def _delivery(self, pair: Pair) -> Delivery:
        while self._known_deliveries < len(self.database.deliveries):
            self._known_deliveries += 1
            found = self.database.deliveries[self._known_deliveries]
            self._by_pair[found.pair] = found
        return self._by_pair[pair]

    def _check_order(self, delivery: Delivery) -> None:
        for (connect_id, _), queue in self.database.lanes.items():
            if connect_id != delivery.connect_id or delivery not in queue:
                continue
            for earlier in queue:
                if earlier is delivery:
                    return
                if not earlier.finished:
                    self.fail(f"{delivery.pair} is sent before {earlier.pair} has ended (R6)")

    # ---------------------------------------------------------------------------- at the end

    def finish(self) -> None:
        """Judge the whole run."""
        for event_id, deliveries in self.receipts.items():
            if self.database.events.get(event_id, (None, -1))[1] != deliveries:
                self.fail(f"{event_id} was accepted for {deliveries}, and is not there (R1)")
        counted = Counter(delivery.pair[0] for delivery in self.database.deliveries.values())
        for event_id, (_, deliveries) in self.database.events.items():
            if counted[event_id] != deliveries:
                self.fail(f"{event_id} has {counted[event_id]} of {deliveries} deliveries (R2)")
        unknown: Counter[Pair] = Counter()
        for attempt in self.database.attempts.values():
            unknown[attempt.delivery.pair] += attempt.was_unknown
        for delivery in self.database.deliveries.values():
            self._finish(delivery, unknown[delivery.pair])
        for attempt in self.database.attempts.values():
            if attempt.outcome is None:
                self.fail(f"{attempt.delivery.pair} has an attempt that never ended (R4)")

    def _finish(self, delivery: Delivery, unknown: int) -> None:
        pair, state = delivery.pair, delivery.state
        if state in UNFINISHED:
            self.fail(f"{pair} is still {state} ({delivery.held}) at the end (R3)")
        if state is DeliveryState.FAILED and not delivery.failed:
            self.fail(f"{pair} failed and is not listed (R4)")
        if state is DeliveryState.DELIVERED and not self.took[pair]:
            self.fail(f"{pair} is delivered, and its listener never said so (R5)")
        known = self.took[pair] - self.lost_replies[pair] - (state is DeliveryState.DELIVERED)
        if known > unknown:
            self.fail(f"{pair} arrived {self.took[pair]} times, {unknown} of them unknown (R3)")
