"""A TCP proxy between a node and its database, which cuts, swallows, delays and drips."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """What passes is set while it runs; connections that are open feel it too.

    `to` and `back` say whether bytes pass towards the database and from it; what does not
    pass is kept, and goes on its way later, as TCP would repeat it. `delay` is seconds for
    each piece from the database.
    """

    def __init__(self, connect: Callable[[], Awaitable[Streams]]) -> None:
        self._connect = connect
        self._open: set[asyncio.StreamWriter] = set()
        self._changed = asyncio.Condition()
        self.port = 0
        self.to = self.back = True
        self.refusing = False
        self.delay = 0.0

    async def set(
        self, *, to: bool = True, back: bool = True, refusing: bool = False, delay: float = 0.0
    ) -> None:
        """Change what passes; `refusing` also resets what is open."""
        self.to, self.back, self.refusing, self.delay = to, back, refusing, delay
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
                writer.write(piece)
                await writer.drain()


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
    made = Proxy(lambda: asyncio.open_unix_connection(unix_socket))
    server = await asyncio.start_server(made.handle, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await made.set(refusing=True)
