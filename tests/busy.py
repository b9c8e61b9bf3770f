"""Runs the tests beside busy processes: a verdict must not depend on who shares the machine.

    uv run python -m tests.busy                                  # the whole suite, twice
    uv run python -m tests.busy --rounds 5 -- tests/chaos -k f26 # these tests, five times

Each busy process keeps one processor busy for as long as the tests run. Rounds follow one
another until one fails; the command then ends with pytest's exit status.

What is slower beside them is no failure, and what pytest calls a timeout is only there to end
a test that hangs. So every test's limit, the one in pyproject.toml and those of single tests,
is here `--hang-times` as long, by way of the environment (HELIOGRAPH_HANG_TIMES; see conftest.py).
No other limit is changed: what a test says of time must hold here as well.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from lxml import etree

HANG_TIMES = "HELIOGRAPH_HANG_TIMES"
"""The variable that says by how much the limits of what may hang are longer."""

# It ends by itself once who started it is gone, however that went. Ctrl-C is for who started it.
_SPIN = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
while os.getppid() == int(sys.argv[1]):
    for _ in range(1_000_000):
        pass
"""


def hang_times() -> float:
    """How many times as long as usual whatever may hang is waited for in this run."""
    return float(os.environ.get(HANG_TIMES, "1"))


def hang(seconds: float | None) -> asyncio.Timeout:
    """Ends a block that hangs; None: never. What may take only so long is no matter of this."""
    return asyncio.timeout(None if seconds is None else seconds * hang_times())


@dataclass(frozen=True)
class Round:
    """What pytest came to: its exit status, what it counted, and the seconds it took."""

    status: int
    tests: int
    failed: int
    skipped: int
    seconds: float

    def __str__(self) -> str:
        passed = self.tests - self.failed - self.skipped
        verdict = "passed" if self.status == 0 else f"FAILED (pytest: {self.status})"
        counts = f"{passed} passed, {self.failed} failed, {self.skipped} skipped"
        return f"{verdict}: {counts} in {self.seconds:.0f} s"


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """So many busy processes for the time of the block."""
    command = [sys.executable, "-S", "-c", _SPIN, str(os.getpid())]
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.callback(_end, subprocess.Popen(command))
        yield


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def run(arguments: Sequence[str], hang_times: float) -> Round:
    """One round of pytest with these arguments; its output goes where ours does."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder, "counts.xml")
        command = [sys.executable, "-m", "pytest", f"--junit-xml={counts}", *arguments]
        environment = {**os.environ, HANG_TIMES: str(hang_times)}
        # A group of its own: Ctrl-C comes to us alone, and pytest is told once, whoever sent it.
        process = subprocess.Popen(command, env=environment, process_group=0)
        try:
            status = process.wait()
        except SystemExit:
            process.send_signal(signal.SIGINT)  # it then ends what its tests have started
            process.wait()
            raise
        tests, failed, skipped = _counted(counts)
    return Round(status, tests, failed, skipped, time.monotonic() - began)


def _counted(file: Path) -> tuple[int, int, int]:
    """The tests, those that failed and those that were skipped; none if pytest did not run."""
    if not file.exists():
        return 0, 0, 0
    (suite,) = etree.parse(file).getroot().iter("testsuite")
    tests, failures, errors, skipped = (
        int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")
    )
    return tests, failures + errors, skipped


def _stopped(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def main() -> int:
    """The command; its exit status is pytest's of the last round."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.busy",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--busy", type=int, default=6, help="busy processes (default: 6)")
    parser.add_argument("--rounds", type=int, default=2, help="rounds, until one fails (2)")
    parser.add_argument(
        "--hang-times", type=float, default=4, help="the limit of each test, times this (4)"
    )
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    given = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stopped)
    rounds: list[Round] = []
    with busy(given.busy):
        while len(rounds) < given.rounds and all(one.status == 0 for one in rounds):
            rounds.append(run(given.pytest, given.hang_times))
    for place, one in enumerate(rounds, start=1):
        sys.stdout.write(f"round {place} of {given.rounds}, {given.busy} busy: {one}\n")
    return rounds[-1].status if rounds else 0


if __name__ == "__main__":
    sys.exit(main())
