"""The listener: sockets on loopback, one task for each connection, one behaviour for all."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from heliograph.listen.behaviour import Behaviour, Context, Parameters, Shared, answer
from heliograph.listen.requests import LONGEST_HEAD, BadRequest, Request

_BACKLOG: Final = 512
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (read, not bound)


def _ignore(_: object) -> None:
    pass


class Listener:
    """A running listener; `listening` makes one."""

    def __init__(
        self,
        behaviour: Behaviour,
        variant: str | None = None,
        parameters: Parameters | None = None,
        on_request: Callable[[Request], None] = _ignore,
        odd: Callable[[str], None] = _ignore,
    ) -> None:
        """`on_request` gets each request that was read; `odd` a line about whatever else happened.

        Raises:
            LookupError: the behaviour has no such variant.
        """
        self.behaviour = behaviour
        self.connections = 0
        self.requests = 0
        self._on_request = on_request
        self._odd = odd
        self._shared = Shared()
        self._context = Context(
            behaviour.variant(variant), parameters or Parameters(), self._shared, self._take
        )
        self._running: set[asyncio.Task[None] | None] = set()

    @property
    def variant(self) -> str:
        """The variant that is played; empty where the behaviour has none."""
        return self._context.variant

    @property
    def base_url(self) -> str:
        """`http://host:port`, without a slash at its end."""
        return self._shared.base_url

    async def marked(self, what: str, times: int = 1) -> None:
        """Wait until connections have marked `what` so many times in all."""
        shared = self._shared
        async with shared.changed:
            await shared.changed.wait_for(lambda: shared.marks.count(what) >= times)

    def _take(self, request: Request) -> None:
        self.requests += 1
        self._on_request(request)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._running.add(task)
        self.connections += 1
        if not self.behaviour.reads:
            self._odd("A connection came.")
        try:
            await self.behaviour.act(reader, writer, self._context)
        except BadRequest as problem:
            self._odd(f"Answered {problem.status}: {problem}.")
            writer.write(answer(problem.status, ("Connection", "close")))
        except asyncio.IncompleteReadError:
            self._odd("The other side closed the connection within a request.")
        except OSError:
            pass  # it went away, as it may: many behaviours go on until then
        except asyncio.CancelledError:
            # It is over (`_end`). What waits to be sent may wait for ever.
            writer.transport.abort()
        finally:
            writer.close()
            self._running.discard(task)
            await self._context.mark("closed")

    async def _end(self) -> None:
        running = [task for task in self._running if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@asynccontextmanager
async def listening(
    listener: Listener, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Listener]:
    """Bind, and serve until the context ends; then every connection is cut.

    Args:
        listener: What serves; used once.
        host: The address or name to bind; anything but loopback is the caller's choice.
        port: 0 takes a free one.

    Raises:
        OSError: the address cannot be bound.
    """
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = addresses[0]
    with contextlib.closing(socket.socket(family, kind, protocol)) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        taken = bound.getsockname()
        name = _ANYWHERE.get(taken[0], taken[0])
        name = f"[{name}]" if ":" in name else name
        listener._shared.base_url = f"http://{name}:{taken[1]}"
        if not listener.behaviour.accepts:
            yield listener  # bound and not listening: the system refuses who connects
            return
        server = await asyncio.start_server(
            listener._connected, sock=bound, limit=LONGEST_HEAD, backlog=_BACKLOG
        )
        try:
            yield listener
        finally:
            server.close()
            await listener._end()
            await server.wait_closed()
