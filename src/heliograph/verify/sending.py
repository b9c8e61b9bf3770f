"""The shell that posts: past the guard, over the product's client, or as that never would.

What is sent slowly, cut or only in half goes over a connection of its own, made by the same
dialler: every address is vetted there (S1), and TLS is verified.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

import msgspec

from heliograph.egress import Guard, Profile, Target
from heliograph.model.deliveries import Fault, Phase
from heliograph.outbound import tls, words
from heliograph.outbound.answers import Answering, Bounds, Malformed
from heliograph.outbound.dialling import Dialler, RefusedAddress, SystemResolver
from heliograph.outbound.tls import Secure
from heliograph.outbound.transport import Budget, Transport
from heliograph.outbound.trip import Trip
from heliograph.verify.plays import Came, Manner, Post, Sending

_GUARD: Final = Guard(Profile.EMULATOR)
_LIMITS: Final = Budget()
_BOUNDS: Final = Bounds(
    _LIMITS.header_bytes, _LIMITS.headers, _LIMITS.body_bytes, _LIMITS.stored_bytes
)
_PIECES: Final = 24
"""In how many pieces a message goes out that is sent slowly."""

_AT_ONCE: Final = 256 * 1024
"""Bytes that are written at once; then what comes meanwhile is read."""

_RESET: Final = struct.pack("ii", 1, 0)
_READ: Final = 16 * 1024


def check_url(url: str) -> None:
    """See that the kit may call a URL: on this machine, or a public address.

    Raises:
        egress.Refused: it may not.
    """
    _GUARD.check_new_url(url)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: how long an `answer` is waited for, and how long a `slow` message takes to send."""

    answer: float
    slow: float


