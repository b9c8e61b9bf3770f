"""What follows from an answer: success, the next try, the end."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from heliograph.delivery.retry import (
    DOCUSIGN,
    DOCUSIGN_AGGREGATE,
    ONCE,
    RETRY_AFTER_CEILING,
    STANDARD,
    Schedule,
    explain,
    is_last,
    judge,
    retry_after,
    says_gone,
    schedule_for,
)
from heliograph.model.configurations import ScheduleName
from heliograph.model.deliveries import Answer, Delivered, Fault, GaveUp, Outcome, Phase, RetryAt
from tests.support import START, ManualClock, wanted_configuration

LONGEST_TRY_GAP = timedelta(seconds=RETRY_AFTER_CEILING)
seeds = st.integers(0, 2**63 - 1)
numbers = st.integers(1, 10_000)


def answer(status: int = 503, reason: str = "Busy", **headers: str) -> Answer:
    """An answer with headers named in Python's spelling."""
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Answer(status, reason, named, b"")


def judged(
    given_answer: Answer | Fault, *, number: int = 1, seed: int = 7, now: datetime = START
) -> Outcome:
    return judge(given_answer, number=number, started_at=START, seed=seed, now=now)


@given(st.integers(100, 999))
@example(199)
@example(200)
@example(299)
@example(300)
def test_exactly_200_to_299_is_success(status: int) -> None:
    assert isinstance(judged(answer(status)), Delivered) == (200 <= status <= 299)


@pytest.mark.parametrize("phase", list(Phase))
def test_a_fault_is_retried_and_keeps_its_phase_and_text(phase: Phase) -> None:
    outcome = judged(Fault(phase, "it broke"))
    assert isinstance(outcome, RetryAt)
    assert str(outcome.why) == f"{phase.value}: it broke"


def test_a_fault_that_carries_a_success_is_still_a_failure() -> None:
    # The 2xx was not received whole (R5: delivered only after a whole 2xx).
    outcome = judged(Fault(Phase.BODY, "cut off", Answer(200, "OK", (), b"")))
    assert isinstance(outcome, RetryAt)


def test_without_jitter_the_delays_double_up_to_the_ceiling() -> None:
    plain = Schedule(first=5, factor=2, ceiling=100, horizon=1e6, jitter=0)
    assert [plain.delay(number, 1) for number in range(1, 8)] == [5, 10, 20, 40, 80, 100, 100]
    assert plain.delay(10**9, 1) == 100


@given(seeds, numbers)
def test_r9_jitter_is_only_ever_upward_and_bounded(seed: int, number: int) -> None:
    plain = min(5.0 * 2.0 ** min(number - 1, 64), STANDARD.ceiling)
    assert plain <= STANDARD.delay(number, seed) <= plain * 1.2


def test_r9_jitter_survives_a_restart_because_seed_and_number_alone_decide_it() -> None:
    # Pasted from another process: Python's own hash() would differ between the two.
    assert STANDARD.delay(1, 42) == pytest.approx(5.379675613318003, abs=1e-12)
    assert STANDARD.delay(14, 42) == pytest.approx(43847.749699665546, abs=1e-9)


def test_r9_jitter_spreads_deliveries_that_failed_together() -> None:
    delays = {STANDARD.delay(10, seed) for seed in range(1000)}
    assert len(delays) == 1000
    assert max(delays) - min(delays) > 0.19 * 5 * 2**9


@given(seeds)
def test_r9_fifteen_days_of_failures_end_in_giving_up(seed: int) -> None:
    clock, number, due_times = ManualClock(), 1, [START]
    while True:
        outcome = judge(answer(), number=number, started_at=START, seed=seed, now=clock.now())
        if isinstance(outcome, GaveUp):
            break
        assert isinstance(outcome, RetryAt)
        assert outcome.when > clock.now()
        clock.move((outcome.when - clock.now()).total_seconds())
        due_times.append(outcome.when)
        number += 1
    end = START + timedelta(seconds=STANDARD.horizon)
    assert due_times[-1] <= end
    # It does not stop early: one more delay really would lie beyond the horizon.
    assert end - due_times[-1] < timedelta(hours=12 * 1.2)
    assert 38 <= len(due_times) <= 43


@given(seeds, st.lists(st.integers(0, 10**6).map(str), min_size=1, max_size=5))
def test_r9_no_listener_can_stretch_the_retries_beyond_the_horizon(
    seed: int, asked: list[str]
) -> None:
    end = START + timedelta(seconds=STANDARD.horizon)
    now, number = START, 1
    while True:
        retry_later = answer(retry_after=asked[number % len(asked)])
        outcome = judge(retry_later, number=number, started_at=START, seed=seed, now=now)
        if isinstance(outcome, GaveUp):
            return
        assert isinstance(outcome, RetryAt)
        assert now < outcome.when <= end
        now, number = outcome.when, number + 1


