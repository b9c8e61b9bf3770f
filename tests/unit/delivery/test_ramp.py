"""How a republish job goes on: its rate and ramp, its canary, and when it stops itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.delivery import ramp
from heliograph.delivery.ramp import Ask, Wait, allowance, decide, errors_return, rate_after
from heliograph.model.logs import Cursor, LogQuery
from heliograph.model.republishing import Care, JobState, RepublishJob, Source
from tests.support import START


def job(care: Care | None = None, **over: Any) -> RepublishJob:
    plain = RepublishJob(
        job_id=1,
        account_id="a",
        source=Source.FAILURES,
        query=LogQuery(),
        who="ada",
        care=care or Care(),
        state=JobState.RUNNING,
        why=None,
        total=10_000,
        asked=0,
        passed_over=0,
        delivered=0,
        failed=0,
        pending=0,
        outstanding=0,
        walked=False,
        canary_passed=False,
        base_asked=0,
        base_delivered=0,
        base_failed=0,
        cursor=Cursor(0, 0),
        step=0,
        runner=None,
        lease_until=START,
        created_at=START,
        began_at=START,
        paced_at=START,
        ended_at=None,
    )
    return replace(plain, **over)


def changed(step: ramp.Next) -> RepublishJob:
    assert isinstance(step, RepublishJob)
    return step


def asks(step: ramp.Next) -> int:
    return step.most if isinstance(step, Ask) else 0


def after(seconds: float) -> Any:
    return START + timedelta(seconds=seconds)


def test_without_a_rate_it_asks_for_as_much_as_may_be_outstanding() -> None:
    assert asks(decide(job(), START)) == ramp.MOST_AT_ONCE
    nearly = job(asked=990, pending=990, outstanding=990)
    assert asks(decide(nearly, START)) == 10
    full = job(asked=1_200, pending=1_200, outstanding=1_000)
    assert decide(full, START) == Wait()


def test_a_rate_rises_from_a_tenth_to_its_full_height() -> None:
    care = Care(rate=100, ramp=60)
    assert [rate_after(care, at) for at in (0, 30, 60, 1e6)] == pytest.approx([10, 55, 100, 100])
    assert rate_after(Care(rate=7), 0) == 7
    assert rate_after(Care(), 5) is None


@given(
    rate=st.integers(1, 150),
    looks=st.lists(st.floats(0.05, 1.0), min_size=20, max_size=200),
)
def test_it_asks_for_its_rate_however_often_it_looks(rate: int, looks: list[float]) -> None:
    one, now, asked = job(Care(rate=rate)), START, 0
    for look in looks:
        now += timedelta(seconds=look)
        most, paced_at = allowance(one, now)
        one = replace(one, paced_at=paced_at)
        asked += most
    whole = rate * (now - START).total_seconds()
    assert whole - 1.01 <= asked <= whole + 0.01


@pytest.mark.parametrize(("rate", "most"), [(5, 6), (1, 2), (100, 101)])
def test_one_that_could_not_ask_for_an_hour_makes_up_for_a_second(rate: int, most: int) -> None:
    assert allowance(job(Care(rate=rate)), after(3600)) == (most, after(3600))


def test_less_than_one_a_second_is_possible_while_it_rises() -> None:
    slow = job(Care(rate=1, ramp=100))
    assert allowance(slow, after(5))[0] == 0
    assert allowance(slow, after(9))[0] == 1


def test_errors_that_return_stop_it_and_few_outcomes_do_not() -> None:
    assert not errors_return(ramp.FEWEST - 1, ramp.FEWEST - 1, 1)
    assert errors_return(10, 5, 50)
    assert not errors_return(11, 5, 50)
    assert errors_return(100, 100, 100)
    assert not errors_return(100, 99, 100)
    assert not errors_return(1_000, 499, 50)
    stopped = changed(decide(job(asked=20, delivered=9, failed=11), after(5)))
    assert stopped.state is JobState.STOPPED
    assert stopped.why == "11 of the last 20 deliveries failed."
    assert stopped.ended_at is None  # a person may let it go on


def test_outcomes_are_judged_a_window_at_a_time() -> None:
    well = job(asked=100, delivered=90, failed=10)
    following = changed(decide(well, START))
    assert (following.base_delivered, following.base_failed) == (90, 10)
    assert asks(decide(following, START)) > 0
    # What went well long ago does not hide what fails now.
    fails = replace(following, asked=112, failed=16, delivered=96)
    assert changed(decide(fails, START)).state is JobState.STOPPED


def test_a_canary_asks_for_so_many_and_waits_for_all_their_outcomes() -> None:
    care = Care(canary=5)
    assert asks(decide(job(care), START)) == 5
    assert asks(decide(job(care, asked=3, outstanding=3, pending=3), START)) == 2
    assert decide(job(care, asked=5, delivered=4, pending=1, outstanding=1), START) == Wait()
    passed = changed(decide(job(care, asked=5, delivered=5), after(9)))
    assert (passed.canary_passed, passed.state) == (True, JobState.RUNNING)
    assert (passed.began_at, passed.paced_at) == (after(9), after(9))  # the ramp begins now
    assert asks(decide(passed, after(9))) > 5


def test_one_failure_stops_the_canary_at_once() -> None:
    care = Care(canary=5)
    failed = changed(decide(job(care, asked=5, failed=1, pending=4, outstanding=4), START))
    assert (failed.state, failed.why) == (JobState.STOPPED, "A delivery of the canary failed.")


def test_a_canary_that_nobody_has_answered_pauses() -> None:
    held = job(Care(canary=5), asked=5, delivered=3, pending=2)
    paused = changed(decide(held, START))
    assert paused.state is JobState.PAUSED
    assert paused.why == "2 of the canary's 5 deliveries are held, or gone."


def test_a_canary_larger_than_the_job_is_all_of_it() -> None:
    last = job(Care(canary=50), asked=5, delivered=4, walked=True, outstanding=1, pending=1)
    assert decide(last, START) == Wait()
    passed = changed(decide(replace(last, delivered=5, outstanding=0, pending=0), START))
    assert passed.canary_passed
    assert changed(decide(passed, START)).state is JobState.FINISHED


def test_it_is_finished_when_all_that_is_not_held_has_an_outcome() -> None:
    last = job(asked=10, delivered=8, pending=2, outstanding=1, walked=True)
    assert decide(last, START) == Wait()
    done = changed(decide(replace(last, pending=1, delivered=9, outstanding=0), after(3)))
    assert (done.state, done.ended_at) == (JobState.FINISHED, after(3))


def test_how_long_it_takes_is_estimated() -> None:
    assert ramp.estimated_seconds(Care(), 10) is None
    assert ramp.estimated_seconds(Care(rate=10), 95) == 10
    whole = Care(rate=10, ramp=100)  # 550 in the ramp
    assert ramp.estimated_seconds(whole, 550) == 100
    assert ramp.estimated_seconds(whole, 650) == 110
    assert ramp.estimated_seconds(whole, 0) == 0
    half = ramp.estimated_seconds(whole, 200)
    assert half is not None
    assert 10 * (0.1 * half + 0.45 * half**2 / 100) == pytest.approx(200, abs=10)


def test_gone_is_what_ended_in_another_way() -> None:
    one = job(total=10, asked=6, passed_over=1, delivered=3, failed=1, pending=1)
    assert (one.left, one.gone) == (3, 1)
    assert (replace(one, walked=True).left, replace(one, walked=True).gone) == (0, 4)
    more = job(total=2, asked=3, delivered=3)
    assert (more.left, more.gone) == (0, 0)


@pytest.mark.parametrize(
    ("wanted", "ended_at"), [(JobState.PAUSED, None), (JobState.CANCELLED, after(7))]
)
def test_who_stops_a_job_is_named_and_only_a_cancelled_one_has_ended(
    wanted: JobState, ended_at: datetime | None
) -> None:
    runs = job(asked=20, delivered=9, canary_passed=True)
    stopped = ramp.as_wanted(runs, wanted, "bob", after(7))
    why = f"{wanted.value.capitalize()} by bob."
    assert stopped == replace(runs, state=wanted, why=why, ended_at=ended_at)


@pytest.mark.parametrize(("state", "passed"), [(JobState.PAUSED, True), (JobState.STOPPED, False)])
def test_one_that_goes_on_begins_anew_and_its_canary_where_it_had_stopped_itself(
    state: JobState, passed: bool
) -> None:
    counts: dict[str, Any] = {"asked": 20, "delivered": 9, "failed": 2}
    rests = job(state=state, why="Because.", canary_passed=True, **counts)
    assert ramp.as_wanted(rests, JobState.RUNNING, "bob", after(7)) == replace(
        rests,
        state=JobState.RUNNING,
        why=None,
        canary_passed=passed,
        base_asked=20,
        base_delivered=9,
        base_failed=2,
        began_at=after(7),
        paced_at=after(7),
    )
    untried = replace(rests, canary_passed=False)
    assert not ramp.as_wanted(untried, JobState.RUNNING, "bob", after(7)).canary_passed


def test_a_canary_of_one_is_a_canary_and_one_may_be_asked_for() -> None:
    assert asks(decide(job(Care(canary=1)), START)) == 1
    assert asks(decide(job(Care(canary=5), asked=24, base_asked=20), START)) == 1


def test_what_the_canary_came_to_is_not_judged_again() -> None:
    care = Care(canary=5)
    before: dict[str, Any] = {"base_asked": 20, "base_delivered": 11, "base_failed": 9}
    again = job(care, asked=25, delivered=16, failed=9, **before)
    passed = changed(decide(again, START))
    assert (passed.base_delivered, passed.base_failed) == (16, 9)


def test_what_is_asked_for_behind_the_ramp_takes_the_full_rate() -> None:
    assert ramp.estimated_seconds(Care(rate=10, ramp=60), 600) == 87  # 330 while it rises
