"""The one way out: HTTP posts through the egress guard, within a budget of time and bytes.

Nothing that a listener or the network does is an exception here: what comes back is an
Answer or a Fault that names the phase. Redirects are never followed, bodies never
decompressed, cookies never kept, proxies of the environment never used.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from heliograph.egress import Guard, Refused
from heliograph.model import Answer, Fault, Phase


@dataclass(frozen=True, slots=True)
class Budget:
    """What one attempt may cost (S3). Times are seconds, sizes bytes.

    `total` covers everything, the body included. Of the body at most `body_bytes` are read,
    and `stored_bytes` kept.
    """

    total: float = 100.0
    connect: float = 10.0
    header_bytes: int = 32 * 1024
    headers: int = 100
    body_bytes: int = 64 * 1024
    stored_bytes: int = 16 * 1024


@dataclass(slots=True)
class _Progress:
    """How far the attempt came: the phase that a fault now belongs to."""

    phase: Phase = Phase.CONNECT
    reused: bool = False
    refused: Refused | None = None


_attempt: ContextVar[_Progress] = ContextVar("attempt")
_host: ContextVar[str | None] = ContextVar("host", default=None)


class Transport:
    """Posts messages; use as an async context manager, or `open` and `close`."""

    def __init__(
        self, guard: Guard, budget: Budget, resolver: AbstractResolver | None = None
    ) -> None:
        self._guard = guard
        self._budget = budget
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Make the connection pool; belongs to the running loop."""
        inner = self._resolver or aiohttp.ThreadedResolver()
        connector = aiohttp.TCPConnector(
            limit=0,  # the dispatcher bounds how much is in flight
            resolver=_GuardedResolver(inner, self._guard),
            use_dns_cache=False,
            socket_factory=self._open_socket,
            ssl=ssl.create_default_context(),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(
                total=self._budget.total, sock_connect=self._budget.connect
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            max_line_size=self._budget.header_bytes,
            max_field_size=self._budget.header_bytes,
            trace_configs=[_tracing()],
        )

    async def close(self) -> None:
        """Close the pool."""
        if self._session is not None:
            await self._session.close()

    async def post(
        self, url: str, headers: Sequence[tuple[str, str]], body: bytes
    ) -> Answer | Fault:
        """Post once. A listener that closed an idle connection of ours before it read
        anything of this request is asked once more, on a new connection.

        Args:
            url: Checked by the guard here again, and sent as it is written.
            headers: All there are, but Host and Content-Length.
            body: The message.
        """
        try:
            target = self._guard.check_url(url)
        except Refused as refusal:
            return Fault(Phase.REFUSED_ADDRESS, str(refusal))
        token = _host.set(target.host)
        try:
            progress = _Progress()
            outcome = await self._post_once(url, headers, body, progress)
            if isinstance(outcome, _Stale):
                outcome = await self._post_once(url, headers, body, _Progress(), fresh=True)
            return outcome.fault if isinstance(outcome, _Stale) else outcome
        finally:
            _host.reset(token)

    async def _post_once(
        self,
        url: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        progress: _Progress,
        *,
        fresh: bool = False,
    ) -> Answer | Fault | _Stale:
        if self._session is None:
            raise RuntimeError("the transport is not open")
        token = _attempt.set(progress)
        sent = [*headers, ("Connection", "close")] if fresh else headers
        partial = _Partial()
        try:
            async with self._session.post(
                URL(url, encoded=True),
                data=body,
                headers=sent,
                allow_redirects=False,
                trace_request_ctx=progress,
            ) as response:
                return await self._read(response, progress, partial)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            fault = self._fault(error, progress, partial)
            return _Stale(fault) if _was_stale(error, progress) else fault
        finally:
            _attempt.reset(token)

    async def _read(
        self, response: aiohttp.ClientResponse, progress: _Progress, partial: _Partial
    ) -> Answer | Fault:
        raw = response.raw_headers
        if len(raw) > self._budget.headers:
            response.close()
            return Fault(Phase.HEADERS, f"more than {self._budget.headers} headers")
        if sum(len(name) + len(value) for name, value in raw) > self._budget.header_bytes:
            response.close()
            return Fault(Phase.HEADERS, f"more than {self._budget.header_bytes} header bytes")
        partial.response = response
        progress.phase = Phase.BODY
        read = 0
        async for chunk in response.content.iter_any():
            read += len(chunk)
            if len(partial.body) < self._budget.stored_bytes:
                partial.body += chunk
            if read >= self._budget.body_bytes:
                # Enough was seen: the status has decided, the rest is not waited for.
                response.close()
                break
        return self._answer(partial)

    def _answer(self, partial: _Partial) -> Answer:
        response = partial.response
        if response is None:
            raise AssertionError("an answer without a response")
        return Answer(
            response.status,
            _text(response.reason or ""),
            tuple((_latin(name), _latin(value)) for name, value in response.raw_headers),
            bytes(partial.body[: self._budget.stored_bytes]),
        )

    def _fault(self, error: Exception, progress: _Progress, partial: _Partial) -> Fault:
        phase, what = _explain(error, progress, self._budget)
        return Fault(phase, what, None if partial.response is None else self._answer(partial))

    def _open_socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        """Called with the very address that is about to be connected to (S1)."""
        family, kind, protocol, _, sockaddr = address
        try:
            if len(sockaddr) == 4 and sockaddr[3]:  # an IPv6 scope id
                raise Refused("addr", "an address with a zone is not admitted")
            self._guard.check_address(str(sockaddr[0]), _host.get())
        except Refused as refusal:
            progress = _attempt.get(None)
            if progress is not None:
                progress.refused = refusal
            raise _RefusedAddress(str(refusal)) from None
        opened = socket.socket(family, kind, protocol)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opened


@dataclass(slots=True)
class _Partial:
    """What of an answer has come so far."""

    response: aiohttp.ClientResponse | None = None
    body: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True, slots=True)