@given(seeds, numbers, st.text(max_size=30) | st.integers(-5, 10**13).map(str))
def test_r9_a_retry_is_never_before_its_schedule_and_never_a_day_away(
    seed: int, number: int, header: str
) -> None:
    outcome = judged(answer(Retry_After=header), number=number, seed=seed)
    assert isinstance(outcome, RetryAt)
    assert outcome.when >= START + timedelta(seconds=STANDARD.delay(number, seed))
    assert outcome.when <= START + LONGEST_TRY_GAP


@given(seeds, st.integers(0, 86_400))
def test_r9_a_retry_is_never_before_a_retry_after_within_a_day(seed: int, asked: int) -> None:
    outcome = judged(answer(Retry_After=str(asked)), seed=seed)
    assert isinstance(outcome, RetryAt)
    assert outcome.when >= START + timedelta(seconds=asked)


def at(when: datetime) -> str:
    return format_datetime(when, usegmt=True)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        ("  120\t", 120),
        ("0", 0),
        ("00000000000000000000120", 120),
        ("1000000000000", RETRY_AFTER_CEILING),
        ("9" * 5000, RETRY_AFTER_CEILING),
        (at(START + timedelta(minutes=10)), 600),
        ("Monday, 23-Nov-26 09:10:00 GMT", 600),
        ("Mon Nov 23 09:10:00 2026", 600),
        ("Mon, 23 Nov 2026 14:40:00 +0530", 600),
    ],
)
def test_r9_retry_after_is_read_in_each_form_that_http_knows(header: str, seconds: float) -> None:
    assert retry_after(answer(retry_after=header), START) == START + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "   ",
        "-1",
        "+5",
        "1.5",
        "1e12",
        "soon",
        "٣",
        "²",
        "\x00",
        "\ud800",
        "inf",
        "nan",
        at(START - timedelta(seconds=1)),
        at(START),
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Mon, 23 Nov 2026 25:10:00 GMT",
        # These two once ended the dispatcher with an OverflowError.
        "Mon, 23 Nov 99999999999 09:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2300",
        "Mon, 01 Jan 0001 00:00:00 +2300",
        "Mon, 23 Nov 2026 09:10:00 +9999",
        "x " * 5000,
        "(" * 5000,
    ],
)
def test_r9_a_retry_after_that_says_nothing_usable_is_ignored(header: str) -> None:
    assert retry_after(answer(retry_after=header), START) is None


def test_r9_a_retry_after_of_the_year_9999_is_cut_to_a_day() -> None:
    outcome = judged(answer(Retry_After="Fri, 31 Dec 9999 23:59:59 GMT"))
    assert isinstance(outcome, RetryAt)
    assert outcome.when == START + LONGEST_TRY_GAP


@given(st.text(max_size=60))
def test_r9_no_retry_after_text_whatever_breaks_the_judgement(header: str) -> None:
    asked = retry_after(answer(retry_after=header), START)
    assert asked is None or asked >= START


@given(
    st.from_regex(
        r"[A-Za-z]{0,3},? ?\d{0,12}[ -][A-Z][a-z]{2}[ -]\d{0,14} \d{0,4}:\d{0,4}(:\d{0,4})? "
        r"(GMT|[+-]\d{0,12}|)",
        fullmatch=True,
    )
)
def test_r9_no_text_that_is_nearly_a_date_breaks_the_judgement(header: str) -> None:
    asked = retry_after(answer(retry_after=header), START)
    assert asked is None or asked > START


def test_retry_after_counts_in_any_case_of_its_name_and_on_any_failure() -> None:
    for status in (301, 404, 429, 500):
        outcome = judged(answer(status, RETRY_AFTER="3600"))
        assert isinstance(outcome, RetryAt)
        assert outcome.when == START + timedelta(hours=1)


def test_r9_retry_after_near_the_end_is_cut_to_the_rest_of_the_horizon() -> None:
    end = START + timedelta(seconds=STANDARD.horizon)
    outcome = judged(answer(Retry_After="86400"), now=end - timedelta(hours=1))
    assert isinstance(outcome, RetryAt)
    assert outcome.when == end


def test_a_retry_after_does_not_revive_a_schedule_that_has_ended() -> None:
    end = START + timedelta(seconds=STANDARD.horizon)
    outcome = judged(answer(Retry_After="1"), now=end)
    assert isinstance(outcome, GaveUp)
    assert outcome.why == explain(answer())


def test_s2_a_redirect_is_not_followed_and_its_truncated_location_is_told() -> None:
    why = explain(answer(302, "Found", Location="https://other.example/" + "x" * 500))
    assert why.phase is Phase.STATUS
    assert why.what.startswith("302 Found: redirect to https://other.example/xxx")
    assert why.what.endswith(" is not followed")
    assert len(why.what) == len("302 Found: redirect to  is not followed") + 200


def test_s2_a_redirect_without_location_is_explained_too() -> None:
    assert explain(answer(304, "")).what == "304: redirect is not followed"


@pytest.mark.parametrize(("status", "moved"), [(299, 0), (300, 1), (399, 1), (400, 0)])
def test_s2_exactly_300_to_399_are_redirects(status: int, moved: int) -> None:
    assert explain(answer(status)).what.count("is not followed") == moved


