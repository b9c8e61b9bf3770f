"""What scenarios make of what they have seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from heliograph.bench import throughput
from heliograph.bench.names import Figure
from heliograph.bench.orders import Called, Told
from heliograph.bench.report import Measured
from heliograph.bench.rig import Seen, Used
from heliograph.bench.scenarios import drain, isolation, machine, stages

CALLED = Called(
    first=10,
    next=20,
    calls=8,
    began=100.0,
    ended=102.0,
    took=[0.001] * 8,
    refused={503: [11, 12]},
    answered=[(10, 100.2, 100.5), (13, 100.4, 101.0)],
    bytes=200,
)
TOLD = Told(
    arrived=40,
    meanwhile=30,
    repeated=0,
    last=104.0,
    bytes=2_300,
    each=[(10, 100.6), (13, 100.9), (14, 101.5)],
)
USED = Used({"server": 0.016, "database": 0.008, "sink": 0.001}, busiest=0.01, seconds=5.0)
SEEN = Seen(CALLED, TOLD, USED)


def values(measured: Sequence[Measured]) -> dict[Figure | tuple[Figure, str], float]:
    return {(one.figure, one.at) if one.at else one.figure: one.value for one in measured}


def test_refused_events_are_not_accepted_ones() -> None:
    assert SEEN.published == 8
    assert SEEN.rate == 4.0


def test_a_message_that_came_before_its_202_took_no_time_and_one_without_does_not_count() -> None:
    assert SEEN.lags == [pytest.approx(100.0), 0.0]
    assert SEEN.journeys == pytest.approx([400.0, 500.0])


def test_full_load_is_told_by_the_second_and_by_the_event() -> None:
    found = values(throughput.figures(throughput.Found(SEEN, {"server": 80.0})))
    assert found[Figure.ACCEPTED] == 4.0
    assert found[Figure.DELIVERED] == 10.0  # until the last had arrived
    assert found[Figure.DELIVERED_MEANWHILE] == 15.0
    assert found[Figure.DELIVERED_AFTER] == 5.0
    assert found[Figure.CPU_PRODUCT] == pytest.approx(3.0)
    assert found[Figure.CPU_SERVER] == pytest.approx(2.0)
    assert found[Figure.CPU_BUSIEST] == pytest.approx(1.25)
    assert found[Figure.MEMORY_SERVER] == 80.0
    assert Figure.MEMORY_DATABASE not in found


def test_what_was_sent_after_publishing_is_no_rate_where_nearly_all_had_arrived() -> None:
    soon = replace(SEEN, told=Told(40, 39, 0, 102.1, 1, []))
    assert Figure.DELIVERED_AFTER not in values(throughput.figures(throughput.Found(soon, {})))


def test_a_drain_is_told_in_seconds_and_by_the_second() -> None:
    found = values(drain.figures(drain.Found(1_000, 4.0)))
    assert (found[Figure.DRAIN], found[Figure.DRAINED]) == (4.0, 250.0)


def test_isolation_is_told_before_and_while_listeners_hang() -> None:
    slow = replace(SEEN, told=Told(3, 3, 0, 104.0, 1, [(10, 101.5), (13, 102.0)]))
    found = values(isolation.figures(isolation.Found(SEEN, slow)))
    assert found[Figure.ARRIVAL_P50, "all answer"] == pytest.approx(50.0)
    assert found[Figure.ARRIVAL_P50, "half hang"] == pytest.approx(1_000.0)


def test_stages_are_told_in_microseconds_with_their_sum_and_the_database_where_there_is_one() -> (
    None
):
    alone = stages.Found(
        100,
        {Figure.STAGE_PARSE: (0.01, 0.0), Figure.STAGE_ACCEPT: (0.02, 0.0)},
        {Figure.STAGE_WHOLE: (0.5, 0.0, 1_000)},
    )
    found = values(stages.figures(alone))
    assert found[Figure.STAGE_PARSE, "server"] == pytest.approx(100.0)
    assert found[Figure.STAGE_SUM, "server"] == pytest.approx(300.0)
    assert found[Figure.STAGE_WHOLE, "server"] == pytest.approx(500.0)
    assert {at for _, at in found} == {"server"}  # type: ignore[misc]
    both = replace(alone, stages={Figure.STAGE_ACCEPT: (0.02, 0.01)})
    assert values(stages.figures(both))[Figure.STAGE_SUM, "database"] == pytest.approx(100.0)


def test_the_machine_is_told_by_its_flushes_and_by_posts_without_a_server() -> None:
    posts = replace_called(calls=200, ended=101.0)
    found = values(
        machine.figures(machine.Found([0.001, 0.003], posts, posts, [(Figure.CPU_SINK, 0.002)]))
    )
    assert found[Figure.FLUSHES] == pytest.approx(500.0)
    assert found[Figure.POSTS] == pytest.approx(200.0)
    assert found[Figure.POSTS_BATCHED] == pytest.approx(100_000.0)
    assert found[Figure.CPU_SINK] == pytest.approx(0.01)


def replace_called(*, calls: int, ended: float) -> Called:
    return Called(0, calls, calls, 100.0, ended, [], {}, [], 0)
