"""The dispatcher while the node's lease is in doubt (R8): what is cut off, and what is not sent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from heliograph.model.deliveries import Answer, DeliveryState, Fault
from heliograph.model.logs import LogQuery
from heliograph.store import Store
from tests.busy import hang
from tests.service.delivery.test_dispatcher import OK, Listener, Part, always, dispatching
from tests.support import ACCOUNT, ManualClock, new_event, wanted_configuration


async def test_r8_what_was_claimed_while_the_lease_was_lost_is_not_sent(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.create_configuration(wanted_configuration())
    listener = Listener(lambda _url, _body: always(OK))
    real = store.claim

    async def claim(**bounds: Any) -> Any:
        found = await real(**bounds)
        if found.claims:
            monkeypatch.setattr(store, "claim", real)
            part.dispatcher.suspend()  # as the lease keeper does, while the claim is on its way
        return found

    monkeypatch.setattr(store, "hand_to", lambda _taker: None)  # what is accepted is claimed
    async with dispatching(store, clock, listener) as part:
        for envelope_id in ("env-1", "env-2"):  # the second time is no different
            monkeypatch.setattr(store, "claim", claim)
            settled = part.signals.next_settled()
            await part.publisher.publish(ACCOUNT, [new_event(envelope_id=envelope_id)])
            await within(settled)
            assert listener.received == []
            await goes_out_after_resume(part, listener)
            listener.received.clear()


async def test_r8_what_is_in_flight_when_the_lease_is_lost_is_cut_off(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(wanted_configuration())
    arrived = asyncio.Event()

    async def behave(_url: str, _body: bytes) -> Answer | Fault:
        arrived.set()
        await asyncio.Event().wait()
        return OK

    listener = Listener(behave)
    async with dispatching(store, clock, listener) as part:
        await part.publisher.publish(ACCOUNT, [new_event()])
        await within(arrived)
        settled = part.signals.next_settled()
        part.dispatcher.suspend()
        await within(settled)
        assert part.dispatcher.in_flight == 0
        listener.received.clear()
        listener.behave = lambda _url, _body: always(OK)
        await goes_out_after_resume(part, listener)


async def goes_out_after_resume(part: Part, listener: Listener) -> None:
    """Nothing is claimed before it; then the delivery is made, as its second attempt."""
    looked = 0
    real = part.store.claim

    async def claim(**bounds: Any) -> Any:
        nonlocal looked
        looked += 1
        return await real(**bounds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(part.store, "claim", claim)
        for _ in range(5):
            part.signals.work.set()
            while part.signals.work.is_set():
                await asyncio.sleep(0)
        assert looked == 0
    part.dispatcher.resume()
    await part.settled(lambda: delivered(part.store))
    ((_, body),) = listener.received
    assert b'"retryCount":1' in body


async def delivered(store: Store) -> bool:
    entries = (await store.logs(ACCOUNT, LogQuery(), 10)).entries
    return [one.state for one in entries][:1] == [DeliveryState.DELIVERED]


async def within(event: asyncio.Event) -> None:
    async with hang(10):
        await event.wait()
