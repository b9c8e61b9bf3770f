"""Days of faults on simulated nodes, and proof that the simulation sees what is planted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from heliograph.delivery import attempt
from heliograph.delivery.dispatcher import Dispatcher
from heliograph.delivery.lease import LeaseKeeper
from heliograph.delivery.retry import judge
from heliograph.errors import StorageUnavailable
from heliograph.model.deliveries import (
    Answer,
    Claim,
    DeliveryState,
    Fault,
    Outcome,
    RetryAt,
    Settlement,
)
from heliograph.model.events import HeldReason
from tests.simulation.__main__ import shown
from tests.simulation.database import Database, Delivery
from tests.simulation.world import simulate

SEEDS: Final = 300
CHUNK: Final = 30

_PLANTED_SEEDS: Final = 100
"""Within so many seeds a planted defect must show."""

_CORPUS: Final = [
    (int(seed), int(days))
    for seed, days in (
        line.split()
        for line in Path(__file__).with_name("corpus.txt").read_text(encoding="ascii").splitlines()
        if line and not line.startswith("#")
    )
]


def _run(seeds: Sequence[int], days: int = 1) -> None:
    failed = [result for seed in seeds if (result := simulate(seed, days)).violation]
    if failed:
        pytest.fail("\n".join(shown(result, days) for result in failed), pytrace=False)


# pytest runs a module's tests in order: what failed once comes first.
@pytest.mark.parametrize(("seed", "days"), _CORPUS)
def test_r3_r4_r6_r8_a_seed_that_once_failed_holds(seed: int, days: int) -> None:
    _run([seed], days)


@pytest.mark.parametrize("first", range(1, SEEDS + 1, CHUNK))
def test_r3_r4_r5_r6_r8_r9_r15_r17_every_promise_holds_through_simulated_days_of_faults(
    first: int,
) -> None:
    _run(range(first, first + CHUNK))


def test_r3_r4_r6_r8_r9_every_promise_holds_through_fifteen_simulated_days() -> None:
    _run(range(1, 6), days=15)


@pytest.mark.parametrize("seed", [3, 4, 12])
def test_a_seed_gives_the_same_run_each_time(seed: int) -> None:
    lines: list[list[str]] = [[], []]
    first, second = (simulate(seed, show=each.append) for each in lines)
    assert lines[0] == lines[1]
    assert first == second
    assert first.trace != simulate(seed + 100).trace


# ------------------------------------------------------------------------ planted defects


def _assert_caught(words: str) -> None:
    """A seed shows it by a violation with these words; a defect may show by others before."""
    seen = []
    for seed in range(1, _PLANTED_SEEDS + 1):
        violation = simulate(seed).violation
        if violation is not None:
            seen.append(f"seed {seed}: {violation}")
            if words in seen[-1]:
                return
    pytest.fail(f"not seen within {_PLANTED_SEEDS} seeds: {words}; but {seen}")


def test_the_simulation_sees_a_settle_without_its_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_ours(self: Database, claim: Claim) -> bool:
        return self.deliveries[claim.delivery_id].state is DeliveryState.IN_FLIGHT

    monkeypatch.setattr(Database, "is_ours", is_ours)
    _assert_caught("not the newest")


def test_the_simulation_sees_work_taken_from_a_node_that_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def dead(self: Database, now: int) -> list[int]:
        # Some six seconds after its last renewal: the next one is a moment late, and it is lost.
        early = self.beat(now) + 24_500_000
        return [e for e, node in self.nodes.items() if node.stopped or node.lease_until < early]

    monkeypatch.setattr(Database, "dead", dead)
    _assert_caught("is sent by")


def test_the_simulation_sees_a_node_that_goes_on_without_a_lease(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(_self: LeaseKeeper, stop: asyncio.Event) -> None:
        await stop.wait()

    monkeypatch.setattr(LeaseKeeper, "_watch", never)
    _assert_caught("is sent by")


def test_the_simulation_sees_a_claim_that_ignores_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_due(_self: Database, delivery: Delivery, now: int) -> bool:
        if delivery.held is HeldReason.ORDER:
            delivery.move(DeliveryState.WAITING)
        return delivery.state is DeliveryState.WAITING and delivery.due <= now

    monkeypatch.setattr(Database, "is_due", is_due)
    _assert_caught("before")


def test_the_simulation_sees_a_settle_that_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def settle(self: Dispatcher, batch: list[Settlement]) -> None:
        try:
            await self._store.settle(batch)
        except StorageUnavailable:
            return

    monkeypatch.setattr(Dispatcher, "_settle", settle)
    _assert_caught("still in_flight")


def _judging(change: Callable[[RetryAt], RetryAt]) -> Callable[..., Outcome]:
    def changed(answer: Answer | Fault, **values: object) -> Outcome:
        outcome = judge(answer, **values)  # type: ignore[arg-type]
        return change(outcome) if isinstance(outcome, RetryAt) else outcome

    return changed


def test_the_simulation_sees_a_retry_before_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sooner = _judging(lambda one: RetryAt(one.when - timedelta(seconds=2), one.why))
    monkeypatch.setattr(attempt, "judge", sooner)
    _assert_caught("too early")


def test_the_simulation_sees_a_retry_after_that_nobody_heeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("heliograph.delivery.retry.retry_after", lambda *_: None)
    _assert_caught("too early")


def test_the_simulation_sees_a_wake_up_that_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = Dispatcher._claim

    async def clearing(self: Dispatcher, now: float) -> object:
        found = await claim(self, now)
        self._signals.work.clear()
        return found

    monkeypatch.setattr(Dispatcher, "_claim", clearing)
    _assert_caught("nobody claims it")


def test_the_simulation_sees_a_dispatcher_that_never_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dispatcher, "_until", lambda *_: 0.0)
    _assert_caught("claimed")


def test_the_simulation_sees_a_stop_that_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drain(_self: Dispatcher, _grace: float, _settling: object) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(Dispatcher, "_drain", drain)
    _assert_caught("R15")


def test_the_simulation_sees_a_take_over_that_is_never_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(*_: object) -> None:
        return

    monkeypatch.setattr("tests.simulation.world.take_over", never)
    _assert_caught("still in_flight")
