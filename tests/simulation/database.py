"""A database in memory that follows the rules of the engines, with one commit at a time.

Times are microseconds of the database's clock. Node leases are kept in *beat time*
(`SimulatedLoop.beat_time`), so that skipped idle hours let none run out.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from heliograph.errors import ConfigurationsChanged, EventConflict
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.deliveries import (
    LEGAL_MOVES,
    AttemptOutcome,
    Claim,
    Delivered,
    DeliveryState,
    GaveUp,
    Interrupted,
    RetryAt,
    Settlement,
)
from heliograph.model.events import Accepted, Event, HeldReason, NewEvent, Verdict, Wanted
from heliograph.model.logs import Requeued
from heliograph.store import MOST_UNSETTLED_CLAIMS, ClaimResult
from heliograph.store.rows import DELETED, POISON
from heliograph.store.times import from_microseconds, to_microseconds

SECOND: Final = 1_000_000

UNFINISHED: Final = (DeliveryState.WAITING, DeliveryState.HELD, DeliveryState.IN_FLIGHT)

Pair = tuple[str, int]
"""An event id and a configuration's id: one delivery."""


class IllegalMove(AssertionError):
    """A delivery moved as the table of moves forbids."""


@dataclass(slots=True, eq=False)
class Delivery:
    """A row of the queue; `finished` is True for good once it ended for the first time."""

    delivery_id: int
    event: Event
    connect_id: int
    lane: str | None
    state: DeliveryState
    held: HeldReason | None
    due: int
    seed: int
    started: int
    attempts: int = 0
    schedule_attempts: int = 0
    unsettled: int = 0
    epoch: int | None = None
    attempt_id: int = 0
    failed: bool = False
    error: str | None = None
    finished: bool = False

    @property
    def pair(self) -> Pair:
        return self.event.event_id, self.connect_id

    def move(self, state: DeliveryState, held: HeldReason | None = None) -> None:
        """Take the delivery to a state; only the moves of the model are taken."""
        if state not in LEGAL_MOVES[self.state]:
            raise IllegalMove(f"{self.pair}: {self.state} to {state}")
        self.state, self.held = state, held
        if state not in UNFINISHED:
            self.finished = True


@dataclass(slots=True)
class Attempt:
    """A row of the history. `was_unknown` stays when a late answer closes it."""

    delivery: Delivery
    epoch: int
    outcome: AttemptOutcome | None = None
    """None while it runs."""
    was_unknown: bool = False


@dataclass(slots=True)
class NodeRow:
    """A node's lease, in beat time."""

    instance: str
    lease_until: int
    stopped: bool = False


