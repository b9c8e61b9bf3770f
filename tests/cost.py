"""What a call costs another process: CPU, memory and time, from /proc (proc(5))."""

from __future__ import annotations

import math
import re
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.server import Reply

TRIES = 20
"""Measurements at the most, of which the least counts: what else runs on the machine only adds,
to the time of a processor too, whose memory it uses."""


@dataclass(frozen=True)
class Cost:
    """CPU in seconds, memory in bytes beyond what the process had before."""

    seconds: float
    memory: int

    def within(self, size: int) -> bool:
        """At most 50 ms and 50 MB; a body above 1 MiB has also to be received and held."""
        beyond = max(0, size - 2**20)
        return self.seconds <= 0.05 + beyond * 2e-8 and self.memory <= 50_000_000 + beyond * 4


def measured(process: int, size: int, call: Callable[[], Reply]) -> tuple[Reply, Cost]:
    """A call with a body of this size, repeated while it is too dear; its least cost."""
    least, tries = Cost(math.inf, sys.maxsize), 0
    while tries < TRIES and not least.within(size):
        tries += 1
        folder = Path(f"/proc/{process}")
        (folder / "clear_refs").write_text("5")  # the peak begins anew
        before, used = _memory(folder, "VmRSS"), processor_seconds(process)
        reply = call()
        seconds, memory = processor_seconds(process) - used, _memory(folder, "VmHWM") - before
        least = Cost(min(least.seconds, seconds), min(least.memory, memory))
    return reply, least


class Stopwatch:
    """The seconds since it was made that a process and this thread can answer for.

    Those in which this thread, or the main thread of the process, was ready to run and got no
    CPU are left out: they are what other work on the machine takes.
    """

    def __init__(self, process: int) -> None:
        own = f"/proc/self/task/{threading.get_native_id()}"
        self._tasks = [Path(own), Path(f"/proc/{process}/task/{process}")]
        self._began = self._answered_for()

    @property
    def seconds(self) -> float:
        return self._answered_for() - self._began

    def _answered_for(self) -> float:
        return time.monotonic() - sum(_scheduled(task)[1] for task in self._tasks)


def processor_seconds(process: int) -> float:
    """Seconds that a process was on a CPU, of all its threads that still run."""
    return sum(_scheduled(task)[0] for task in Path(f"/proc/{process}/task").iterdir())


def _scheduled(task: Path) -> tuple[float, float]:
    """Seconds that a thread was on a CPU, and that it waited for one."""
    ran, waited, _ = (task / "schedstat").read_text().split()
    return int(ran) / 1e9, int(waited) / 1e9


def _memory(folder: Path, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", (folder / "status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024
