"""The bench runs, loses nothing, and leaves nothing; its figures say nothing here."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from heliograph.bench.names import OF_POSTGRESQL, SCENARIOS
from tests.busy import hang_times
from tests.postgres_server import PostgresServer

BENCH = (sys.executable, "-m", "heliograph.cli", "bench", "--quick")
LEAST = 5.0
"""A second: below it something waits that should not, on whatever machine."""

MOVES = {"flushes", "posts", "accepted", "delivered", "drained"}
"""What is never slower than that."""

MOST = {
    "answer": 5.0,  # KB, however many configurations there are
    "listed_p50": 2_000.0,  # ms
    "memory_server": 400.0,  # MB, of two nodes as well
    "help": 10.0,  # s
}
"""What nothing small takes, on whatever machine."""


def measured(folder: Path, *options: str) -> Any:
    """The document of a run that must end well."""
    report = folder / "report.json"
    done = subprocess.run(
        [*BENCH, "--folder", str(folder), "--json", str(report), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.name for path in folder.iterdir()] == ["report.json"]
    return json.loads(report.read_bytes())


def check(told: Any, scenarios: Sequence[str]) -> None:
    """The shape of a report, that nothing was lost, and that nothing stood still."""
    assert told["well"]
    assert [one["name"] for one in told["scenarios"]] == list(scenarios)
    for one in told["scenarios"]:
        assert (one["lost"], one["repeated"]) == (0, 0)
        assert one["figures"], one["name"]
        for figure in one["figures"]:
            assert len(figure["runs"]) == 1
            assert figure["median"] >= (LEAST if figure["name"] in MOVES else 0), figure
            assert figure["median"] <= MOST.get(figure["name"], math.inf), figure


@pytest.mark.timeout(600)
def test_every_scenario_is_measured_and_loses_nothing_on_sqlite(tmp_path: Path) -> None:
    told = measured(tmp_path, "--", "--i-accept-data-loss")
    check(told, [name for name in SCENARIOS if name not in OF_POSTGRESQL])
    assert told["facts"]["database"] == "SQLite"
    assert "--i-accept-data-loss" in told["facts"]["options of serve"]


@pytest.mark.timeout(600)
def test_what_both_engines_do_apart_is_measured_and_leaves_no_database_on_postgresql(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    scenarios = ["single", "stages", "failures", "nodes"]
    only = [word for name in scenarios for word in ("--only", name)]
    told = measured(tmp_path, *only, "--database-url", postgres.url, "--", "--i-accept-data-loss")
    check(told, scenarios)
    assert "cpu_database" in {figure["name"] for figure in told["scenarios"][0]["figures"]}
    with psycopg.connect(postgres.url) as connection:
        left = connection.execute("select datname from pg_database").fetchall()
    assert not [name for (name,) in left if name.startswith("heliograph_bench")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_bench_that_is_interrupted_leaves_no_process_and_no_directory(
    tmp_path: Path, number: signal.Signals
) -> None:
    with subprocess.Popen(
        [*BENCH, "--only", "single", "--folder", str(tmp_path), "--", "--i-accept-data-loss"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as bench:
        ends = time.monotonic() + 60 * hang_times()
        while not list(tmp_path.glob("*/*/data/credentials.json")):
            assert bench.poll() is None
            assert time.monotonic() < ends
            time.sleep(0.01)
        started = psutil.Process(bench.pid).children(recursive=True)
        assert len(started) >= 3
        os.kill(bench.pid, number)
        assert bench.wait(60 * hang_times()) == 130
    _, alive = psutil.wait_procs(started, 20 * hang_times())
    assert alive == []
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_start_is_told_with_what_it_said(tmp_path: Path) -> None:
    done = subprocess.run(
        [*BENCH, "--only", "single", "--folder", str(tmp_path), "--", "--lease", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "The server did not start: " in done.stderr
    assert "--lease" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--data-dir", "--database-url"])
def test_where_the_servers_of_a_bench_have_their_data_is_no_option_of_theirs(
    tmp_path: Path, option: str
) -> None:
    done = subprocess.run(
        [*BENCH, "--only", "machine", "--folder", str(tmp_path), "--", f"{option}=x"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f"{option} cannot be among the options of serve" in done.stderr


@pytest.mark.parametrize("option", ["--json", "--markdown"])
def test_a_report_that_cannot_be_written_is_told_before_anything_is_measured(
    tmp_path: Path, option: str
) -> None:
    report = tmp_path / "missing" / "report"
    done = subprocess.run(
        [*BENCH, "--only", "machine", "--folder", str(tmp_path), option, str(report)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such file or directory" in done.stderr


def test_what_may_hold_a_password_is_not_in_the_report(tmp_path: Path) -> None:
    told = measured(tmp_path, "--only", "machine", "--", "--alert-url", "http://u:password@x/")
    assert told["facts"]["options of serve"] == "--alert-url (hidden)"


def test_a_scenario_is_run_as_often_as_is_asked_and_told_as_a_page(tmp_path: Path) -> None:
    page, report = tmp_path / "bench.md", tmp_path / "bench.json"
    words = ["--only", "machine", "--repeat", "2", "--folder", str(tmp_path)]
    subprocess.run(
        [*BENCH, *words, "--markdown", str(page), "--json", str(report)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    (machine,) = json.loads(report.read_bytes())["scenarios"]
    assert {len(figure["runs"]) for figure in machine["figures"]} == {2}
    assert "## machine\n" in page.read_text()
    assert "in 2 runs." in page.read_text()


def test_what_only_postgresql_has_is_not_measured_on_sqlite() -> None:
    done = subprocess.run([*BENCH, "--only", "nodes"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "nodes is measured on PostgreSQL alone" in done.stderr
