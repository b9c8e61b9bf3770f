"""What is accepted while nothing waits goes straight to the dispatcher, which claims nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import psycopg
import pytest

from heliograph.model.deliveries import Answer, Claim, Settlement
from heliograph.store import ClaimResult, Store
from heliograph.store.sqlite.store import SqliteStore
from tests.busy import hang
from tests.service.delivery.test_dispatcher import OK, Listener, always, dispatching
from tests.support import ACCOUNT, ManualClock, claim_all, new_event, wanted_configuration


async def test_what_comes_while_nothing_waits_is_sent_without_a_claim(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.create_configuration(wanted_configuration())
    looks: list[ClaimResult] = []
    real = store.claim

    async def claim(**bounds: object) -> ClaimResult:
        looks.append(await real(**bounds))  # type: ignore[arg-type]
        return looks[-1]

    monkeypatch.setattr(store, "claim", claim)
    listener = Listener(lambda _url, _body: always(OK))
    async with dispatching(store, clock, listener) as part:
        await clock.until_waited_for()  # it has looked, and rests
        before = len(looks)
        for number in range(5):
            await part.publisher.publish(ACCOUNT, [new_event(envelope_id=f"env-{number}")])
            await part.settled(part.idle)
        assert len(listener.received) == 5
        assert looks[before:] == []


async def test_r6_r7_what_a_listener_has_no_room_for_waits_and_is_claimed_in_order(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(wanted_configuration(deliveryOrder="configuration"))
    listener = Listener(lambda _url, _body: always(OK))
    async with dispatching(store, clock, listener) as part:
        await clock.until_waited_for()
        events = [new_event(envelope_id=f"env-{number}") for number in range(10)]
        await part.publisher.publish(ACCOUNT, events)

        async def all_came() -> bool:
            return len(listener.received) == 10 and await part.idle()

        await part.settled(all_came)
        came = [body for _, body in listener.received]
        assert all(b'"env-%d"' % number in body for number, body in enumerate(came))


@asynccontextmanager
async def accepts_held_up(store: Store, request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """No accept is committed in the block."""
    if not isinstance(store, SqliteStore):
        url = request.getfixturevalue("database_url")
        async with await psycopg.AsyncConnection.connect(url) as other:
            await other.execute("select from account for update")
            yield
        return
    held, go_on = threading.Event(), threading.Event()

    def hold(_db: object) -> None:
        held.set()
        go_on.wait(10)

    holding = asyncio.ensure_future(store._writer.write(hold))
    await asyncio.to_thread(held.wait)
    yield
    go_on.set()
    await holding


async def test_r15_what_is_accepted_as_the_dispatcher_stops_is_not_left_in_flight(
    store: Store, clock: ManualClock, request: pytest.FixtureRequest
) -> None:
    await store.create_configuration(wanted_configuration())
    listener = Listener(lambda _url, _body: always(OK))
    async with dispatching(store, clock, listener) as part:
        await clock.until_waited_for()
        async with accepts_held_up(store, request):
            publishing = asyncio.ensure_future(part.publisher.publish(ACCOUNT, [new_event()]))
            while part.dispatcher.openings() is not None:  # until the accept has them
                part.dispatcher.take(())
                await asyncio.sleep(0)
            part.dispatcher.stop()
        await publishing
    assert (await store.statistics()).in_flight == 0
    assert len(listener.received) + len(await claim_all(store)) == 1


async def test_r15_what_is_accepted_after_the_dispatcher_has_stopped_waits(
    store: Store, clock: ManualClock, request: pytest.FixtureRequest
) -> None:
    await store.create_configuration(wanted_configuration())
    listener = Listener(lambda _url, _body: always(OK))
    async with (
        AsyncExitStack() as held,
        dispatching(store, clock, listener, grace=0.0) as part,
    ):
        await clock.until_waited_for()
        await held.enter_async_context(accepts_held_up(store, request))
        publishing = asyncio.ensure_future(part.publisher.publish(ACCOUNT, [new_event()]))
        while part.dispatcher.openings() is not None:  # until the accept has them
            part.dispatcher.take(())
            await asyncio.sleep(0)
    (receipt,) = await publishing
    assert receipt.accepted.deliveries == 1
    assert (await store.statistics()).in_flight == 0
    assert (listener.received, len(await claim_all(store))) == ([], 1)


async def test_r15_what_is_handed_over_after_the_grace_is_cut_off(
    store: Store,
    clock: ManualClock,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await store.create_configuration(wanted_configuration())
    listener = Listener(lambda _url, _body: never())
    settling, go_on, real = asyncio.Event(), asyncio.Event(), store.settle

    async def settle(settlements: Sequence[Settlement]) -> Sequence[bool]:
        settling.set()
        await go_on.wait()
        return await real(settlements)

    monkeypatch.setattr(store, "settle", settle)
    async with hang(10), dispatching(store, clock, listener, grace=0.0) as part:
        await clock.until_waited_for()
        await part.publisher.publish(ACCOUNT, [new_event(envelope_id="is in flight")])
        while not listener.received:
            await asyncio.sleep(0)
        async with accepts_held_up(store, request):
            publishing = asyncio.ensure_future(part.publisher.publish(ACCOUNT, [new_event()]))
            while part.dispatcher.openings() is not None:
                part.dispatcher.take(())
                await asyncio.sleep(0)
            part.dispatcher.stop()
            await settling.wait()
        await publishing
        go_on.set()
    assert (await store.statistics()).in_flight == 0
    assert (len(listener.received), len(await claim_all(store))) == (1, 2)


async def never() -> Answer:
    """A listener that does not answer."""
    await asyncio.Event().wait()
    return OK


async def test_r8_nothing_is_handed_to_a_node_that_has_given_up_its_sends(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(wanted_configuration())
    arrived = asyncio.Event()

    async def answer(_url: str, _body: bytes) -> Answer:
        arrived.set()
        return OK

    async with dispatching(store, clock, Listener(answer)) as part:
        await clock.until_waited_for()
        part.dispatcher.suspend()
        await part.publisher.publish(ACCOUNT, [new_event()])
        assert (await store.statistics()).waiting == 1
        part.dispatcher.resume()
        async with hang(10):
            await arrived.wait()


async def test_r8_what_was_handed_over_while_the_lease_was_lost_is_not_sent(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.create_configuration(wanted_configuration())
    listener = Listener(lambda _url, _body: always(OK))
    async with dispatching(store, clock, listener) as part:
        await clock.until_waited_for()
        take = part.dispatcher.take

        def late(claims: Sequence[Claim]) -> None:
            part.dispatcher.suspend()  # as the lease keeper does, while the accept is on its way
            take(claims)

        monkeypatch.setattr(part.dispatcher, "take", late)
        await part.publisher.publish(ACCOUNT, [new_event()])
        await part.settled(part.idle)
        assert listener.received == []
        part.dispatcher.resume()
        await part.settled(lambda: came(listener))


async def came(listener: Listener) -> bool:
    return len(listener.received) == 1
