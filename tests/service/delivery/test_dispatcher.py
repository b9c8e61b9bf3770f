"""The dispatcher on a real store, with a listener in place of the network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from heliograph.delivery.dispatcher import Capacity, Dispatcher
from heliograph.delivery.publisher import Publisher
from heliograph.delivery.republish import Republisher
from heliograph.delivery.signals import Signals
from heliograph.errors import StorageBroken, StorageUnavailable
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.deliveries import Answer, DeliveryState, Fault, Phase
from heliograph.model.logs import LogQuery
from heliograph.store import Store
from tests.busy import hang
from tests.support import ACCOUNT, START, ManualClock, new_event, wanted_configuration

OK = Answer(200, "OK", (), b"")
BROKEN = Answer(500, "Internal Server Error", (), b"")

Behaviour = Callable[[str, bytes], Awaitable[Answer | Fault]]


class Listener:
    """Answers in place of the network, and remembers what it was sent."""

    def __init__(self, behave: Behaviour) -> None:
        self.behave = behave
        self.received: list[tuple[str, bytes]] = []

    async def post(
        self,
        configuration: ConnectConfiguration,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        proofs: object,
        *,
        last: bool,
    ) -> Answer | Fault:
        self.received.append((configuration.url, body))
        return await self.behave(configuration.url, body)


async def always(answer: Answer | Fault) -> Answer | Fault:
    return answer


class Part:
    """A running dispatcher and what feeds it."""

    def __init__(self, store: Store, listener: Listener, nodes: int = 1) -> None:
        self.signals = Signals()
        self.publisher = Publisher(store, self.signals)
        self.republisher = Republisher(store, store.clock, self.signals)
        self.store = store
        capacity = Capacity(in_flight=64, per_configuration=8, nodes=nodes)
        self.dispatcher = Dispatcher(store, listener, store.clock, self.signals, capacity)

    async def settled(self, until: Callable[[], Awaitable[bool]]) -> None:
        """Wait until something holds, looking again after each settle."""
        async with hang(10):
            while True:
                settled = self.signals.next_settled()
                if await until():
                    return
                await settled.wait()

    async def idle(self) -> bool:
        """Whether nothing is in flight."""
        return self.dispatcher.in_flight == 0

    async def signals_seen(self) -> None:
        """Wait until the dispatcher has looked for work twice, with all that it knows now, and
        rests: what is marked while it looks holds from its next look on."""
        looked, looking, real = 0, 0, self.store.claim

        async def claim(**bounds: Any) -> Any:
            nonlocal looked, looking
            looking += 1
            try:
                return await real(**bounds)
            finally:
                looking -= 1
                looked += 1

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.store, "claim", claim)
            async with hang(10):
                while looked < 2:
                    self.signals.work.set()
                    await asyncio.sleep(0)
                while looking or self.signals.work.is_set():
                    await asyncio.sleep(0)

    async def failures(self) -> int:
        return len((await self.store.failures(ACCOUNT, LogQuery(), 1000)).entries)

    async def logs(self) -> int:
        return len((await self.store.logs(ACCOUNT, LogQuery(), 1000)).entries)


@asynccontextmanager
async def dispatching(
    store: Store, clock: ManualClock, listener: Listener, grace: float = 5.0, nodes: int = 1
) -> AsyncIterator[Part]:
    part = Part(store, listener, nodes)
    running = asyncio.create_task(part.dispatcher.run(grace))
    try:
        yield part
    finally:
        part.dispatcher.stop()
        await running


async def test_a_published_event_is_delivered(store: Store, clock: ManualClock) -> None:
    await store.create_configuration(wanted_configuration())
    listener = Listener(lambda _url, _body: always(OK))
    async with dispatching(store, clock, listener) as part:
        await part.publisher.publish(ACCOUNT, [new_event()])
        await part.settled(lambda: _is(part.logs(), 1))
    assert len(listener.received) == 1


async def test_a_failed_delivery_is_tried_again_when_it_is_due_and_not_before(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(wanted_configuration())
    listener = Listener(lambda _url, _body: always(BROKEN))
    async with dispatching(store, clock, listener) as part:
        await part.publisher.publish(ACCOUNT, [new_event()])
        await part.settled(lambda: _is(part.failures(), 1))
        (failure,) = (await store.failures(ACCOUNT, LogQuery(), 10)).entries
        assert failure.next_try is not None
        listener.behave = lambda _url, _body: always(OK)
        due_in = (failure.next_try - clock.now()).total_seconds()
        await clock.until_waited_for()
        clock.move(due_in - 0.001)
        assert (await store.claim(10, 10)).claims == ()
        clock.move(0.002)
        await part.settled(lambda: _is(part.failures(), 0))
    first, second = (body for _, body in listener.received)
    assert first.replace(b'"retryCount":0', b'"retryCount":1') == second


async def test_a_listener_that_hangs_delays_no_other(store: Store, clock: ManualClock) -> None:
    await store.create_configuration(
        wanted_configuration(urlToPublishTo="https://hangs.example.com/")
    )
    await store.create_configuration(
        wanted_configuration(urlToPublishTo="https://healthy.example.com/")
    )
    let_go = asyncio.Event()

    async def behave(url: str, _body: bytes) -> Answer | Fault:
        if "hangs" in url:
            await let_go.wait()
        return OK

    async with dispatching(store, clock, Listener(behave)) as part:
        events = [new_event(envelope_id=f"env-{n}") for n in range(100)]
        await part.publisher.publish(ACCOUNT, events)
        await part.settled(lambda: _is(part.logs(), 100))
        assert part.dispatcher.in_flight <= 8
        let_go.set()
        await part.settled(lambda: _is(part.logs(), 200))


async def test_r15_a_graceful_stop_finishes_what_is_in_flight(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(wanted_configuration())
    arrived, let_go = asyncio.Event(), asyncio.Event()

    async def behave(_url: str, _body: bytes) -> Answer | Fault:
        arrived.set()
        await let_go.wait()
        return OK

    listener = Listener(behave)
    async with dispatching(store, clock, listener) as part:
        await part.publisher.publish(ACCOUNT, [new_event()])
        await arrived.wait()
        part.dispatcher.stop()
        let_go.set()
    assert len(listener.received) == 1
    (entry,) = (await store.logs(ACCOUNT, LogQuery(), 10)).entries
    assert entry.state is DeliveryState.DELIVERED


async def test_r15_what_takes_longer_than_the_grace_is_cut_off_and_due_again(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(wanted_configuration())
    arrived = asyncio.Event()

    async def behave(_url: str, _body: bytes) -> Answer | Fault:
        arrived.set()
        await asyncio.Event().wait()
        return OK

    async with dispatching(store, clock, Listener(behave), grace=0.01) as part:
        await part.publisher.publish(ACCOUNT, [new_event()])
        await arrived.wait()

    (claim,) = (await store.claim(10, 10)).claims
    assert claim.number == 2
    assert list(await store.orphans()) == []


async def test_r3_r8_a_node_that_gives_up_its_sends_says_once_how_many_may_come_again(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(wanted_configuration())
    arrived, hanging = asyncio.Event(), asyncio.Event()

    async def hang(_url: str, _body: bytes) -> Answer:
        arrived.set()
        await hanging.wait()
        return OK

    async with dispatching(store, clock, Listener(hang)) as part:
        await part.publisher.publish(ACCOUNT, [new_event()])
        await arrived.wait()
        assert [part.dispatcher.suspend(), part.dispatcher.suspend()] == [1, 0]
        await part.settled(part.idle)  # the log may be read before it has counted down
        assert await part.logs() == 1
        part.dispatcher.resume()
        assert part.dispatcher.suspend() == 0


async def test_a_bug_in_an_attempt_shows_as_a_failure_and_stops_nothing(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(wanted_configuration())

    async def behave(_url: str, body: bytes) -> Answer | Fault:
        if b"env-bad" in body:
            raise RuntimeError("a bug")
        return OK

    async with dispatching(store, clock, Listener(behave)) as part:
        events = [new_event(envelope_id="env-bad"), new_event(envelope_id="env-good")]
        await part.publisher.publish(ACCOUNT, events)
        await part.settled(lambda: _is(part.logs(), 2))
    (failure,) = (await store.failures(ACCOUNT, LogQuery(), 10)).entries
    assert (failure.envelope_id, failure.error) == (
        "env-bad",
        "claim: an internal error of Heliograph; its log has the details",
    )


async def test_a_synchronous_republish_waits_for_the_outcome(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(wanted_configuration())
    listener = Listener(lambda _url, _body: always(Fault(Phase.CONNECT, "refused")))
    async with dispatching(store, clock, listener) as part:
        await part.publisher.publish(ACCOUNT, [new_event()])
        await part.settled(lambda: _is(part.failures(), 1))

        (again,) = await part.republisher.envelopes(ACCOUNT, ["env-1"], "ada", synchronous=True)
        assert (again.state, again.note) == (DeliveryState.FAILED, "connect: refused")

        listener.behave = lambda _url, _body: always(OK)
        (now,) = await part.republisher.envelopes(ACCOUNT, ["env-1"], "ada", synchronous=True)
        assert now.state is DeliveryState.DELIVERED
        assert await part.failures() == 0


async def test_r11_outcomes_are_kept_while_the_disk_is_full_and_written_after(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.create_configuration(wanted_configuration())
    real_settle, refused = store.settle, asyncio.Event()
    full = True

    async def settle(settlements):  # type: ignore[no-untyped-def]
        if full:
            refused.set()
            raise StorageUnavailable("the disk is full")
        return await real_settle(settlements)

    monkeypatch.setattr(store, "settle", settle)
    listener = Listener(lambda _url, _body: always(OK))
    async with dispatching(store, clock, listener) as part:
        await part.publisher.publish(ACCOUNT, [new_event()])
        await refused.wait()
        full = False
        settling = part.signals.next_settled()
        while not settling.is_set():
            clock.move(1)
            await asyncio.sleep(0)
    assert len(listener.received) == 1
    (entry,) = (await store.logs(ACCOUNT, LogQuery(), 10)).entries
    assert entry.state is DeliveryState.DELIVERED


async def test_r9_r12_a_clock_that_jumps_back_brings_no_retry_forward(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(wanted_configuration())
    listener = Listener(lambda _url, _body: always(BROKEN))
    async with dispatching(store, clock, listener) as part:
        await part.publisher.publish(ACCOUNT, [new_event()])
        await part.settled(lambda: _is(part.failures(), 1))
        clock.jump(-7200)
        await part.publisher.publish(ACCOUNT, [new_event(envelope_id="env-2")])
        await part.settled(lambda: _is(part.failures(), 2))
        assert (await store.claim(10, 10)).claims == ()
    assert len(listener.received) == 2


async def test_f12_a_stop_ends_although_the_storage_breaks_meanwhile(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.create_configuration(wanted_configuration())
    arrived, let_go = asyncio.Event(), asyncio.Event()

    async def behave(_url: str, _body: bytes) -> Answer | Fault:
        arrived.set()
        await let_go.wait()
        return OK

    async def broken(_settlements: object) -> None:
        raise StorageBroken("the disk is gone")

    part = Part(store, Listener(behave))
    running = asyncio.create_task(part.dispatcher.run(grace=5))
    await part.publisher.publish(ACCOUNT, [new_event()])
    await arrived.wait()
    with monkeypatch.context() as patch, capture_logs() as said:
        patch.setattr(store, "settle", broken)
        part.dispatcher.stop()
        let_go.set()
        async with hang(5):
            with pytest.raises(StorageBroken):
                await running
    # What its listener has taken may come again (R3): the log says of how many.
    (given_up,) = [one for one in said if one["event"] == "sends_given_up"]
    assert given_up["deliveries"] == 1


async def test_f12_a_publish_that_finds_the_storage_broken_ends_the_dispatcher(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise StorageBroken("the disk is gone")

    part = Part(store, Listener(lambda _url, _body: always(OK)))
    running = asyncio.create_task(part.dispatcher.run())
    async with hang(5):
        with monkeypatch.context() as patch:
            patch.setattr(store, "accept", broken)
            patch.setattr(store, "claim", broken)
            with pytest.raises(StorageBroken):
                await part.publisher.publish(ACCOUNT, [new_event()])
            with pytest.raises(StorageBroken):
                await running


async def test_publishes_at_once_all_succeed_after_a_configuration_changed(
    store: Store,
) -> None:
    publisher = Publisher(store, Signals())
    await publisher.publish(ACCOUNT, [new_event(envelope_id="before")])
    for number in range(5):
        await store.create_configuration(wanted_configuration(name=f"c{number}"))
        receipts = await asyncio.gather(
            *(
                publisher.publish(ACCOUNT, [new_event(envelope_id=f"env-{number}-{n}")])
                for n in range(10)
            )
        )
        assert [receipt.accepted.deliveries for (receipt,) in receipts] == [number + 1] * 10


async def _is(count: Awaitable[int], wanted: int) -> bool:
    return await count == wanted


async def test_r10_after_an_outage_the_first_message_goes_out_alone_and_each_success_doubles(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(wanted_configuration(deliveryOrder="none"))
    gates: list[asyncio.Future[Answer | Fault]] = []

    async def behave(_url: str, _body: bytes) -> Answer | Fault:
        gates.append(asyncio.get_running_loop().create_future())
        return await gates[-1]

    listener = Listener(behave)
    async with dispatching(store, clock, listener) as part:
        await part.publisher.publish(
            ACCOUNT, [new_event(envelope_id=f"env-{number}") for number in range(60)]
        )
        await reached(gates, 1)
        await part.signals_seen()
        for answer, then in (
            *((OK, 2), (OK, 4), (OK, 8), (OK, 8)),
            # What runs goes on when the limit falls to 4, 2, 1: nothing is added to it.
            *((BROKEN, 7), (BROKEN, 6), (BROKEN, 5), (BROKEN, 4)),
            *((OK, 3), (OK, 4), (OK, 8)),
        ):
            settled, begun = part.signals.next_settled(), len(listener.received)
            gates.pop(0).set_result(answer)
            await settled.wait()
            await reached(gates, then)
            await part.signals_seen()
            assert len(gates) == then, (answer, len(listener.received) - begun)
        for gate in gates:
            gate.set_result(OK)


async def reached(gates: Sequence[object], count: int) -> None:
    async with hang(10):
        while len(gates) < count:
            await asyncio.sleep(0)


@pytest.mark.parametrize("nodes", [1, 4])
async def test_a_rate_bounds_the_messages_of_a_second_over_all_nodes_of_a_port(
    store: Store, clock: ManualClock, nodes: int
) -> None:
    await store.create_configuration(wanted_configuration(maxPerSecond="2"))
    listener = Listener(lambda _url, _body: always(OK))
    async with dispatching(store, clock, listener, nodes=nodes) as part:
        await part.publisher.publish(
            ACCOUNT, [new_event(envelope_id=f"env-{number}") for number in range(6)]
        )
        async with hang(20):
            while len(listener.received) < 5:
                clock.move(0.001)
                await asyncio.sleep(0)
        passed = (clock.now() - START).total_seconds()
    assert 5 <= len(listener.received) <= 1 + 2 / nodes * passed


async def test_r10_what_ends_while_the_dispatcher_looks_lets_nothing_out_beyond_the_rate(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.create_configuration(wanted_configuration(maxPerSecond="2"))
    listener = Listener(lambda _url, _body: always(OK))
    real = store.claim

    async def claim(**bounds: Any) -> Any:
        settled = part.signals.next_settled()
        if part.dispatcher.in_flight:
            await settled.wait()
        return await real(**bounds)

    async with dispatching(store, clock, listener) as part:
        monkeypatch.setattr(store, "claim", claim)
        await part.publisher.publish(ACCOUNT, [new_event(), new_event(envelope_id="env-2")])
        await part.settled(lambda: _is(part.logs(), 1))
        await part.signals_seen()
        assert len(listener.received) == 1


async def test_r10_a_failure_that_is_deleted_while_it_is_sent_leaves_no_room_before_its_end(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(wanted_configuration(maxPerSecond="1"))
    answering = asyncio.Event()

    async def behave(_url: str, _body: bytes) -> Answer | Fault:
        if len(listener.received) == 2:
            await answering.wait()
        return BROKEN

    listener = Listener(behave)
    async with dispatching(store, clock, listener) as part:
        await part.publisher.publish(ACCOUNT, [new_event()])
        await part.settled(lambda: _is(part.failures(), 1))
        await clock.until_waited_for()
        clock.move(60)
        await reached(listener.received, 2)  # tried again, which takes a while
        others = [new_event(envelope_id=f"env-{number}") for number in range(2, 6)]
        await part.publisher.publish(ACCOUNT, others)
        (failure,) = (await store.failures(ACCOUNT, LogQuery(), 10)).entries
        assert failure.failure_id is not None
        await store.delete_failure(ACCOUNT, failure.failure_id, "ada")
        await part.signals_seen()
        assert len(listener.received) == 2
        answering.set()


async def test_r4_a_turn_that_comes_while_the_dispatcher_looks_is_not_missed(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.create_configuration(wanted_configuration(maxPerSecond="2"))
    listener = Listener(lambda _url, _body: always(OK))
    real, passed = store.claim, asyncio.Event()

    async def claim(**bounds: Any) -> Any:
        found = await real(**bounds)
        quiet = not part.dispatcher.in_flight and not part.signals.work.is_set()
        if listener.received and quiet and not passed.is_set():
            passed.set()
            clock.move(0.5)  # the second message may go now, and nothing else will say so
        return found

    async with dispatching(store, clock, listener) as part:
        monkeypatch.setattr(store, "claim", claim)
        await part.publisher.publish(ACCOUNT, [new_event(), new_event(envelope_id="env-2")])
        async with hang(10):
            await passed.wait()
        await clock.until_waited_for()
        clock.move(0.002)
        await part.settled(lambda: _is(part.logs(), 2))
    assert len(listener.received) == 2


async def test_r4_a_listener_that_says_410_is_disabled_and_what_it_did_not_take_is_held(
    store: Store, clock: ManualClock
) -> None:
    made = await store.create_configuration(wanted_configuration())
    listener = Listener(lambda _url, _body: always(Answer(410, "Gone", (), b"")))

    async def is_off() -> bool:
        (configuration,) = (await store.configurations(ACCOUNT)).all
        return not configuration.publishing

    async with dispatching(store, clock, listener) as part:
        await part.publisher.publish(ACCOUNT, [new_event()])
        await part.settled(is_off)  # which is written after its failure has been
        (off,) = (await store.configurations(ACCOUNT)).all
        assert off.disabled_by == "Heliograph: the listener answered 410 Gone"
        assert await part.failures() == 1
        await part.publisher.publish(ACCOUNT, [new_event(envelope_id="env-2")])
        (entry,) = (await store.failures(ACCOUNT, LogQuery(), 10)).entries
        assert entry.state is DeliveryState.HELD

        async def taking(_url: str, _body: bytes) -> Answer | Fault:
            return OK

        listener.behave = taking
        await store.update_configuration(wanted_configuration(connect_id=made.connect_id))
        part.signals.work.set()
        clock.move(10)
        await part.settled(lambda: _is(part.failures(), 0))
    assert len(listener.received) >= 3


async def test_on_docusigns_schedule_a_failure_holds_all_up_and_a_success_lets_all_go(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(wanted_configuration(retrySchedule=["docusign"]))
    answers, answering = {"now": BROKEN}, asyncio.Event()
    answering.set()

    async def behave(_url: str, _body: bytes) -> Answer | Fault:
        await answering.wait()
        return answers["now"]

    listener = Listener(behave)
    async with dispatching(store, clock, listener) as part:
        await part.publisher.publish(ACCOUNT, [new_event()])
        await part.settled(lambda: _is(part.failures(), 1))
        await part.signals_seen()
        # Down for 15 s: what comes meanwhile is not even tried.
        others = [new_event(envelope_id=f"env-{number}") for number in range(2, 12)]
        await part.publisher.publish(ACCOUNT, others)
        await part.signals_seen()
        assert len(listener.received) == 1
        await clock.until_waited_for()
        answering.clear()
        clock.move(15)  # one goes out, fails, and all are held up for 15 s or more
        await reached(listener.received, 2)
        await part.signals_seen()
        answering.set()
        await part.settled(lambda: _is(part.logs(), 2))
        await part.signals_seen()
        assert len(listener.received) == 2
        answers["now"] = OK
        await clock.until_waited_for()
        clock.move(30)
        await part.settled(lambda: _is(part.logs(), 13))
        # The one whose own next try was minutes away is among them.
        assert await part.failures() == 0
        assert clock.now() < START + timedelta(seconds=60)


async def test_on_other_schedules_each_event_waits_for_its_own_time(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(wanted_configuration())
    listener = Listener(lambda _url, body: always(BROKEN if b"env-1" in body else OK))
    async with dispatching(store, clock, listener) as part:
        await part.publisher.publish(ACCOUNT, [new_event()])
        await part.settled(lambda: _is(part.failures(), 1))
        await part.publisher.publish(ACCOUNT, [new_event(envelope_id="env-2")])
        await part.settled(lambda: _is(part.logs(), 2))
        await part.signals_seen()
        assert len(listener.received) == 2
