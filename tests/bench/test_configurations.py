"""The benchmark of configurations still runs; what it measures here says nothing."""

from __future__ import annotations

from pathlib import Path

from tests.bench import configurations


async def test_the_benchmark_of_configurations_measures_each_call_with_few_and_with_many(
    tmp_path: Path,
) -> None:
    options = ["--i-accept-data-loss"]
    found = await configurations.measure(tmp_path, options, many=20, readings=2)
    assert {cost.configurations for cost in found} == {16, 20}
    assert all(cost.milliseconds > 0 for cost in found)
    assert "publish after an update" in configurations.table("sqlite", found)
