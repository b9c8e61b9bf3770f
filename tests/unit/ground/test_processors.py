"""How many processors there are for a server, told by what Linux says of control groups."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from heliograph.processors import usable

CASES: Mapping[str, tuple[int, Mapping[str, str]]] = {
    "nothing is said": (8, {}),
    "version 2, no bound": (8, {"cgroup": "0::/a/b\n", "a/b/cpu.max": "max 100000\n"}),
    "version 2, a unit": (
        2,
        {"cgroup": "0::/a/b.service\n", "a/b.service/cpu.max": "150000 100000"},
    ),
    "version 2, its slice": (
        *(1, {"cgroup": "0::/a/b\n", "a/b/cpu.max": "max 100000", "a/cpu.max": "5000 100000"}),
    ),
    "version 2, a container": (3, {"cgroup": "0::/\n", "cpu.max": "300000 100000\n"}),
    "version 2, more than there are": (8, {"cgroup": "0::/\n", "cpu.max": "9900000 100000\n"}),
    "version 1": (
        2,
        {
            "cgroup": "4:memory:/x\n1:cpu,cpuacct:/docker/1f\n",
            "cpu,cpuacct/cpu.cfs_quota_us": "200000\n",
            "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        },
    ),
    "version 1, no bound": (
        8,
        {
            "cgroup": "1:cpu:/x\n0::/\n",
            "cpu/x/cpu.cfs_quota_us": "-1\n",
            "cpu/x/cpu.cfs_period_us": "100000\n",
        },
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_quota_counts_whoever_has_set_it(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, files = CASES[case]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    for name, text in files.items():
        path = tmp_path / ("proc/self/cgroup" if name == "cgroup" else f"sys/fs/cgroup/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert usable(tmp_path) == wanted


def test_here_there_is_one_at_least() -> None:
    assert 1 <= usable() <= len(os.sched_getaffinity(0))
