"""Takes connections: so many from one client, so many in all, and no more (S13)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
from collections import Counter
from collections.abc import Callable, Coroutine, Generator
from typing import Final

import structlog
import uvicorn

from heliograph.access.clients import client_of
from heliograph.errors import ApiError, Unavailable, Unspecified
from heliograph.incoming.bounds import MOST_TOLD, Bounds
from heliograph.incoming.certificate import ServerCertificate
from heliograph.incoming.crowd import Turn
from heliograph.incoming.exchange import Application, Common
from heliograph.incoming.protocol import NO_SNIFFING, GuardedProtocol
from heliograph.settings import Settings
from heliograph.watch.logs import told

_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_PAUSE: Final = 0.5
"""Seconds until a connection is taken again after the machine had nothing left for one."""

_GOODBYE: Final = 1.0
"""Seconds that a client has to end TLS after us: one that only keeps its connection open must
not hold up a stop for all of the grace (R15)."""

TOO_MANY: Final = "too_many_connections"
HANDSHAKE: Final = "handshake"

_MOST_SEEN_OFF: Final = 64
"""Connections above the bounds that are read until they can be answered: further ones end the
oldest of them. They live on the descriptors that `bounds` leaves for others."""

_FULL: Final = Unavailable("There are too many connections.")

_log = structlog.get_logger()

Refused = Callable[[str], None]
"""Is told why a client was turned away: an error code, or one of the words above."""


class Server(uvicorn.Server):
    """uvicorn's server behind a door of our own. Signals belong to `service.serve`."""

    def __init__(
        self,
        config: uvicorn.Config,
        listening: socket.socket,
        bounds: Bounds,
        certificate: ServerCertificate | None,
        refused: Refused,
        turn: Turn | None = None,
    ) -> None:
        """A `certificate` of None stands for plain HTTP, a `turn` of None for a node alone."""
        super().__init__(config)
        self._listening = listening
        self._bounds = bounds
        self._certificate = certificate
        self._refused = refused
        self._turn = turn
        self._common = Common()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the door instead of uvicorn's."""
        await self.lifespan.startup()
        door = _Door(self._bounds, self._make, self._certificate, self._refused, self._turn)
        door.open(self._listening)
        self.servers = [door]  # type: ignore[list-item]
        self.started = True

    def _make(self, gone: Callable[[], None], full: ApiError | None) -> GuardedProtocol:
        # Who is one too many was counted as that.
        refused = self._refused if full is None else _uncounted
        return GuardedProtocol(
            self.config, self.server_state, self._bounds, self._common, gone, refused, full
        )


def _uncounted(_reason: str) -> None:
    pass


