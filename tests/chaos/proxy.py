"""A TCP proxy before a database or a listener, which cuts, swallows, delays and drips."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """What passes is set while it runs; connections that are open feel it too.

    `to` and `back` say whether bytes pass towards the far side and from it; what does not
    pass is kept, and goes on its way later, as TCP would repeat it. `delay` is seconds for
    each piece from the far side, `drip` for each of its bytes. After `cut` bytes of an answer
    the connection is reset.
    """

    def __init__(self, connect: Callable[[], Awaitable[Streams]]) -> None:
        self._connect = connect
        self._open: set[asyncio.StreamWriter] = set()
        self._changed = asyncio.Condition()
        self.port = 0
        self.to = self.back = True
        self.refusing = False
        self.delay = self.drip = 0.0
        self.cut: int | None = None

    async def set(
        self,
        *,
        to: bool = True,
        back: bool = True,
        refusing: bool = False,
        delay: float = 0.0,
        drip: float = 0.0,
        cut: int | None = None,
    ) -> None:
        """Change what passes; `refusing` also resets what is open."""
        self.to, self.back, self.refusing = to, back, refusing
        self.delay, self.drip, self.cut = delay, drip, cut
        if refusing:
            for writer in list(self._open):
                _reset(writer)
        async with self._changed:
            self._changed.notify_all()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a node."""
        if self.refusing:
            _reset(writer)
            return
        try:
            far_reader, far_writer = await self._connect()
        except OSError:
            _reset(writer)
            return
        both = {writer, far_writer}
        self._open |= both
        try:
            pumps = {
                asyncio.create_task(self._pump(reader, far_writer, back=False)),
                asyncio.create_task(self._pump(far_reader, writer, back=True)),
            }
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            self._open -= both
            for one in both:
                one.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(65536):
                async with self._changed:
                    await self._changed.wait_for(lambda: self.back if back else self.to)
                if back and self.delay:
                    await asyncio.sleep(self.delay)
                if back and self.cut is not None:
                    writer.write(piece[: self.cut])
                    await writer.drain()
                    _reset(writer)
                    return
                steps = [piece[at : at + 1] for at in range(len(piece))]
                for part in steps if back and self.drip else [piece]:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(self.drip if back else 0)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, as a firewall does."""
    made = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        if made is not None and made.family == socket.AF_INET:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def proxy(unix_socket: str) -> AsyncIterator[Proxy]:
    """A proxy on a free port of loopback, in front of a Unix socket."""
    async with _serving(Proxy(lambda: asyncio.open_unix_connection(unix_socket))) as made:
        yield made


@asynccontextmanager
async def towards(base: str, host: str = "127.0.0.1") -> AsyncIterator[Proxy]:
    """A proxy on a free port of loopback, in front of `http://host:port`."""
    place = urlsplit(base)
    front = Proxy(lambda: asyncio.open_connection(place.hostname, place.port))
    async with _serving(front, host) as made:
        yield made


@asynccontextmanager
async def _serving(made: Proxy, host: str = "127.0.0.1") -> AsyncIterator[Proxy]:
    server = await asyncio.start_server(made.handle, host, 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await made.set(refusing=True)
