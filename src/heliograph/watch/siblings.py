"""The other nodes behind one port: who is asked for metrics asks them for theirs.

A question is a datagram that brings one end of a pair of sockets; the answer is what is written
there until it is closed. The sockets of the questions are made before the nodes are, so a node
that comes in the place of another reads where that one did.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Final

_PATIENCE: Final = 1.0
"""Seconds that a node has for its answer: who stands still, or is no more, is left out."""

_MOST_READ: Final = 2**18

Question = tuple[socket.socket, socket.socket]
"""Where a node is asked, by any other one, and where it reads that."""


def questions(count: int) -> Sequence[Question]:
    """The sockets for so many nodes, to be made before them."""
    made = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(count)]
    for pair in made:
        for end in pair:
            end.setblocking(False)
    return made


class Siblings:
    """The nodes behind one port, as one of them sees the others."""

    def __init__(self, number: int, all_questions: Sequence[Question]) -> None:
        """`number` is this one's, from 1."""
        self.number = number
        self._others = [
            ask for other, (ask, _) in enumerate(all_questions, start=1) if other != number
        ]
        self._asked = all_questions[number - 1][1]
        self._answering: set[asyncio.Task[None]] = set()

    async def ask(self) -> list[bytes]:
        """The answers of those that gave one in time."""
        answers = await asyncio.gather(*(_answer_of(other) for other in self._others))
        return [answer for answer in answers if answer]

    @contextlib.contextmanager
    def answering(self, answer: Callable[[], bytes]) -> Iterator[None]:
        """Answer with what the function returns, within the block."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._asked, self._take, answer)
        try:
            yield
        finally:
            loop.remove_reader(self._asked)

    def _take(self, answer: Callable[[], bytes]) -> None:
        with contextlib.suppress(BlockingIOError):
            for descriptor in socket.recv_fds(self._asked, 1, 1)[1]:
                task = asyncio.create_task(_give(socket.socket(fileno=descriptor), answer()))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)


async def _answer_of(other: socket.socket) -> bytes:
    """Empty where it gives none in time."""
    ours, theirs = socket.socketpair()
    with ours:
        ours.setblocking(False)
        theirs.setblocking(False)
        with contextlib.suppress(OSError, TimeoutError):
            with theirs:
                socket.send_fds(other, [b"?"], [theirs.fileno()])
            parts = []
            async with asyncio.timeout(_PATIENCE):
                while part := await asyncio.get_running_loop().sock_recv(ours, _MOST_READ):
                    parts.append(part)
            return b"".join(parts)
    return b""


async def _give(asker: socket.socket, answer: bytes) -> None:
    with asker, contextlib.suppress(OSError, TimeoutError):  # it may wait no more
        async with asyncio.timeout(_PATIENCE):
            await asyncio.get_running_loop().sock_sendall(asker, answer)