class Sender:
    """Sends the posts of the kit to one listener; use as an async context manager."""

    def __init__(self, url: str, patience: Patience) -> None:
        """Raises:
        egress.Refused: the guard does not admit the URL.
        """
        self._url = url
        self._patience = patience
        self._transport = Transport(_GUARD, Budget(total=patience.answer))
        self._dialler = Dialler(
            _GUARD,
            SystemResolver(),
            connect=_LIMITS.connect,
            receive_bytes=_LIMITS.header_bytes,
        )
        self._target = _GUARD.check_new_url(url)
        self._context = tls.context()

    async def __aenter__(self) -> Self:
        await self._transport.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.close()

    async def send(self, sending: Sending) -> Came:
        """Send one post once, in its manner."""
        if sending.manner is not Manner.PLAIN:
            return await self._send_oddly(sending.post, sending.manner)
        loop = asyncio.get_running_loop()
        began = loop.time()
        post = sending.post
        back = await self._transport.post(self._url, post.headers, post.body, fresh=True)
        seconds = loop.time() - began
        if isinstance(back, Fault):
            return Came(None, back.what, seconds)
        return Came(back.status, None, seconds)

    async def count(self, probe: str) -> int | None:
        """The number of side effects that a probe tells; None where it tells none.

        It is a GET; the answer's body is a number, or a JSON object with a `count`.

        Raises:
            egress.Refused: the guard does not admit the URL.
        """
        target = _GUARD.check_new_url(probe)
        head = _head("GET", probe, target, ())
        came, body = await self._exchange(target, [head], Manner.TIMED)
        return _number(body) if came.status == 200 else None

    async def _send_oddly(self, post: Post, manner: Manner) -> Came:
        length = ("Content-Length", str(len(post.body)))
        message = _head("POST", self._url, self._target, (*post.headers, length)) + post.body
        if manner is Manner.HALF:
            pieces: Sequence[bytes | memoryview] = [message[: len(message) - len(post.body) // 2]]
        elif manner is Manner.SLOW:
            size = len(message) // _PIECES + 1
            pieces = [message[at : at + size] for at in range(0, len(message), size)]
        else:
            pieces = [message]
        came, _ = await self._exchange(self._target, pieces, manner)
        return came

    async def _exchange(
        self, target: Target, pieces: Sequence[bytes | memoryview], manner: Manner
    ) -> tuple[Came, bytes]:
        """Send pieces over a connection of their own; what came back, and its body."""
        loop = asyncio.get_running_loop()
        trip = Trip(target, Answering(_BOUNDS), self._patience.answer, offers=False)
        began = loop.time()
        try:
            async with asyncio.timeout(_LIMITS.connect):
                connected, secure = await self._dialler.connect(trip, self._context)
        except OSError as error:
            return Came(None, self._why(trip, error), loop.time() - began), b""
        line = _Line(connected, secure, trip)
        try:
            seconds = await self._converse(line, pieces, manner)
        except (OSError, Malformed) as error:
            return Came(None, self._why(trip, error), loop.time() - began), b""
        finally:
            line.close(reset=manner in (Manner.CUT, Manner.HALF))
        head = trip.answer.head
        if head is None:
            return Came(None, "the connection was cut by us", seconds), b""
        return Came(head.status, None, seconds), trip.answer.body

    async def _converse(
        self, line: _Line, pieces: Sequence[bytes | memoryview], manner: Manner
    ) -> float:
        """Write, and read what comes meanwhile; seconds from the last byte to the answer."""
        loop = asyncio.get_running_loop()
        pause = self._patience.slow / len(pieces) if manner is Manner.SLOW else 0.0
        if manner is Manner.HALF:
            await line.write(pieces, pause)
            return 0.0
        reading = loop.create_task(line.read(begun=manner is Manner.CUT))
        writing = loop.create_task(line.write(pieces, pause))
        try:
            async with asyncio.timeout(_LIMITS.total + self._patience.slow):
                await asyncio.wait({reading, writing}, return_when=asyncio.FIRST_COMPLETED)
            written = loop.time()
            async with asyncio.timeout(self._patience.answer):
                await reading
            return loop.time() - written
        finally:
            reading.cancel()
            writing.cancel()
            # What could not be written counts for nothing where an answer came.
            await asyncio.gather(reading, writing, return_exceptions=True)

    def _why(self, trip: Trip, error: OSError | Malformed) -> str:
        if isinstance(error, Malformed):
            return words.malformed(
                str(error), header_bytes=_LIMITS.header_bytes, headers=_LIMITS.headers
            )
        if isinstance(error, TimeoutError) and error.errno is None:
            return words.too_slow(trip.phase, trip.target, trip.within)
        if isinstance(error, RefusedAddress):
            return words.refused(trip.target.host, Profile.EMULATOR)
        if isinstance(error, ssl.SSLError):
            return words.handshake(error, trip.target, offered=False)
        if trip.phase is Phase.DNS:
            return words.unresolved(error, trip.target.host)
        if trip.phase is Phase.CONNECT:
            return words.unconnected(error, trip.target)
        return words.lost(trip.phase, error, reused=False)


class _Line:
    """A connection that carries one exchange."""

    def __init__(self, connected: socket.socket, secure: Secure | None, trip: Trip) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = connected
        self._secure = secure
        self._trip = trip
        trip.phase = Phase.WRITE

    async def write(self, pieces: Sequence[bytes | memoryview], pause: float) -> None:
        """Send the pieces, so many seconds apart.

        Raises:
            OSError: the other side has gone.
        """
        for number, piece in enumerate(pieces):
            if number and pause:
                await asyncio.sleep(pause)
            view = memoryview(piece)
            for at in range(0, len(view), _AT_ONCE):
                part = view[at : at + _AT_ONCE]
                sealed = part if self._secure is None else self._secure.encrypt(part)
                await self._loop.sock_sendall(self._socket, sealed)
        self._trip.phase = Phase.HEADERS

    async def read(self, *, begun: bool) -> None:
        """Read the answer, or only until it has `begun`.

        Raises:
            answers.Malformed: it is none.
            OSError: the connection ended before it did.
        """
        answer = self._trip.answer
        while not answer.whole:
            came = await self._loop.sock_recv(self._socket, _READ)
            if not came:
                if answer.end() is None:
                    raise ConnectionError
                return
            if begun:
                return
            if self._secure is not None:
                came, end = self._secure.decrypt(came)
                if said := self._secure.unsent():
                    await self._loop.sock_sendall(self._socket, said)
                if end is not None and not isinstance(end, ssl.SSLZeroReturnError):
                    raise end
            answer.feed(came)

    def close(self, *, reset: bool) -> None:
        """End the connection; with a reset, as when a machine goes away."""
        with suppress(OSError):
            if reset:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            elif self._secure is not None:
                self._socket.send(self._secure.goodbye())
        self._socket.close()


def _head(method: str, url: str, target: Target, headers: Sequence[tuple[str, str]]) -> bytes:
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = f"[{target.host}]" if ":" in target.host else target.host
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {host}:{target.port}",
        *(f"{name}: {value}" for name, value in headers),
        "Connection: close",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _number(body: bytes) -> int | None:
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    if isinstance(told, dict):
        told = told.get("count")
    return told if isinstance(told, int) and not isinstance(told, bool) else None
