"""Commands that are cut short: kill -9 at a flush, or a disk that is full from a write on.

`python -m tests.cutting` is a server of processes: it has imported what commands need, takes a line
of JSON for each run, forks, and answers with how the run ended. In the fork the flushes and the
writes of SQLite, by its VFS, and of Python's files are counted: no tool of the system is needed.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import importlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import apsw

from heliograph.cli import _COMMANDS, main

_PWRITE: Final = ctypes.CFUNCTYPE(
    ctypes.c_ssize_t,
    *(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64),
    use_errno=True,
)
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LIBC.pwrite64.restype = ctypes.c_ssize_t
_LIBC.pwrite64.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64]

KILLED: Final = -signal.SIGKILL


@dataclass(frozen=True)
class Ended:
    """How a run ended: its status, what it said, and whether its trap was sprung."""

    status: int
    said: str
    cut: bool


class Commands:
    """Runs commands, one after the other, in forks of a process that is warm."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, *words: object, flush: int = 0, write: int = 0, out: str | None = None) -> Ended:
        """A command that is killed at a flush, or has a full disk from a write on; each from 1.

        Args:
            words: As on a command line.
            flush: The number of the flush at whose beginning it is killed; 0 for none.
            write: The number of the first write that finds the disk full; 0 for none.
            out: Where standard output leads, instead of what is answered.
        """
        order = {"words": [str(word) for word in words], "flush": flush, "write": write, "out": out}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Ended(**json.loads(self._process.stdout.readline()))


@contextlib.contextmanager
def commands() -> Iterator[Commands]:
    """A server of processes that ends with the block."""
    environment = {**os.environ, "HELIOGRAPH_I_ACCEPT_DATA_LOSS": "true", "COLUMNS": "200"}
    with subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        yield Commands(process)
        assert process.stdin is not None
        process.stdin.close()


class _Traps:
    """Counts the flushes and writes of this process, and makes one of them its trouble."""

    def __init__(self, flush: int, write: int, sprung: int) -> None:
        self._traps = {"flush": flush, "write": write}
        self._counts = {"flush": 0, "write": 0}
        self._sprung = sprung
        self._lock = threading.Lock()

    def flush(self) -> None:
        if self._passed("flush") == self._traps["flush"]:
            os.kill(os.getpid(), signal.SIGKILL)

    @property
    def full(self) -> bool:
        """Whether a write finds no room; then no later one does."""
        return 0 < self._traps["write"] <= self._passed("write")

    def _passed(self, what: str) -> int:
        with self._lock:
            self._counts[what] += 1
            if self._counts[what] == self._traps[what]:
                os.pwrite(self._sprung, b"x", 0)
            return self._counts[what]

    def set(self) -> None:
        """Let everything in this process that writes pass by here."""
        traps, fsync, flushes = self, os.fsync, self._traps["flush"] > 0

        def counted_fsync(descriptor: int) -> None:
            traps.flush()
            fsync(descriptor)

        def counted_fdopen(descriptor: int, mode: str) -> io.BufferedWriter:
            return io.BufferedWriter(_File(descriptor, mode))

        class _File(io.FileIO):
            def write(self, data: Any) -> int:
                if traps.full:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return super().write(data)

        class _DatabaseFile(apsw.VFSFile):
            def __init__(self, name: Any, flags: list[int]) -> None:
                super().__init__("unix", name, flags)

            def xLock(self, level: int) -> None:  # noqa: N802
                # Without a VFS of Python's SQLite ignores it, where a file is only read.
                try:
                    super().xLock(level)
                except apsw.IOError:
                    raise apsw.BusyError from None

            def xSync(self, flags: int) -> None:  # noqa: N802
                traps.flush()
                super().xSync(flags)

        class _Vfs(apsw.VFS):
            def __init__(self) -> None:
                super().__init__("counted", "unix", makedefault=flushes)

            def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
                return _DatabaseFile(name, flags)

        os.fsync = counted_fsync  # type: ignore[assignment]
        os.fdopen = counted_fdopen  # type: ignore[assignment]
        self._vfs = _Vfs()
        # Not in the VFS: an exception there comes out of calls that SQLite has let succeed.
        self._pwrite = _PWRITE(self._written)
        address = ctypes.cast(self._pwrite, ctypes.c_void_p).value
        assert address is not None
        assert self._vfs.xSetSystemCall("pwrite64", address)

    def _written(self, descriptor: int, data: int, size: int, offset: int) -> int:
        if self.full:
            ctypes.set_errno(errno.ENOSPC)
            return -1
        return int(_LIBC.pwrite64(descriptor, data, size, offset))


def _serve() -> None:
    for name in _COMMANDS:
        importlib.import_module(f"heliograph.cli.commands.{name.replace('-', '_')}")
    for line in sys.stdin:
        order = json.loads(line)
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as sprung:
            process = os.fork()
            if process == 0:
                _run(order, said.fileno(), sprung.fileno())
            _, status = os.waitpid(process, 0)
            said.seek(0)
            ended = {
                "status": os.waitstatus_to_exitcode(status),
                "said": said.read().decode(errors="replace"),
                "cut": os.fstat(sprung.fileno()).st_size > 0,
            }
            sys.stdout.write(json.dumps(ended) + "\n")
            sys.stdout.flush()


def _run(order: dict[str, Any], said: int, sprung: int) -> None:
    """In the fork: what a new process would do, and no more."""
    status = 70
    try:
        os.dup2(said if order["out"] is None else os.open(order["out"], os.O_WRONLY), 1)
        os.dup2(said, 2)
        if order["words"][0] == "serve":
            _stop_when_started(said)
        _Traps(order["flush"], order["write"], sprung).set()
        try:
            main(order["words"], prog_name="heliograph")
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _stop_when_started(said: int) -> None:
    """Pass on what a server says, and stop it after the last line of what it says at the start."""
    read, write = os.pipe()
    os.dup2(write, 1)

    def watch() -> None:
        for line in os.fdopen(read, "rb"):
            os.write(said, line)
            if b"Stop" in line:
                os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    _serve()
