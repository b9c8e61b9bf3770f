"""What Linux tells of this machine and its processes (proc(5))."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from heliograph import processors

_PROC: Final = Path("/proc")
_TICK: Final = os.sysconf("SC_CLK_TCK")
"""Of a processor's time, in a second."""


def facts() -> Mapping[str, str]:
    """What this machine is."""
    model = _found(r"^model name\s*: (.+)$", "cpuinfo") or platform.machine()
    memory = int(_found(r"^MemTotal: +(\d+) kB$", "meminfo") or 0) / 2**20
    return {
        "processor": f"{model}, {processors.usable()} cores",
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "load before": f"{os.getloadavg()[0]:.2f} (processes that ran or waited, 1 minute)",
    }


def tree(process: int) -> Sequence[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for folder in _PROC.iterdir():
        if folder.name.isdigit() and (fields := _stat(int(folder.name))):
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    found = [process]
    for parent in found:
        found += children.get(parent, [])
    return found


def parent(process: int) -> int | None:
    """The parent of a process, None where there is no such process."""
    fields = _stat(process)
    return int(fields[1]) if fields else None


def name(process: int) -> str:
    """What the kernel calls a process, empty where there is none."""
    try:
        return (_PROC / str(process) / "comm").read_text(errors="replace").strip()
    except OSError:
        return ""


def processor_seconds(process: int) -> float:
    """What a process, and all that descend from it, have had of processors."""
    ticks = 0
    for one in tree(process):
        if fields := _stat(one):
            ticks += sum(map(int, fields[11:15]))  # its own, and of children that have ended
    return ticks / _TICK


def processor_seconds_of_each(process: int) -> Mapping[int, float]:
    """What a process, and each that descends from it, has had of processors by itself."""
    found = {one: _stat(one) for one in tree(process)}
    return {one: sum(map(int, fields[11:13])) / _TICK for one, fields in found.items() if fields}


def busy_seconds() -> float:
    """What everything on this machine has had of processors."""
    user, nice, system, _, _, *interrupts = map(
        int, (_PROC / "stat").read_text().partition("\n")[0].split()[1:8]
    )
    return (user + nice + system + sum(interrupts)) / _TICK


def memory(processes: Iterable[int]) -> float | None:
    """MB that processes have, what they share counted once; None where that may not be read."""
    kilobytes = 0
    for process in processes:
        try:
            text = (_PROC / str(process) / "smaps_rollup").read_text()
        except PermissionError:
            return None
        except (FileNotFoundError, ProcessLookupError):  # it has ended
            continue
        found = re.search(r"^Pss: +(\d+) kB$", text, re.MULTILINE)
        kilobytes += int(found[1]) if found else 0
    return kilobytes * 1024 / 1e6


def _stat(process: int) -> Sequence[str]:
    """The fields of /proc/PID/stat behind the name, which may hold anything: state, parent, …"""
    try:
        text = (_PROC / str(process) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ()
    return text.rpartition(")")[2].split()


def _found(pattern: str, file: str) -> str | None:
    try:
        found = re.search(pattern, (_PROC / file).read_text(), re.MULTILINE)
    except OSError:
        return None
    return found[1] if found else None
