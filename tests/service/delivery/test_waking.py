"""Whatever makes a delivery due wakes the dispatcher, alone and with no other traffic (R21)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest

from heliograph.delivery.dispatcher import LONGEST_SLEEP
from heliograph.model.deliveries import Answer, DeliveryState, Fault
from heliograph.model.logs import LogQuery
from heliograph.store import Store
from heliograph.store.historical import Wish
from tests.busy import hang
from tests.service.delivery.test_dispatcher import BROKEN, OK, Listener, Part, always, dispatching
from tests.support import ACCOUNT, ManualClock, accept, new_event, wanted_configuration

FIRST, SECOND = "envelope-sent", "envelope-completed"

Verb = Callable[["Lane"], Awaitable[object]]


@dataclass
class Lane:
    """A lane whose first event has failed and waits, with the second one behind it."""

    part: Part
    listener: Listener
    clock: ManualClock
    connect_id: int

    @property
    def store(self) -> Store:
        return self.part.store

    async def failure_id(self) -> int:
        (entry,) = (await self.store.failures(ACCOUNT, LogQuery(), 10)).entries
        assert entry.failure_id is not None
        return entry.failure_id

    async def update(self, **fields: Any) -> None:
        wanted = wanted_configuration(connect_id=self.connect_id, **fields)
        assert await self.store.update_configuration(wanted)

    async def rests(self) -> None:
        """Return once the dispatcher has seen everything, and sleeps."""
        await self.part.signals_seen()
        await self.clock.until_waited_for()

    async def sends(self, name: str, times: int = 1) -> None:
        """Return once the listener was sent an event so often; no time passes meanwhile."""
        async with hang(10):
            while sent(self.listener, name) < times:
                await asyncio.sleep(0)


def sent(listener: Listener, name: str) -> int:
    """How often a listener was sent an event of this name."""
    return sum(f'"event":"{name}"'.encode() in body for _, body in listener.received)


async def refuses_the_first(_url: str, body: bytes) -> Answer | Fault:
    return BROKEN if f'"event":"{FIRST}"'.encode() in body else OK


@asynccontextmanager
async def stuck(store: Store, clock: ManualClock) -> AsyncIterator[Lane]:
    made = await store.create_configuration(wanted_configuration(retrySchedule=["3600"]))
    listener = Listener(refuses_the_first)
    async with dispatching(store, clock, listener) as part:
        await accept(store, new_event(FIRST))
        part.signals.work.set()
        await part.settled(lambda: _is(part.failures(), 1))
        await accept(store, new_event(SECOND))
        lane = Lane(part, listener, clock, made.connect_id)
        await lane.rests()
        assert [sent(listener, name) for name in (FIRST, SECOND)] == [1, 0]
        yield lane


async def _is(count: Awaitable[int], wanted: int) -> bool:
    return await count == wanted


async def delete_one(lane: Lane) -> None:
    assert await lane.store.delete_failure(ACCOUNT, await lane.failure_id(), "ada")


async def delete_in_bulk(lane: Lane) -> None:
    assert await lane.store.delete_failures(ACCOUNT, LogQuery(), "ada") == 1


@pytest.mark.parametrize("verb", [delete_one, delete_in_bulk])
async def test_r21_r6_the_end_of_a_deleted_failure_sends_what_it_held_back(
    store: Store, clock: ManualClock, verb: Verb
) -> None:
    async with stuck(store, clock) as lane:
        await verb(lane)
        await lane.sends(SECOND)


async def republish_envelope(lane: Lane) -> None:
    assert await lane.store.requeue_envelopes(ACCOUNT, ["env-1"])


async def republish_in_bulk(lane: Lane) -> None:
    assert (await lane.store.requeue_failures(ACCOUNT, LogQuery())).requeued


async def hasten(lane: Lane) -> None:
    assert await lane.store.hasten(ACCOUNT, lane.connect_id) == 1


@pytest.mark.parametrize("verb", [republish_envelope, republish_in_bulk, hasten])
async def test_r21_what_is_made_due_now_is_sent_now(
    store: Store, clock: ManualClock, verb: Verb
) -> None:
    async with stuck(store, clock) as lane:
        await verb(lane)
        await lane.sends(FIRST, times=2)


async def resend_envelope(lane: Lane) -> None:
    assert await lane.store.resend_envelopes(ACCOUNT, ["env-1"], "ada")


async def resend_in_bulk(lane: Lane) -> None:
    assert (await lane.store.resend_delivered(ACCOUNT, LogQuery(), "ada")).requeued


async def resend_one(lane: Lane) -> None:
    (newest, *_) = (await lane.store.logs(ACCOUNT, LogQuery(), 10)).entries
    assert newest.log_id is not None
    assert newest.event_name == SECOND
    assert await lane.store.resend_log(ACCOUNT, newest.log_id, "ada")


@pytest.mark.parametrize("verb", [resend_envelope, resend_in_bulk, resend_one])
async def test_r21_what_is_to_be_sent_again_is_sent_now(
    store: Store, clock: ManualClock, verb: Verb
) -> None:
    async with stuck(store, clock) as lane:
        await delete_one(lane)
        await lane.sends(SECOND)
        await lane.rests()
        await verb(lane)
        await lane.sends(SECOND, times=2)


@pytest.mark.parametrize("off", [{"pausePublish": "true"}, {"allowEnvelopePublish": "false"}])
async def test_r21_what_a_configuration_held_is_sent_when_it_is_switched_on(
    store: Store, clock: ManualClock, off: dict[str, str]
) -> None:
    async with stuck(store, clock) as lane:
        await lane.update(**off)
        clock.move(3601)  # it would have been due
        await lane.rests()
        assert sent(lane.listener, FIRST) == 1
        await lane.update()
        await lane.sends(FIRST, times=2)


async def test_r21_what_is_accepted_is_sent_whoever_has_stopped_waiting_for_it(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stuck(store, clock) as lane:
        real, submitted = store.accept, asyncio.Event()
        before = sent(lane.listener, SECOND)

        async def accepting(*given: Any, **named: Any) -> Any:
            submitted.set()
            return await real(*given, **named)

        monkeypatch.setattr(store, "accept", accepting)
        events = [new_event(SECOND, "env-2")]
        publishing = asyncio.create_task(lane.part.publisher.publish(ACCOUNT, events))
        await submitted.wait()
        publishing.cancel()  # its caller has gone away
        with contextlib.suppress(asyncio.CancelledError):
            await publishing
        await lane.sends(SECOND, times=before + 1)


async def test_r21_a_historical_publish_is_sent(store: Store, clock: ManualClock) -> None:
    async with stuck(store, clock) as lane:
        configuration = wanted_configuration(urlToPublishTo="https://archive.example.com/")
        await store.historical.submit(Wish("past", configuration, ("env-1",), "ada"))
        await lane.sends(SECOND)  # the newest of the envelope


async def test_r21_the_end_of_a_deleted_configuration_holds_up_nobody(
    store: Store, clock: ManualClock
) -> None:
    async with stuck(store, clock) as lane:
        assert await store.delete_configuration(ACCOUNT, lane.connect_id)
        await store.create_configuration(wanted_configuration())
        await accept(store, new_event(SECOND, "env-2"))
        await lane.sends(SECOND)


async def test_r21_r17_the_park_of_what_cannot_be_read_sends_what_it_held_back(
    store: Store,
    clock: ManualClock,
    engine: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    await store.create_configuration(wanted_configuration())
    await accept(store, new_event(FIRST))
    await accept(store, new_event(SECOND))
    in_no_calendar = 2**62
    spoil = f"update event set generated_us = {in_no_calendar} where name = '{FIRST}'"  # noqa: S608
    if engine == "sqlite":
        with contextlib.closing(apsw.Connection(str(tmp_path / "heliograph.db"))) as raw:
            raw.execute(spoil)
    else:
        with psycopg.connect(request.getfixturevalue("database_url"), autocommit=True) as raw:
            raw.execute(spoil.encode())
    listener = Listener(lambda _url, _body: always(OK))
    async with dispatching(store, clock, listener) as part:
        await Lane(part, listener, clock, 1).sends(SECOND)
        (entry,) = (await store.failures(ACCOUNT, LogQuery(), 10)).entries
        assert entry.state is DeliveryState.FAILED


async def test_r21_what_nobody_told_of_is_found_within_the_longest_sleep(
    store: Store, clock: ManualClock
) -> None:
    async with stuck(store, clock) as lane:
        store.when_due(lambda: None)  # as if a verb had forgotten it
        await delete_one(lane)
        await clock.until_waited_for()
        assert sent(lane.listener, SECOND) == 0
        clock.move(LONGEST_SLEEP)
        await lane.sends(SECOND)
        assert LONGEST_SLEEP <= 30


async def test_r21_a_jump_of_the_clock_is_noticed_within_the_longest_sleep(
    store: Store, clock: ManualClock
) -> None:
    async with stuck(store, clock) as lane:
        (failure,) = (await store.failures(ACCOUNT, LogQuery(), 10)).entries
        assert failure.next_try is not None
        left = (failure.next_try - clock.now()).total_seconds()
        clock.move(left - 1.5 * LONGEST_SLEEP)
        await lane.rests()
        clock.jump(LONGEST_SLEEP)  # so small a step is followed at once (R22)
        clock.move(LONGEST_SLEEP)
        await lane.sends(FIRST, times=2)
