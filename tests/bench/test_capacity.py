"""The benchmark still runs; what it measures here says nothing."""

from __future__ import annotations

from pathlib import Path

from tests.bench import capacity


async def test_the_benchmark_measures_and_prints_each_figure(tmp_path: Path) -> None:
    options = ["--i-accept-data-loss"]
    found = await capacity.measure("sqlite", tmp_path, options, seconds=0.3, backlog=50)
    assert found.accepted_per_second > 0
    assert found.accept_p50 <= found.accept_p99
    assert found.drained_per_second > 0
    assert "durable accepts" in capacity.table(found)
