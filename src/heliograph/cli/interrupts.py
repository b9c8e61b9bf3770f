"""Ctrl-C that is heeded at once, whatever the event loop waits for."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def heeded() -> Iterator[None]:
    """Let a signal wake the running event loop, for the time of the block.

    Python's own handler, and so asyncio.run's, has its turn when the main thread runs again. A
    signal that comes just before the thread waits for events, or that the system gives to another
    thread, does not end that wait: on a quiet pipe Ctrl-C would do nothing.
    """
    if threading.current_thread() is not threading.main_thread():  # no signal comes here
        yield
        return
    loop = asyncio.get_running_loop()
    read, write = socket.socketpair()
    with read, write:
        read.setblocking(False)
        write.setblocking(False)
        before = signal.set_wakeup_fd(write.fileno(), warn_on_full_buffer=False)
        loop.add_reader(read, read.recv, 4096)
        try:
            yield
        finally:
            loop.remove_reader(read)
            signal.set_wakeup_fd(before)
