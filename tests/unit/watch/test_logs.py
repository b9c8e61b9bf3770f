"""What becomes of a line of the log between who notes it and the stream."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from heliograph.watch import AcceptedEvent, Publication, logs


class Stream(io.BytesIO):
    """Counts what is written at once; each write waits until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.may = threading.Event()
        self.may.set()
        self.began = threading.Event()

    def write(self, data: Any) -> int:
        self.began.set()
        self.may.wait(60)
        self.writes += 1
        return super().write(data)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


class Unspeakable:
    def __str__(self) -> str:
        raise ValueError("has no text")


@pytest.mark.parametrize("leave", [True, False], ids=["at the end", "at an error"])
def test_many_lines_are_one_write_in_their_order(leave: bool) -> None:
    stream = Stream()
    with logs.writing("json", "info", stream):
        log = structlog.get_logger()
        stream.may.clear()
        log.info("first")
        assert stream.began.wait(60)  # what follows waits for this write
        for number in range(500):
            log.info("one", number=number)
        stream.may.set()
        if not leave:
            log.error("told")
            assert stream.lines()[-1]["event"] == "told"
    assert [one["number"] for one in stream.lines() if one["event"] == "one"] == [*range(500)]
    assert stream.writes <= 4


def test_an_error_and_its_traceback_are_written_before_the_process_goes_on() -> None:
    stream = Stream()
    with logs.writing("json", "info", stream):
        structlog.get_logger().info("before")
        try:
            raise KeyError("why")
        except KeyError:
            structlog.get_logger().exception("broke")
        before, broke = stream.lines()
    assert (before["event"], broke["event"], broke["level"]) == ("before", "broke", "error")
    assert "KeyError: 'why'" in broke["exception"]


def test_a_line_tells_when_it_was_noted_and_not_when_it_was_written() -> None:
    stream = Stream()
    with logs.writing("json", "info", stream):
        stream.may.clear()
        structlog.get_logger().info("first")
        assert stream.began.wait(60)
        structlog.get_logger().info("second")
        noted = datetime.now(UTC)
        stream.may.set()
    for line in stream.lines():
        assert line["timestamp"].endswith("Z")
        assert datetime.fromisoformat(line["timestamp"]) <= noted


@pytest.mark.parametrize("form", ["json", "console"])
def test_s12_a_line_that_cannot_be_spelled_says_so_and_the_next_one_is_written(form: str) -> None:
    stream = Stream()
    with logs.writing(form, "info", stream):
        structlog.get_logger().info("odd", value=Unspeakable())
        structlog.get_logger().info("next")
    odd, _, following = stream.getvalue().decode().partition("next")
    assert "log_line_broke" in odd
    assert "has no text" in odd
    assert following


BEHIND_A_SHELL = """
import fcntl, os, sys, termios, structlog
from heliograph.watch import logs
fcntl.ioctl(2, termios.TIOCSCTTY, 0)
shell = os.fork() == 0
if shell:
    os.setpgrp()  # as a shell does for what it starts with `&`
else:
    os.wait()
with logs.writing("auto", "info"):
    structlog.get_logger().info("told", behind=shell)
    structlog.get_logger().warning("warned", behind=shell)
"""


def test_behind_a_shell_that_has_the_terminal_only_warnings_are_written() -> None:
    ours, its = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        with os.fdopen(its, "wb"):
            command = (sys.executable, "-c", BEHIND_A_SHELL)
            subprocess.run(command, stderr=its, start_new_session=True, check=True)
        written = b""
        with contextlib.suppress(OSError):  # Linux: nobody has the other side any more
            while more := terminal.read(4096):
                written += more
    found = [line.split(b"  ") for line in written.splitlines()]
    assert [line[-2].split()[-1] + b" " + line[-1] for line in found] == [
        *(b"warned behind=True", b"told behind=False", b"warned behind=False"),
    ]


def test_on_a_terminal_a_line_names_its_account_unless_it_is_of_a_delivery() -> None:
    stream = Stream()
    with logs.writing("console", "info", stream):
        for event in ("attempt", "event_accepted", "incident_opened"):
            structlog.get_logger().info(event, account_id="of-an-account")
    written = stream.getvalue().decode().splitlines()
    assert ["account_id=of-an-account" in line for line in written] == [False, False, True]


def test_what_libraries_log_is_written_in_the_same_form() -> None:
    stream = Stream()
    with logs.writing("json", "info", stream):
        logging.getLogger("library").warning("watch %s", "out")
    (line,) = stream.lines()
    assert (line["event"], line["logger"], line["level"]) == ("watch out", "library", "warning")


def test_lines_that_nobody_takes_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_MOST_WAITING", 10)
    stream = Stream()
    with logs.writing("json", "info", stream):
        stream.may.clear()
        structlog.get_logger().info("first")
        assert stream.began.wait(60)
        for _ in range(15):
            structlog.get_logger().info("more")
        stream.may.set()
    found = stream.lines()
    assert [one["event"] for one in found].count("more") == 10
    assert found[-1]["event"] == "log_lines_dropped"
    assert (found[-1]["lines"], found[-1]["level"]) == (5, "warning")


class Untouched(list[AcceptedEvent]):
    def __iter__(self) -> Iterator[AcceptedEvent]:
        pytest.fail("looked at")


def test_nothing_is_worked_out_for_a_line_that_is_not_wanted() -> None:
    stream = Stream()
    with logs.writing("json", "warning", stream):
        logs.LogObserver().published(Publication("a", Untouched(), 0.1, None, ""))
    assert stream.getvalue() == b""
