"""Accepting and sending take turns: neither starves the other (R23)."""

from __future__ import annotations

import asyncio

import pytest

from heliograph.delivery import dispatcher
from heliograph.model.deliveries import Answer
from heliograph.store import Store, batches
from heliograph.store.accepting import TURN
from tests.busy import hang
from tests.service.delivery.test_dispatcher import OK, Listener, Part, dispatching
from tests.support import ACCOUNT, ManualClock, new_event, wanted_configuration

PUBLISHERS = 16
EVENTS = 12
FAN_OUT = 5


async def soon(_url: str, _body: bytes) -> Answer:
    """A listener that answers after some rounds of the loop, as one over a socket does."""
    for _ in range(3):
        await asyncio.sleep(0)
    return OK


class Load:
    """Publishers that push as hard as they can; notes how far they are ahead of sending."""

    def __init__(self, part: Part, listener: Listener) -> None:
        self._part, self._listener = part, listener
        self.accepted = 0
        self.ahead: list[int] = []

    async def publish(self) -> None:
        async with hang(60), asyncio.TaskGroup() as publishers:
            for number in range(PUBLISHERS):
                publishers.create_task(self._one_after_the_other(number))

    async def _one_after_the_other(self, number: int) -> None:
        for n in range(EVENTS):
            event = new_event(envelope_id=f"env-{number}-{n}")
            (receipt,) = await self._part.publisher.publish(ACCOUNT, [event])
            self.accepted += receipt.accepted.deliveries
            self.ahead.append(self.accepted - len(self._listener.received))


@pytest.fixture
def no_longest_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for sending, and should not, waits for longer than any test runs."""
    monkeypatch.setattr(dispatcher, "_LONGEST_TURN", 3600.0)


@pytest.mark.usefixtures("no_longest_turn")  # on a busy machine it ends the wait
async def test_r23_publishers_at_full_load_get_no_further_ahead_than_what_is_under_way(
    store: Store, clock: ManualClock
) -> None:
    for _ in range(FAN_OUT):
        await store.create_configuration(wanted_configuration())
    listener = Listener(soon)
    async with dispatching(store, clock, listener) as part:
        load = Load(part, listener)
        await load.publish()
        while_publishing = len(listener.received)
        assert load.accepted == PUBLISHERS * EVENTS * FAN_OUT
        # Two turns, and what is in flight.
        assert max(load.ahead) <= 2 * TURN + 64
        assert while_publishing >= 0.8 * load.accepted


@pytest.mark.usefixtures("no_longest_turn")
async def test_r23_a_listener_that_takes_nothing_slows_no_publisher(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(wanted_configuration())
    never = asyncio.Event()

    async def hang_on(_url: str, _body: bytes) -> Answer:
        await never.wait()
        return OK

    async with dispatching(store, clock, Listener(hang_on), grace=0.0) as part:
        load = Load(part, Listener(hang_on))
        await load.publish()
        assert load.accepted == PUBLISHERS * EVENTS


async def test_r23_sending_a_backlog_does_not_keep_publishers_waiting(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(wanted_configuration())
    backlog = [new_event(envelope_id=f"waits-{n}") for n in range(1_000)]
    listener = Listener(soon)
    part = Part(store, listener)
    for some in batches(backlog, 100):
        await part.publisher.publish(ACCOUNT, some)
    async with dispatching(store, clock, listener) as part:
        (receipt,) = await part.publisher.publish(ACCOUNT, [new_event()])
        assert receipt.accepted.deliveries == 1
        assert len(listener.received) < len(backlog)
