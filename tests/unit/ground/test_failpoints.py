"""Failpoints do nothing unless the environment says so, and then exactly what it says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from heliograph import failpoints
from heliograph.failpoints import FailpointHit, Trap, armed, parse


def run(spec: str, code: str) -> subprocess.CompletedProcess[str]:
    program = f"from heliograph.failpoints import failpoint\n{code}"
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, failpoints.VARIABLE: spec},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_the_variable_a_failpoint_is_a_function_that_does_nothing() -> None:
    assert failpoints.failpoint is failpoints._nothing
    failpoints.failpoint("accept.commit.before")
    failpoints.failpoint("send.begin", "row-1")


def test_what_the_variable_may_say() -> None:
    assert parse("a.b:kill:3, c:raise, d:hang:id=env-7") == (
        Trap("a.b", "kill", 3),
        Trap("c", "raise", 1),
        Trap("d", "hang", row="env-7"),
    )


@pytest.mark.parametrize("text", ["a", "a:explode", ":kill", "a:kill:0", "a:kill:x"])
def test_what_it_may_not_say(text: str) -> None:
    with pytest.raises(ValueError, match=r"NAME:ACTION|count must"):
        parse(text)


def test_a_count_is_the_number_of_the_pass_of_that_place() -> None:
    pass_by = armed(parse("a:raise:2"))
    pass_by("a", None)
    pass_by("b", None)
    with pytest.raises(FailpointHit):
        pass_by("a", None)
    pass_by("a", None)


def test_a_row_is_met_at_each_of_its_passes() -> None:
    pass_by = armed(parse("a:raise:id=7"))
    pass_by("a", 8)
    for _ in range(2):
        with pytest.raises(FailpointHit):
            pass_by("a", 7)


def test_kill_ends_the_process_as_kill_9_does_and_is_announced() -> None:
    done = run("x:kill:2", "failpoint('x'); print('once', flush=True); failpoint('x')")
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "once\n")
    assert "going to fail on purpose" in done.stderr


def test_what_cannot_be_read_is_ignored_aloud() -> None:
    done = run("nonsense", "failpoint('x'); print('on')")
    assert (done.returncode, done.stdout) == (0, "on\n")
    assert "is ignored" in done.stderr
