"""Real dispatchers, lease keepers and take-overs on simulated nodes, through a day of faults."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, cast

import structlog

from heliograph.delivery.dispatcher import Capacity, Dispatcher
from heliograph.delivery.lease import LeaseKeeper, follow_hints, take_over
from heliograph.delivery.publisher import Publisher, Receipt
from heliograph.delivery.republish import Republisher
from heliograph.delivery.signals import Signals
from heliograph.errors import StorageUnavailable, Unavailable
from heliograph.model.logs import LogQuery
from heliograph.store import Store
from heliograph.store.times import to_microseconds
from tests.simulation.database import SECOND, Database
from tests.simulation.listeners import SimulatedTransport
from tests.simulation.loop import OWNER, Owner, SimulatedLoop
from tests.simulation.model_store import LEASE, NodeStore, Trouble
from tests.simulation.scenario import Incident, Publication, Scenario, Wrong, scenario
from tests.simulation.watcher import DRIFT, NodeBook, Violation, Watcher
from tests.support import ACCOUNT, START

GRACE: Final = 10.0

_STOPS_WITHIN: Final = GRACE + 15.0
_DRAINS_WITHIN: Final = 40 * 3600.0


class Node:
    """One process after the other on one machine."""

    def __init__(self, world: World, name: str, pace: float) -> None:
        self.world, self.name, self._pace = world, name, pace
        self.owner = Owner(f"{name} before its first start")
        self.up = False
        self.ready = False
        self.suspended = False
        self._resumed = -1e9
        self._generation = 0
        self._context = Context()
        self.main: asyncio.Task[None] | None = None
        self.book = NodeBook()
        self._stop: Callable[[], None] = lambda: None

    # -------------------------------------------------------------------------- processes

    def start(self) -> None:
        """Begin a new process."""
        world = self.world
        if self.owner.tasks:
            world.watcher.fail(f"a dead process of {self.name} still has {self.owner.tasks}")
        self._generation += 1
        self.owner = Owner(f"{self.name}.{self._generation}")
        self._context = Context()
        self._context.run(OWNER.set, self.owner)
        self.up, self.ready, self.suspended = True, False, False
        self.book.epoch_since = world.loop.time()
        world.watcher.note("start", self.owner.name)
        self.main = world.loop.create_task(self._run(), context=self._context)
        self.main.add_done_callback(self._ended, context=Context())

    def _ended(self, main: asyncio.Task[None]) -> None:
        error = None if main.cancelled() else main.exception()
        if error is not None and self.world.watcher.judging:
            self.world.loop.problems.append(f"{self.name} ended with {error!r}")

    async def _run(self) -> None:
        world = self.world
        self.store = NodeStore(
            self.name,
            self.owner,
            world.loop,
            world.database,
            world.trouble,
            world.watcher,
            world.wall,
            self._pace,
        )
        while True:
            try:
                await self.store.open()
                break
            except StorageUnavailable:
                await asyncio.sleep(1.0)
        store = cast(Store, self.store)
        self.signals = Signals()
        self.transport = SimulatedTransport(
            self.name, self.owner, world.loop, world.plan.listeners, world.watcher, self._poisoned
        )
        self.dispatcher = Dispatcher(
            store,
            self.transport,
            store.clock,
            self.signals,
            Capacity(world.plan.in_flight, world.plan.cap),
            schedule=world.plan.schedule,
            longest_sleep=math.inf,  # here a wake-up that was forgotten must show
        )
        self.publisher = Publisher(store, self.signals)
        self.republisher = Republisher(store, store.clock, self.signals)
        await self._send(store)
        await self._close()

    async def _send(self, store: Store) -> None:
        """The parts of a service that send, put together as it does."""
        stopped, settled = asyncio.Event(), asyncio.Event()
        dispatcher, beats = self.dispatcher, self.store.beats

        def stop() -> None:
            dispatcher.stop()
            stopped.set()

        self._stop = stop
        self.ready = True
        keeping = asyncio.create_task(LeaseKeeper(store, self, beats, LEASE).run(settled))
        taking = asyncio.create_task(take_over(store, beats, stopped, LEASE))
        hints = asyncio.create_task(follow_hints(store, self.signals, stopped))
        try:
            await dispatcher.run(GRACE)
        finally:
            hints.cancel()
            settled.set()
        await asyncio.gather(keeping, taking)
        if self.transport.sending or dispatcher.in_flight:
            self.world.watcher.fail(f"{self.name} stopped with sends in flight (R15)")

    async def _close(self) -> None:
        try:
            await self.store.close()
        except StorageUnavailable:
            return
        for delivery in self.world.database.unfinished.values():
            if delivery.epoch == self.store.epoch:
                self.world.watcher.fail(f"{self.name} left {delivery.pair} in flight (R15)")

    def suspend(self) -> int:
        """What the lease keeper says to the dispatcher."""
        if self.world.watcher.calm:
            self.world.watcher.fail(f"{self.name} gave up its sends for no reason")
        since = self.world.loop.time() - self._resumed
        if self.world.trouble.young_leases and since < 2.0 and self.transport.sending:
            self.world.watcher.fail(f"{self.name} sent for {since:.2f} s on a lease that was old")
        self.suspended = True
        self.world.watcher.disturb(self.name)
        self.world.watcher.note("suspend", self.name)
        return self.dispatcher.suspend()

    def resume(self) -> None:
        """What the lease keeper says to the dispatcher."""
        if self.suspended:
            self.suspended = False
            self._resumed = self.world.loop.time()
            self.world.watcher.note("resume", self.name)
        self.dispatcher.resume()

    # ---------------------------------------------------------------------------- from outside

    def call(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something in the process, as one of its requests."""
        task = self.world.loop.create_task(work, context=self._context)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    def crash(self) -> None:
        """Kill -9: nothing that its tasks still do has an effect."""
        self.world.watcher.note("crash", self.owner.name)
        self.up = self.ready = False
        self.owner.dead = True
        self.world.watcher.disturb(self.name)
        self.world.watcher.end_all(self.name)
        for task in list(self.owner.tasks):
            task.cancel()
        self.thaw()

    def _poisoned(self, event_id: str) -> bool:
        """Whether sending an event ends the process that does it (R17)."""
        if event_id != self.world.plan.poison or self.world.healed:
            return False
        owner = self.owner

        def end() -> None:
            if owner is self.owner and self.up:
                self.crash()
                self.world.loop.call_later(5.0, self.start_again, context=Context())

        self.world.watcher.trouble(self.world.loop.time() + 5.0)
        self.world.loop.call_later(0.001, end, context=Context())
        return True

    def start_again(self) -> None:
        """Begin a new process, where there is none."""
        self.world.watcher.trouble(self.world.loop.time())
        if not self.up:
            self.start()

    def freeze(self) -> None:
        """SIGSTOP."""
        self.world.watcher.note("freeze", self.owner.name)
        self.world.watcher.disturb(self.name)
        self.owner.frozen = self.book.frozen = True

    def thaw(self) -> None:
        """SIGCONT."""
        if self.owner.frozen:
            self.world.watcher.note("thaw", self.owner.name)
            self.book.frozen, self.book.thawed = False, self.world.loop.time()
            self.world.watcher.disturb(self.name)
            self.world.loop.thaw(self.owner)

    async def stop(self) -> None:
        """SIGTERM, and wait for the end."""
        watcher, loop, main = self.world.watcher, self.world.loop, self.main
        assert main is not None
        watcher.note("stop", self.owner.name)
        calm, began = watcher.calm, loop.time()
        watcher.disturb(self.name)
        self.ready = False
        self._stop()
        while not main.done():
            await asyncio.wait({main}, timeout=_STOPS_WITHIN)
            if calm and watcher.calm and not main.done():
                watcher.fail(f"{self.name} has not stopped after {loop.time() - began:.0f} s (R15)")
        if not main.cancelled():
            main.result()
            self.up = False
            self.owner.dead = True
            for task in list(self.owner.tasks):
                task.cancel()

    @property
    def idle(self) -> bool:
        """Whether nothing but beats can happen here before the next timer."""
        if not self.up:
            return not any(row.instance == self.name for row in self.world.database.nodes.values())
        return self.ready and not (
            self.owner.frozen or self.suspended or self.store.calling or self.transport.sending
        )


