"""What the last posts and the backlog say of how fast messages go out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from heliograph.model.throughput import (
    MOST_POSTS,
    WINDOW,
    Backlog,
    Post,
    throughput,
)
from tests.support import START

NOTHING = Backlog(0, 0, 0)


def some_posts(
    count: int, *, each: float = 0.1, delivered: bool = True, answers: Sequence[float] = ()
) -> list[Post]:
    """So many, `each` seconds apart, the newest just now."""
    return [
        Post(
            START - timedelta(seconds=each * number),
            answers[number % len(answers)] if answers else None,
            delivered,
        )
        for number in range(count)
    ]


def test_few_posts_are_told_by_the_whole_window() -> None:
    found = throughput(some_posts(50), NOTHING, START)
    assert (found.posts, found.seconds) == (50, WINDOW.total_seconds())
    assert (found.delivered, found.failed) == (10.0, 0.0)


def test_many_posts_are_told_by_the_time_that_they_span() -> None:
    found = throughput(some_posts(MOST_POSTS, each=0.01), NOTHING, START)
    assert found.seconds == pytest.approx(9.99)
    assert found.delivered == pytest.approx(1_000 * 60 / 9.99)


def test_a_rate_is_not_told_by_less_than_a_second() -> None:
    found = throughput(some_posts(MOST_POSTS, each=0.0001), NOTHING, START)
    assert (found.seconds, found.delivered) == (1.0, 60_000.0)


def test_those_that_failed_are_told_apart() -> None:
    posts = [*some_posts(30), *some_posts(20, delivered=False)]
    found = throughput(posts, NOTHING, START)
    assert (found.delivered, found.failed) == (6.0, 4.0)


def test_half_of_the_answers_and_99_of_a_hundred_took_no_longer() -> None:
    answers = [number / 100 for number in range(1, 102)]
    found = throughput(some_posts(101, answers=answers), NOTHING, START)
    assert found.median == pytest.approx(0.51)
    assert found.p99 == pytest.approx(1.0)
    one = throughput(some_posts(1, answers=[0.2]), NOTHING, START)
    assert (one.median, one.p99) == (0.2, 0.2)
    two = throughput(some_posts(2, answers=[0.4, 0.2]), NOTHING, START)
    assert two.median == pytest.approx(0.3)


def test_where_no_answer_came_nothing_is_said_of_it() -> None:
    found = throughput(some_posts(3), NOTHING, START)
    assert (found.median, found.p99) == (None, None)
    part = [Post(START, None, False), Post(START, 0.5, True)]
    assert throughput(part, NOTHING, START).median == 0.5


def test_what_waits_or_is_in_flight_drains_at_the_rate_of_deliveries() -> None:
    posts = [*some_posts(100), *some_posts(100, delivered=False)]
    found = throughput(posts, Backlog(190, 7_000, 10), START)
    assert found.drain == pytest.approx(600.0)  # 200 at 20 a minute
    assert found.backlog == Backlog(190, 7_000, 10)


def test_nobody_can_tell_how_long_it_takes_where_nothing_was_delivered() -> None:
    failing = some_posts(5, delivered=False)
    assert throughput(failing, Backlog(1, 0, 0), START).drain is None
    assert throughput([], Backlog(1, 0, 0), START).drain is None
    assert throughput([], Backlog(0, 3, 0), START).drain == 0.0
