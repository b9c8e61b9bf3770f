"""How the growth of an incident is told."""

from __future__ import annotations

import pytest

from heliograph.console.incidents import growth_of, points_of


@pytest.mark.parametrize(
    ("counts", "now", "state", "told"),
    [
        ([], 7, "open", ""),
        ([5], 7, "open", "+2 in 1 min"),
        ([1, *range(2, 12)], 1_500, "open", "+1,498 in 10 min"),
        ([9, 4], 4, "open", "-5 in 2 min"),
        ([4, 4], 4, "open", "steady"),
        ([4], 0, "closed", ""),
    ],
)
def test_growth_is_told_over_the_last_minutes(
    counts: list[int], now: int, state: str, told: str
) -> None:
    growth = [{"failures": str(count)} for count in counts]
    assert growth_of({"state": state, "failures": str(now), "growth": growth}) == told


@pytest.mark.parametrize(
    ("counts", "points"),
    [
        ([], ""),
        ([3], ""),
        ([0, 0], "0.0,20.0 100.0,20.0"),
        ([0, 5, 10], "0.0,20.0 50.0,10.0 100.0,0.0"),
    ],
)
def test_a_line_is_as_high_as_the_highest(counts: list[int], points: str) -> None:
    assert points_of(counts) == points
