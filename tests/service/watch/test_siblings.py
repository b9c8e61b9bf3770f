"""What nodes behind one port tell each other."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from heliograph.watch.metrics import merged
from heliograph.watch.siblings import Siblings, questions

LARGE = b"x" * 3_000_000


@contextlib.contextmanager
def siblings(count: int) -> Iterator[list[Siblings]]:
    asked = questions(count)
    try:
        yield [Siblings(number, asked) for number in range(1, count + 1)]
    finally:
        for end in itertools.chain(*asked):
            end.close()


async def test_each_node_is_asked_and_who_gives_no_answer_is_left_out() -> None:
    with (
        siblings(4) as (first, second, third, fourth),
        second.answering(lambda: b"second"),
        third.answering(lambda: LARGE),
    ):
        assert await first.ask() == [b"second", LARGE]
        together = await asyncio.gather(*(fourth.ask() for _ in range(5)))
        assert together == [[b"second", LARGE]] * 5


async def test_who_comes_in_the_place_of_another_answers_and_what_waited_harms_nobody() -> None:
    with siblings(2) as (first, second):
        for _ in range(3):
            assert await first.ask() == []
        with second.answering(lambda: b"second"):
            assert await first.ask() == [b"second"]


def test_what_several_show_is_one_group_for_each_metric() -> None:
    shown = []
    for process in ("1", "2"):
        registry = CollectorRegistry()
        for name in ("first", "second"):
            about = "Of a\nbreak, \\ and # HELP first."
            Counter(name, about, ["process", "odd"], registry=registry).labels(
                process, 'a "b"\n# HELP first \\'
            ).inc()
        shown.append(generate_latest(registry))
    one, both = (
        list(text_string_to_metric_families(text.decode())) for text in (shown[0], merged(shown))
    )
    assert [metric.name for metric in both] == [metric.name for metric in one]
    for metric in both:
        assert {sample.labels["process"] for sample in metric.samples} == {"1", "2"}
        assert metric.documentation == one[0].documentation
    assert merged(shown[:1]) == shown[0]
