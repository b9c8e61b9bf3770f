"""A listener on loopback that does what a test scripts, byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field

from aiohttp.abc import AbstractResolver, ResolveResult

from heliograph.egress import Guard, Profile
from heliograph.model.deliveries import Answer, Fault, Phase
from heliograph.outbound.transport import Budget, Transport

EMULATOR = Guard(Profile.EMULATOR)
PUBLIC = Guard(Profile.PUBLIC)
HEADERS = (("Content-Type", "application/json"), ("X-Twice", "1"), ("X-Twice", "2"))
BODY = b'{"a":1}'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Peer:
    """One connection as the listener sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> tuple[str, bytes]:
        """Read one whole request: its head, as text, and its body."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        lines = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:-2])
        return head, await self.reader.readexactly(int(lines["content-length"]))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


Script = Callable[["Listener", Peer], Awaitable[None]]


@dataclass
class Listener:
    """What a scripted listener saw; a script ends the connection by returning."""

    port: int = 0
    connections: int = 0
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def tls_url(self) -> str:
        return f"https://localhost:{self.port}/hook"

    async def take(self, peer: Peer) -> None:
        self.requests.append(await peer.request())
        self.asked.set()


@asynccontextmanager
async def listening(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Listener]:
    """A listener on 127.0.0.1 that runs `script` for each connection."""
    listener = Listener()
    running: set[asyncio.Task[None] | None] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        running.add(task)
        listener.connections += 1
        try:
            await script(listener, Peer(reader, writer))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the other side went away, or the test is over
        finally:
            listener.ended.set()
            writer.close()
            running.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    listener.port = server.sockets[0].getsockname()[1]
    try:
        yield listener
    finally:
        server.close()
        for task in running:
            assert task is not None
            task.cancel()
        await server.wait_closed()


@contextlib.contextmanager
def threaded(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A listener with blocking sockets, on a thread of its own; gives its URL."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        serving = threading.Thread(target=serve, args=(listening,))
        serving.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        serving.join()


def says(data: bytes, *, then: Script | None = None) -> Script:
    """A script: take one request, send `data`, and end, or go on with `then`."""

    async def script(listener: Listener, peer: Peer) -> None:
        await listener.take(peer)
        await peer.send(data)
        if then is not None:
            await then(listener, peer)

    return script


async def hang(listener: Listener, peer: Peer) -> None:
    """Go on until the other side closes the connection."""
    await peer.reader.read()


async def keep_answering(listener: Listener, peer: Peer) -> None:
    while True:
        await listener.take(peer)
        await peer.send(OK)


class Names(AbstractResolver):
    """A resolver that answers from a table, or raises what stands in it."""

    def __init__(self, table: dict[str, Sequence[str] | Exception]) -> None:
        self.table = table
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        found = self.table[host]
        if isinstance(found, Exception):
            raise found
        return [self.result(host, address, port) for address in found]

    def result(self, host: str, address: str, port: int) -> ResolveResult:
        return ResolveResult(hostname=host, host=address, port=port, family=0, proto=0, flags=0)

    async def close(self) -> None:
        pass


async def post(
    url: str,
    *,
    guard: Guard = EMULATOR,
    budget: Budget | None = None,
    resolver: AbstractResolver | None = None,
    body: bytes = BODY,
) -> Answer | Fault:
    """One post over a transport of its own."""
    async with Transport(guard, budget or Budget(), resolver) as transport:
        return await transport.post(url, HEADERS, body)


def fault(came_back: Answer | Fault) -> tuple[Phase, str]:
    assert isinstance(came_back, Fault), came_back
    return came_back.phase, came_back.what
