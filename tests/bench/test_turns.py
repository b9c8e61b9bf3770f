"""The measurement of turns still runs; what it measures here says nothing."""

from __future__ import annotations

from pathlib import Path

from tests.bench import turns


def test_s17_the_turns_benchmark_makes_each_heavy_call_and_prints_what_others_waited(
    tmp_path: Path,
) -> None:
    size = turns.Size(failures=25, users=20, values=50, body=10_000)
    calls = [*turns.bodies(size), *turns.bulk(size)]
    with turns.filled(tmp_path, size) as server:
        found = [turns.measure(server, heavy) for heavy in calls]
    assert [one.status for one in found] == [heavy.status for heavy in calls]
    assert any(one.health > 0 and one.publish > 0 for one in found)
    assert "/healthz" in turns.table([turns.least(found)])
