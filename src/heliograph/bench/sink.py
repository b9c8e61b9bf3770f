"""The listeners of a bench: a process that takes messages, notes when each came, and answers 200.

Bare, so that it is no bottleneck: `machine` measures what it takes by itself. The listener is the
path, a number; the event's number ends the envelope's id.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final, cast

import httptools

from heliograph.bench.events import DIGITS, ENVELOPE, NUMBER_AT
from heliograph.bench.orders import Await, Forget, Hang, Listen, Listening, Tell, Told, obey

_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_NUMBERS: Final = 10**DIGITS


class Sink:
    """What has come."""

    def __init__(self) -> None:
        self.arrived: dict[int, float] = {}
        self.repeated: list[int] = []
        self.hanging: frozenset[int] = frozenset()
        self.forgotten: set[int] = set()
        self.bytes = 0
        self._awaited: int | None = None
        self._enough = asyncio.Event()

    def came(self, listener: int, body: bytes) -> None:
        """A message is here, whole."""
        self.bytes = len(body)
        at = body.find(ENVELOPE) + NUMBER_AT
        # A batch that comes straight from the publisher counts as its first event.
        number = int(body[at : at + DIGITS])
        key = listener * _NUMBERS + number
        if number in self.forgotten:
            return
        if key in self.arrived:
            self.repeated.append(key)
            return
        self.arrived[key] = time.monotonic()
        if len(self.arrived) == self._awaited:
            self._enough.set()

    async def handle(self, order: Listen | Hang | Forget | Await | Tell) -> Any:
        """Carry out an order."""
        match order:
            case Listen():
                server = await asyncio.get_running_loop().create_server(
                    lambda: _Connection(self), "127.0.0.1", 0, backlog=1024
                )
                return Listening(server.sockets[0].getsockname()[1])
            case Hang(listeners):
                self.hanging = frozenset(listeners)
            case Forget(numbers):
                self.forgotten.update(numbers)
                self.arrived = {
                    key: at
                    for key, at in self.arrived.items()
                    if key % _NUMBERS not in self.forgotten
                }
                self.repeated = [
                    key for key in self.repeated if key % _NUMBERS not in self.forgotten
                ]
            case Await(arrived, quiet):
                await self._wait(arrived, quiet)
            case Tell():
                return self._told(order)
        return None

    async def _wait(self, arrived: int, quiet: float) -> None:
        self._awaited = arrived
        self._enough.clear()
        before = -1
        while before < len(self.arrived) < arrived:
            before = len(self.arrived)
            try:
                await asyncio.wait_for(self._enough.wait(), quiet)
            except TimeoutError:
                continue
        self._awaited = None

    def _told(self, order: Tell) -> Told:
        came = {key: at for key, at in self.arrived.items() if key % _NUMBERS >= order.first}
        return Told(
            arrived=len(came),
            meanwhile=sum(at <= order.until for at in came.values()) if order.until else 0,
            repeated=sum(key % _NUMBERS >= order.first for key in self.repeated),
            last=max(came.values(), default=0.0),
            bytes=self.bytes,
            each=[(key % _NUMBERS, at) for key, at in came.items()] if order.each else (),
        )


class _Connection(asyncio.Protocol):
    """One connection of the server's."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._parser = httptools.HttpRequestParser(self)
        self._listener = 0
        self._parts: list[bytes] = []
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is of no such class

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._listener = int(url[1:])

    def on_body(self, part: bytes) -> None:
        self._parts.append(part)

    def on_message_complete(self) -> None:
        parts, self._parts = self._parts, []
        if self._listener in self._sink.hanging:
            return
        self._sink.came(self._listener, parts[0] if len(parts) == 1 else b"".join(parts))
        self._transport.write(_ANSWER)


if __name__ == "__main__":
    obey(Listen | Hang | Forget | Await | Tell, Sink().handle)
