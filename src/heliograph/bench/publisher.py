"""The publisher of a bench: a process that makes calls as fast as they are answered, or at a rate.

Bare, so that it is no bottleneck: `machine` measures what it takes by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

import httptools

from heliograph.bench.events import DIGITS
from heliograph.bench.orders import Called, Calls, Connect, obey

_PATIENCE: Final = 120.0
"""Seconds without any answer after which what is not answered is called refused."""

_UNANSWERED: Final = 0


class Publisher:
    """Connections that stay open from one order to the next."""

    def __init__(self, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._connections: list[_Connection] = []
        self._head = ""

    async def handle(self, order: Connect | Calls) -> Any:
        """Carry out an order."""
        match order:
            case Connect(addresses, token, number):
                for connection in self._connections:
                    connection.close()
                self._head = (
                    f"Host: bench\r\nAuthorization: Bearer {token}\r\n"
                    "Content-Type: application/json\r\n"
                )
                self._connections = [
                    await _opened(address)
                    for address in itertools.islice(itertools.cycle(addresses), number)
                ]
                return None
            case Calls():
                head = f"{order.method} {order.path} HTTP/1.1\r\n{self._head}Content-Length: "
                some = [
                    await _opened(one.address) if one.closed else one
                    for one in self._connections[: order.connections]
                ]
                self._connections[: order.connections] = some
                return await _Round(order, head.encode(), self._patience).play(some)


async def _opened(address: tuple[str, int]) -> _Connection:
    loop = asyncio.get_running_loop()
    return (await loop.create_connection(lambda: _Connection(address), *address))[1]


class _Connection(asyncio.Protocol):
    """One connection to a server, with at most one call on it.

    It is `closed` by either side: a server closes what was idle for long.
    """

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.closed = False
        self._parser = httptools.HttpResponseParser(self)
        self._round: _Round | None = None
        self._bytes = 0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is of no such class

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def call(self, of: _Round, request: bytes) -> None:
        """Send a request; `of` is told of its answer."""
        self._round = of
        self._transport.write(request)

    def on_message_begin(self) -> None:
        self._bytes = 0

    def on_body(self, part: bytes) -> None:
        self._bytes += len(part)

    def on_message_complete(self) -> None:
        if self._round is not None:
            self._round.answered(self, self._parser.get_status_code(), self._bytes)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if self._round is not None:
            self._round.lost(self)

    def close(self) -> None:
        """Close it, and tell nobody."""
        self.closed = True
        self._round = None
        self._transport.close()


class _Round:
    """The calls of one order."""

    def __init__(self, order: Calls, head: bytes, patience: float) -> None:
        self._order = order
        self._patience = patience
        self._head = head
        self._pieces = [[piece.encode() for piece in pieces] for pieces in order.templates]
        self._next = order.first
        self._left = order.calls if order.calls is not None else float("inf")
        self._ends = float("inf")
        self._open: dict[_Connection, tuple[int, float]] = {}
        self._idle: deque[_Connection] = deque()
        self._late = 0
        self._took: list[float] = []
        self._good = 0
        self._bytes = 0
        self._refused: dict[int, list[int]] = {}
        self._answered: list[tuple[int, float, float]] = []
        self._done = asyncio.Event()

    async def play(self, connections: Sequence[_Connection]) -> Called:
        """Make the calls, and wait for their answers."""
        order, began = self._order, time.monotonic()
        if order.rate is None:
            if order.seconds is not None:
                self._ends = began + order.seconds
            for connection in connections:
                self._turn(connection)
        else:
            self._idle.extend(connections)
            await self._pace(began, order.size / order.rate)
        self._end_if_over()
        await self._wait()
        return Called(
            first=order.first,
            next=self._next,
            calls=self._good,
            began=began,
            ended=time.monotonic(),
            took=self._took,
            refused=cast(dict[int, Sequence[int]], self._refused),
            answered=self._answered,
            bytes=self._bytes,
        )

    async def _wait(self) -> None:
        """Wait for the last answer, or until there was none for long: then the round is over."""
        before = -1
        while not self._done.is_set() and before < len(self._took):
            before = len(self._took)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._done.wait(), self._patience)
        self._left, self._ends = 0, 0.0
        unanswered, self._open = self._open, {}
        for connection, (number, _) in unanswered.items():
            self._refuse(number, _UNANSWERED)
            connection.close()  # what comes after all must not meet another round

    async def _pace(self, began: float, gap: float) -> None:
        """A call every `gap` seconds, later where no connection is free; none is left out."""
        order = self._order
        calls = order.calls if order.calls is not None else round((order.seconds or 0.0) / gap)
        for number in range(1, max(1, calls) + 1):
            if self._idle:
                self._turn(self._idle.popleft())
            else:
                self._late += 1
            if (wait := began + number * gap - time.monotonic()) > 0:
                await asyncio.sleep(wait)
        self._ends = 0.0

    def answered(self, connection: _Connection, status: int, size: int) -> None:
        """The answer of a connection is here, whole; its body has `size` bytes."""
        self._bytes = size
        number, began = self._open.pop(connection)
        now = time.monotonic()
        self._took.append(now - began)
        if status == self._order.status:
            self._good += 1
            if self._order.rate is not None:
                self._answered += ((one, began, now) for one in self._numbers(number))
        else:
            self._refuse(number, status)
        if self._order.rate is None:
            self._turn(connection)
        elif self._late:
            self._late -= 1
            self._turn(connection)
        else:
            self._idle.append(connection)
        self._end_if_over()

    def lost(self, connection: _Connection) -> None:
        """A connection is closed."""
        if connection in self._open:
            self._refuse(self._open.pop(connection)[0], _UNANSWERED)
            self._end_if_over()

    def _turn(self, connection: _Connection) -> None:
        """The next call of a connection, if there is one."""
        if self._order.rate is None and self._over():
            return
        self._left -= 1
        self._open[connection] = (self._next, time.monotonic())
        connection.call(self, self._request())

    def _over(self) -> bool:
        return self._left <= 0 or time.monotonic() >= self._ends

    def _end_if_over(self) -> None:
        if not self._open and self._over():
            self._done.set()

    def _refuse(self, number: int, status: int) -> None:
        self._refused.setdefault(status, []).extend(self._numbers(number))

    def _numbers(self, first: int) -> Iterator[int]:
        """Of the events of the call that began with one."""
        return iter(range(first, first + self._order.size))

    def _request(self) -> bytes:
        size = self._order.size
        first, self._next = self._next, self._next + size
        if not self._pieces:
            return self._head + b"0\r\n\r\n"
        bodies = [
            (b"%0*d" % (DIGITS, number)).join(self._pieces[number % len(self._pieces)])
            for number in range(first, first + size)
        ]
        body = bodies[0] if size == 1 else b"[" + b",".join(bodies) + b"]"
        return b"%b%d\r\n\r\n%b" % (self._head, len(body), body)


if __name__ == "__main__":
    obey(Connect | Calls, Publisher().handle)