@dataclass
class Database:
    """What is committed. Each method that changes something is one transaction.

    `leases` is False where only one node can be (an embedded file): there, nothing is taken
    over but at the start.
    """

    random: random.Random
    leases: bool
    lease_us: int
    beat: Callable[[int], int]
    version: int = 1
    configurations: dict[int, ConnectConfiguration] = field(default_factory=dict)
    events: dict[str, tuple[NewEvent, int]] = field(default_factory=dict)
    deliveries: dict[int, Delivery] = field(default_factory=dict)
    unfinished: dict[int, Delivery] = field(default_factory=dict)
    lanes: dict[tuple[int, str], list[Delivery]] = field(default_factory=dict)
    attempts: dict[int, Attempt] = field(default_factory=dict)
    nodes: dict[int, NodeRow] = field(default_factory=dict)
    epochs: int = 0
    last_beat: int = 0
    attempt_ids: int = 0

    # ------------------------------------------------------------------------- the nodes

    def start(self, instance: str, now: int) -> int:
        """Begin an epoch; the one that this instance had before is over."""
        for node in self.nodes.values():
            node.stopped = node.stopped or node.instance == instance
        self.epochs += 1
        if not self.leases:
            self._put_back([d for d in self.unfinished.values() if d.epoch is not None], now)
            self.nodes.clear()
        self.nodes[self.epochs] = NodeRow(instance, self.beat(now) + self.lease_us)
        return self.epochs

    def renew(self, epoch: int, now: int) -> bool:
        """Renew a lease; False when the epoch is over."""
        self.last_beat = now
        node = self.nodes.get(epoch)
        if node is None or node.stopped:
            return False
        node.lease_until = self.beat(now) + self.lease_us
        return True

    def stop(self, epoch: int, now: int) -> None:
        """Mark a node as stopped."""
        self.last_beat = now
        if epoch in self.nodes:
            self.nodes[epoch].stopped = True

    def alive(self, epoch: int, now: int) -> bool:
        """Whether a node may claim."""
        node = self.nodes.get(epoch)
        if node is None or node.stopped:
            return False
        return not self.leases or node.lease_until > self.beat(now)

    def dead(self, now: int) -> list[int]:
        """The epochs whose work may be taken over."""
        beat = self.beat(now)
        return [
            epoch
            for epoch, node in self.nodes.items()
            if node.stopped or (self.leases and node.lease_until < beat)
        ]

    def take_over(self, now: int) -> int:
        """Put back what dead nodes had in flight."""
        if not self.leases:
            return 0
        dead = self.dead(now)
        if not dead:
            return 0
        taken = [d for d in self.unfinished.values() if d.epoch in dead]
        self._put_back(taken, now)
        for epoch in dead:
            del self.nodes[epoch]
        return len(taken)

    def _put_back(self, taken: Sequence[Delivery], now: int) -> None:
        for delivery in taken:
            attempt = self.attempts[delivery.attempt_id]
            attempt.outcome, attempt.was_unknown = AttemptOutcome.UNKNOWN, True
            delivery.epoch = None
            if delivery.connect_id not in self.configurations:
                self._fail(delivery, DELETED, now)
            elif delivery.unsettled >= MOST_UNSETTLED_CLAIMS:
                delivery.unsettled = 0
                self._fail(delivery, POISON, now)
            else:
                self._wait(delivery, now)

    # ------------------------------------------------------------------------- the rules

    def _live(self, connect_id: int) -> ConnectConfiguration | None:
        return self.configurations.get(connect_id)

    def _wait(self, delivery: Delivery, due: int) -> None:
        """Wait for a time, or for a person where the configuration holds its deliveries."""
        delivery.due = due
        reason = self.configurations[delivery.connect_id].held
        delivery.move(DeliveryState.WAITING if reason is None else DeliveryState.HELD, reason)

    def _fail(self, delivery: Delivery, error: str, now: int) -> None:
        delivery.failed, delivery.error = True, error
        delivery.move(DeliveryState.FAILED)
        self._ended(delivery, now)

    def _ended(self, delivery: Delivery, now: int) -> None:
        """Take it out of the queue, and let the next of its lane go (R6)."""
        self.unfinished.pop(delivery.delivery_id, None)
        if delivery.lane is None:
            return
        queue = self.lanes[delivery.connect_id, delivery.lane]
        oldest = next((each for each in queue if _queued(each)), None)
        if oldest is None or oldest.held is not HeldReason.ORDER:
            return
        if oldest.connect_id in self.configurations:
            self._wait(oldest, now)

    def is_busy(self, connect_id: int, name: str) -> bool:
        """Whether a lane has an unfinished delivery."""
        return any(_queued(each) for each in self.lanes.get((connect_id, name), ()))

    # --------------------------------------------------------------------------- the flow

    def accept(
        self,
        account_id: str,
        version: int,
        events: Sequence[tuple[NewEvent, Sequence[Verdict]]],
        now: int,
    ) -> list[Accepted]:
        """See `Store.accept`."""
        if version != self.version:
            raise ConfigurationsChanged
        for event, _ in events:
            known = self.events.get(event.event_id)
            if known is not None and known[0].digest != event.digest:
                raise EventConflict(event.event_id)
        return [self._accept_one(account_id, event, verdicts, now) for event, verdicts in events]

    def _accept_one(
        self, account_id: str, event: NewEvent, verdicts: Sequence[Verdict], now: int
    ) -> Accepted:
        known = self.events.get(event.event_id)
        if known is not None:
            return Accepted(event.event_id, known[1], repeated=True)
        wanted = [verdict for verdict in verdicts if isinstance(verdict, Wanted)]
        self.events[event.event_id] = (event, len(wanted))
        stored = Event(
            account_id,
            event.event_id,
            event.name,
            event.envelope.envelope_id,
            from_microseconds(now),
            event.document,
        )
        for verdict in wanted:
            name = verdict.lane
            busy = name is not None and self.is_busy(verdict.connect_id, name)
            reason = HeldReason.ORDER if busy else verdict.held
            delivery = Delivery(
                delivery_id=len(self.deliveries) + 1,
                event=stored,
                connect_id=verdict.connect_id,
                lane=name,
                state=DeliveryState.WAITING if reason is None else DeliveryState.HELD,
                held=reason,
                due=now,
                seed=self.random.getrandbits(31),
                started=now,
            )
            self.deliveries[delivery.delivery_id] = delivery
            self.unfinished[delivery.delivery_id] = delivery
            if name is not None:
                self.lanes.setdefault((verdict.connect_id, name), []).append(delivery)
        return Accepted(event.event_id, len(wanted), repeated=False)

    def is_due(self, delivery: Delivery, now: int) -> bool:
        """Whether a delivery may be claimed."""
        return delivery.state is DeliveryState.WAITING and delivery.due <= now

    def claim(
        self,
        epoch: int,
        now: int,
        room: int,
        per_configuration: int,
        free: Mapping[int, int],
        in_flight: Counter[int],
    ) -> ClaimResult:
        """See `Store.claim`; `in_flight` is what the node has of each configuration."""
        due: dict[int, list[Delivery]] = {}
        later: int | None = None
        for delivery in self.unfinished.values():
            if self.is_due(delivery, now):
                due.setdefault(delivery.connect_id, []).append(delivery)
            elif delivery.state is DeliveryState.WAITING:
                later = delivery.due if later is None else min(later, delivery.due)
        claims: list[Claim] = []
        turn = list(due)
        self.random.shuffle(turn)
        share = max(1, room // len(turn)) if turn else 0
        for connect_id in turn:
            here = free.get(connect_id, per_configuration - in_flight[connect_id])
            most = max(0, min(here, room - len(claims), share))
            in_order = sorted(due[connect_id], key=lambda one: (one.due, one.delivery_id))
            claims += [self._claim_one(one, epoch) for one in in_order[:most]]
        next_due = None if later is None else from_microseconds(later)
        left = len(claims) < sum(map(len, due.values()))
        return ClaimResult(tuple(claims), next_due, left=left)

    def _claim_one(self, delivery: Delivery, epoch: int) -> Claim:
        self.attempt_ids += 1
        attempt_id = self.attempt_ids
        self.attempts[attempt_id] = Attempt(delivery, epoch)
        delivery.move(DeliveryState.IN_FLIGHT)
        delivery.epoch, delivery.attempt_id = epoch, attempt_id
        delivery.attempts += 1
        delivery.schedule_attempts += 1
        delivery.unsettled += 1
        return Claim(
            delivery_id=delivery.delivery_id,
            attempt_id=attempt_id,
            epoch=epoch,
            number=delivery.attempts,
            schedule_number=delivery.schedule_attempts,
            schedule_started_at=from_microseconds(delivery.started),
            seed=delivery.seed,
            event=delivery.event,
            configuration=self.configurations[delivery.connect_id],
        )

    def unclaim(self, epoch: int, known: Iterable[int], now: int) -> None:
        """Put back what was claimed without the node's knowing: nothing was sent."""
        for delivery in list(self.unfinished.values()):
            if delivery.epoch != epoch or delivery.attempt_id in known:
                continue
            del self.attempts[delivery.attempt_id]
            delivery.epoch = None
            delivery.attempts -= 1
            delivery.schedule_attempts -= 1
            delivery.unsettled -= 1
            if delivery.connect_id in self.configurations:
                self._wait(delivery, now)
            else:
                self._fail(delivery, DELETED, now)

    def is_ours(self, claim: Claim) -> bool:
        """The fence: only the claim that opened this attempt, of this epoch (R8)."""
        delivery = self.deliveries[claim.delivery_id]
        return (
            delivery.state is DeliveryState.IN_FLIGHT
            and delivery.epoch == claim.epoch
            and delivery.attempt_id == claim.attempt_id
        )

    def settle(self, settlements: Sequence[Settlement], now: int) -> list[bool]:
        """See `Store.settle`."""
        return [self._settle_one(each, now) for each in settlements]

    def _settle_one(self, settlement: Settlement, now: int) -> bool:
        claim, outcome = settlement.claim, settlement.outcome
        delivery = self.deliveries[claim.delivery_id]
        attempt = self.attempts[claim.attempt_id]
        if attempt.outcome in (None, AttemptOutcome.UNKNOWN):
            attempt.outcome = _ended_as(settlement)
            attempt.was_unknown |= attempt.outcome is AttemptOutcome.UNKNOWN
        if not self.is_ours(claim):
            return False
        delivery.epoch, delivery.unsettled = None, 0
        match outcome:
            case Delivered():
                delivery.failed, delivery.error = False, None
                delivery.move(DeliveryState.DELIVERED)
                self._ended(delivery, now)
            case GaveUp(why=why):
                self._fail(delivery, str(why), now)
            case RetryAt() | Interrupted() if claim.configuration.connect_id not in (
                self.configurations
            ):
                self._fail(delivery, DELETED, now)
            case RetryAt(when=when, why=why, counts=counts):
                delivery.failed, delivery.error = True, str(why)
                delivery.schedule_attempts -= not counts
                self._wait(delivery, to_microseconds(when))
            case Interrupted():
                self._wait(delivery, now)
        return True

    # ------------------------------------------------------------- configurations, failures

    def create_configuration(self, configuration: ConnectConfiguration) -> None:
        """Add a configuration under the id that it brings."""
        self.configurations[configuration.connect_id] = configuration
        self.version += 1

    def set_paused(self, connect_id: int, paused: bool, now: int) -> bool:
        """What an update of a configuration does to its deliveries."""
        known = self.configurations.get(connect_id)
        if known is None:
            return False
        self.configurations[connect_id] = replace(known, paused=paused)
        self.version += 1
        for delivery in self.unfinished.values():
            if delivery.connect_id != connect_id or delivery.held is HeldReason.ORDER:
                continue
            if paused and delivery.state is DeliveryState.WAITING:
                delivery.move(DeliveryState.HELD, HeldReason.PAUSED)
            elif not paused and delivery.state is DeliveryState.HELD:
                delivery.move(DeliveryState.WAITING)
                delivery.due = max(delivery.due, now)
        return True

    def delete_configuration(self, connect_id: int, now: int) -> bool:
        """What is waiting becomes a failure; what is in flight does when it is settled."""
        if self.configurations.pop(connect_id, None) is None:
            return False
        self.version += 1
        for delivery in list(self.unfinished.values()):
            if delivery.connect_id == connect_id and delivery.state is not DeliveryState.IN_FLIGHT:
                delivery.failed, delivery.error = True, DELETED
                delivery.move(DeliveryState.FAILED)
                del self.unfinished[delivery.delivery_id]
        return True

    def failures(self) -> list[Delivery]:
        """The open failures, oldest first."""
        return [each for each in self.deliveries.values() if each.failed]

    def requeue(self, delivery: Delivery, now: int) -> Requeued:
        """Make one open failure due now, where that can be."""
        live = self._live(delivery.connect_id)
        if live is not None and delivery.state is DeliveryState.FAILED:
            delivery.lane, delivery.schedule_attempts, delivery.started = None, 0, now
            self.unfinished[delivery.delivery_id] = delivery
            self._wait(delivery, now)
        elif live is not None and delivery.state is DeliveryState.WAITING:
            delivery.due = min(delivery.due, now)
        return Requeued(
            delivery.delivery_id,
            delivery.event.envelope_id,
            delivery.connect_id,
            "" if live is None else live.url,
            delivery.attempts,
            delivery.state,
            "",
        )

    def cancel(self, delivery_id: int, now: int) -> bool:
        """Delete one open failure."""
        delivery = self.deliveries.get(delivery_id)
        if delivery is None or not delivery.failed:
            return False
        delivery.failed, delivery.epoch = False, None
        if delivery.state is DeliveryState.IN_FLIGHT:
            attempt = self.attempts[delivery.attempt_id]
            attempt.outcome, attempt.was_unknown = AttemptOutcome.UNKNOWN, True
        delivery.move(DeliveryState.CANCELLED)
        self._ended(delivery, now)
        return True


def _queued(delivery: Delivery) -> bool:
    """Whether others of its lane wait for it; a republished failure has left its lane (R6)."""
    return delivery.lane is not None and delivery.state in UNFINISHED


def _ended_as(settlement: Settlement) -> AttemptOutcome:
    if isinstance(settlement.outcome, Delivered):
        return AttemptOutcome.DELIVERED
    if isinstance(settlement.outcome, Interrupted):
        return AttemptOutcome.UNKNOWN
    return AttemptOutcome.FAILED
