"""The demo, as a person starts it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.busy import hang_times

DEMO = (sys.executable, "-m", "heliograph.cli", "demo")


def test_the_demo_delivers_everything_and_proves_it(tmp_path: Path) -> None:
    done = subprocess.run(
        DEMO,
        env={**os.environ, "COLUMNS": "80", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60 * hang_times(),
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "36 failures: 12 of billing, 12 of archive, 12 of analytics" in done.stdout
    for reason in ("500 Internal Server Error", "closed the connection", "no answer within 0.4 s"):
        assert reason in done.stdout
    proof = re.findall(r"^(\w+) +36 +(\d+) +(\d+) +0 +0  all arrived$", done.stdout, re.M)
    assert proof == [
        ("crm", "36", "36"),
        ("billing", "12", "12"),
        ("archive", "24", "24"),
        ("analytics", "24", "24"),
    ]
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert list(tmp_path.iterdir()) == []


def test_the_demo_goes_on_until_it_is_stopped(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*DEMO, "--stay"],
        env={
            **os.environ,
            "COLUMNS": "80",
            "TMPDIR": str(tmp_path),
            "PYTHONUNBUFFERED": "1",
            "UV_RUN_RECURSION_DEPTH": "1",
        },
        stdout=subprocess.PIPE,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        told = ""
        while "Ctrl-C" not in told:
            line = demo.stdout.readline()
            assert line, told
            told += line
        (data_dir,) = re.findall(r"export HELIOGRAPH_DATA_DIR=(.+)", told)
        assert "\n  uv run heliograph failures list\n" in told
        assert (Path(data_dir) / "credentials.json").exists()
        again = subprocess.run(
            [sys.executable, "-m", "heliograph.cli", "publish", f"{data_dir}/event.json"],
            env={**os.environ, "HELIOGRAPH_DATA_DIR": data_dir},
            capture_output=True,
            text=True,
            check=True,
        )
        assert "Published 1 event: 1 new, 0 repeated; 3 deliveries." in again.stdout
        demo.send_signal(signal.SIGINT)
        assert demo.wait(20) == 0
    assert list(tmp_path.iterdir()) == []
