"""The measurement of turns still runs; what it measures here says nothing."""

from __future__ import annotations

from pathlib import Path

from heliograph.bench import host
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


def test_the_turns_benchmark_measures_one_process_on_postgresql_too(
    tmp_path: Path, empty_database_url: str
) -> None:
    size = turns.Size(failures=1, users=1, values=1, body=1)
    options = ("--database-url", empty_database_url, "--senders", "0")
    with turns.filled(tmp_path, size, *options) as server:
        assert host.tree(server.process.pid) == [server.process.pid]
