"""R4: listeners that are taken out of service lose nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from heliograph.delivery.disabling import GONE, disable, watch_listeners
from heliograph.model.alerts import Alert
from heliograph.model.deliveries import DeliveryState, Phase, RetryAt, Why
from heliograph.model.logs import LogQuery
from heliograph.store import Failing, Store
from tests.contract.traffic import Traffic
from tests.support import ACCOUNT, START, ManualClock, new_event, wanted_configuration

DAY = 86_400.0


class Watched:
    """The watch over listeners, one look at a time."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.alerts: list[Alert] = []
        self._store, self._clock = store, clock

    async def look(self) -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(
            watch_listeners(self._store, self._tell, self, stop, 14.0)  # type: ignore[arg-type]
        )
        self._looked, self._stop = asyncio.Event(), stop
        await self._looked.wait()
        await task

    async def _tell(self, alert: Alert) -> None:
        self.alerts.append(alert)

    def now(self) -> object:
        return self._clock.now()

    async def wait(self, _event: asyncio.Event, _seconds: float) -> None:
        self._stop.set()
        self._looked.set()


async def fail(traffic: Traffic, seconds: float, clock: ManualClock) -> None:
    for claim in await traffic.claim_all():
        await traffic.retry(claim, seconds, clock.now())


async def test_r4_a_listener_that_takes_nothing_for_14_days_is_warned_of_and_then_disabled(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    made = await traffic.configure()
    watched = Watched(store, clock)
    await traffic.publish()
    await fail(traffic, DAY, clock)
    clock.move(10.9 * DAY)
    await fail(traffic, DAY, clock)
    await watched.look()
    assert watched.alerts == []

    clock.move(0.2 * DAY)
    await watched.look()
    await watched.look()
    (warning,) = watched.alerts
    assert (warning.kind, warning.connect_id) == ("configuration_failing", made.connect_id)
    assert warning.since == START
    assert "disabled at 2026-12-07" in warning.reason

    clock.move(3 * DAY)
    await watched.look()
    await watched.look()
    assert [one.kind for one in watched.alerts[1:]] == ["configuration_disabled"]
    (off,) = (await store.configurations(ACCOUNT)).all
    assert not off.publishing
    assert off.disabled_by is not None
    assert off.disabled_by.startswith("Heliograph: it has taken nothing since 2026-11-23")

    # What waited and what comes is held, and goes out in order when somebody switches it on.
    await traffic.publish(event_id="later")
    await traffic.publish(event_id="other", envelope_id="env-2")
    assert await traffic.claim_all() == []
    (failure,) = (await store.failures(ACCOUNT, LogQuery(), 10)).entries
    assert failure.state is DeliveryState.HELD
    await store.update_configuration(wanted_configuration(connect_id=made.connect_id))
    claims = await traffic.claim_all()
    assert len(claims) == 2
    await traffic.deliver(claims)
    (last,) = await traffic.claim_all()
    assert last.event.event_id == "later"


async def test_a_success_ends_the_failing_and_so_does_switching_on(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    made = await traffic.configure()
    await traffic.accept(new_event(), new_event(event_id="b", envelope_id="env-2"))
    first, second = await traffic.claim_all()
    await traffic.retry(first, 1)
    assert [(one.connect_id, one.since) for one in await store.failing()] == [
        (made.connect_id, START)
    ]
    assert (await store.statistics()).failing == 1
    clock.move(60)
    await traffic.deliver([second])
    assert (await store.statistics()).failing == 0
    assert await store.failing() == ()

    await fail(traffic, 60, clock)
    (failing,) = await store.failing()
    assert failing.since == START + timedelta(seconds=60)
    assert await disable(store, ACCOUNT, made.connect_id, GONE)
    assert not await disable(store, ACCOUNT, made.connect_id, GONE)
    assert await store.failing() == ()  # only those in service
    await store.update_configuration(wanted_configuration(connect_id=made.connect_id))
    assert await store.failing() == ()


async def test_a_change_of_what_is_in_service_does_not_end_its_failing(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    made = await traffic.configure()
    await traffic.publish()
    await fail(traffic, 60, clock)
    failing = Failing(ACCOUNT, made.connect_id, made.name, START, warned=False)
    for paused in ("true", "false"):
        changed = wanted_configuration(connect_id=made.connect_id, pausePublish=paused)
        await store.update_configuration(changed)
        assert await store.failing() == (failing,)
    await store.failing_warned(made.connect_id)
    assert await store.failing() == (replace(failing, warned=True),)


async def test_faults_of_our_own_are_no_failing(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await traffic.configure()
    await traffic.publish()
    (claim,) = await traffic.claim_all()
    ours = RetryAt(clock.now(), Why(Phase.DNS, "no DNS server answered"), counts=False)
    await traffic.settle(claim, ours)
    assert await store.failing() == ()
