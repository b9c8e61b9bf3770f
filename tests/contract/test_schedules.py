"""R9: 15 days of retries on an injected clock, with restarts and pauses in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from heliograph.delivery.attempt import attempt
from heliograph.delivery.retry import STANDARD
from heliograph.model.accounts import Account
from heliograph.model.configurations import Ordering, ScheduleName
from heliograph.model.deliveries import Answer, DeliveryState, Fault, Phase
from heliograph.model.logs import LogEntry, LogQuery
from heliograph.store import Store
from tests.conftest import OpenStore
from tests.support import ACCOUNT, START, ManualClock, accept, new_event, wanted_configuration

DAY = 86_400.0
BUSY = Answer(503, "Busy", (), b"")
NO_DNS = Fault(Phase.DNS, "no DNS server answered", ours=True)

DOCUSIGN = [15.0 * 2**place for place in range(13)]
"""Delays below a day; then one each day until the seventh has passed."""


class Silence:
    """A listener that answers what it is told to, and remembers when it was asked."""

    def __init__(self, clock: ManualClock, answers: Callable[[int], Answer | Fault]) -> None:
        self.times: list[float] = []
        self._clock, self._answers = clock, answers

    async def post(self, *_: object, last: bool) -> Answer | Fault:
        self.times.append((self._clock.now() - START).total_seconds())
        return self._answers(len(self.times))

    def delays(self) -> list[float]:
        return [later - earlier for earlier, later in zip(self.times, self.times[1:], strict=False)]


async def opened(open_store: OpenStore, **fields: Any) -> tuple[Store, int]:
    store = await open_store()
    await store.create_account(Account(ACCOUNT, 1, "First"))
    made = await store.create_configuration(wanted_configuration(**fields))
    return store, made.connect_id


async def through(
    store: Store, clock: ManualClock, listener: Silence, until: float = 16 * DAY
) -> None:
    """Attempt whatever is due, and go from due time to due time."""
    end = START + timedelta(seconds=until)
    while clock.now() < end:
        found = await store.claim(10, 10)
        for claim in found.claims:
            done = await attempt(claim, listener, store.clock, ScheduleName.STANDARD)
            await store.settle([done])
        if found.claims:
            continue
        next_due = min(found.next_due or end, end)
        clock.move(max((next_due - clock.now()).total_seconds(), 0.0))


async def failure(store: Store) -> LogEntry:
    (entry,) = (await store.failures(ACCOUNT, LogQuery(), 10)).entries
    return entry


def always_busy(_: int) -> Answer | Fault:
    return BUSY


CASES: Sequence[tuple[dict[str, Any], list[float]]] = [
    # 15 s doubling to a day: the 13th delay is 61,440 s, the 14th would be above a day.
    ({"retrySchedule": ["docusign"]}, [*DOCUSIGN, *[DAY] * 5]),
    ({"retrySchedule": ["docusign"], "deliveryMode": "aggregate"}, [DAY] * 9),
    ({"retrySchedule": "30,60,3600"}, [30.0, 60.0, 3600.0]),
    ({"retrySchedule": ["5.5"]}, [5.5]),
    ({"requiresAcknowledgement": "false"}, []),
]


@pytest.mark.parametrize(("fields", "delays"), CASES)
async def test_r9_a_schedule_without_jitter_is_kept_to_the_microsecond(
    fields: dict[str, Any], delays: list[float], open_store: OpenStore, clock: ManualClock
) -> None:
    store, _ = await opened(open_store, **fields)
    await accept(store, new_event())
    listener = Silence(clock, always_busy)
    await through(store, clock, listener)
    assert listener.delays() == delays
    ended = await failure(store)
    assert ended.state is DeliveryState.FAILED
    assert ended.retry_count == len(delays)
    # It stays listed, and can be republished: the schedule then begins anew.
    (again,) = await store.requeue_envelopes(ACCOUNT, ["env-1"])
    assert again.state is DeliveryState.WAITING
    assert len((await store.claim(10, 10)).claims) == 1


async def test_r9_the_default_takes_15_days_with_jitter_that_only_the_seed_decides(
    open_store: OpenStore, clock: ManualClock
) -> None:
    store, _ = await opened(open_store)
    await accept(store, new_event())
    first = await store.claim(1, 1)
    seed = first.claims[0].seed
    listener = Silence(clock, always_busy)
    await store.settle([await attempt(first.claims[0], listener, clock, ScheduleName.STANDARD)])
    await through(store, clock, listener)

    assert listener.delays() == pytest.approx(
        [STANDARD.delay(number, seed) for number in range(1, len(listener.times))], abs=1e-5
    )
    assert 14 * DAY < listener.times[-1] <= 15 * DAY
    assert (await failure(store)).state is DeliveryState.FAILED


async def test_r9_restarts_in_between_change_no_time(
    open_store: OpenStore, clock: ManualClock
) -> None:
    store, _ = await opened(open_store, retrySchedule=["docusign"])
    await accept(store, new_event())
    listener = Silence(clock, always_busy)
    for day in (0.001, 0.3, 1, 2.5, 4, 16):
        await through(store, clock, listener, day * DAY)
        await store.close()
        store = await open_store()
    assert listener.delays() == [*DOCUSIGN, *[DAY] * 5]
    assert (await failure(store)).state is DeliveryState.FAILED


async def test_r9_a_pause_does_not_reset_the_schedule_and_what_it_held_goes_out_in_order(
    open_store: OpenStore, clock: ManualClock
) -> None:
    store, connect_id = await opened(open_store, retrySchedule="60,600,6000")
    await accept(store, new_event())
    listener = Silence(clock, always_busy)
    await through(store, clock, listener, 100)  # tries at 0 and 60: the next is due at 660

    async def pause(wanted: str) -> None:
        fields = {"retrySchedule": "60,600,6000", "pausePublish": wanted}
        await store.update_configuration(wanted_configuration(connect_id=connect_id, **fields))

    await pause("true")
    await through(store, clock, listener, 300)
    await pause("false")  # before the next try: that comes at its time
    await through(store, clock, listener, 700)
    assert listener.times == [0, 60, 660]
    await pause("true")
    await accept(store, new_event(event_id="later"))
    await through(store, clock, listener, 10_000)  # the try at 6660 falls into the pause
    assert listener.times == [0, 60, 660]
    # What comes in the pause is listed too.
    held = (await store.failures(ACCOUNT, LogQuery(), 10)).entries
    assert [(one.event_id, one.state) for one in held] == [
        ("later", DeliveryState.HELD),
        ("envelope-sent:env-1", DeliveryState.HELD),
    ]
    await pause("false")
    await through(store, clock, listener, 10_001)
    # The fourth try is the schedule's last; only then the envelope's next event goes out.
    assert listener.times == [0, 60, 660, 10_000, 10_000]
    logged = (await store.logs(ACCOUNT, LogQuery(), 10)).entries
    assert logged[0].event_id == "later"


async def test_r9_a_fault_of_our_own_costs_no_attempt_of_the_schedule_and_is_visible(
    open_store: OpenStore, clock: ManualClock
) -> None:
    store, _ = await opened(open_store, retrySchedule="100,1000")
    await accept(store, new_event())
    # Five tries fail by us, then the listener is reached and busy.
    listener = Silence(clock, lambda number: NO_DNS if number <= 5 else BUSY)
    await through(store, clock, listener, 12)
    seen = await failure(store)
    assert seen.error == "dns: no DNS server answered"
    assert seen.state is DeliveryState.WAITING
    await through(store, clock, listener, DAY)

    ours, theirs = listener.delays()[:5], listener.delays()[5:]
    assert all(5 * 2**place <= delay <= 6 * 2**place + 1e-5 for place, delay in enumerate(ours))
    assert theirs == pytest.approx([100, 1000])
    assert (await failure(store)).retry_count == 7


async def test_r9_faults_of_our_own_end_at_the_horizon_too(
    open_store: OpenStore, clock: ManualClock
) -> None:
    store, _ = await opened(open_store, retrySchedule="14400", deliveryOrder="none")
    await accept(store, new_event())
    claims = (await store.claim(1, 1)).claims
    clock.move(15 * DAY)
    done = await attempt(
        claims[0], Silence(clock, lambda _: NO_DNS), store.clock, ScheduleName.STANDARD
    )
    await store.settle([done])
    assert (await failure(store)).state is DeliveryState.FAILED


@pytest.mark.parametrize(
    ("ordering", "first", "rest"),
    [
        (Ordering.ENVELOPE, {"a1", "b1"}, ["a2"]),
        (Ordering.CONFIGURATION, {"a1"}, ["b1", "a2"]),
        (Ordering.NONE, {"a1", "b1", "a2"}, []),
    ],
)
async def test_r6_what_is_kept_in_order_is_the_configurations_choice(
    ordering: Ordering, first: set[str], rest: list[str], open_store: OpenStore
) -> None:
    store, _ = await opened(open_store, deliveryOrder=ordering.value)
    for event_id in ("a1", "b1", "a2"):
        await accept(store, new_event(event_id=event_id, envelope_id=f"env-{event_id[0]}"))
    claims = (await store.claim(10, 10)).claims
    assert {claim.event.event_id for claim in claims} == first
    silence = Silence(ManualClock(), lambda _: Answer(200, "OK", (), b""))
    seen: list[str] = []
    while claims:
        done = [await attempt(one, silence, store.clock, ScheduleName.STANDARD) for one in claims]
        await store.settle(done)
        claims = (await store.claim(10, 10)).claims
        seen += [claim.event.event_id for claim in claims]
    assert seen == rest