class World:
    """One scenario, run."""

    def __init__(
        self,
        plan: Scenario,
        show: Callable[[str], None] | None = None,
        trouble: Trouble | None = None,
    ) -> None:
        self.plan = plan
        self.random = random.Random(f"world {plan.seed}")
        self.loop = SimulatedLoop(plan.seed)
        self.database = Database(
            random.Random(f"database {plan.seed}"),
            leases=plan.shared,
            lease_us=round(LEASE * SECOND),
            beat=lambda now: now - round(self.loop.skipped * SECOND),
        )
        self.trouble = trouble or Trouble()
        self.watcher = Watcher(self.loop, self.database, plan.schedule, plan.cap, show)
        self.watcher.now_db = self._now_db
        self.watcher.hint = self._hint
        self._jump = 0.0
        self.healed = False
        self._latest = 0.0
        self.nodes = [
            Node(self, f"node-{number}", 1.0 + self.random.uniform(-DRIFT, DRIFT))
            for number in range(plan.nodes)
        ]
        self.watcher.nodes = {node.name: node.book for node in self.nodes}
        for configuration in plan.configurations:
            self.database.create_configuration(configuration)
        self.loop.idle = self._idle

    # --------------------------------------------------------------------------------- time

    def wall(self) -> datetime:
        """What the database's machine shows."""
        return START + timedelta(seconds=self.loop.time() + self._jump)

    def _now_db(self) -> float:
        now = self.wall().timestamp()
        if not self.plan.shared:  # that store's clock never runs backwards
            now = self._latest = max(now, self._latest)
        return now

    def _idle(self) -> bool:
        if not self.watcher.calm or not all(node.idle for node in self.nodes):
            return False
        due = to_microseconds(self.wall())
        return not any(self.database.is_due(one, due) for one in self.database.unfinished.values())

    def _hint(self) -> None:
        for node in self.nodes:
            node.book.causes.append(self.loop.time())
            if node.ready:
                node.store.hint()

    # ---------------------------------------------------------------------------------- run

    def run(self) -> Watcher:
        """Run it all; raises what was violated first."""
        try:
            with _quiet(self.watcher):
                try:
                    self.loop.run_until_complete(self._main())
                finally:
                    self._abandon()
        finally:
            self.loop.close()
        if self.loop.problems:
            raise Violation(self.loop.problems[0])
        return self.watcher

    def _abandon(self) -> None:
        self.watcher.judging = False
        for node in self.nodes:
            node.owner.dead = True
            self.loop.thaw(node.owner)
        self.loop.abandon()

    async def _main(self) -> None:
        for node in self.nodes:
            node.start()
        happening: list[asyncio.Task[None]] = []
        timeline: list[Publication | Incident] = [*self.plan.publications, *self.plan.incidents]
        for each in sorted(timeline, key=lambda one: one.at):
            await asyncio.sleep(max(0.0, each.at - self.loop.time()))
            self._look()
            act = self._publish(each) if isinstance(each, Publication) else self._happen(each)
            happening.append(asyncio.create_task(act))
        for task in happening:
            await task
        await asyncio.sleep(max(0.0, self.plan.days * 86_400.0 - self.loop.time()))
        await self._heal()
        await self._drain()
        await self._republish()
        await self._drain()
        for node in self.nodes:
            await node.stop()
        self._look()
        self.watcher.finish()

    def _look(self) -> None:
        """Whether a callback has found something."""
        if self.loop.problems:
            raise Violation(self.loop.problems[0])

    async def _heal(self) -> None:
        """End all faults; from here on everything must be in time."""
        now = self.loop.time()
        self.healed = True
        self.trouble.away_until = self.trouble.rough_until = 0.0
        self.trouble.cut_until.clear()
        for listener in self.plan.listeners.values():
            listener.outages.clear()
            listener.hiccups = 0.0
        for node in self.nodes:
            if not node.up:
                node.start()
        self.watcher.note("heal", "")
        self.watcher.trouble(now)
        await asyncio.sleep(45.0)
        for connect_id in list(self.database.configurations):
            await self._pause(connect_id, False)

    async def _drain(self) -> None:
        """Wait until everything has ended, and not a moment longer than it may take."""
        deadline = self.loop.time() + _DRAINS_WITHIN
        while self.database.unfinished and self.loop.time() < deadline:
            latest = max(one.due for one in self.database.unfinished.values()) / SECOND
            await asyncio.sleep(max(5.0, latest - self._now_db() + 1.0))
            self._look()
        if self.database.unfinished:
            self.watcher.finish()

    # ----------------------------------------------------------------------------- requests

    def _up(self) -> list[Node]:
        return [node for node in self.nodes if node.up and node.ready]

    async def _ask(
        self, work: Callable[[Node], Coroutine[Any, Any, Any]], tries: int | None = None
    ) -> Any:
        """Make a request to some node until one answers; as a client does that repeats.

        After so many `tries`, if any are given, the client does without an answer.
        """
        while tries is None or tries > 0:
            tries = tries and tries - 1
            nodes = self._up()
            if nodes:
                node = self.random.choice(nodes)
                task = node.call(work(node))
                # A process that hangs or dies does not answer.
                await asyncio.wait({task}, timeout=2.0)
                if task.done() and not task.cancelled():
                    error = task.exception()
                    if error is None:
                        node.book.causes.append(self.loop.time())
                        return task.result()
                    if not isinstance(error, StorageUnavailable | Unavailable):
                        raise error
            await asyncio.sleep(self.random.uniform(0.3, 3.0))
        return None

    async def _publish(self, publication: Publication) -> None:
        receipts: list[Receipt] = await self._ask(
            lambda node: node.publisher.publish(ACCOUNT, publication.events)
        )
        for receipt in receipts:
            self.watcher.accepted(receipt.event.event_id, receipt.accepted.deliveries)

    async def _pause(self, connect_id: int, paused: bool) -> None:
        await self._ask(lambda node: node.store.set_paused(connect_id, paused))

    async def _republish(self) -> None:
        # Who asks for a poisoned event again and again, ends a process each time.
        tries = None if self.healed else 5
        await self._ask(lambda node: node.republisher.failures(ACCOUNT, LogQuery()), tries)

    # ---------------------------------------------------------------------------- incidents

    async def _happen(self, incident: Incident) -> None:
        now, end = self.loop.time(), self.loop.time() + incident.seconds
        self.watcher.note("incident", f"{incident.kind.value} {incident.seconds:.1f}")
        match incident.kind:
            case Wrong.CRASH | Wrong.FREEZE | Wrong.STOP | Wrong.CUT:
                await self._happen_to_node(incident)
            case Wrong.AWAY:
                self.watcher.trouble(end)
                self.trouble.away_until = max(self.trouble.away_until, end)
                self.trouble.away_hangs = incident.choice < 0.5
            case Wrong.ROUGH:
                self.watcher.trouble(end + 30.0)
                part = incident.choice * 0.3
                values = {"refuse": part, "swallow": part / 2, "linger": 0.02}
                for name, value in values.items():
                    setattr(self.trouble, name, value)
                self.trouble.rough_until = max(self.trouble.rough_until, end)
            case Wrong.JUMP:
                jump = (incident.choice - 0.5) * 2.0 * incident.seconds * 20.0
                self.watcher.trouble(now)
                self.watcher.jump(jump)
                self._jump += jump
            case _:
                await self._manage(incident)

    async def _happen_to_node(self, incident: Incident) -> None:
        up = self._up()
        if not up:
            return
        node = up[int(incident.choice * len(up))]
        end = self.loop.time() + incident.seconds
        self.watcher.trouble(end)
        match incident.kind:
            case Wrong.CUT:
                self.trouble.cut_until[node.name] = end
            case Wrong.FREEZE:
                node.freeze()
                await asyncio.sleep(incident.seconds)
                node.thaw()
            case Wrong.STOP:
                await node.stop()
                await asyncio.sleep(incident.seconds / 10)
                node.start_again()
            case _:
                node.crash()
                await asyncio.sleep(incident.seconds)
                node.start_again()

    async def _manage(self, incident: Incident) -> None:
        """What people do."""
        connect_id = 1 + int(incident.choice * len(self.plan.configurations))
        failures = self.database.failures()
        match incident.kind:
            case Wrong.PAUSE:
                await self._pause(connect_id, True)
                await asyncio.sleep(incident.seconds * 30)
                await self._pause(connect_id, False)
            case Wrong.DELETE if len(self.database.configurations) > 1:
                await self._ask(lambda node: node.store.delete_configuration(ACCOUNT, connect_id))
            case Wrong.REPUBLISH:
                await self._republish()
            case Wrong.ASK if failures:
                envelope_id = failures[0].event.envelope_id
                await self._ask(
                    lambda node: node.republisher.envelopes(
                        ACCOUNT, [envelope_id], "ada", synchronous=incident.choice < 0.5
                    ),
                    tries=5,
                )
            case Wrong.CANCEL if failures:
                failure_id = failures[-1].delivery_id
                await self._ask(lambda node: node.store.delete_failure(ACCOUNT, failure_id, "us"))
            case _:
                return


@contextmanager
def _quiet(watcher: Watcher) -> Iterator[None]:
    """Say nothing of what is logged; a bug of the code under test is a violation."""

    def look(_logger: object, _method: str, event: Any) -> Any:
        if event.get("event") == "attempt_broke":
            watcher.loop.problems.append("an attempt broke: see attempt_broke")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[look])
    try:
        yield
    finally:
        structlog.configure(**before)


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to."""

    seed: int
    trace: str
    sends: int
    calls: int
    turns: int
    violation: str | None = None


def simulate(
    seed: int,
    days: int = 1,
    show: Callable[[str], None] | None = None,
    trouble: Trouble | None = None,
) -> Result:
    """Run one seed; what it violates is in the result."""
    world = World(scenario(seed, days), show, trouble and replace(trouble, cut_until={}))
    violation = None
    try:
        world.run()
    except AssertionError as found:
        violation = world.loop.problems[0] if world.loop.problems else str(found)
    watcher = world.watcher
    return Result(seed, watcher.trace, watcher.sends, watcher.calls, world.loop.turns, violation)
