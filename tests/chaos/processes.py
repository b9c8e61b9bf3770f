"""The processes of a PostgreSQL server: stopped where they stand, and let go on."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable

from tests.postgres_server import PostgresServer


def stand_still(server: PostgresServer) -> list[int]:
    """SIGSTOP to every process of the server, those that it starts meanwhile too."""
    processes = [server.postmaster()]
    os.kill(processes[0], signal.SIGSTOP)
    for child in server.children():
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGSTOP)
            processes.append(child)
    return processes


def go_on(processes: Iterable[int]) -> None:
    """SIGCONT to those that are still there."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGCONT)
