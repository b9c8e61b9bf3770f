"""The dispatcher as its observer, its alerts and its clock show it: what nobody else sees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from heliograph.delivery.dispatcher import Capacity, Dispatcher
from heliograph.errors import StorageBroken, StorageUnavailable
from heliograph.model.alerts import Alert
from heliograph.model.deliveries import Answer, DeliveryState, Fault, Phase, RetryAt, Settlement
from heliograph.model.logs import LogQuery
from heliograph.store import Store
from heliograph.watch import Several
from tests.busy import hang
from tests.service.delivery.test_dispatcher import BROKEN, OK, Listener, Part, always, reached
from tests.support import ACCOUNT, OTHER_ACCOUNT, ManualClock, new_event, wanted_configuration

GONE = Answer(410, "Gone", (), b"")


class Watcher(Several):
    """Remembers what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.attempts: list[Settlement] = []
        self.batches: list[int] = []
        self.pauses: list[tuple[str, float]] = []

    def attempted(self, settlement: Settlement) -> None:
        self.attempts.append(settlement)

    def settled(self, deliveries: int) -> None:
        self.batches.append(deliveries)

    def paused(self, doing: str, seconds: float) -> None:
        self.pauses.append((doing, seconds))


class Watched(Part):
    """A dispatcher that is watched, and whose alerts go somewhere."""

    def __init__(self, store: Store, listener: Listener, in_flight: int = 64) -> None:
        super().__init__(store, listener)
        self.watcher = Watcher()
        self.alerts: list[Alert] = []
        self.told, self.cut_off = asyncio.Event(), asyncio.Event()
        self.dispatcher = Dispatcher(
            store,
            listener,
            store.clock,
            self.signals,
            Capacity(in_flight, per_configuration=8),
            observer=self.watcher,
            tell=self._tell,
        )

    async def _tell(self, alert: Alert) -> None:
        """Whoever is told takes for ever."""
        self.alerts.append(alert)
        self.told.set()
        try:
            await asyncio.Event().wait()
        finally:
            await rest()  # nor is it quick to end
            self.cut_off.set()


@asynccontextmanager
async def watching(
    store: Store, clock: ManualClock, listener: Listener, in_flight: int = 64
) -> AsyncIterator[Watched]:
    clock.move(1000)  # a clock is never at its beginning
    part = Watched(store, listener, in_flight)
    running = asyncio.create_task(part.dispatcher.run(5.0))
    try:
        yield part
    finally:
        part.dispatcher.stop()
        async with hang(10):
            await running


@pytest.fixture
def engine() -> str:
    """One is enough: that the other keeps the store's contract is told there."""
    return "sqlite"


class Gates:
    """A listener each of whose answers the test gives, in the order in which they are asked."""

    def __init__(self) -> None:
        self.open: list[tuple[bytes, asyncio.Future[Answer | Fault]]] = []
        self.listener = Listener(self._behave)

    async def _behave(self, _url: str, body: bytes) -> Answer | Fault:
        gate: asyncio.Future[Answer | Fault] = asyncio.get_running_loop().create_future()
        self.open.append((body, gate))
        return await gate

    async def answer(self, part: Part, answer: Answer | Fault, envelope_id: str = "") -> None:
        """Answer one that is open, and see it settled."""
        settled = part.signals.next_settled()
        (position, *_) = [
            at for at, (body, _) in enumerate(self.open) if envelope_id.encode() in body
        ]
        self.open.pop(position)[1].set_result(answer)
        async with hang(10):
            await settled.wait()


async def publish(part: Part, *envelope_ids: str) -> None:
    await part.publisher.publish(ACCOUNT, [new_event(envelope_id=one) for one in envelope_ids])


async def within(event: asyncio.Event) -> None:
    async with hang(10):
        await event.wait()