def test_other_failures_say_what_the_listener_must_answer() -> None:
    assert explain(answer(500, "Oops")).what == "500 Oops: the listener must answer 200 to 299"


@given(seeds, st.integers(1, 60), st.floats(-1e6, 1e6))
def test_r9_the_same_question_always_gets_the_same_answer(
    seed: int, number: int, moved: float
) -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC) + timedelta(seconds=moved)
    first = judge(answer(), number=number, started_at=START, seed=seed, now=now)
    again = judge(answer(), number=number, started_at=START, seed=seed, now=now)
    assert first == again


def test_r9_a_try_that_is_due_at_the_very_end_of_the_horizon_is_made() -> None:
    plain = Schedule(first=5, factor=1, ceiling=5, horizon=60, jitter=0)
    for passed, outcome in ((55.0, RetryAt), (55.001, GaveUp)):
        now = START + timedelta(seconds=passed)
        judgement = judge(answer(), number=1, started_at=START, seed=7, now=now, schedule=plain)
        assert isinstance(judgement, outcome)


def test_r9_a_list_of_delays_is_kept_to_for_fifteen_days_and_ends_with_its_last() -> None:
    listed = Schedule.of((60.0, 5.0))
    assert listed == Schedule(
        *(0.0, 1.0, 0.0), horizon=STANDARD.horizon, jitter=0.0, tries=3, listed=(60.0, 5.0)
    )
    assert [listed.delay(number, 7) for number in (1, 2)] == [60.0, 5.0]
    assert [listed.is_last(number) for number in (1, 2, 3, 4)] == [False, False, True, True]
    assert not STANDARD.is_last(10**6)


def test_r9_a_fault_of_ours_takes_no_try_and_is_tried_again_soon() -> None:
    ours, number = Fault(Phase.DNS, "no DNS server answered", ours=True), 40
    waits = []
    for uncounted in (0, 1, 2, 3):
        outcome = judge(
            *(ours,), number=number, started_at=START, seed=7, now=START, uncounted=uncounted
        )
        assert isinstance(outcome, RetryAt)
        assert not outcome.counts
        waits.append((outcome.when - START).total_seconds())
    for wait, plain in zip(waits, (5, 10, 20, 40), strict=True):
        assert plain <= wait <= plain * 1.2
    assert judged(ours) == judge(
        *(ours,), number=1, started_at=START, seed=7, now=START, uncounted=0
    )
    listeners = judged(answer())
    assert isinstance(listeners, RetryAt)
    assert listeners.counts
    # Not even the last try is taken by it.
    assert isinstance(
        judge(ours, number=1, started_at=START, seed=7, now=START, schedule=ONCE), RetryAt
    )


def test_a_configuration_follows_its_own_schedule_or_else_the_default() -> None:
    def chosen(default: Schedule | ScheduleName, **fields: Any) -> Schedule:
        return schedule_for(wanted_configuration(**fields), default)

    own = Schedule.of((1.0,))
    assert chosen(ScheduleName.STANDARD) is STANDARD
    assert chosen(ScheduleName.DOCUSIGN) is DOCUSIGN
    assert chosen(ScheduleName.DOCUSIGN, deliveryMode="aggregate") is DOCUSIGN_AGGREGATE
    assert chosen(own) is own
    assert chosen(own, retrySchedule=["standard"]) is STANDARD
    assert chosen(own, retrySchedule=["docusign"]) is DOCUSIGN
    assert chosen(ScheduleName.STANDARD, retrySchedule=["60", "120"]) == Schedule.of((60.0, 120.0))
    assert chosen(own, requiresAcknowledgement="false") is ONCE


def test_only_410_says_that_the_listener_is_gone() -> None:
    assert says_gone(answer(410, "Gone"))
    assert not says_gone(answer(411, "Length Required"))
    assert not says_gone(None)


def test_r9_a_date_without_a_zone_is_utc_wherever_the_server_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        asked = retry_after(answer(retry_after="Mon Nov 23 09:10:00 2026"), START)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert asked == START + timedelta(minutes=10)


@given(seeds, st.sampled_from([STANDARD, DOCUSIGN, ONCE]), st.integers(1, 60), st.integers(0, 20))
def test_an_attempt_is_the_last_exactly_if_its_failure_would_be_given_up(
    seed: int, schedule: Schedule, number: int, days: int
) -> None:
    now = START + timedelta(days=days)
    last = is_last(number=number, started_at=START, seed=seed, now=now, schedule=schedule)
    outcome = judge(
        answer(), number=number, started_at=START, seed=seed, now=now, schedule=schedule
    )
    assert last is isinstance(outcome, GaveUp)


@given(seeds)
def test_an_attempt_before_one_at_the_very_end_of_the_horizon_is_not_the_last(seed: int) -> None:
    wait = timedelta(seconds=STANDARD.delay(20, seed))
    latest = START + timedelta(seconds=STANDARD.horizon) - wait
    for later, last in ((timedelta(), False), (timedelta(microseconds=1), True)):
        now = latest + later
        found = is_last(number=20, started_at=START, seed=seed, now=now, schedule=STANDARD)
        assert found is last