class _Stale:
    """The pooled connection was closed before this request; `fault` if it happens twice."""

    fault: Fault


class _RefusedAddress(OSError):
    """The guard's verdict on an address, in the shape that aiohttp passes on."""


class _GuardedResolver(AbstractResolver):
    """Vets every answer of another resolver; gives the first one only (no second look-up)."""

    def __init__(self, inner: AbstractResolver, guard: Guard) -> None:
        self._inner = inner
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        progress = _attempt.get(None)
        if progress is not None:
            progress.phase = Phase.DNS
        found = await self._inner.resolve(host, port, family)
        for answer in found:
            try:
                self._guard.check_address(answer["host"], _host.get())
            except Refused as refusal:
                told = Refused(refusal.kind, f"{host} leads to an address where {refusal}")
                if progress is not None:
                    progress.refused = told
                raise _RefusedAddress(str(told)) from None
        if not found:
            raise OSError(f"{host} has no address")
        if progress is not None:
            progress.phase = Phase.CONNECT
        return found[:1]

    async def close(self) -> None:
        await self._inner.close()


def _tracing() -> aiohttp.TraceConfig:
    """Tells each attempt how far it came."""
    config = aiohttp.TraceConfig()

    async def connected(_: Any, context: SimpleNamespace, __: Any) -> None:
        context.trace_request_ctx.phase = Phase.WRITE

    async def reused(_: Any, context: SimpleNamespace, __: Any) -> None:
        context.trace_request_ctx.phase = Phase.WRITE
        context.trace_request_ctx.reused = True

    async def written(_: Any, context: SimpleNamespace, __: Any) -> None:
        context.trace_request_ctx.phase = Phase.HEADERS

    config.on_connection_create_end.append(connected)
    config.on_connection_reuseconn.append(reused)
    config.on_request_chunk_sent.append(written)
    return config


def _was_stale(error: Exception, progress: _Progress) -> bool:
    """Whether the listener had closed an idle connection before it could read our request.

    Only when not one byte of an answer came, on a connection that had been used before, and
    the close is what RFC 9112, 9.6 lets a server do to an idle connection. A listener that
    took the request, acted and closed without an answer looks the same: it broke the
    protocol, and is sent the message again here rather than a few seconds later.
    """
    if not progress.reused or progress.phase not in (Phase.WRITE, Phase.HEADERS):
        return False
    return isinstance(error, aiohttp.ServerDisconnectedError) or (
        isinstance(error, aiohttp.ClientOSError)
        and not isinstance(error, aiohttp.ClientConnectorError)
    )


def _explain(error: Exception, progress: _Progress, budget: Budget) -> tuple[Phase, str]:
    """The phase and what happened, in words for the failure log."""
    if progress.refused is not None:
        return Phase.REFUSED_ADDRESS, str(progress.refused)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Phase.DNS, f"the name {_host.get()} cannot be resolved"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Phase.TLS, _certificate(error.certificate_error)
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return Phase.TLS, _tls(error.os_error)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Phase.CONNECT, f"no connection within {budget.connect:g} s"
    if isinstance(error, TimeoutError):
        return _timed_out(progress.phase, budget)
    if isinstance(error, aiohttp.ClientConnectorError):
        return Phase.CONNECT, _os(error.os_error)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return Phase.HEADERS, "the listener closed the connection without an answer"
    if isinstance(error, aiohttp.ClientPayloadError):
        return Phase.BODY, "the answer's body broke off or is malformed"
    if isinstance(error, aiohttp.ClientResponseError):
        return Phase.HEADERS, f"the answer is not valid HTTP: {_text(error.message)[:200]}"
    if isinstance(error, OSError):
        return progress.phase, _os(error)
    return progress.phase, _text(str(error))[:200] or type(error).__name__


def _timed_out(phase: Phase, budget: Budget) -> tuple[Phase, str]:
    what = {
        Phase.DNS: "the name was not resolved",
        Phase.CONNECT: "no connection",
        Phase.WRITE: "the message was not taken",
        Phase.HEADERS: "no answer",
        Phase.BODY: "the answer did not end",
    }.get(phase, "no answer")
    return phase, f"{what} within {budget.total:g} s"


def _certificate(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is refused: {error.verify_message}"
    return f"the certificate is refused: {_text(str(error))[:200]}"


def _tls(error: OSError) -> str:
    reason = getattr(error, "reason", None)
    return f"the handshake failed: {reason or _os(error)}"


def _os(error: OSError) -> str:
    # aiohttp joins errors of several addresses into one without a number.
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return _text(error.strerror or type(error).__name__)[:200]


def _text(text: str) -> str:
    """Remote text on one line, without control characters."""
    return "".join(char if char.isprintable() else " " for char in text)


def _latin(raw: bytes) -> str:
    return raw.decode("latin-1")
