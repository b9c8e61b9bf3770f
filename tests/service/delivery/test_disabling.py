"""Taking listeners out of service: who is told, what of, when, and what meanwhile may happen."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from heliograph.delivery.disabling import (
    GONE,
    disable,
    disable_gone,
    tell_nobody,
    warning_time,
    watch_listeners,
)
from heliograph.errors import ConfigurationsChanged, StorageUnavailable
from heliograph.model.alerts import Alert
from heliograph.model.audit import Action, Actor, AuditQuery
from heliograph.model.configurations import ConnectConfiguration
from heliograph.store import Failing, Store
from heliograph.store.audit import acting
from heliograph.wire import alerts
from tests.busy import hang
from tests.support import ACCOUNT, START, ManualClock, wanted_configuration

DAY = 86_400.0
LOOK = 600.0


@pytest.fixture
def engine() -> str:
    """One is enough: that the other keeps the store's contract is told there."""
    return "sqlite"


@pytest.fixture
async def made(store: Store) -> ConnectConfiguration:
    """The second of two configurations."""
    await store.create_configuration(wanted_configuration(name="first"))
    return await store.create_configuration(wanted_configuration())


async def publishing(store: Store) -> list[bool]:
    return [one.publishing for one in (await store.configurations(ACCOUNT)).all]


async def test_r4_who_is_gone_is_switched_off_once_and_that_is_told(
    store: Store, made: ConnectConfiguration
) -> None:
    at = START + timedelta(seconds=7)
    alert = await disable_gone(store, made, at)
    assert alert == Alert(
        *("configuration_disabled", ACCOUNT, made.connect_id, "crm"),
        reason="the listener answered 410 Gone",
        since=at,
    )
    assert await publishing(store) == [True, False]
    assert await disable_gone(store, made, at) is None


async def test_r4_a_listener_of_one_envelope_that_is_gone_is_switched_off_too(
    store: Store,
) -> None:
    made = await store.create_configuration(wanted_configuration(), bytes(32))
    assert await disable(store, ACCOUNT, made.connect_id, GONE)
    found = await store.configuration(ACCOUNT, made.connect_id)
    assert found is not None
    assert (found.publishing, found.disabled_by) == (False, GONE)


async def test_the_audit_says_that_heliograph_switched_a_listener_off_and_not_who_published(
    store: Store,
) -> None:
    made = await store.create_configuration(wanted_configuration())
    with acting(Actor("publisher", "192.0.2.7")):  # as where the post is made within its call
        assert await disable(store, ACCOUNT, made.connect_id, GONE)
    (entry,) = (await store.audit.entries(ACCOUNT, AuditQuery(), 1)).entries
    assert (entry.action, entry.actor) == (Action.CONFIGURATION_SWITCHED_OFF, Actor(GONE))


async def test_who_is_not_there_is_not_switched_off(store: Store) -> None:
    assert not await disable(store, ACCOUNT, 99, GONE)


async def test_an_alert_goes_out_as_texts() -> None:
    alert = Alert("configuration_disabled", ACCOUNT, 7, "crm", "it is gone", START)
    assert msgspec.json.decode(alerts.render(alert)) == {
        "alert": "configuration_disabled",
        "accountId": ACCOUNT,
        "connectId": "7",
        "name": "crm",
        "reason": "it is gone",
        "failingSince": "2026-11-23T09:00:00.0000000Z",
    }
    await tell_nobody(alert)


@pytest.mark.parametrize(("changes", "done"), [(0, True), (99, True), (100, False)])
async def test_r4_a_configuration_that_changes_meanwhile_is_read_again_up_to_a_hundred_times(
    store: Store,
    made: ConnectConfiguration,
    monkeypatch: pytest.MonkeyPatch,
    changes: int,
    done: bool,
) -> None:
    real, tries = store.update_configuration, 0

    async def update(*given: Any) -> bool:
        nonlocal tries
        tries += 1
        if tries <= changes:
            raise ConfigurationsChanged
        return await real(*given)

    monkeypatch.setattr(store, "update_configuration", update)
    assert await disable(store, ACCOUNT, made.connect_id, GONE) is done
    assert await publishing(store) == [True, not done]


