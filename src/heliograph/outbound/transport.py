"""Outbound HTTP: how the server reaches listeners, token endpoints and who is alerted.

What an identity brings to TLS is in `tls`, the pools that keep identities apart are in
`pools`, and what a fault says is in `words`.

Every address is vetted twice: all DNS answers before one of them is pinned, and the very
socket address just before `connect` (S1). Redirects are never followed (S2), an answer is
read within a budget of time and bytes and never decompressed (S3), TLS is always verified
(S5). What a listener or the network does wrong is a value, a `Fault` with the phase it
happened in.

Why no request is ever repeated here: a listener may close an idle connection at the moment
a request is on its way, and then "closed without an answer" looks the same whether it took
the message or not. A second send would risk a duplicate that no attempt accounts for (R3,
R5), so that is a Fault and the schedule decides. It is made rare instead: an idle connection
is looked at before it is used again, which finds every close that has reached this machine,
and it is given up after `KEPT_ALIVE` seconds, before common servers give it up.
"""

from __future__ import annotations

import asyncio
import functools
import select
import socket
import ssl
import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from aiohttp.abc import AbstractResolver, AbstractStreamWriter, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError, RawResponseMessage
from yarl import URL

from heliograph.egress import Guard, Profile, Refused, Target
from heliograph.failpoints import failpoint
from heliograph.model.configurations import TlsIdentity
from heliograph.model.deliveries import Answer, Fault, Phase
from heliograph.outbound import tls, words
from heliograph.outbound.pools import Pools

KEPT_ALIVE: Final = 1.5
"""Seconds an idle connection is kept: less than the 2 s of gunicorn, the 5 s of Apache and
Node.js, the 60 s and more of load balancers, so that it is we who close it."""

_REASON_LENGTH: Final = 256
"""Characters kept of a reason phrase, which has no meaning but may be 8 KiB long."""

