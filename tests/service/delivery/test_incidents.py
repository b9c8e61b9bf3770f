"""Somebody is told of what opens, grows and closes, and failures of older versions get a cause."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
import structlog.testing

from heliograph.delivery.incidents import LOOK_SECONDS, watch_incidents
from heliograph.errors import StorageUnavailable
from heliograph.model.alerts import Alert
from heliograph.model.causes import Cause
from heliograph.model.deliveries import RetryAt
from heliograph.model.incidents import IncidentQuery, News
from heliograph.store import BATCH, Store
from tests.busy import hang
from tests.contract.tables import change
from tests.support import (
    ACCOUNT,
    START,
    WHY,
    ManualClock,
    accept,
    claim_all,
    deliver,
    give_up,
    new_event,
    settled,
    wanted_configuration,
)


@pytest.fixture
def engine() -> str:
    """One is enough: that the other keeps the store's contract is told there."""
    return "sqlite"


class Watched:
    """A watch that runs, and what it has told."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.clock, self.stop = clock, asyncio.Event()
        self.told: list[Alert] = []
        self.running = asyncio.create_task(watch_incidents(store, self._tell, clock, self.stop))

    async def _tell(self, alert: Alert) -> None:
        self.told.append(alert)

    async def looks(self) -> list[str]:
        """Let it look again; the kinds of all that was told."""
        await self.clock.until_waited_for()
        self.clock.move(LOOK_SECONDS)
        await self.clock.until_waited_for()
        return [alert.kind for alert in self.told]

    async def ends(self) -> None:
        self.stop.set()
        async with hang(10):
            await self.running


async def test_an_operator_is_told_when_an_incident_opens_and_when_it_closes(
    store: Store, clock: ManualClock
) -> None:
    made = await store.create_configuration(wanted_configuration())
    watched = Watched(store, clock)
    assert await watched.looks() == []
    await accept(store, new_event())
    (claim,) = await claim_all(store)
    failed_at = clock.now()
    later = RetryAt(failed_at + timedelta(seconds=60), WHY)
    await store.settle([settled(claim, later, failed_at)])
    with structlog.testing.capture_logs() as lines:
        assert await watched.looks() == ["incident_opened"]
    (told,) = watched.told
    assert told == Alert(
        *("incident_opened", ACCOUNT, made.connect_id, "crm"),
        reason="status: HTTP 500: 1 failure since 2026-11-23T09:00:05.0000000Z",
        since=START + timedelta(seconds=LOOK_SECONDS),
        incident_id=told.incident_id,
        failures=1,
    )
    (line,) = lines
    assert (line["event"], line["cause"]) == ("incident_opened", "status: HTTP 500")
    assert await watched.looks() == ["incident_opened"]
    clock.move(61)
    await deliver(store, await claim_all(store))
    assert await watched.looks() == ["incident_opened", "incident_closed"]
    assert watched.told[1].reason == (
        "status: HTTP 500: no failure is left of those since 2026-11-23T09:00:05.0000000Z"
    )
    await watched.ends()


async def test_failures_of_an_older_version_have_their_cause_before_anybody_is_told(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(wanted_configuration(deliveryOrder="none"))
    events = [new_event(envelope_id=f"env-{number}") for number in range(BATCH + 1)]
    await accept(store, *events)
    await give_up(store, await claim_all(store, 1_000, 1_000))
    await change(store, "update delivery set phase = null, what = null")
    watched = Watched(store, clock)
    await watched.looks()
    assert [(alert.kind, alert.failures) for alert in watched.told] == [
        ("incident_opened", BATCH + 1)
    ]
    page = await store.incidents.page(ACCOUNT, IncidentQuery(), 10)
    causes = {one.cause: one.failures for one in page.entries}
    assert causes.pop(Cause("unknown", "unknown")) == 0
    assert causes == {Cause("status", "HTTP 500"): BATCH + 1}
    await watched.ends()


async def test_a_database_that_is_away_is_asked_again(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = store.incidents.tend, 0

    async def tend() -> Sequence[News]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise StorageUnavailable("away")
        return await real()

    monkeypatch.setattr(store.incidents, "tend", tend)
    with structlog.testing.capture_logs() as lines:
        watched = Watched(store, clock)
        await watched.looks()
        await watched.ends()
    assert calls == 2
    assert [line["event"] for line in lines] == ["incidents_not_watched"]


async def test_r15_who_does_not_take_an_alert_keeps_no_node_from_stopping(
    store: Store, clock: ManualClock
) -> None:
    await store.create_configuration(wanted_configuration())
    await accept(store, new_event())
    await give_up(store, await claim_all(store))
    stop, asked = asyncio.Event(), asyncio.Event()

    async def never(_: Alert) -> None:
        asked.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(watch_incidents(store, never, clock, stop))
    async with hang(10):
        await asked.wait()
        stop.set()
        await running