class _Door:
    """What uvicorn takes for an asyncio server."""

    def __init__(
        self,
        bounds: Bounds,
        make: Callable[[Callable[[], None], ApiError | None], GuardedProtocol],
        certificate: ServerCertificate | None,
        refused: Refused,
        turn: Turn | None,
    ) -> None:
        self._bounds = bounds
        self._turn = turn
        self._make = make
        self._certificate = certificate
        self._refused = refused
        self._here: Counter[str] = Counter()
        self._count = 0
        self._welcoming: set[asyncio.Task[None]] = set()
        self._seen_off: dict[GuardedProtocol, asyncio.Task[None]] = {}
        self._accepting: asyncio.Task[None] | None = None

    def open(self, listening: socket.socket) -> None:
        """Take connections from now on; `close` closes the socket too."""
        listening.setblocking(False)
        self._counted()
        self._accepting = asyncio.create_task(self._accept(listening))
        # Not before the loop has let go of it.
        self._accepting.add_done_callback(lambda _: listening.close())

    def close(self) -> None:
        """Take no more; handshakes that are not over end."""
        if self._turn is not None:
            self._turn.leave()
            self._turn = None
        if self._accepting is not None:
            self._accepting.cancel()
        for task in self._welcoming:
            task.cancel()

    async def wait_closed(self) -> None:
        """Wait until the socket is closed."""
        if self._accepting is not None:
            await asyncio.wait([self._accepting, *self._welcoming])

    async def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, address = await self._next(listening)
            except OSError as error:
                # Else the client was gone before it was taken.
                if error.errno in _EXHAUSTED:
                    _log.warning("no_connection_taken", error=error.strerror)
                    await asyncio.sleep(_PAUSE)
                continue
            try:
                self._take(connection, address)
            except Exception as bug:  # or nobody would be taken any more
                connection.close()
                self._broke(bug)
            await asyncio.sleep(0)  # so that who came first is answered first

    async def _next(self, listening: socket.socket) -> tuple[socket.socket, str]:
        if self._turn is not None:
            return await self._turn.take(listening)
        connection, address = await asyncio.get_running_loop().sock_accept(listening)
        return connection, str(address[0])

    def _counted(self) -> None:
        if self._turn is not None:
            self._turn.has(self._count)

    def _take(self, connection: socket.socket, address: str) -> None:
        client, bounds = client_of(address), self._bounds
        crowded = self._here[client] >= bounds.connections_per_address
        if self._count >= bounds.connections or (crowded and not self._is_proxy(address)):
            self._see_off(connection, client)
            return
        protocol = self._make(self._leaving(client), None)
        self._count += 1
        self._counted()
        self._here[client] += 1
        self._start(self._welcome(connection, client, protocol))

    def _see_off(self, connection: socket.socket, client: str) -> None:
        """Answer that there is no room for it."""
        self._refused(TOO_MANY)
        if len(self._seen_off) >= _MOST_SEEN_OFF:
            oldest, welcome = next(iter(self._seen_off.items()))
            if welcome.done():
                oldest.hurry()
            else:
                welcome.cancel()
            self._seen_off.pop(oldest, None)

        def leave() -> None:
            self._seen_off.pop(protocol, None)

        protocol = self._make(leave, _FULL)
        welcome = self._start(self._welcome(connection, client, protocol))
        self._seen_off[protocol] = welcome

    def _start(self, welcome: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(welcome)
        self._welcoming.add(task)
        task.add_done_callback(self._welcoming.discard)
        return task

    async def _welcome(
        self, connection: socket.socket, client: str, protocol: GuardedProtocol
    ) -> None:
        tls = None if self._certificate is None else self._certificate.context
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: protocol,
                connection,
                ssl=tls,
                ssl_handshake_timeout=None if tls is None else self._bounds.head_timeout,
                ssl_shutdown_timeout=None if tls is None else _GOODBYE,
            )
        except BaseException as error:
            connection.close()
            protocol.left()
            if isinstance(error, OSError):
                self._refused(HANDSHAKE)
                _log.debug("handshake_failed", client=client, error=str(error))
            elif isinstance(error, Exception):
                self._broke(error)
            else:
                raise

    def _broke(self, bug: Exception) -> None:
        self._refused(Unspecified.code)
        _log.error("connection_broke", exception=told(bug, MOST_TOLD))

    def _leaving(self, client: str) -> Callable[[], None]:
        left = False

        def leave() -> None:
            nonlocal left
            if not left:
                left = True
                self._count -= 1
                self._counted()
                self._here[client] -= 1
                if not self._here[client]:
                    del self._here[client]

        return leave

    def _is_proxy(self, address: str) -> bool:
        proxies = self._bounds.proxies
        return bool(proxies) and any(
            ipaddress.ip_address(address) in network for network in proxies
        )


_ONLY_HTTPS: Final = ("Strict-Transport-Security", "max-age=31536000")
"""HSTS, of a year (RFC 6797)."""


def uvicorn_config(
    web: Application, settings: Settings, certificate: ServerCertificate | None
) -> uvicorn.Config:
    """uvicorn as Heliograph runs it: no logs, no signals, no header of its own."""
    headers = [NO_SNIFFING]
    if certificate is not None and not certificate.is_for_development:
        headers.append(_ONLY_HTTPS)
    return uvicorn.Config(
        web,
        loop="none",
        http=GuardedProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        headers=headers,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=max(1, round(settings.grace)),
    )


def bound_socket(settings: Settings) -> socket.socket:
    """The address of the settings, taken and not yet listened on.

    Raises:
        OSError: it is taken, or none of this machine's.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Named, or asyncio's own loop leaves Nagle's algorithm on: an answer whose body follows
    # its headers then waits 40 ms for the caller's delayed acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError:
        listening.close()
        raise
    return listening
