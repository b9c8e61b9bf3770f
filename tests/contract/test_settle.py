"""The store contract: claiming, settling, recovering."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from heliograph.model.deliveries import (
    LEGAL_MOVES,
    AttemptOutcome,
    Claim,
    Delivered,
    DeliveryState,
    GaveUp,
    Interrupted,
    Phase,
    Why,
)
from heliograph.model.logs import LogEntry, LogQuery
from heliograph.store import Orphan, Store
from tests.conftest import OpenStore
from tests.contract.traffic import Traffic
from tests.support import (
    ACCOUNT,
    OTHER_ACCOUNT,
    START,
    WHY,
    ManualClock,
    new_event,
    retry_in,
    settled,
    wanted_configuration,
)


@pytest.fixture
async def one_waiting(store: Store, traffic: Traffic) -> Store:
    await traffic.configure()
    await traffic.publish()
    return store


async def failures(store: Store) -> list[LogEntry]:
    return list((await store.failures(ACCOUNT, LogQuery(), 100)).entries)


async def test_a_delivery_is_claimed_once(one_waiting: Store, traffic: Traffic) -> None:
    assert len(await traffic.claim_all()) == 1
    assert await traffic.claim_all() == []


async def test_r4_a_failure_opens_at_the_first_failed_attempt_and_closes_on_success(
    one_waiting: Store, traffic: Traffic, clock: ManualClock
) -> None:
    store = one_waiting
    (claim,) = await traffic.claim_all()
    assert await failures(store) == []

    await traffic.retry(claim, 5)
    (open_failure,) = await failures(store)
    assert (open_failure.retry_count, open_failure.error) == (0, str(WHY))
    assert open_failure.next_try == retry_in(5).when

    clock.move(5)
    (second,) = await traffic.claim_all()
    assert second.number == 2
    await traffic.retry(second, 10, clock.now())
    (updated,) = await failures(store)
    assert (updated.retry_count, updated.last_try) == (1, clock.now())
    assert updated.failure_id == open_failure.failure_id

    clock.move(10)
    await traffic.deliver(await traffic.claim_all())
    assert await failures(store) == []


async def test_r4_a_failure_stays_listed_when_retries_end(
    one_waiting: Store, traffic: Traffic
) -> None:
    await traffic.give_up(await traffic.claim_all())

    (failure,) = await failures(one_waiting)
    assert (failure.state, failure.next_try) == (DeliveryState.FAILED, None)
    assert await traffic.claim_all() == []


async def test_r5_each_attempt_is_kept_with_its_answer(
    one_waiting: Store, traffic: Traffic
) -> None:
    (claim,) = await traffic.claim_all()
    await traffic.retry(claim, 0)
    (claim,) = await traffic.claim_all()
    await traffic.deliver([claim])

    newest, oldest = (await one_waiting.logs(ACCOUNT, LogQuery(), 10)).entries
    assert (newest.retry_count, newest.error) == (1, None)
    assert (oldest.retry_count, oldest.error) == (0, str(WHY))
    assert oldest.log_id is not None
    detail = await one_waiting.log(ACCOUNT, oldest.log_id)
    assert detail is not None
    assert detail.answer is not None
    assert (detail.answer.status, detail.answer.body) == (500, b"broken")
    assert (detail.why, detail.outcome, detail.seconds) == (WHY, AttemptOutcome.FAILED, 0.25)


async def test_r8_a_settle_of_a_delivery_that_is_no_longer_ours_changes_nothing(
    one_waiting: Store, traffic: Traffic
) -> None:
    (claim,) = await traffic.claim_all()
    assert await traffic.retry(claim, 0)
    (second,) = await traffic.claim_all()

    assert not await traffic.settle(claim, Delivered())
    assert await traffic.settle(second, GaveUp(WHY))
    assert len(await failures(one_waiting)) == 1


async def test_a_failure_deleted_while_its_delivery_is_in_flight_stays_deleted(
    one_waiting: Store, traffic: Traffic
) -> None:
    (claim,) = await traffic.claim_all()
    await traffic.retry(claim, 0)
    (failure,) = await failures(one_waiting)
    (second,) = await traffic.claim_all()
    assert failure.failure_id is not None

    assert await one_waiting.delete_failure(ACCOUNT, failure.failure_id, "alice")
    assert not await traffic.retry(second, 0)
    assert await failures(one_waiting) == []
    assert await traffic.claim_all() == []


async def test_r3_what_a_crash_left_in_flight_is_sent_again_with_a_higher_retry_count(
    open_store: OpenStore, one_waiting: Store, traffic: Traffic
) -> None:
    store = one_waiting
    (claim,) = await traffic.claim_all()
    await store.close()  # the claim was never settled: as after kill -9

    again = Traffic(await open_store())
    (retried,) = await again.claim_all()
    assert retried.delivery_id == claim.delivery_id
    assert (retried.number, retried.epoch) == (2, claim.epoch + 1)
    await again.deliver([retried])
    newest, oldest = (await again.store.logs(ACCOUNT, LogQuery(), 10)).entries
    assert (newest.retry_count, newest.error) == (1, None)
    assert (oldest.retry_count, oldest.error) == (
        0,
        "the process ended before the outcome was known",
    )


async def test_r5_what_a_crash_left_unknown_is_logged_where_the_configuration_asks_for_it(
    open_store: OpenStore, traffic: Traffic
) -> None:
    await traffic.configure(enableLog="false")
    logging = await traffic.configure()
    await traffic.publish()
    await traffic.claim_all()
    await traffic.store.close()

    again = Traffic(await open_store())
    retried = await again.claim_all()
    (entry,) = (await again.store.logs(ACCOUNT, LogQuery(), 10)).entries
    assert (len(retried), entry.connect_id) == (2, logging.connect_id)
    await again.deliver(retried)


@pytest.mark.parametrize("paused", ["true", "false"])
@pytest.mark.parametrize("publishing", ["true", "false"])
async def test_r4_what_a_crash_left_in_flight_is_held_as_its_configuration_says(
    open_store: OpenStore, one_waiting: Store, traffic: Traffic, publishing: str, paused: str
) -> None:
    store = one_waiting
    (first,) = await traffic.claim_all()
    await traffic.retry(first, 0)
    (claim,) = await traffic.claim_all()
    changed = wanted_configuration(
        connect_id=claim.configuration.connect_id,
        allowEnvelopePublish=publishing,
        pausePublish=paused,
    )
    await store.update_configuration(changed)
    await store.close()

    again = await open_store()
    (failure,) = await failures(again)
    assert failure.held == changed.held
    assert (failure.state is DeliveryState.HELD) == (changed.held is not None)


async def test_r8_a_settle_of_what_was_taken_over_changes_no_row(
    open_store: OpenStore, one_waiting: Store, traffic: Traffic
) -> None:
    (claim,) = await traffic.claim_all()
    await one_waiting.close()

    again = Traffic(await open_store())
    (retried,) = await again.claim_all()
    before = (await again.store.logs(ACCOUNT, LogQuery(), 10)).entries
    assert not await again.settle(claim, Delivered())
    assert (await again.store.logs(ACCOUNT, LogQuery(), 10)).entries == before
    assert await again.deliver([retried]) == [True]


async def test_r8_two_settles_of_one_delivery_in_one_batch_are_told_apart_by_their_claims(
    open_store: OpenStore, one_waiting: Store, traffic: Traffic
) -> None:
    (claim,) = await traffic.claim_all()
    await traffic.publish()  # the next one of its lane
    await one_waiting.close()

    again = Traffic(await open_store())
    (retried,) = await again.claim_all()
    batch = [settled(claim, GaveUp(WHY)), settled(retried, retry_in(3600))]
    assert list(await again.store.settle(batch)) == [False, True]
    (failure,) = (await again.store.failures(ACCOUNT, LogQuery(), 10)).entries
    assert failure.state is DeliveryState.WAITING
    assert await again.claim_all() == []  # nothing has let the next one go
    newest, oldest = (await again.store.logs(ACCOUNT, LogQuery(), 10)).entries
    assert (oldest.retry_count, newest.retry_count) == (0, 1)


async def test_r5_an_attempt_whose_failure_was_deleted_meanwhile_is_closed_with_its_outcome(
    one_waiting: Store, traffic: Traffic
) -> None:
    (claim,) = await traffic.claim_all()
    await traffic.retry(claim, 0)
    (second,) = await traffic.claim_all()
    assert await one_waiting.delete_failure(ACCOUNT, claim.delivery_id, "alice")
    assert not await traffic.settle(second, Delivered())
    newest, _ = (await one_waiting.logs(ACCOUNT, LogQuery(), 10)).entries
    assert (newest.retry_count, newest.error, newest.state) == (1, None, DeliveryState.CANCELLED)


async def test_r5_an_attempt_whose_failure_was_deleted_is_closed_after_a_crash_too(
    open_store: OpenStore, one_waiting: Store, traffic: Traffic
) -> None:
    (claim,) = await traffic.claim_all()
    await traffic.retry(claim, 0)
    await traffic.claim_all()
    assert await one_waiting.delete_failure(ACCOUNT, claim.delivery_id, "alice")
    await one_waiting.close()

    again = await open_store()
    newest, _ = (await again.logs(ACCOUNT, LogQuery(), 10)).entries
    assert newest.log_id is not None
    detail = await again.log(ACCOUNT, newest.log_id)
    assert detail is not None
    assert detail.outcome is AttemptOutcome.UNKNOWN


async def test_r17_a_delivery_that_ends_the_process_each_time_is_parked_after_three_claims(
    open_store: OpenStore, one_waiting: Store
) -> None:
    store = one_waiting
    for _ in range(3):
        assert len(await Traffic(store).claim_all()) == 1
        await store.close()
        store = await open_store()
    assert await Traffic(store).claim_all() == []
    (failure,) = await failures(store)
    assert failure.state is DeliveryState.FAILED
    assert failure.error is not None
    assert "ended 3 times" in failure.error


async def test_r15_an_interrupted_attempt_is_due_again_and_its_outcome_unknown(
    one_waiting: Store, traffic: Traffic
) -> None:
    (claim,) = await traffic.claim_all()
    stopped = Interrupted(Why(Phase.HEADERS, "stopped"))
    await traffic.settle(claim, stopped)

    assert await failures(one_waiting) == []
    (again,) = await traffic.claim_all()
    assert again.number == 2
    await traffic.deliver([again])


async def test_claims_of_one_configuration_are_capped_and_configurations_take_turns(
    store: Store, traffic: Traffic
) -> None:
    for name in ("a", "b", "c"):
        await traffic.configure(name=name)
    await traffic.accept(*(new_event(envelope_id=f"env-{n}") for n in range(20)))

    first = (await store.claim(room=6, per_unlisted=4)).claims
    assert _count(first) == {"a": 2, "b": 2, "c": 2}
    second = (await store.claim(room=100, per_unlisted=4)).claims
    assert _count(second) == {"a": 2, "b": 2, "c": 2}
    assert (await store.claim(room=100, per_unlisted=4)).claims == ()
    await traffic.deliver(first)
    assert _count((await store.claim(room=1, per_unlisted=4)).claims) == {"a": 1}
    assert _count((await store.claim(room=1, per_unlisted=4)).claims) == {"b": 1}


async def test_the_next_due_time_is_told_when_nothing_is_due(
    one_waiting: Store, traffic: Traffic, clock: ManualClock
) -> None:
    (claim,) = await traffic.claim_all()
    await traffic.retry(claim, 30)

    result = await one_waiting.claim(10, 10)
    assert (result.claims, result.next_due) == ((), retry_in(30).when)
    clock.move(30)
    assert len(await traffic.claim_all()) == 1


async def test_a_settle_after_the_configuration_was_paused_holds_the_retry(
    one_waiting: Store, traffic: Traffic
) -> None:
    (claim,) = await traffic.claim_all()
    await one_waiting.update_configuration(
        wanted_configuration(connect_id=claim.configuration.connect_id, pausePublish="true")
    )

    await traffic.retry(claim, 5)
    (failure,) = await failures(one_waiting)
    assert failure.state is DeliveryState.HELD


async def test_a_republish_after_the_end_begins_the_schedule_anew(
    one_waiting: Store, traffic: Traffic, clock: ManualClock
) -> None:
    (claim,) = await traffic.claim_all()
    await traffic.give_up([claim])
    clock.move(3600)

    (requeued,) = await one_waiting.requeue_envelopes(ACCOUNT, ["env-1"])
    assert requeued.state is DeliveryState.WAITING
    (again,) = await traffic.claim_all()
    assert (again.number, again.schedule_number) == (2, 1)
    assert again.schedule_started_at == clock.now() != START


async def test_asking_for_a_retry_makes_a_waiting_failure_due_now_and_keeps_its_schedule(
    one_waiting: Store, traffic: Traffic
) -> None:
    (claim,) = await traffic.claim_all()
    await traffic.retry(claim, 3600)
    assert await traffic.claim_all() == []

    await one_waiting.requeue_envelopes(ACCOUNT, ["env-1"])
    (again,) = await traffic.claim_all()
    assert (again.number, again.schedule_number) == (2, 2)


def _count(claims: Sequence[Claim]) -> dict[str, int]:
    return dict(Counter(claim.configuration.name for claim in claims))


def test_r4_no_state_is_missing_from_the_table_of_legal_moves() -> None:
    assert set(LEGAL_MOVES) == set(DeliveryState)


async def test_the_figures_tell_the_states_and_how_late_the_oldest_delivery_is(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    held = await traffic.configure(name="held", pausePublish="true")
    await traffic.publish(envelope_id="env-0")
    await store.delete_configuration(ACCOUNT, held.connect_id)  # a failure
    await traffic.configure(name="held", pausePublish="true")
    await traffic.publish(envelope_id="env-1")
    await traffic.configure()
    for number in range(2, 5):
        await traffic.publish(envelope_id=f"env-{number}")
    (claim,) = (await store.claim(1, 1)).claims
    before = await store.statistics()
    clock.move(2.5)
    after = await store.statistics()

    assert (before.waiting, before.held, before.in_flight, before.failures) == (2, 4, 1, 1)
    assert (before.orphans, before.nodes, before.failing) == (0, 1, 0)
    assert before.database_bytes > 0
    assert before.oldest_snapshot >= 0
    assert (before.overdue, after.overdue) == (0, 2.5)
    await traffic.deliver([claim])
    while claims := await traffic.claim_all():
        await traffic.deliver(claims)
    assert ((await store.statistics()).waiting, (await store.statistics()).overdue) == (0, 0)


async def test_what_waits_for_its_next_try_can_be_hastened_by_its_account_alone(
    store: Store, traffic: Traffic
) -> None:
    made = await traffic.configure()
    await traffic.publish()
    (claim,) = await traffic.claim_all()
    await traffic.retry(claim, 600)
    assert await store.hasten(OTHER_ACCOUNT, made.connect_id) == 0
    assert await traffic.claim_all() == []
    assert await store.hasten(ACCOUNT, made.connect_id) == 1
    (again,) = await traffic.claim_all()
    assert again.number == 2
    progress = (await store.progress(ACCOUNT, [claim.delivery_id]))[claim.delivery_id]
    assert (progress.state, progress.attempts) == (DeliveryState.IN_FLIGHT, 2)
    assert progress.error is not None
    await traffic.deliver([again])


async def test_r4_a_delivery_whose_end_nothing_explains_is_shown_as_an_orphan(
    store: Store, traffic: Traffic
) -> None:
    await traffic.configure()
    await traffic.publish()
    (claim,) = await traffic.claim_all()
    assert await traffic.deliver([claim]) == [True]
    await _run(store, "update attempt set outcome = 'failed'")
    orphan = Orphan(claim.delivery_id, "delivered without a delivered attempt")
    assert list(await store.orphans()) == [orphan]
    await _run(store, "update attempt set outcome = 'delivered'")  # the fixture looks too


async def _run(store: Store, statement: str) -> None:
    """Do to the fixture's database what no verb does."""
    inner: object = store
    writer = getattr(inner, "_writer", None)
    if writer is not None:
        await writer.write(lambda db: db.execute(statement))
        return
    await inner._database.read(lambda db: db.execute(statement))  # type: ignore[attr-defined]
