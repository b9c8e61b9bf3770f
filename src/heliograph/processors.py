"""How many processors this process may use: those that it runs on, as far as its quota goes."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_ROOT = Path("/")


def usable(root: Path = _ROOT) -> int:
    """At least 1. A part of a processor counts as one.

    Args:
        root: Where proc and sys are.
    """
    return min([len(os.sched_getaffinity(0)), *(max(1, math.ceil(q)) for q in _quotas(root))])


def _quotas(root: Path) -> Iterator[float]:
    """The processors that each control group above this process leaves it.

    Source: proc_pid_cgroup(5); Linux, Control Group v2, cpu.max, and CFS Bandwidth Control for
    version 1. In a container its own group is where the root would be.
    """
    groups = root / "sys/fs/cgroup"
    with contextlib.suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            own = PurePosixPath(path.lstrip("/"))
            for group in (own, *own.parents):
                if not controllers:
                    yield from _quota(groups / group / "cpu.max")
                elif "cpu" in controllers.split(","):
                    both = groups / controllers / group
                    yield from _quota(both / "cpu.cfs_quota_us", both / "cpu.cfs_period_us")


def _quota(*files: Path) -> Iterator[float]:
    with contextlib.suppress(OSError):
        time, period = " ".join(file.read_text() for file in files).split()
        if time.isdecimal():  # neither max nor -1, which are no bound
            yield int(time) / int(period)
