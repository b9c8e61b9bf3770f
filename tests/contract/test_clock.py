"""The store contract: a wrong clock deletes nothing, ends nothing, and forgets nothing (R22)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from heliograph.delivery.attempt import attempt
from heliograph.delivery.retention import retain, retire
from heliograph.errors import ClockDoubted
from heliograph.model.accounts import Role, Secret
from heliograph.model.configurations import ConnectConfiguration, ScheduleName
from heliograph.model.deliveries import Answer, Fault, GaveUp, Proofs, RetryAt
from heliograph.model.logs import LogQuery
from heliograph.model.people import NewToken
from heliograph.store import Retired, Store
from tests.conftest import OpenStore
from tests.contract import test_sign_ins as sign_ins
from tests.contract.traffic import Traffic
from tests.support import ACCOUNT, ANSWER, ManualClock

HOUR = 3600.0
DAY = 86_400.0
YEAR = 365 * DAY
KEPT = timedelta(days=90)

jumps = pytest.mark.parametrize("seconds", [2 * HOUR, 16 * DAY, YEAR, -YEAR])


@dataclass
class Listener:
    """Fails, and remembers what it was sent."""

    answer: Answer | Fault = ANSWER
    headers: Sequence[tuple[str, str]] = ()

    async def post(
        self,
        configuration: ConnectConfiguration,
        headers: Sequence[tuple[str, str]],
        body: Any,
        proofs: Proofs,
        *,
        last: bool,
    ) -> Answer | Fault:
        self.headers = headers
        return self.answer


async def old_event(store: Store, clock: ManualClock) -> None:
    """One of 89 days ago, delivered, and one that is being retried since 14 days."""
    traffic = Traffic(store)
    await traffic.configure()
    await traffic.publish(envelope_id="env-old", event_id="old")
    await traffic.deliver(await traffic.claim_all())
    clock.move(75 * DAY)
    await store.renew_lease()
    await traffic.publish(envelope_id="env-retried", event_id="retried")
    (claim,) = await traffic.claim_all()
    clock.move(14 * DAY)
    await store.renew_lease()
    await traffic.retry(claim, HOUR, clock.now())


async def pass_of_retention(store: Store, clock: ManualClock) -> None:
    """One, as a server does it."""
    stop = asyncio.Event()
    running = asyncio.create_task(retain(store, clock, stop, KEPT.days))
    await clock.until_waited_for()
    stop.set()
    await running


async def knows(store: Store, *names: str) -> bool:
    """Whether these events are known: publishing them again is a repeat."""
    receipts = [
        await Traffic(store).publish(envelope_id=f"env-{name}", event_id=name) for name in names
    ]
    return all(receipt.repeated for receipt in receipts)


@jumps
async def test_r22_a_start_with_a_wrong_clock_deletes_and_forgets_nothing(
    open_store: OpenStore, store: Store, clock: ManualClock, seconds: float
) -> None:
    await old_event(store, clock)
    await store.close()
    clock.move(10)
    clock.jump(seconds)
    store = await open_store()
    await pass_of_retention(store, clock)
    assert await knows(store, "old", "retried")
    assert store.clock.doubted() == timedelta(seconds=max(0.0, seconds))
    clock.jump(-seconds)
    await pass_of_retention(store, clock)
    assert await knows(store, "old", "retried")
    assert len((await store.logs(ACCOUNT, LogQuery(), 10)).entries) == 2
    assert abs(store.clock.differs()) < timedelta(minutes=1)


@jumps
async def test_r22_a_clock_that_jumps_while_a_server_runs_deletes_and_ends_nothing(
    store: Store, clock: ManualClock, seconds: float
) -> None:
    await old_event(store, clock)
    await store.renew_lease()
    clock.jump(seconds)
    await pass_of_retention(store, clock)
    assert await knows(store, "old", "retried")
    clock.move(2 * HOUR)
    (claim,) = await Traffic(store).claim_all()
    settlement = await attempt(claim, Listener(), store.clock, ScheduleName.STANDARD)
    assert isinstance(settlement.outcome, RetryAt)
    clock.jump(-seconds)
    assert await knows(store, "old", "retried")


async def test_r22_nothing_is_deleted_on_demand_while_the_clock_is_doubted(
    store: Store, clock: ManualClock
) -> None:
    await store.renew_lease()
    clock.jump(YEAR)
    with pytest.raises(ClockDoubted, match="31536000 s ahead"):
        await retire(store, store.clock.ago(KEPT))
    clock.jump(-YEAR)
    assert await retire(store, store.clock.ago(KEPT)) == Retired()


async def leap(store: Store, clock: ManualClock, seconds: float) -> None:
    """The clock jumps ahead, and that stands for an hour, in which a server runs."""
    clock.jump(seconds)
    await store.renew_lease()
    clock.move(HOUR)
    await store.renew_lease()
    assert store.clock.now() == clock.now()


async def test_r22_a_jump_that_stands_is_followed_and_counts_for_no_age(
    store: Store, clock: ManualClock
) -> None:
    await old_event(store, clock)
    await leap(store, clock, YEAR)
    await pass_of_retention(store, clock)
    assert await knows(store, "old", "retried")

    # The retry was due in an hour, which has passed; its schedule has not ended.
    (claim,) = await Traffic(store).claim_all()
    settlement = await attempt(claim, Listener(), store.clock, ScheduleName.STANDARD)
    assert isinstance(settlement.outcome, RetryAt)
    (failing,) = await store.failing()
    assert store.clock.now() - failing.since <= timedelta(hours=1)

    # What passes from here counts (PostgreSQL drops whole days).
    clock.move(2 * DAY)
    await store.renew_lease()
    done = await retire(store, store.clock.ago(KEPT))
    assert (done.deliveries, done.events) == (1, 1)
    settlement = await attempt(claim, Listener(), store.clock, ScheduleName.STANDARD)
    assert isinstance(settlement.outcome, GaveUp)


async def test_r22_a_leap_is_known_after_a_restart(
    open_store: OpenStore, store: Store, clock: ManualClock
) -> None:
    await old_event(store, clock)
    await leap(store, clock, YEAR)
    await store.close()
    clock.move(10)
    store = await open_store()
    assert store.clock.now() == clock.now()
    await pass_of_retention(store, clock)
    assert await knows(store, "old", "retried")


async def test_r22_what_waits_for_its_time_waits_as_long_whatever_leaps(
    store: Store, clock: ManualClock
) -> None:
    traffic = Traffic(store)
    await traffic.configure()
    await traffic.publish()
    (claim,) = await traffic.claim_all()
    await traffic.retry(claim, 2 * HOUR, clock.now())
    await leap(store, clock, 16 * DAY)
    clock.move(HOUR - 1)
    assert await traffic.claim_all() == []
    clock.move(1)
    assert len(await traffic.claim_all()) == 1


@pytest.mark.parametrize("stands", [False, True])
@pytest.mark.parametrize("seconds", [7.5 * HOUR, 16 * DAY, YEAR])
async def test_r22_s9_a_wrong_clock_ends_no_token_and_forgets_no_assertion(
    store: Store, clock: ManualClock, seconds: float, stands: bool
) -> None:
    await sign_ins.fill(store)
    await sign_ins.granted(store, clock)
    now = clock.now()
    await store.sign_ins.open_session(
        ACCOUNT, sign_ins.ADA, Secret("session"), now + timedelta(hours=2)
    )
    assertion = b"assertion", now + timedelta(hours=2)
    wanted = NewToken(
        "application",
        Role.VIEWER,
        sign_ins.ADA,
        expires_at=now + timedelta(hours=8),
        integration_key=sign_ins.KEY,
    )
    assert await store.sign_ins.issue(ACCOUNT, Secret("access-2"), wanted, assertion)
    assert await sign_ins.works(store, "1", "2") == ["1", "2"]
    await store.renew_lease()
    if stands:
        await leap(store, clock, seconds)
    else:
        clock.jump(seconds)
        await store.renew_lease()
    # What sweeps runs meanwhile, too.
    await sign_ins.granted(store, clock, name="3")
    assert await sign_ins.works(store, "1", "2", "3") == ["1", "2", "3"]
    assert await store.sign_ins.session("session") is not None
    again = b"assertion", store.clock.now() + timedelta(hours=2)
    assert not await store.sign_ins.issue(ACCOUNT, Secret("access-4"), wanted, again)
    refreshed = sign_ins.pair(clock, "5")
    assert await store.sign_ins.refresh(sign_ins.KEY, "refresh-1", None, refreshed) is not None


async def test_r22_what_has_ended_ends_though_the_clock_is_behind(
    store: Store, clock: ManualClock
) -> None:
    await sign_ins.fill(store)
    await sign_ins.granted(store, clock)
    clock.move(9 * HOUR)
    await store.renew_lease()
    clock.jump(-YEAR)
    assert await sign_ins.works(store, "1") == []


async def test_r22_others_are_told_the_machines_time_and_theirs_is_compared_with_it(
    store: Store, clock: ManualClock
) -> None:
    traffic = Traffic(store)
    await traffic.configure()
    await store.add_hmac_key(ACCOUNT, "key", Secret("0123456789abcdef0123456789abcdef"))
    await store.renew_lease()
    await leap(store, clock, 2 * HOUR)
    clock.jump(-2 * HOUR)  # it was wrong after all: now the store's clock is ahead
    await traffic.publish()
    (claim,) = await traffic.claim_all()
    in_an_hour = f"{clock.now() + timedelta(hours=1):%a, %d %b %Y %H:%M:%S GMT}"
    listener = Listener(Answer(503, "Busy", (("Retry-After", in_an_hour),), b""))
    settlement = await attempt(claim, listener, store.clock, ScheduleName.STANDARD)
    sent = dict(listener.headers)["webhook-timestamp"]
    assert sent == str(int(clock.now().timestamp()))
    assert isinstance(settlement.outcome, RetryAt)
    assert settlement.outcome.when - store.clock.now() == timedelta(hours=1)
