"""Outbound HTTP: the only module that opens connections to anything but the database.

Every address is vetted twice: all DNS answers before one of them is pinned, and the very
socket address just before `connect` (S1). Redirects are never followed (S2), an answer is
read within a budget of time and bytes and never decompressed (S3), TLS is always verified
(S5). What a listener or the network does wrong is a value, `model.Fault`, with the phase
it happened in.

Why no request is ever repeated here: a listener may close an idle connection at the moment
a request is on its way, and then "closed without an answer" looks the same whether it took
the message or not. A second send would risk a duplicate that no attempt accounts for (R3,
R5), so that is a Fault and the schedule decides. It is made rare instead: an idle connection
is looked at before it is used again, which finds every close that has reached this machine,
and it is given up after `KEPT_ALIVE` seconds, before common servers give it up.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import os
import select
import socket
import ssl
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import aiohttp
from aiohttp.abc import AbstractResolver, AbstractStreamWriter, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError, RawResponseMessage
from aiohttp.payload import Payload
from yarl import URL

from heliograph.egress import Guard, Profile, Refused, Target
from heliograph.failpoints import failpoint
from heliograph.model import Answer, Fault, Phase

KEPT_ALIVE: Final = 1.5
"""Seconds an idle connection is kept: less than the 2 s of gunicorn, the 5 s of Apache and
Node.js, the 60 s and more of load balancers, so that it is we who close it."""

_REASON_LENGTH: Final = 256
"""Characters kept of a reason phrase, which has no meaning but may be 8 KiB long."""

_PIECE: Final = 256 * 1024
"""Bytes written at once; a large message is paced by what the listener takes."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one attempt may take. Times are seconds, sizes are bytes.

    `total` is the time for everything, the answer's body included; `connect` is the part of
    it for DNS, TCP and TLS. `header_bytes` and `headers` bound the answer's head (interim
    1xx answers count too), `body_bytes` what is read of the body as it was sent, and
    `stored_bytes` what is kept of that. The figures are those of S3; `total` is DocuSign's.
    """

    total: float = 100.0
    connect: float = 10.0
    header_bytes: int = 32 * 1024
    headers: int = 100
    body_bytes: int = 64 * 1024
    stored_bytes: int = 16 * 1024


class Transport:
    """Posts messages over a pool of connections; made for one event loop.

    The caller bounds how many posts run at once: the pool itself has no limit. Roots that
    the system does not trust are added with OpenSSL's SSL_CERT_FILE or SSL_CERT_DIR.
    """

    def __init__(
        self, guard: Guard, budget: Budget, resolver: AbstractResolver | None = None
    ) -> None:
        """`resolver` answers for host names (default: the system's, in a thread).

        It stays the caller's to close, and its answers are vetted like any other.
        """
        self._guard = guard
        self._budget = budget
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the pool; no connection is opened yet."""
        budget = self._budget
        connector = aiohttp.TCPConnector(
            ssl=_tls_context(),
            resolver=_VettingResolver(self._guard, self._resolver or aiohttp.ThreadedResolver()),
            use_dns_cache=False,
            socket_factory=functools.partial(_socket, self._guard, budget),
            limit=0,
            limit_per_host=0,
            keepalive_timeout=KEPT_ALIVE,
            # Before 3.12.8 CPython may leave a TLS connection open for ever when the peer
            # does not take part in the shutdown.
            enable_cleanup_closed=sys.version_info < (3, 12, 8),
        )
        # aiohttp has no setting for its protocol class; the tests of S3 fail should this
        # attribute ever be renamed.
        connector._factory = functools.partial(_wire, connector._loop, budget)
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(
                total=None,  # `post` has the timer: one for everything
                connect=budget.connect,
                ceil_threshold=budget.connect,  # else aiohttp rounds 10 s up to whole seconds
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            max_headers=budget.headers,
            max_field_size=budget.header_bytes,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        )

    async def close(self) -> None:
        """Close the pool and every connection in it."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def post(
        self, url: str, headers: Sequence[tuple[str, str]], body: bytes
    ) -> Answer | Fault:
        """Send one POST once, and bring back what came of it.

        The request's headers are `headers`, Host and Content-Length, and no others.

        Returns:
            The answer whatever its status, or the Fault. A body longer than the budget is
            no fault: the answer has its beginning, and the connection is closed.

        Raises:
            asyncio.CancelledError: the caller gave up; the connection is closed.
            ValueError: a header holds a control character: what stores headers let it by.
            RuntimeError: the transport is not open.
        """
        session = self._session
        if session is None:
            raise RuntimeError("the transport must be opened before it posts")
        try:
            target = self._guard.check_url(url)
        except Refused as refusal:
            return Fault(Phase.REFUSED_ADDRESS, str(refusal))
        trip = _Trip(target)
        token = _TRIP.set(trip)
        try:
            async with asyncio.timeout(self._budget.total):
                return await self._exchange(session, trip, url, headers, body)
        except (aiohttp.ClientError, OSError) as error:
            return self._fault(trip, error)
        finally:
            _TRIP.reset(token)

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        trip: _Trip,
        url: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
    ) -> Answer:
        failpoint("send.connect")
        response = await session.post(
            URL(url, encoded=True),  # as configured: nothing is decoded and quoted again
            headers=headers,
            data=_Body(body, trip),
            allow_redirects=False,
        )
        trip.phase = Phase.BODY
        trip.response = response
        failpoint("send.headers")
        try:
            await self._read(response, trip.body)
        finally:
            # Still attached: the body has not ended. Abort rather than close, for a TLS
            # shutdown would go on reading what the listener sends.
            if (connection := response.connection) is not None:
                if connection.transport is not None:
                    connection.transport.abort()
                response.close()
        failpoint("send.body")
        return _answer(response, trip.body)

    async def _read(self, response: aiohttp.ClientResponse, kept: bytearray) -> None:
        room, seen = self._budget.stored_bytes, 0
        async for piece in response.content.iter_any():
            if room:
                kept += piece[:room]
                room = self._budget.stored_bytes - len(kept)
            seen += len(piece)
            if seen > self._budget.body_bytes:
                return

    def _fault(self, trip: _Trip, error: aiohttp.ClientError | OSError) -> Fault:
        phase, target = trip.phase, trip.target
        answer = None if trip.response is None else _answer(trip.response, trip.body)
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return Fault(phase, _too_slow(trip, min(self._budget.connect, self._budget.total)))
        if isinstance(error, TimeoutError) and error.errno is None:
            return Fault(phase, _too_slow(trip, self._budget.total), answer)
        cause = _system_error(error)
        if isinstance(cause, _RefusedAddress):
            return Fault(
                Phase.REFUSED_ADDRESS,
                f"{target.host} leads to an address that the egress profile "
                f"{self._guard.profile} refuses; give the name a public address, or ask the "
                "operator to admit the network",
            )
        if isinstance(cause, ssl.SSLError):
            return Fault(Phase.TLS, _tls_words(cause, target), answer)
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            return Fault(Phase.DNS, _dns_words(cause, target.host))
        if isinstance(error, aiohttp.ClientResponseError):
            return Fault(phase, self._malformed(error.message), answer)
        if phase is Phase.CONNECT:
            return Fault(phase, _connect_words(cause, target))
        return Fault(phase, _lost_words(trip, cause), answer)

    def _malformed(self, message: str) -> str:
        if message == _HEAD_TOO_LONG:
            return f"the answer's headers are longer than {self._budget.header_bytes} bytes"
        if message.startswith("Too many headers"):
            return f"the answer has more than {self._budget.headers} headers"
        # The parser quotes the place as a bytes literal (so it is plain ASCII) with a marker
        # on a line of its own.
        said = " ".join(message.rstrip(" ^\n").split())
        return f"the answer is not valid HTTP: {said[:200] or 'unreadable'}"


class _Trip:
    """How far one post has come; what a Fault says is read from here."""

    __slots__ = ("body", "phase", "response", "reused", "target")

    def __init__(self, target: Target) -> None:
        self.target = target
        self.phase = Phase.CONNECT
        self.reused = True  # until a new connection is made
        self.response: aiohttp.ClientResponse | None = None
        self.body = bytearray()


_TRIP: ContextVar[_Trip] = ContextVar("heliograph_trip")
"""The post that a resolver, socket or protocol is made for: aiohttp calls them in its task."""


class _RefusedAddress(OSError):
    """The guard refuses an address. An OSError, as aiohttp expects of what it calls."""


class _VettingResolver(AbstractResolver):
    """Vets every answer, so that one refused address refuses the name, and pins the first."""

    def __init__(self, guard: Guard, inner: AbstractResolver) -> None:
        self._guard = guard
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        if self._guard.profile is Profile.EMULATOR and _is_localhost(host):
            # RFC 6761, 6.3: such names are loopback and never asked of a server. Both
            # families, since a developer's listener mostly has but one of them.
            return [_result(host, "127.0.0.1", port), _result(host, "::1", port)]
        trip = _TRIP.get()
        trip.phase = Phase.DNS
        failpoint("send.resolve")
        answers = await self._inner.resolve(host, port, family)
        if not answers:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        for answer in answers:
            _vet(self._guard, answer["host"])
        trip.phase = Phase.CONNECT
        return [_result(host, answers[0]["host"], port)]

    async def close(self) -> None:
        """Nothing: the inner resolver is the caller's."""


class _Wire(ResponseHandler):
    """aiohttp's side of a connection, with a bound on the bytes of an answer.

    aiohttp bounds each header but not their sum, nor chunk extensions and trailers. The
    body has twice its budget on the wire, which leaves room for the framing of chunks.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, budget: Budget) -> None:
        super().__init__(loop)
        self._head_room = budget.header_bytes
        self._body_room = 2 * budget.body_bytes
        self._room = self._head_room
        self._answered = False
        trip = _TRIP.get()
        trip.reused = False
        if trip.target.scheme == "https":
            trip.phase = Phase.TLS  # TCP is connected: this object is made in between

    def is_connected(self) -> bool:
        """Whether the connection may be used again.

        Nothing is due on an idle connection. If there is something to read, then that is
        the listener's close (or a breach of HTTP), even if the loop has not seen it yet.
        """
        if self.transport is None or not super().is_connected():
            return False
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    def set_response_params(self, **params: object) -> None:
        """A request begins."""
        self._room = self._head_room
        self._answered = False
        super().set_response_params(**params)  # type: ignore[arg-type]

    def feed_data(
        self, data: tuple[RawResponseMessage, aiohttp.StreamReader], size: int = 0
    ) -> None:
        """The parser has a whole head."""
        if data[0].code >= 200 or data[0].code == 101:
            self._answered = True
            self._room = self._body_room
        super().feed_data(data, size)

    def data_received(self, data: bytes) -> None:
        if len(data) <= self._room:
            self._room -= len(data)
            super().data_received(data)
            return
        within, beyond = data[: self._room], data[self._room :]
        self._room = 0
        super().data_received(within)
        if self._room:  # that was the head's last part
            self.data_received(beyond)
        else:
            self._stop()

    def _stop(self) -> None:
        payload, self._payload = self._payload, None
        self.force_close()
        if not self._answered:
            self.set_exception(HttpProcessingError(code=400, message=_HEAD_TOO_LONG))
        elif payload is not None:
            payload.feed_eof()  # what came so far is the answer
        if self.transport is not None:
            self.transport.abort()


def _wire(loop: asyncio.AbstractEventLoop, budget: Budget) -> ResponseHandler:
    return _Wire(loop, budget)


_HEAD_TOO_LONG: Final = "head too long"


class _Body(Payload):
    """A message on its way out; tells the trip when the writing begins and ends."""

    _autoclose = True

    def __init__(self, body: bytes, trip: _Trip) -> None:
        super().__init__(body)
        self._size = len(body)
        self._trip = trip

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return str(self._value, encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        self._trip.phase = Phase.WRITE
        body: bytes = self._value
        if len(body) <= _PIECE:
            await writer.write(body)
        else:
            view = memoryview(body)
            for start in range(0, len(body), _PIECE):
                await writer.write(view[start : start + _PIECE])
        await writer.drain()
        failpoint("send.written")
        if self._trip.phase is Phase.WRITE:  # the answer may have come before the end
            self._trip.phase = Phase.HEADERS


def _socket(guard: Guard, budget: Budget, where: aiohttp.AddrInfoType) -> socket.socket:
    """A socket for exactly this address, if the guard admits it: the last look (S1)."""
    family, kind, protocol, _, address = where
    _vet(guard, str(address[0]))
    if any(address[2:]):  # flow label or scope id: another way to name a zone
        raise _RefusedAddress
    made = socket.socket(family, kind, protocol)
    # Else the kernel buffers megabytes for a listener that floods us (R13), and asyncio reads
    # as much as there is at once. Linux doubles the figure.
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, budget.header_bytes)
    return made


def _vet(guard: Guard, address: str) -> None:
    try:
        guard.check_address(address)
    except Refused:
        raise _RefusedAddress from None


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=family,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )


def _is_localhost(host: str) -> bool:
    return host.lower().rpartition(".")[2] == "localhost"


def _tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _answer(response: aiohttp.ClientResponse, body: bytearray) -> Answer:
    # aiohttp decodes the reason with surrogates, which cannot be stored.
    reason = _text((response.reason or "").encode("utf-8", "surrogateescape"))[:_REASON_LENGTH]
    if not reason.isprintable():
        reason = "".join(one if one.isprintable() else " " for one in reason)
    headers = tuple((_text(name), _text(value)) for name, value in response.raw_headers)
    return Answer(response.status, reason, headers, bytes(body))


def _text(raw: bytes) -> str:
    """Text that can be stored, whatever the bytes."""
    return raw.decode("utf-8", "backslashreplace")


def _system_error(error: BaseException) -> BaseException:
    """What the system or OpenSSL said, inside what aiohttp made of it."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return error.certificate_error
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error
    return error.__cause__ or error


_SLOW: Final = {
    Phase.DNS: "the host name was not resolved",
    Phase.CONNECT: "no connection",
    Phase.TLS: "the TLS handshake did not end",
    Phase.WRITE: "the listener did not take the whole message",
    Phase.HEADERS: "no answer",
    Phase.BODY: "the answer's body did not end",
}


def _too_slow(trip: _Trip, seconds: float) -> str:
    to = f" to {_place(trip.target)}" if trip.phase is Phase.CONNECT else ""
    return f"{_SLOW[trip.phase]}{to} within {seconds:g} s"


_LOST: Final = {
    Phase.TLS: "during the TLS handshake",
    Phase.WRITE: "while the message was being sent",
    Phase.HEADERS: "before answering",
    Phase.BODY: "within the answer's body",
}


def _lost_words(trip: _Trip, cause: BaseException) -> str:
    if trip.phase not in _LOST:
        return f"the exchange failed ({type(cause).__name__})"
    did = "reset" if getattr(cause, "errno", None) == errno.ECONNRESET else "closed"
    # A hint at an idle timeout on the other side (see the module's docstring).
    kept = ", which was kept from an earlier message," if trip.reused else ""
    return f"the listener {did} the connection{kept} {_LOST[trip.phase]}"


def _connect_words(cause: BaseException, target: Target) -> str:
    # Never the error's own text: it names the address that a host name stands for.
    code = getattr(cause, "errno", None)
    if code == errno.ECONNREFUSED:
        return f"{_place(target)} refused the connection: nothing listens there"
    if code in {errno.EHOSTUNREACH, errno.ENETUNREACH}:
        return f"{_place(target)} cannot be reached ({os.strerror(code)})"
    if code == errno.ETIMEDOUT:
        return f"no connection to {_place(target)}: timed out"
    said = os.strerror(code) if code else type(cause).__name__
    return f"no connection to {_place(target)}: {said}"


def _dns_words(cause: BaseException, host: str) -> str:
    code = getattr(cause, "errno", None)
    if code in {socket.EAI_NONAME, socket.EAI_NODATA}:
        return f"the host name {host} does not exist or has no address"
    if code == socket.EAI_AGAIN:
        return f"the host name {host} could not be resolved for now: no DNS server answered"
    return f"the host name {host} could not be resolved"


# X509_V_ERR_* of OpenSSL's x509_vfy.h.
_CERTIFICATE: Final = {
    9: "is not valid yet",
    10: "has expired",
    18: "is self-signed",
    19: "comes from a CA that is not trusted (the chain ends in an unknown root)",
    20: "comes from an unknown CA, or the listener does not send the intermediate certificate",
    21: "comes from an unknown CA, or the listener does not send the intermediate certificate",
    23: "has been revoked",
    26: "is not meant for a server",
    66: "has a key that is too short",
    67: "comes from a CA whose key is too short",
    68: "has a signature that is too weak",
}
_NAME_MISMATCHES: Final = frozenset({62, 64})
_HANDSHAKE: Final = {
    "WRONG_VERSION_NUMBER": "the listener does not speak TLS on this port; should the URL be http?",
    "UNSUPPORTED_PROTOCOL": "the listener offers only TLS below 1.2",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the listener accepts only TLS below 1.2",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "no TLS parameters in common, or the listener wants a "
    "client certificate",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the listener wants a client certificate",
    "TLSV1_UNRECOGNIZED_NAME": "the listener does not know this host name",
    "UNEXPECTED_EOF_WHILE_READING": "the listener closed the connection during the TLS handshake",
}


def _tls_words(error: ssl.SSLError, target: Target) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _NAME_MISMATCHES:
            return f"the listener's certificate is not for the name {target.host}"
        what = _CERTIFICATE.get(error.verify_code)
        if what is not None:
            return f"the listener's certificate {what}"
        return f"the listener's certificate was not accepted: {error.verify_message}"
    reason = error.reason or "UNKNOWN"
    return _HANDSHAKE.get(reason, f"the TLS handshake failed: {reason.replace('_', ' ').lower()}")


def _place(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return f"{host}:{target.port}"
