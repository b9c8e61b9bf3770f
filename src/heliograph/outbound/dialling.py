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
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from aiohappyeyeballs import AddrInfoType, start_connection

from heliograph.egress import Guard, Profile, Refused
from heliograph.failpoints import failpoint
from heliograph.model.deliveries import Phase
from heliograph.outbound.tls import Secure
from heliograph.outbound.trip import Trip

_STAGGER: Final = 0.25
"""Seconds until the next address is tried beside one that has not answered (RFC 8305, 8)."""


class RefusedAddress(OSError):
    """The guard refuses an address. An OSError, as the libraries expect of what they call."""


class Resolver(Protocol):
    """Who knows the addresses of host names."""

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily
    ) -> Sequence[Mapping[str, Any]]:
        """The addresses of a host, each as text under `host`.

        Raises:
            OSError: there is none, or it cannot be told.
        """
        ...


class SystemResolver:
    """The system's, in a thread of the loop's executor.

    Not the loop's own `getaddrinfo`: uvloop's has two threads for all names, and two whose servers
    are silent would keep everybody else waiting (R7).
    """

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily
    ) -> Sequence[Mapping[str, Any]]:
        """As of `Resolver`."""
        found = await asyncio.get_running_loop().run_in_executor(
            None,
            functools.partial(
                socket.getaddrinfo,
                *(host, port, family, socket.SOCK_STREAM),
                flags=socket.AI_ADDRCONFIG,
            ),
        )
        return [{"host": _text(address)} for *_, address in found]


class Dialler:
    """Makes connections to where the guard lets them lead."""

    def __init__(
        self, guard: Guard, resolver: Resolver, *, connect: float, receive_bytes: int
    ) -> None:
        """`connect` is the time to make a connection (s), to which the caller keeps too;
        `receive_bytes` what the kernel holds for us."""
        self._guard = guard
        self._names = resolver
        self._connect_seconds = connect
        self._receive_bytes = receive_bytes

    async def connect(
        self, trip: Trip, tls_context: ssl.SSLContext
    ) -> tuple[socket.socket, Secure | None]:
        """A connected socket for a trip, and its TLS if the target wants that.

        Raises:
            RefusedAddress: the guard refuses where the name leads.
            ssl.SSLError: the other side is not who it should be, or speaks no TLS.
            OSError: there is no connection.
        """
        target = trip.target
        addresses = await self._look_up(trip)
        if target.scheme == "https":
            return await self._speak_tls(trip, addresses, tls_context)
        return await self._dial(trip, addresses), None

    async def _speak_tls(
        self, trip: Trip, left: Sequence[AddrInfoType], tls_context: ssl.SSLContext
    ) -> tuple[socket.socket, Secure]:
        """A connection on which TLS has come about: until then nothing was sent, and another
        address may do better than one where nobody speaks it."""
        name = trip.target.host.rstrip(".")  # no certificate has that dot
        first: OSError | None = None
        while left:
            try:
                outgoing = await self._dial(trip, left)
            except OSError:
                if first is None:
                    raise
                break
            trip.phase = Phase.TLS
            left = _others(left, outgoing)
            secure = Secure(tls_context, name)
            try:
                async with asyncio.timeout(self._connect_seconds / 2 if left else None):
                    await secure.shake_hands(outgoing)
            except BaseException as error:
                outgoing.close()
                if not isinstance(error, ConnectionError | TimeoutError):
                    raise
                first = first or error
            else:
                return outgoing, secure
        trip.phase = Phase.TLS
        raise first or RefusedAddress

    async def _dial(self, trip: Trip, addresses: Sequence[AddrInfoType]) -> socket.socket:
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
            raise (stopped[0] if stopped else error) from None

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
        # Else the kernel buffers megabytes for a listener that floods us (R13). Linux doubles the
        # figure.
        outgoing.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_bytes)
        outgoing.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return outgoing

    async def _look_up(self, trip: Trip) -> list[AddrInfoType]:
        """All addresses of a host, each vetted, so that one refused address refuses the name."""
        host, port = trip.target.host, trip.target.port
        if _is_address(host):
            return [_place(host, port)]
        if self._guard.profile is Profile.EMULATOR and _is_localhost(host):
            # RFC 6761, 6.3: such names are loopback and never asked of a server. Both
            # families, since a developer's listener mostly has but one of them.
            return [_place("127.0.0.1", port), _place("::1", port)]
        trip.phase = Phase.DNS
        failpoint("send.resolve")
        answers = await self._names.resolve(host, port, socket.AF_UNSPEC)
        if not answers:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        for answer in answers:
            _vet(self._guard, answer["host"])
        return [_place(answer["host"], port) for answer in answers]


def _text(address: tuple[Any, ...]) -> str:
    """An IPv6 address may have a zone, which the guard refuses."""
    return "%".join(map(str, (address[0], *filter(None, address[2:]))))


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
