"""One process owns one data directory (R20)."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from heliograph.errors import UnsafeStorage


class FileLock:
    """An exclusive lock on a side file; the system drops it when the process ends."""

    def __init__(self, path: Path) -> None:
        """Take the lock.

        Raises:
            UnsafeStorage: another process has it.
        """
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise UnsafeStorage(
                f"Another Heliograph (process {owner or 'unknown'}) has this data directory "
                "open: stop it first, or give this one a directory of its own."
            ) from None
        # For people: on a full disk the lock holds without it.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Give the lock up, once: later its descriptor's number may be of another file."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
