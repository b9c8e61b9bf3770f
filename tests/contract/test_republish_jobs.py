"""The store contract: republish jobs ask for each delivery that they select once (R24)."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from heliograph.delivery import jobs, ramp
from heliograph.errors import TooManyRepublishJobs
from heliograph.model.causes import Cause
from heliograph.model.deliveries import (
    Claim,
    Delivered,
    GaveUp,
    Interrupted,
    Phase,
    RetryAt,
    Why,
)
from heliograph.model.logs import Cursor, LogQuery
from heliograph.model.republishing import (
    Care,
    JobState,
    NewRepublishJob,
    RepublishJob,
    Source,
)
from heliograph.store import Store
from heliograph.store.times import to_microseconds
from heliograph.store.verbs.republishing import selection_of, selection_text
from tests.conftest import OpenStore
from tests.contract.tables import rows_of
from tests.contract.traffic import Traffic
from tests.support import (
    ACCOUNT,
    OTHER_ACCOUNT,
    START,
    WHY,
    ManualClock,
    claim_all,
    deliver,
    new_event,
    wanted_configuration,
)

NEWEST = Cursor(2**62, 2**62)


def wanted(
    source: Source = Source.FAILURES, query: LogQuery | None = None, **care: int
) -> NewRepublishJob:
    return NewRepublishJob(source, query or LogQuery(), "ada", Care(**care))


async def fail(traffic: Traffic, count: int, first: int = 0) -> list[Claim]:
    """Publish so many events, each of an envelope of its own, to listeners that take none."""
    await traffic.accept(*(new_event(envelope_id=f"env-{first + n}") for n in range(count)))
    claims = await traffic.claim_all()
    await traffic.give_up(claims)
    return claims


async def known(store: Store, job: RepublishJob) -> RepublishJob:
    found = await store.republishing.job(job.account_id, job.job_id)
    assert found is not None
    return found


async def ask(store: Store, job: RepublishJob, most: int) -> RepublishJob:
    assert await store.republishing.ask(job, most, job.paced_at)
    return await known(store, job)


def counts(job: RepublishJob) -> tuple[int, ...]:
    """Asked, delivered, failed, pending, passed over, gone."""
    return (job.asked, job.delivered, job.failed, job.pending, job.passed_over, job.gone)


async def test_r24_of_many_who_run_a_job_one_makes_each_step_and_each_failure_is_asked_for_once(
    store: Store, traffic: Traffic
) -> None:
    await traffic.configure()
    failed = await fail(traffic, 23)
    job = await store.republishing.start(ACCOUNT, wanted())
    assert (job.total, job.state, job.who) == (23, JobState.RUNNING, "ada")
    seen: Counter[int] = Counter()
    while not job.walked:
        # Five that believe to run it, of whom some have read what is old.
        old = replace(job, step=max(0, job.step - 1))
        done = await asyncio.gather(
            *(store.republishing.ask(one, 4, job.paced_at) for one in (job, job, old, job, job))
        )
        # An old step is the first one's own where there was none before.
        assert sum(done) == 1
        claims = await claim_all(store)
        seen.update(claim.delivery_id for claim in claims)
        assert {claim.job_id for claim in claims} <= {job.job_id}
        await deliver(store, claims)
        job = await known(store, job)
    assert seen == Counter(claim.delivery_id for claim in failed)
    assert counts(job) == (23, 23, 0, 0, 0, 0)
    assert (await store.failures(ACCOUNT, LogQuery(), 1)).entries == ()


async def test_r24_a_job_goes_on_where_it_was_when_its_node_ends(
    store: Store, traffic: Traffic, open_store: OpenStore
) -> None:
    await traffic.configure()
    failed = await fail(traffic, 9)
    job = await ask(store, await store.republishing.start(ACCOUNT, wanted()), 4)
    before = await claim_all(store)
    assert len(before) == 4
    await deliver(store, before[:2])
    await store.close()
    again = await open_store()
    job = await known(again, job)
    assert (job.asked, job.delivered, job.pending, job.left) == (4, 2, 2, 5)
    job = await ask(again, job, 100)
    claims = await claim_all(again)
    # What was in flight goes out once more, as it does without a job; it is not asked for anew.
    taken = [claim.delivery_id for claim in (*before[:2], *claims)]
    assert sorted(taken) == sorted(claim.delivery_id for claim in failed)
    await deliver(again, claims)
    assert counts(await known(again, job)) == (9, 9, 0, 0, 0, 0)


async def test_r24_a_step_that_does_not_end_leaves_nothing(
    store: Store, traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    await traffic.configure()
    await fail(traffic, 3)
    job = await store.republishing.start(ACCOUNT, wanted())
    paused = await store.republishing.change(
        ACCOUNT, job.job_id, lambda job: replace(job, state=JobState.PAUSED, why="Paused by bob.")
    )
    assert paused is not None
    assert (paused.state, paused.why) == (JobState.PAUSED, "Paused by bob.")
    assert not await store.republishing.ask(job, 10, job.paced_at)
    assert not await store.republishing.ask(paused, 10, job.paced_at)
    assert await claim_all(store) == []
    assert await store.republishing.running() == []
    assert counts(await known(store, job)) == (0,) * 6


async def test_r24_what_was_delivered_is_asked_for_once_also_where_it_is_delivered_again(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await traffic.configure()
    await traffic.accept(*(new_event(envelope_id=f"env-{n}") for n in range(7)))
    first = await claim_all(store)
    await deliver(store, first)
    clock.move(1)
    job = await store.republishing.start(ACCOUNT, wanted(Source.DELIVERED))
    # What is delivered later is not meant.
    await traffic.publish(envelope_id="env-later")
    later = await claim_all(store)
    clock.move(1)
    for claim in later:
        await traffic.settle(claim, Delivered(), clock.now())
    seen: Counter[int] = Counter()
    while not job.walked:
        job = await ask(store, job, 2)
        claims = await claim_all(store)
        assert {claim.resent_by for claim in claims} <= {"ada"}
        seen.update(claim.delivery_id for claim in claims)
        for claim in claims:
            await traffic.settle(claim, Delivered(), clock.now())
    assert seen == Counter(claim.delivery_id for claim in first)
    job = await known(store, job)
    assert (job.total, *counts(job)) == (7, 7, 7, 0, 0, 0, 0)


async def test_r24_a_job_is_about_the_failures_that_were_there_when_it_began(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await traffic.configure()
    first = await fail(traffic, 4)
    clock.move(1)
    job = await store.republishing.start(ACCOUNT, wanted())
    clock.move(1)
    await fail(traffic, 2, first=10)
    # One is deleted, and one republished by hand fails anew: it is a failure of before still.
    await store.delete_failure(ACCOUNT, first[0].delivery_id, "bob")
    await store.requeue_envelopes(ACCOUNT, [first[1].event.envelope_id])
    await traffic.give_up(await claim_all(store))
    # And one is delivered and then fails, as it is sent again: that failure is a new one.
    await store.requeue_envelopes(ACCOUNT, [first[2].event.envelope_id])
    await deliver(store, await claim_all(store))
    await store.resend_envelopes(ACCOUNT, [first[2].event.envelope_id], "bob")
    await traffic.give_up(await claim_all(store))
    job = await ask(store, job, 100)
    asked = await claim_all(store)
    assert sorted(claim.delivery_id for claim in asked) == sorted(
        claim.delivery_id for claim in (first[1], first[3])
    )
    await deliver(store, asked)
    job = await known(store, job)
    assert (job.total, *counts(job)) == (4, 2, 2, 0, 0, 0, 2)


async def test_an_outcome_is_the_next_attempts_and_later_ones_are_not_the_jobs(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await traffic.configure()
    await fail(traffic, 5)
    job = await ask(store, await store.republishing.start(ACCOUNT, wanted()), 10)
    one, two, three, four, five = await claim_all(store)
    await traffic.settle(one, Delivered(), clock.now())
    await traffic.retry(two, 60, clock.now())
    # A fault of ours, or a stop, is none: it is tried again.
    await traffic.settle(three, RetryAt(clock.now(), WHY, counts=False), clock.now())
    await traffic.settle(four, Interrupted(WHY), clock.now())
    await store.delete_failure(ACCOUNT, five.delivery_id, "bob")
    assert counts(await known(store, job)) == (5, 1, 1, 2, 0, 1)
    again = await claim_all(store)
    assert sorted(one.delivery_id for one in again) == [three.delivery_id, four.delivery_id]
    await traffic.give_up(again)
    assert counts(await known(store, job)) == (5, 1, 3, 0, 0, 1)
    clock.move(61)
    (later,) = await claim_all(store)
    assert (later.delivery_id, later.job_id) == (two.delivery_id, None)
    await deliver(store, [later])
    # What somebody asks for by hand is not the job's either.
    await store.requeue_envelopes(ACCOUNT, [three.event.envelope_id])
    await store.resend_envelopes(ACCOUNT, [one.event.envelope_id], "bob")
    by_hand = await claim_all(store)
    assert [claim.job_id for claim in by_hand] == [None, None]
    await deliver(store, by_hand)
    assert counts(await known(store, job)) == (5, 1, 3, 0, 0, 1)


async def test_what_waits_for_its_next_try_is_tried_now_and_what_cannot_be_asked_for_is_told(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    crm, erp = await traffic.configure(name="crm"), await traffic.configure(name="erp")
    await traffic.publish(envelope_id="env-1")
    await traffic.publish(envelope_id="env-2")
    for claim in await claim_all(store):
        await traffic.retry(claim, 3600, clock.now())
    clock.move(3600)
    (flies, *_) = await claim_all(store, room=1)  # of crm, the first
    await store.update_configuration(
        wanted_configuration(connect_id=erp.connect_id, name="erp", pausePublish="true")
    )
    job = await ask(store, await store.republishing.start(ACCOUNT, wanted()), 10)
    (now,) = await claim_all(store)
    assert now.configuration.connect_id == crm.connect_id
    assert now.delivery_id != flies.delivery_id
    assert counts(job) == (1, 0, 0, 1, 3, 0)
    # Of a configuration that holds what it gets, a failure waits with it, and has no outcome yet.
    await traffic.give_up([now, flies])
    await store.update_configuration(
        wanted_configuration(connect_id=crm.connect_id, name="crm", pausePublish="true")
    )
    job = await ask(
        store, await store.republishing.start(ACCOUNT, wanted(query=LogQuery(connect_id=1))), 10
    )
    assert (job.asked, job.pending, job.outstanding) == (2, 2, 0)
    await store.delete_configuration(ACCOUNT, crm.connect_id)
    assert counts(await known(store, job)) == (2, 0, 0, 0, 0, 2)


async def test_a_job_keeps_every_filter(store: Store, traffic: Traffic, clock: ManualClock) -> None:
    queries = [
        LogQuery(from_date=START),
        LogQuery(to_date=START + timedelta(microseconds=1)),
        LogQuery(connect_id=7),
        LogQuery(envelope_id="env-\N{SNOWMAN}"),
        LogQuery(status="Completed"),
        LogQuery(error="500 \N{SNOWMAN} \" '"),
        LogQuery(phase="tls"),
        LogQuery(cause=Cause("tls", "certificate expired")),
    ]
    fields = {name for query in queries for name in LogQuery.__dataclass_fields__}
    given = {
        name
        for query in queries
        for name in fields
        if getattr(query, name) != getattr(LogQuery(), name)
    }
    assert given == fields - {"order"}  # who adds a filter lets jobs keep it
    for query in [*queries, LogQuery()]:
        assert selection_of(selection_text(query)) == query
        job = await store.republishing.start(ACCOUNT, wanted(query=query))
        assert job.query == query
    # Each narrows.
    await traffic.configure(name="crm")
    await traffic.configure(name="erp")
    failed = await fail(traffic, 3)
    job = await store.republishing.start(
        ACCOUNT, wanted(query=LogQuery(connect_id=2, envelope_id="env-1", error="500 INTERNAL"))
    )
    assert (len(failed), job.total) == (6, 1)
    job = await ask(store, job, 10)
    (claim,) = await claim_all(store)
    assert (claim.configuration.connect_id, claim.event.envelope_id) == (2, "env-1")


async def test_the_newest_jobs_are_listed_first_a_page_at_a_time(
    store: Store, traffic: Traffic
) -> None:
    made = [(await store.republishing.start(ACCOUNT, wanted())).job_id for _ in range(3)]
    await store.republishing.start(OTHER_ACCOUNT, wanted())
    page = await store.republishing.jobs(ACCOUNT, 2, NEWEST)
    assert [job.job_id for job in page] == [made[2], made[1]]
    rest = await store.republishing.jobs(
        ACCOUNT, 2, Cursor(to_microseconds(START), page[-1].job_id)
    )
    assert [job.job_id for job in rest] == [made[0]]


async def test_an_account_has_so_many_jobs_that_have_not_ended(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heliograph.store.verbs.republishing.MOST_OPEN", 2)
    first = await store.republishing.start(ACCOUNT, wanted())
    await store.republishing.start(ACCOUNT, wanted())
    with pytest.raises(TooManyRepublishJobs):
        await store.republishing.start(ACCOUNT, wanted())
    await store.republishing.start(OTHER_ACCOUNT, wanted())
    await store.republishing.rule(
        replace(first, state=JobState.CANCELLED, ended_at=first.created_at)
    )
    await store.republishing.start(ACCOUNT, wanted())


async def test_s8_a_job_is_its_accounts_alone(store: Store, traffic: Traffic) -> None:
    await traffic.configure()
    await fail(traffic, 2)
    job = await store.republishing.start(ACCOUNT, wanted())
    assert await store.republishing.job(OTHER_ACCOUNT, job.job_id) is None
    assert await store.republishing.jobs(OTHER_ACCOUNT, 10, NEWEST) == []
    assert await store.republishing.change(OTHER_ACCOUNT, job.job_id, lambda job: job) is None
    other = await store.republishing.start(OTHER_ACCOUNT, wanted())
    other = await ask(store, other, 10)
    assert (other.total, other.asked, other.walked) == (0, 0, True)
    assert await claim_all(store) == []


async def test_a_runner_keeps_its_job_until_its_lease_has_run_out(
    store: Store, clock: ManualClock
) -> None:
    job = await store.republishing.start(ACCOUNT, wanted())
    until = clock.now() + timedelta(seconds=jobs.LEASE)
    assert await store.republishing.take(job, "a", until)
    assert not await store.republishing.take(job, "b", until)
    assert await store.republishing.take(job, "a", until)
    clock.move(jobs.LEASE + 1)
    assert await store.republishing.take(job, "b", clock.now() + timedelta(seconds=jobs.LEASE))
    assert not await store.republishing.take(job, "a", until)
    await store.republishing.let_go("b")
    assert await store.republishing.take(job, "a", until)


async def test_r24_a_whole_job_runs_with_its_canary_and_two_runners(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await traffic.configure()
    failed = await fail(traffic, 30)
    job = await store.republishing.start(ACCOUNT, wanted(canary=3, rate=10))
    seen: list[int] = []
    at_once: list[int] = []
    for _ in range(60):
        for runner in ("a", "b"):
            await jobs.run_job(store, clock, await known(store, job), runner)
        claims = await claim_all(store)
        at_once.append(len(claims))
        seen += [claim.delivery_id for claim in claims]
        await deliver(store, claims)
        job = await known(store, job)
        if job.state is not JobState.RUNNING:
            break
        clock.move(jobs.LOOK)
    assert sorted(seen) == sorted(claim.delivery_id for claim in failed)
    assert (job.state, job.ended_at, job.canary_passed) == (JobState.FINISHED, clock.now(), True)
    assert counts(job) == (30, 30, 0, 0, 0, 0)
    assert max(at_once) <= 3  # ten a second, at four looks a second


async def test_a_job_stops_itself_when_errors_return_and_goes_on_when_it_is_let(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await traffic.configure()
    await fail(traffic, 60)
    job = await store.republishing.start(ACCOUNT, wanted(rate=20))
    while job.state is JobState.RUNNING:
        clock.move(1)
        await jobs.run_job(store, clock, job, "a")
        claims = await claim_all(store)
        for claim in claims:
            await traffic.settle(claim, GaveUp(WHY), clock.now())
        job = await known(store, job)
    assert job.state is JobState.STOPPED
    assert job.why == f"{job.failed} of the last {job.failed} deliveries failed."
    assert ramp.FEWEST <= job.failed <= 40
    assert job.left > 0


async def test_r14_ended_jobs_are_deleted_with_their_age_and_others_are_kept(
    store: Store, clock: ManualClock
) -> None:
    ended, kept = [await store.republishing.start(ACCOUNT, wanted()) for _ in range(2)]
    assert await store.republishing.rule(
        replace(ended, state=JobState.FINISHED, ended_at=clock.now())
    )
    await store.retire(clock.now())
    assert await rows_of(store, "republish_job") == [2]
    clock.move(1)
    await store.retire(clock.now())
    assert [job.job_id for job in await store.republishing.jobs(ACCOUNT, 9, NEWEST)] == [
        kept.job_id
    ]


async def test_what_a_listener_may_have_taken_is_counted(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await traffic.configure()
    phases = [Phase.CONNECT, Phase.WRITE, Phase.HEADERS, Phase.BODY, Phase.STATUS]
    for number, phase in enumerate(phases):
        await traffic.publish(envelope_id=f"env-{number}")
        (claim,) = await claim_all(store)
        await traffic.settle(claim, GaveUp(Why(phase, "it broke")), clock.now())
    uncertain = store.republishing.uncertain
    assert await uncertain(ACCOUNT, LogQuery(), Source.FAILURES) == 3
    assert await uncertain(ACCOUNT, LogQuery(envelope_id="env-1"), Source.FAILURES) == 1
    assert await uncertain(ACCOUNT, LogQuery(), Source.DELIVERED) == 0
    await store.requeue_envelopes(ACCOUNT, ["env-0"])
    await deliver(store, await claim_all(store))
    assert await uncertain(ACCOUNT, LogQuery(), Source.DELIVERED) == 1
    assert await uncertain(OTHER_ACCOUNT, LogQuery(), Source.FAILURES) == 0
