"""Which of several nodes behind one port takes the next connection: one that has few.

All of them are told of a connection, and the first one awake could have all of a hundred that come
at once, for as long as they last. So each says how many it has, in memory that all of them share,
and leaves a connection for a moment to the others where it has more than one of them.
"""

from __future__ import annotations

import asyncio
import mmap
import select
import socket
from typing import Final

_ABSENT: Final = 2**62
"""Connections that a node has which takes none."""

_MORE: Final = 2
"""Connections by which a node may be ahead of another one."""

_LOOK: Final = 0.001
"""Seconds between two looks whether another one has taken what was left to it."""

_PATIENCE: Final = 0.05
"""Seconds that a connection is left to the others, who may have other things to do."""

_IMPATIENCE: Final = 1.0
"""Seconds in which nothing is left to them after they have let one wait so long."""


class Crowd:
    """How many connections each node has. Made before the nodes are; an old number does no harm."""

    def __init__(self, nodes: int) -> None:
        self.counts = memoryview(mmap.mmap(-1, 8 * nodes)).cast("q")
        for number in range(1, nodes + 1):
            self.leave(number)

    def leave(self, number: int) -> None:
        """Count on a node no more; it is there again when it says how many it has."""
        self.counts[number - 1] = _ABSENT


class Turn:
    """What one node does in the crowd; it is there from its first `has` until `leave`."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        self._crowd = crowd
        self._number = number
        self._impatient_until = 0.0

    def has(self, connections: int) -> None:
        """Say how many connections this node has."""
        self._crowd.counts[self._number - 1] = connections

    def leave(self) -> None:
        """Take no more: nothing is to be left to this node."""
        self._crowd.leave(self._number)

    async def take(self, listening: socket.socket) -> tuple[socket.socket, str]:
        """The next connection that is not for another one to take, and its address.

        Raises:
            OSError: it cannot be taken.
        """
        while True:
            await _readable(listening)
            await self._leave_to_others(listening)
            try:
                connection, address = listening.accept()
            except BlockingIOError:  # another one was faster
                continue
            connection.setblocking(False)
            return connection, str(address[0])

    async def _leave_to_others(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now < self._impatient_until:
            return
        until = now + _PATIENCE
        while self._is_ahead() and select.select([listening], [], [], 0)[0]:
            if loop.time() >= until:
                self._impatient_until = until + _IMPATIENCE
                return
            await asyncio.sleep(_LOOK)

    def _is_ahead(self) -> bool:
        counts = self._crowd.counts
        return counts[self._number - 1] > min(counts) + _MORE


async def _readable(listening: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    knocked = asyncio.Event()
    loop.add_reader(listening, knocked.set)
    try:
        await knocked.wait()
    finally:
        loop.remove_reader(listening)
