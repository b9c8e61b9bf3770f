"""The benchmark still runs; what it measures here says nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.bench import capacity, front, isolation, notifications, posts, stalled


async def test_the_benchmark_measures_and_prints_each_figure(tmp_path: Path) -> None:
    options = ["--i-accept-data-loss"]
    found = await capacity.measure("sqlite", tmp_path, options, seconds=0.3, backlog=50)
    assert found.accepted_per_second > 0
    assert found.accept_p50 <= found.accept_p99
    assert found.drained_per_second > 0
    assert "durable accepts" in capacity.table(found)


async def test_s17_the_benchmark_of_listeners_that_do_not_read_measures_memory(
    tmp_path: Path,
) -> None:
    options = ["--i-accept-data-loss"]
    found = await stalled.measure("sqlite", tmp_path, options, mib=2, listeners=3, seconds=3.0)
    assert found.kept
    assert "ended as failures after" in stalled.table(found)


async def test_the_benchmark_of_notifications_measures_what_a_new_one_costs(
    tmp_path: Path,
) -> None:
    options = ["--i-accept-data-loss"]
    found = await notifications.measure("sqlite", tmp_path, options, stored=80, readings=5)
    assert set(found.beside) == {202}
    assert min(found.at_few, found.at_many, found.call) > 0
    assert "one new at 10 stored" in notifications.table(found)


def test_the_processor_time_of_a_server_has_that_of_its_senders() -> None:
    busy = "import time\nwhile time.process_time() < 0.5: pass\nprint(flush=True)\ninput()"
    start = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", start], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        server.stdout.readline()
        assert notifications.cpu_of(server.pid) >= 500
        server.communicate(b"\n")


async def test_the_isolation_benchmark_measures_both_halves(tmp_path: Path) -> None:
    options = ["--i-accept-data-loss"]
    found = await isolation.measure("sqlite", tmp_path, options, seconds=0.5, rate=40, listeners=4)
    assert found.hanging == 2
    # A message may arrive before its publisher has the 202.
    assert 0 <= found.half_hang_p50 <= found.half_hang_p99
    assert "R7: p99 up to" in isolation.table(found)


async def test_the_benchmark_of_posts_measures_what_a_message_costs() -> None:
    with posts.listening(2) as configurations:
        found = await posts.measure(configurations, 70)
    assert min(found.make_least, found.post_least) > 0
    assert found.make_least <= found.make
    assert "render and sign" in posts.table(found)


async def test_the_benchmark_of_the_front_measures_each_kind_of_call(tmp_path: Path) -> None:
    options = ["--i-accept-data-loss"]
    found = await front.measure(tmp_path, options, calls=20, rounds=1, connections=2)
    assert min(found.values()) > 0
    for kind in found:
        assert kind in front.table(found)
