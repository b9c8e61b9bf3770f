"""Signals of POSIX that would end or suspend a server at once, and have it send things twice.

SIGTERM, SIGINT and SIGQUIT belong to `service.serve`. The others are blocked in every thread, and
one thread waits for them. So a fault of the machine's still ends the process where it happens,
as the kernel does with a blocked signal, and the same signal from another process does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import signal
import threading
from typing import Final

import structlog

from heliograph.service import Running

_FAULTS: Final = {
    *(signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSYS, signal.SIGTRAP)
}

STOPPING: Final = {
    *(signal.SIGABRT, signal.SIGXCPU),
    *([signal.SIGPWR] if hasattr(signal, "SIGPWR") else []),
    *_FAULTS,
}
"""Something is wrong beyond the server: it stops in order. A second one changes nothing."""

_OTHERS: Final = {
    *(signal.SIGTERM, signal.SIGINT, signal.SIGQUIT),  # those of `service.serve`
    *(signal.SIGKILL, signal.SIGSTOP),  # nobody can
    *(signal.SIGPIPE, signal.SIGXFSZ),  # ignored by Python: the write says it
    *(signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH, signal.SIGCONT),  # end nothing
}

_log = structlog.get_logger()


def held() -> set[int]:
    """The numbers that are waited for: whatever else would end or suspend the process."""
    mine = {int(number) for number in signal.valid_signals()} - _OTHERS
    return mine - _FAULTS if faulthandler.is_enabled() else mine


def hold() -> None:
    """Keep the signals from the process from here on; call it before any thread is started."""
    signal.pthread_sigmask(signal.SIG_BLOCK, held())


def heed(server: Running) -> None:
    """Do what each signal asks for, in the running loop, for as long as the process lives."""
    loop = asyncio.get_running_loop()

    def wait() -> None:
        while True:
            number = signal.sigwait(held())
            with contextlib.suppress(RuntimeError):  # the loop has ended, and so will we
                loop.call_soon_threadsafe(_heed, server, number)

    threading.Thread(target=wait, name="signals", daemon=True).start()


def _heed(server: Running, number: int) -> None:
    if number == signal.SIGHUP and server.certificate is not None:
        server.certificate.reload()
    elif number in STOPPING and not server.stopped.is_set():
        _log.warning("signal_stops", signal=name_of(number))
        server.stop()
    else:
        _log.info("signal_ignored", signal=name_of(number))


def name_of(number: int) -> str:
    """What a signal is called, or its number."""
    try:
        return signal.Signals(number).name
    except ValueError:  # one of the real-time signals
        return str(number)