async def test_r4_what_another_changed_meanwhile_is_not_written_over(
    store: Store, made: ConnectConfiguration, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = store.update_configuration

    async def update(*given: Any) -> bool:
        monkeypatch.setattr(store, "update_configuration", real)
        other = wanted_configuration(connect_id=made.connect_id, name="renamed")
        assert await store.update_configuration(other)
        return await real(*given)

    monkeypatch.setattr(store, "update_configuration", update)
    assert await disable(store, ACCOUNT, made.connect_id, GONE)
    found = (await store.configurations(ACCOUNT)).all[1]
    assert (found.name, found.disabled_by) == ("renamed", GONE)


def test_somebody_is_told_three_days_before_or_at_half_time() -> None:
    for days, before in ((14, 3), (6, 3), (5, 2.5), (1, 0.5)):
        assert warning_time(timedelta(days=days)) == timedelta(days=before)


class Watch:
    """The watch over listeners, on a store that says which of them fail."""

    def __init__(self, store: Store, clock: ManualClock, patch: pytest.MonkeyPatch) -> None:
        self.store, self.clock = store, clock
        self.alerts: list[Alert] = []
        self.failing: list[Failing] = []
        self.warned: list[int] = []
        self.looks = 0
        self.away = False
        self.stop = asyncio.Event()
        patch.setattr(store, "failing", self._failing)
        patch.setattr(store, "failing_warned", self._warned)

    async def _failing(self) -> list[Failing]:
        self.looks += 1
        if self.away:
            raise StorageUnavailable("away")
        return self.failing

    async def _warned(self, connect_id: int) -> None:
        self.warned.append(connect_id)
        self.failing = [
            replace(one, warned=True) if one.connect_id == connect_id else one
            for one in self.failing
        ]

    async def _tell(self, alert: Alert) -> None:
        self.alerts.append(alert)

    def begin(self, days: float) -> asyncio.Task[None]:
        return asyncio.create_task(
            watch_listeners(self.store, self._tell, self.clock, self.stop, days)
        )

    async def passes(self, seconds: float) -> None:
        """As if nobody had looked meanwhile but once, at the end."""
        self.clock.move(seconds)
        await self.clock.until_waited_for()

    async def ends(self, running: asyncio.Task[None]) -> None:
        self.stop.set()
        async with hang(10):
            await running


@pytest.fixture
def watch(store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Watch:
    return Watch(store, clock, monkeypatch)


def failing(made: ConnectConfiguration, since: datetime = START) -> Failing:
    return Failing(ACCOUNT, made.connect_id, made.name, since, warned=False)


async def test_r4_somebody_is_warned_once_and_told_when_it_was_disabled(
    store: Store, watch: Watch, made: ConnectConfiguration
) -> None:
    watch.failing = [failing(made)]
    running = watch.begin(14.0)
    await watch.clock.until_waited_for()
    await watch.passes(11 * DAY - 1)
    assert (watch.alerts, watch.looks) == ([], 2)
    await watch.passes(LOOK)
    await watch.passes(LOOK)
    place = (ACCOUNT, made.connect_id, "crm")
    said = "it has taken nothing since 2026-11-23T09:00:00.0000000Z"
    warning = Alert(
        *("configuration_failing", *place),
        reason=f"{said}, and is disabled at 2026-12-07T09:00:00.0000000Z",
        since=START,
    )
    assert (watch.alerts, watch.warned) == ([warning], [made.connect_id])
    await watch.passes(3 * DAY)
    disabled = Alert("configuration_disabled", *place, reason=said, since=START)
    assert watch.alerts == [warning, disabled]
    assert await publishing(store) == [True, False]
    await watch.passes(LOOK)  # it is off: nobody is told again
    assert watch.alerts == [warning, disabled]
    await watch.ends(running)


@pytest.mark.parametrize(
    ("early", "kind"), [(1, "configuration_failing"), (0, "configuration_disabled")]
)
async def test_r4_at_its_very_time_a_listener_is_disabled_and_not_before(
    watch: Watch, made: ConnectConfiguration, early: int, kind: str
) -> None:
    watch.failing = [failing(made, START - timedelta(days=14) + timedelta(seconds=early))]
    running = watch.begin(14.0)
    await watch.clock.until_waited_for()
    assert [one.kind for one in watch.alerts] == [kind]
    await watch.ends(running)


async def test_at_its_very_time_somebody_is_warned(
    watch: Watch, made: ConnectConfiguration
) -> None:
    watch.failing = [failing(made, START - timedelta(days=11))]
    running = watch.begin(14.0)
    await watch.clock.until_waited_for()
    assert [one.kind for one in watch.alerts] == ["configuration_failing"]
    await watch.ends(running)


async def test_the_watch_looks_each_ten_minutes_also_after_the_storage_was_away(
    watch: Watch,
) -> None:
    watch.away = True
    running = watch.begin(14.0)
    for looks in (1, 2, 3):
        await watch.clock.until_waited_for()
        assert watch.looks == looks
        watch.clock.move(LOOK - 1)
        for _ in range(20):
            await asyncio.sleep(0)
        assert watch.looks == looks
        watch.clock.move(1)
    await watch.clock.until_waited_for()
    await watch.ends(running)


async def test_no_days_watch_nobody(watch: Watch) -> None:
    async with hang(10):
        await watch.begin(0)
    assert watch.looks == 0
