"""What this machine is, and what it can do."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import apsw

import heliograph
from tests.postgres_server import binaries


def facts() -> dict[str, str]:
    """What a reader of the report must know of the machine."""
    return {
        "heliograph": heliograph.__version__,
        "commit": _said("git", "-C", str(Path(__file__).parent), "rev-parse", "--short=12", "HEAD"),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') // 2**30} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "postgresql": _said(str(binaries() / "postgres"), "--version").rpartition(" ")[2],
        "psycopg": importlib.metadata.version("psycopg"),
        "aiohttp": importlib.metadata.version("aiohttp"),
        "file system": _said("stat", "-f", "-c", "%T", tempfile.gettempdir()),
    }


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """A program of the system, with what it says."""
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def must(*command: str) -> str:
    """A program of the system that has to succeed; what it printed.

    Raises:
        RuntimeError: it did not.
    """
    done = run(*command)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout.strip()


def _said(*command: str) -> str:
    try:
        return run(*command).stdout.strip() or "unknown"
    except OSError:
        return "unknown"


def lacks(*programs: str) -> str:
    """The programs of these that are not installed, as a reason; empty when all are."""
    missing = [program for program in programs if shutil.which(program) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


@functools.cache
def no_mounts() -> str:
    """Why file systems cannot be mounted here; empty when they can."""
    if os.geteuid() != 0:
        return "mounting needs root"
    with tempfile.TemporaryDirectory(prefix="hg-mount-") as folder:
        done = run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder)
        if done.returncode:
            return f"mounting is not possible: {done.stderr.strip()}"
        run("umount", folder)
    return ""


@functools.cache
def no_loops() -> str:
    """Why there are no loop devices; empty when there are."""
    return no_mounts() or ("" if Path("/dev/loop-control").exists() else "no loop devices")


@functools.cache
def no_strace() -> str:
    """Why system calls cannot be made to fail; empty when they can."""
    if reason := lacks("strace"):
        return reason
    done = run("strace", "-f", "-e", "inject=fdatasync:error=EIO:when=1", "true")
    return "" if done.returncode == 0 else "strace may not trace here"


def libfaketime() -> Path | None:
    """The library that moves a process's clock, if it is installed."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    return found[0] if found else None
