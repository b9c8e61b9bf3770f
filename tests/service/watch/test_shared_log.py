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
    print("ready", file=sys.stderr, flush=True)
    sys.stdin.read()
    for _ in range(100):
        structlog.get_logger().error("long", text="x" * 20_000)  # each is written by itself
"""


def test_s12_long_lines_of_several_processes_are_not_mixed() -> None:
    turn = os.memfd_create("turn")
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)  # so that no line goes in at once
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(number), str(turn)],
            stdin=subprocess.PIPE,
            stdout=write,
            stderr=subprocess.PIPE,
            pass_fds=[turn],
        )
        for number in (1, 2, 3)
    ]
    os.close(write)
    os.close(turn)
    for writer in writers:
        assert writer.stderr is not None
        assert writer.stderr.readline() == b"ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.close()
    with os.fdopen(read, "rb") as written:
        text = written.read()
    for writer in writers:
        with writer:
            assert writer.wait() == 0
    lines = [json.loads(line) for line in text.splitlines()]
    assert Counter(line["process"] for line in lines) == {1: 100, 2: 100, 3: 100}