async def rest(turns: int = 50) -> None:
    """Let everything that can go on go on."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def done(part: Part, count: int) -> bool:
    entries = (await part.store.logs(ACCOUNT, LogQuery(), 100)).entries
    delivered = {one.envelope_id for one in entries if one.state is DeliveryState.DELIVERED}
    return len(delivered) == count


async def test_the_observer_is_told_of_each_attempt_and_of_each_batch(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(wanted_configuration())
    async with watching(store, clock, Listener(lambda _url, _body: always(OK))) as part:
        await publish(part, "env-1", "env-2", "env-3")
        await part.settled(lambda: done(part, 3))
        await rest()
        sent = [one.claim.event.envelope_id for one in part.watcher.attempts]
        assert (sorted(sent), sum(part.watcher.batches)) == (["env-1", "env-2", "env-3"], 3)


@pytest.mark.parametrize("doing", ["claim", "settle"])
async def test_r11_the_observer_is_told_for_how_long_the_storage_was_away(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, doing: str
) -> None:
    await store.create_configuration(wanted_configuration())
    monkeypatch.setattr(store, "hand_to", lambda _taker: None)  # what is accepted is claimed
    async with watching(store, clock, Listener(lambda _url, _body: always(OK))) as part:
        await part.signals_seen()  # later nothing but its own patience lets it look again
        refused = refuse_once(monkeypatch, store, doing)
        await publish(part, "env-1")
        await within(refused)
        await clock.until_waited_for()
        await rest()
        assert part.watcher.pauses == []
        clock.move(1.0)
        await part.settled(lambda: done(part, 1))
        assert part.watcher.pauses == [(doing, 1.0)]


def refuse_once(patch: pytest.MonkeyPatch, store: Store, verb: str) -> asyncio.Event:
    """Let the next call of a verb find the storage away."""
    refused = asyncio.Event()

    async def refusing(*_: object, **__: object) -> None:
        patch.undo()
        refused.set()
        raise StorageUnavailable("away")

    patch.setattr(store, verb, refusing)
    return refused


async def test_a_bug_in_an_attempt_follows_the_schedule_of_its_configuration(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(wanted_configuration(retrySchedule=["600"]))

    async def behave(_url: str, _body: bytes) -> Answer | Fault:
        raise RuntimeError("a bug")

    async with watching(store, clock, Listener(behave)) as part:
        await publish(part, "env-1")
        await part.settled(lambda: has_failed(part))
        (attempt,) = part.watcher.attempts
        assert isinstance(attempt.outcome, RetryAt)
        assert attempt.outcome.when == clock.now() + timedelta(seconds=600)
        assert (attempt.answer, attempt.started_at, attempt.seconds) == (None, clock.now(), 0.0)


async def has_failed(part: Part) -> bool:
    return await part.failures() == 1


async def test_r7_a_listener_that_takes_longer_than_usual_gets_fewer_at_once(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(wanted_configuration(deliveryOrder="none"))
    gates = Gates()
    async with watching(store, clock, gates.listener) as part:
        await publish(part, *(f"env-{number}" for number in range(12)))
        await reached(gates.open, 1)
        await gates.answer(part, OK)
        await reached(gates.open, 2)
        clock.move(10)
        await gates.answer(part, OK)
        await part.signals_seen()
        assert len(gates.open) == 1
        for _ in range(10):
            await reached(gates.open, 1)
            await gates.answer(part, OK)


async def test_a_turn_that_comes_later_is_waited_for(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.create_configuration(wanted_configuration(maxPerSecond="2"))
    listener = Listener(lambda _url, _body: always(OK))
    async with watching(store, clock, listener) as part:
        await publish(part, "env-1", "env-2")
        await part.settled(lambda: done(part, 1))
        await part.signals_seen()
        await clock.until_waited_for()
        looked = counted(monkeypatch, store)
        clock.move(0.4)
        await rest()
        assert looked == []
        clock.move(0.101)
        await part.settled(lambda: done(part, 2))
        assert looked


def counted(patch: pytest.MonkeyPatch, store: Store) -> list[dict[str, Any]]:
    """How work was looked for, each time."""
    looked: list[dict[str, Any]] = []
    real: Callable[..., Any] = store.claim

    async def claim(**bounds: Any) -> Any:
        looked.append(bounds)
        return await real(**bounds)

    patch.setattr(store, "claim", claim)
    return looked


async def test_on_docusigns_schedule_a_success_lets_go_what_asked_for_hours(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(
        wanted_configuration(retrySchedule=["docusign"], deliveryOrder="none")
    )
    gates = Gates()
    async with watching(store, clock, gates.listener) as part:
        await publish(part, "env-0", "env-late", "env-soon")
        await reached(gates.open, 1)
        await gates.answer(part, OK)
        await reached(gates.open, 2)
        later = Answer(503, "Busy", (("Retry-After", "7200"),), b"")
        await gates.answer(part, later, "env-late")
        await gates.answer(part, BROKEN, "env-soon")
        await clock.until_waited_for()
        clock.move(15)
        await reached(gates.open, 1)
        await gates.answer(part, OK, "env-soon")
        await reached(gates.open, 1)
        await gates.answer(part, OK, "env-late")
        await part.settled(lambda: done(part, 3))


async def test_r4_who_is_gone_is_told_of_and_a_stop_waits_for_nobody_who_is_told(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(wanted_configuration())
    async with watching(store, clock, Listener(lambda _url, _body: always(GONE))) as part:
        await publish(part, "env-1")
        await within(part.told)
        assert [one.kind for one in part.alerts] == ["configuration_disabled"]
    assert part.cut_off.is_set()


async def test_r4_who_is_gone_is_switched_off_although_another_could_not_be(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second"):
        await store.create_configuration(wanted_configuration(name=name))
    real, read = store.configuration, 0

    async def configuration(account_id: str, connect_id: int) -> Any:
        nonlocal read
        read += 1
        if read == 1:
            raise StorageUnavailable("away")
        return await real(account_id, connect_id)

    async with watching(store, clock, Listener(lambda _url, _body: always(GONE))) as part:
        real_settle = store.settle

        async def settle(batch: Sequence[Settlement]) -> Any:
            monkeypatch.setattr(store, "configuration", configuration)
            return await real_settle(batch)

        monkeypatch.setattr(store, "settle", settle)
        await publish(part, "env-1")
        await within(part.told)
        assert part.watcher.batches in ([2], [])
    known = (await store.configurations(ACCOUNT)).all
    assert [configuration.publishing for configuration in known] == [True, False]


async def test_r15_a_stop_waits_for_what_is_in_flight(store: Store, clock: ManualClock) -> None:
    await store.create_configuration(wanted_configuration())
    gates = Gates()
    async with watching(store, clock, gates.listener) as part:
        await publish(part, "env-1")
        await reached(gates.open, 1)
        part.dispatcher.stop()
        await rest()
        await gates.answer(part, OK)
    assert await done(part, 1)
    assert len(gates.listener.received) == 1


@pytest.mark.parametrize(
    ("status", "at_once"),
    [(300, 2), (404, 2), (499, 2), (429, 1), (500, 1), (0, 1)],
)
async def test_r10_an_answer_about_the_message_takes_nothing_from_its_listener(
    store: Store, clock: ManualClock, status: int, at_once: int
) -> None:
    await store.create_configuration(wanted_configuration(deliveryOrder="none"))
    gates = Gates()
    async with watching(store, clock, gates.listener) as part:
        await publish(part, *(f"env-{number}" for number in range(4)))
        await reached(gates.open, 1)
        await gates.answer(part, OK)
        await reached(gates.open, 2)
        failed = Answer(status, "", (), b"") if status else Fault(Phase.CONNECT, "refused")
        await gates.answer(part, failed)
        await part.signals_seen()
        assert len(gates.open) == at_once
        while gates.open:
            await gates.answer(part, OK)
            await part.signals_seen()


def test_r7_an_account_may_have_a_quarter_of_what_is_in_flight() -> None:
    per_account = [Capacity(in_flight).per_account for in_flight in (1, 3, 8, 11, 512)]
    assert per_account == [1, 1, 2, 2, 128]


async def test_r7_a_full_dispatcher_looks_for_nothing_until_something_is_settled(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second", "third"):
        await store.create_configuration(wanted_configuration(name=name))
    gates = Gates()
    looked = counted(monkeypatch, store)
    async with watching(store, clock, gates.listener, in_flight=2) as part:
        await publish(part, "env-1")
        await reached(gates.open, 2)
        await rest()
        assert (looked[0]["room"], looked[0]["per_account"]) == (2, 1)
        looked.clear()
        part.signals.work.set()
        await rest()
        assert (looked, len(gates.open)) == ([], 2)
        await gates.answer(part, OK)
        await reached(gates.open, 2)
        assert looked[0]["room"] == 1
        for _ in range(2):
            await gates.answer(part, OK)


async def test_r7_an_account_that_alone_has_something_due_gets_more_than_its_share_at_once(
    store: Store, clock: ManualClock
) -> None:
    for number in range(4):
        await store.create_configuration(wanted_configuration(name=f"c{number}"))
    await store.create_configuration(wanted_configuration(OTHER_ACCOUNT))
    gates = Gates()
    async with watching(store, clock, gates.listener, in_flight=8) as part:
        await part.publisher.publish(OTHER_ACCOUNT, [new_event(envelope_id="env-0")])
        await reached(gates.open, 1)
        await gates.answer(part, OK)  # from now on there are two
        await part.signals_seen()
        await publish(part, "env-1")
        await reached(gates.open, 4)  # though nothing is settled meanwhile
        for _ in range(4):
            await gates.answer(part, OK)


async def test_what_becomes_due_while_something_is_in_flight_is_not_missed(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(wanted_configuration(retrySchedule=["60"]))
    gates = Gates()
    async with watching(store, clock, gates.listener) as part:
        await publish(part, "env-1")
        await reached(gates.open, 1)
        await gates.answer(part, BROKEN)
        await part.signals_seen()
        await publish(part, "env-2")
        await reached(gates.open, 1)
        await rest()
        await store.create_configuration(wanted_configuration(name="second"))
        await publish(part, "env-3")
        await reached(gates.open, 2)
        await gates.answer(part, OK, "env-2")
        await rest()
        clock.move(60)
        await reached(gates.open, 2)
        while gates.open:
            await gates.answer(part, OK)
            await part.signals_seen()


async def test_f12_a_storage_that_breaks_at_a_settlement_ends_the_dispatcher_by_itself(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_settlements: object) -> None:
        raise StorageBroken("the disk is gone")

    await store.create_configuration(wanted_configuration())
    gates = Gates()
    part = Watched(store, gates.listener)
    running = asyncio.create_task(part.dispatcher.run())
    await publish(part, "env-1")
    await reached(gates.open, 1)
    await part.signals_seen()
    with monkeypatch.context() as patch:
        patch.setattr(store, "settle", broken)
        gates.open[0][1].set_result(OK)
        async with hang(10):
            with pytest.raises(StorageBroken):
                await running


async def test_f12_a_stop_that_a_broken_storage_ends_leaves_nothing_behind(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_settlements: object) -> None:
        raise StorageBroken("the disk is gone")

    await store.create_configuration(wanted_configuration())
    before, gates = asyncio.all_tasks(), Gates()
    part = Watched(store, gates.listener)
    running = asyncio.create_task(part.dispatcher.run())
    await publish(part, "env-1")
    await reached(gates.open, 1)
    with monkeypatch.context() as patch:
        patch.setattr(store, "settle", broken)
        part.dispatcher.stop()
        await rest()
        gates.open[0][1].set_result(OK)
        async with hang(10):
            with pytest.raises(StorageBroken):
                await running
    await rest()
    assert asyncio.all_tasks() <= before