_REASON_WITHIN: Final = 1.0
"""Seconds that a broken connection has to tell why, once it cannot be written to."""

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
        self._pools = Pools(self._make_session)

    async def open(self) -> None:
        """Make the pool of those without an identity; no connection is opened yet."""
        self._session = self._make_session(tls.context())

    def _make_session(self, context: ssl.SSLContext) -> aiohttp.ClientSession:
        budget = self._budget
        connector = aiohttp.TCPConnector(
            ssl=context,
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
        connector._factory = functools.partial(_wire, asyncio.get_running_loop(), budget)
        return aiohttp.ClientSession(
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
        """Close the pools and every connection in them."""
        await self._pools.close()
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
        self,
        url: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        identity: TlsIdentity | None = None,
    ) -> Answer | Fault:
        """Send one POST once, and bring back what came of it.

        The request's headers are `headers`, Host and Content-Length, and no others.
        `identity` counts for an https URL, and what it brings counts for it alone (S5).

        Returns:
            The answer whatever its status, or the Fault. A body longer than the budget is
            no fault: the answer has its beginning, and the connection is closed.

        Raises:
            asyncio.CancelledError: the caller gave up; the connection is closed.
            ValueError: a header holds a control character: what stores headers let it by.
            RuntimeError: the transport is not open.
        """
        if self._session is None:
            raise RuntimeError("the transport must be opened before it posts")
        try:
            target = self._guard.check_url(url)
        except Refused as refusal:
            return Fault(Phase.REFUSED_ADDRESS, str(refusal))
        if target.scheme == "http" or identity == _NOBODY:
            identity = None
        trip = _Trip(target, offers=identity is not None and identity.certificate is not None)
        token = _TRIP.set(trip)
        pool: AbstractAsyncContextManager[aiohttp.ClientSession] = (
            nullcontext(self._session) if identity is None else self._pools.of(identity)
        )
        try:
            async with asyncio.timeout(self._budget.total), pool as session:
                try:
                    return await self._exchange(session, trip, url, headers, body)
                except aiohttp.ClientConnectionError:
                    await trip.broken()
                    raise
        except tls.BadIdentity as error:
            return Fault(Phase.TLS, str(error))
        except (aiohttp.ClientError, OSError) as error:
            return self._fault(trip, error)
        finally:
            _TRIP.reset(token)
            trip.forget()

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
        phase, target, budget = trip.phase, trip.target, self._budget
        answer = None if trip.response is None else _answer(trip.response, trip.body)
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            what = words.too_slow(phase, target, min(budget.connect, budget.total))
            return Fault(phase, what, ours=phase is Phase.DNS)  # as a resolver that says so (R9)
        if isinstance(error, TimeoutError) and error.errno is None:
            what = words.too_slow(phase, target, budget.total)
            return Fault(phase, what, answer, ours=phase is Phase.DNS)
        cause = trip.ending.alert or _system_error(error)
        if isinstance(cause, _RefusedAddress):
            return Fault(Phase.REFUSED_ADDRESS, words.refused(target.host, self._guard.profile))
        if isinstance(cause, ssl.SSLError):
            return Fault(Phase.TLS, words.handshake(cause, target, offered=trip.offers), answer)
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            ours = words.is_ours(Phase.DNS, cause)
            return Fault(Phase.DNS, words.unresolved(cause, target.host), ours=ours)
        if isinstance(error, aiohttp.ClientResponseError | _UnparsableBody):
            what = words.malformed(
                str(getattr(error, "message", error)),
                header_bytes=budget.header_bytes,
                headers=budget.headers,
            )
            return Fault(phase, what, answer)
        if phase is Phase.CONNECT:
            return Fault(phase, words.unconnected(cause, target), ours=words.is_ours(phase, cause))
        return Fault(phase, words.lost(phase, cause, reused=trip.reused), answer)


_NOBODY: Final = TlsIdentity(None, None, None)


class _Ending:
    """The end of a connection, and what the other side said of it when that was TLS."""

    __slots__ = ("alert", "seen")

    def __init__(self) -> None:
        self.alert: ssl.SSLError | None = None
        self.seen = asyncio.Event()


class _Trip:
    """How far one post has come; what a Fault says is read from here."""

    __slots__ = ("body", "ending", "offers", "phase", "response", "reused", "target")

    def __init__(self, target: Target, *, offers: bool) -> None:
        self.target = target
        self.offers = offers  # a client certificate, to who asks for one
        self.phase = Phase.CONNECT
        self.reused = True  # until a new connection is made
        self.response: aiohttp.ClientResponse | None = None
        self.body = bytearray()
        self.ending = _Ending()

    def forget(self) -> None:
        """Let the answer go: timers that were cancelled keep the context of this post a while."""
        self.response, self.body = None, bytearray()

    async def broken(self) -> None:
        """Wait for the reason, which may come after the failure to write."""
        if self.phase is Phase.WRITE and not self.reused:
            with suppress(TimeoutError):
                async with asyncio.timeout(_REASON_WITHIN):
                    await self.ending.seen.wait()


_TRIP: ContextVar[_Trip] = ContextVar("heliograph_trip")
"""The post that a resolver, socket or protocol is made for: aiohttp calls them in its task."""


class _UnparsableBody(aiohttp.ClientError):
    """The rest of an answer is not what HTTP allows."""


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


_HEAD_ENDS: Final = b"\r\n\r\n"


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
        self._ending = trip.ending  # not the trip: an idle connection must not keep an answer
        trip.reused = False
        if trip.target.scheme == "https":
            trip.phase = Phase.TLS  # TCP is connected: this object is made in between

    def is_connected(self) -> bool:
        """Whether the connection may be used again.

        Nothing is due on an idle connection. If there is something to read, then that is
        the listener's close (or a breach of HTTP), even if the loop has not seen it yet.
        """
        # What it has read since the last answer would else be taken for the next one (R5).
        if self.transport is None or self.should_close or not super().is_connected():
            return False
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    def set_response_params(self, **params: Any) -> None:
        """A request begins."""
        self._ending = _TRIP.get().ending
        self._room = self._head_room
        self._answered = False
        super().set_response_params(**params)

    def feed_data(
        self, data: tuple[RawResponseMessage, aiohttp.StreamReader], size: int = 0
    ) -> None:
        """The parser has a whole head."""
        if data[0].code < 200 and data[0].code != 101:
            return  # an interim answer: nobody waits for it, and a thousand cost memory
        self._answered = True
        self._room = self._body_room
        super().feed_data(data, size)

    def data_received(self, data: bytes) -> None:
        # A head goes to the parser by itself: it would forget one that came together with
        # something that it refuses, so that chance decided what is recorded.
        start = 0
        while not self._answered and (end := data.find(_HEAD_ENDS, start)) >= 0:
            head, start = data[start : end + len(_HEAD_ENDS)], end + len(_HEAD_ENDS)
            self._take(head)
            if self.transport is None or self.transport.is_closing():
                return
        if start < len(data):
            self._take(data[start:] if start else data)

    def _take(self, data: bytes) -> None:
        if len(data) <= self._room:
            self._room -= len(data)
            super().data_received(data)
            return
        within, beyond = data[: self._room], data[self._room :]
        self._room = 0
        super().data_received(within)
        if self._room:  # that was the head's last part
            self._take(beyond)
        else:
            self._stop()

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """The answer cannot be parsed, or the connection is lost."""
        payload = self._payload
        super().set_exception(exc, *cause)
        if isinstance(exc, HttpProcessingError) and payload is not None and not payload.is_eof():
            # aiohttp tells who waits for a head, and not who reads a body.
            payload.set_exception(_UnparsableBody(exc.message))

    def connection_lost(self, exc: BaseException | None) -> None:
        # A listener looks at our certificate after our part of a TLS 1.3 handshake. To who
        # is writing then, aiohttp says no more than that the connection is closed.
        if isinstance(exc, ssl.SSLError) and "_ALERT_" in (exc.reason or ""):
            self._ending.alert = exc
        self._ending.seen.set()
        super().connection_lost(exc)

    def _stop(self) -> None:
        payload, self._payload = self._payload, None
        self.force_close()
        if not self._answered:
            self.set_exception(HttpProcessingError(code=400, message=words.HEAD_TOO_LONG))
        elif payload is not None:
            payload.feed_eof()  # what came so far is the answer
        if self.transport is not None:
            self.transport.abort()


def _wire(loop: asyncio.AbstractEventLoop, budget: Budget) -> ResponseHandler:
    return _Wire(loop, budget)


class _Body(aiohttp.Payload):
    """A message on its way out; tells the trip when the writing begins and ends."""

    def __init__(self, body: bytes, trip: _Trip) -> None:
        super().__init__(body)
        self._body = body
        self._trip = trip

    @property
    def size(self) -> int:
        return len(self._body)

    @property
    def autoclose(self) -> bool:
        return True

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return str(self._body, encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        self._trip.phase = Phase.WRITE
        body = self._body
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
    outgoing = socket.socket(family, kind, protocol)
    # Else the kernel buffers megabytes for a listener that floods us (R13), and asyncio reads
    # as much as there is at once. Linux doubles the figure.
    outgoing.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, budget.header_bytes)
    return outgoing


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


def _answer(response: aiohttp.ClientResponse, body: bytearray) -> Answer:
    # aiohttp decodes the reason with surrogates, which cannot be stored.
    reason = _text((response.reason or "").encode("utf-8", "surrogateescape"))[:_REASON_LENGTH]
    if not reason.isprintable():
        reason = "".join(character if character.isprintable() else " " for character in reason)
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
