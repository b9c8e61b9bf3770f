"""Connections are made here: a name's addresses are vetted, and then tried in turn (S1).

Every address is vetted twice: all DNS answers before one of them is tried, and the very socket
address just before `connect`. They are tried as RFC 8305 says: in the resolver's order, IPv6
and IPv4 by turns, the next one as soon as one fails or has said nothing for a quarter of a
second. A request goes over the first connection that stands, and over no other.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import aiohttp
from aiohappyeyeballs import AddrInfoType, start_connection
from aiohttp.abc import AbstractResolver
from aiohttp.client_proto import ResponseHandler

from heliograph.egress import Guard, Profile, Refused
from heliograph.failpoints import failpoint
from heliograph.model.deliveries import Phase
from heliograph.outbound.trip import TRIP

KEPT_ALIVE: Final = 1.5
"""Seconds an idle connection is kept: less than the 2 s of gunicorn, the 5 s of Apache and
Node.js, the 60 s and more of load balancers, so that it is we who close it."""

_STAGGER: Final = 0.25
"""Seconds until the next address is tried beside one that has not answered (RFC 8305, 8)."""


class RefusedAddress(OSError):
    """The guard refuses an address. An OSError, as the libraries expect of what they call."""


class Dialler(aiohttp.BaseConnector):
    """aiohttp's pool of connections, which makes them in a way of its own."""

    def __init__(
        self,
        guard: Guard,
        resolver: AbstractResolver,
        tls_context: ssl.SSLContext,
        protocol: Callable[[], ResponseHandler],
        *,
        connect: float,
        receive_bytes: int,
        keeps: bool,
    ) -> None:
        """`connect` is the time to make a connection (s), which the session bounds too;
        `receive_bytes` what the kernel holds for us, and `keeps` whether any is used again."""
        kept: dict[str, Any] = {"keepalive_timeout": KEPT_ALIVE} if keeps else {"force_close": True}
        super().__init__(
            limit=0,
            limit_per_host=0,
            # Before 3.12.8 CPython may leave a TLS connection open for ever when the peer
            # does not take part in the shutdown.
            enable_cleanup_closed=sys.version_info < (3, 12, 8),
            **kept,
        )
        self._guard = guard
        self._names = resolver
        self._tls = tls_context
        self._protocol = protocol
        self._connect_seconds = connect
        self._receive_bytes = receive_bytes

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: Any,
        timeout: Any,  # noqa: ASYNC109 (aiohttp's, which keeps to it itself)
    ) -> ResponseHandler:
        host = req.url.raw_host or ""
        addresses = await self._look_up(host, req.port or 0)
        if req.is_ssl():
            return await self._speak_tls(host.rstrip("."), addresses)  # no certificate has that dot
        outgoing = await self._dial(addresses)
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(self._protocol, sock=outgoing)
        return made

    async def _speak_tls(self, name: str, left: Sequence[AddrInfoType]) -> ResponseHandler:
        """A connection on which TLS has come about: until then nothing was sent, and another
        address may do better than one where nobody speaks it."""
        trip, first = TRIP.get(), None
        while left:
            try:
                outgoing = await self._dial(left)
            except aiohttp.ClientOSError:
                if first is None:
                    raise
                break
            trip.phase = Phase.TLS
            left = _others(left, outgoing)
            try:
                async with asyncio.timeout(self._connect_seconds / 2 if left else None):
                    _, made = await asyncio.get_running_loop().create_connection(
                        self._protocol, sock=outgoing, ssl=self._tls, server_hostname=name
                    )
                return made
            except (ConnectionError, TimeoutError) as error:
                first = first or error
        trip.phase = Phase.TLS
        raise first or RefusedAddress

    async def _dial(self, addresses: Sequence[AddrInfoType]) -> socket.socket:
        trip = TRIP.get()
        trip.phase = Phase.CONNECT
        stopped: list[OSError] = []
        try:
            return await start_connection(
                addresses,
                happy_eyeballs_delay=_STAGGER,
                interleave=1,
                socket_factory=functools.partial(self._socket, stopped),
            )
        except OSError as error:
            # What stopped us before an address was tried says more than what became of others.
            cause = stopped[0] if stopped else error
            # The system's "timed out" is a TimeoutError too, and no end of our patience.
            raise aiohttp.ClientOSError(*cause.args) from cause

    def _socket(self, stopped: list[OSError], where: AddrInfoType) -> socket.socket:
        """A socket for exactly this address, if the guard admits it: the last look (S1)."""
        family, kind, protocol, _, address = where
        try:
            if stopped:  # one refused address refuses the name
                raise stopped[0]
            _vet(self._guard, str(address[0]))
            if any(address[2:]):  # flow label or scope id: another way to name a zone
                raise RefusedAddress
            outgoing = socket.socket(family, kind, protocol)
        except OSError as error:
            stopped.append(error)
            raise
        # Else the kernel buffers megabytes for a listener that floods us (R13), and asyncio reads
        # as much as there is at once. Linux doubles the figure.
        outgoing.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_bytes)
        return outgoing

    async def _look_up(self, host: str, port: int) -> list[AddrInfoType]:
        """All addresses of a host, each vetted, so that one refused address refuses the name."""
        if _is_address(host):
            return [_place(host, port)]
        if self._guard.profile is Profile.EMULATOR and _is_localhost(host):
            # RFC 6761, 6.3: such names are loopback and never asked of a server. Both
            # families, since a developer's listener mostly has but one of them.
            return [_place("127.0.0.1", port), _place("::1", port)]
        TRIP.get().phase = Phase.DNS
        failpoint("send.resolve")
        answers = await self._names.resolve(host, port, socket.AF_UNSPEC)
        if not answers:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        for answer in answers:
            _vet(self._guard, answer["host"])
        return [_place(answer["host"], port) for answer in answers]


def _others(addresses: Sequence[AddrInfoType], connected: socket.socket) -> list[AddrInfoType]:
    try:
        peer = connected.getpeername()
    except OSError:  # it is gone already
        return []
    others = [one for one in addresses if one[4] != peer]
    return others if len(others) < len(addresses) else []


def _vet(guard: Guard, address: str) -> None:
    try:
        guard.check_address(address)
    except Refused:
        raise RefusedAddress from None


def _place(address: str, port: int) -> AddrInfoType:
    if ":" in address:
        where: tuple[Any, ...] = (address, port, 0, 0)
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_localhost(host: str) -> bool:
    return host.lower().rpartition(".")[2] == "localhost"
