"""S12: what several processes write to one pipe is one JSON object a line, however long."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections import Counter

WRITER = """
import sys, structlog
from heliograph.watch import logs

number, turn = map(int, sys.argv[1:])
with logs.writing("json", "info", sys.stdout.buffer, process=number, turn=turn):
    for _ in range(200):
        structlog.get_logger().error("long", text="x" * 20_000)  # each is written by itself
"""


def test_s12_long_lines_of_several_processes_are_not_mixed() -> None:
    turn = os.memfd_create("turn")
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)  # so that no line goes in at once
    try:
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, str(number), str(turn)],
                stdout=write,
                pass_fds=[turn],
            )
            for number in (1, 2, 3)
        ]
        os.close(write)
        with os.fdopen(read, "rb") as written:
            text = written.read()
        assert [writer.wait() for writer in writers] == [0, 0, 0]
    finally:
        os.close(turn)
    lines = [json.loads(line) for line in text.splitlines()]
    assert Counter(line["process"] for line in lines) == {1: 200, 2: 200, 3: 200}
