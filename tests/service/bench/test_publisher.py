"""The publisher, and servers that answer late, never, or close what is idle."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from heliograph.bench.orders import Called, Calls, Connect
from heliograph.bench.processes import child
from heliograph.bench.publisher import Publisher
from tests.busy import hang_times

HELD = "/held"
"""What is not answered until the test says so, and then with 404."""

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LATE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


@dataclass
class Peer:
    """A server that answers after `pause` seconds, and closes what was idle for `idle` seconds."""

    pause: float = 0.0
    idle: float | None = None
    port: int = 0
    heads: list[str] = field(default_factory=list)
    """The first line of each call."""
    released: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    """One for each connection that was closed for being idle, once the other side has seen it."""

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):
            while head := await self._head(reader, writer):
                self.heads.append(head)
                if HELD in head:
                    await self.released.wait()
                await asyncio.sleep(self.pause)
                writer.write(LATE if HELD in head else ANSWER)

    async def _head(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        try:
            async with asyncio.timeout(self.idle):
                return (await reader.readuntil(b"\r\n\r\n")).decode().partition("\r\n")[0]
        except TimeoutError:
            writer.write_eof()
            await reader.read()
            self.closed.release()
        except asyncio.IncompleteReadError:
            pass
        return ""


@contextlib.asynccontextmanager
async def running(peer: Peer) -> AsyncIterator[Connect]:
    """A peer, and the order to open two connections to it."""
    async with await asyncio.start_server(peer.talk, "127.0.0.1", 0) as server:
        peer.port = server.sockets[0].getsockname()[1]
        yield Connect([("127.0.0.1", peer.port)], "none", 2)


def calls(number: int, path: str = "/", connections: int = 2) -> Calls:
    return Calls(method="GET", path=path, calls=number, connections=connections, status=200)


async def test_calls_that_are_answered_one_after_the_other_may_take_as_long_as_they_like() -> None:
    async with running(Peer(pause=0.2 * hang_times())) as connect:
        publisher = Publisher(patience=0.9 * hang_times())
        await publisher.handle(connect)
        called: Called = await publisher.handle(calls(6, connections=1))
        assert (called.calls, called.refused) == (6, {})
        await publisher.handle(Connect([], "none", 0))


async def test_what_is_not_answered_is_given_up_and_answers_nothing_that_comes_after_it() -> None:
    peer = Peer()
    async with running(peer) as connect:
        publisher = Publisher(patience=0.3 * hang_times())
        await publisher.handle(connect)
        called: Called = await publisher.handle(calls(10, HELD))
        assert (called.next, called.calls, called.refused) == (2, 0, {0: [0, 1]})
        peer.released.set()
        called = await publisher.handle(calls(20))
        assert (called.next, called.calls, called.refused) == (20, 20, {})
        assert sum(HELD in head for head in peer.heads) == 2
        await publisher.handle(Connect([], "none", 0))


async def test_connections_that_the_server_closed_while_they_were_idle_are_opened_anew() -> None:
    peer = Peer(idle=0.1)
    with child("publisher") as publisher:

        def ask(order: Calls) -> Callable[[], Called]:
            return lambda: publisher.ask(order, Called)

        async with running(peer) as connect:
            await asyncio.to_thread(publisher.tell, connect)
            await asyncio.to_thread(ask(calls(10)))
            for _ in range(2):
                await peer.closed.acquire()
            called = await asyncio.to_thread(ask(calls(10)))
            assert (called.calls, called.refused) == (10, {})
            rated = calls(10)
            rated.rate = 1_000.0
            for _ in range(2):
                await peer.closed.acquire()
            called = await asyncio.to_thread(ask(rated))
            assert (called.calls, called.refused) == (10, {})
