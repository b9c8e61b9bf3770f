"""Outbound HTTP: how the server reaches listeners, token endpoints and who is alerted.

How a connection is made is in `dialling`, what goes over it in `connections`, what an answer's
head says in `heads`; what an identity brings to TLS is in `tls`, the pools that keep identities
apart are in `pools`, and what a fault says is in `words`.

No address is dialled that the guard has not vetted (S1). Redirects are never followed (S2), an
answer is read within a budget of time and bytes and never decompressed (S3), TLS is always
verified (S5). What a listener or the network does wrong is a value, a `Fault` with the phase it
happened in.

Why no request is ever repeated here: a listener may close an idle connection at the moment
a request is on its way, and then "closed without an answer" looks the same whether it took
the message or not. A second send would risk a duplicate that no attempt accounts for (R3,
R5), so that is a Fault and the schedule decides. It is made rare instead: an idle connection
is looked at before it is used again, which finds every close that has reached this machine; it
is given up after `KEPT_ALIVE` seconds, before common servers give it up; and none is used again
of a listener that was found to have closed one, nor by a post that nothing follows.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from heliograph.egress import Guard, Refused
from heliograph.failpoints import failpoint
from heliograph.model.configurations import TlsIdentity
from heliograph.model.deliveries import Answer, Body, Fault, Phase
from heliograph.outbound import tls, words
from heliograph.outbound.connections import Connection, Outgoing, UnparsableBody
from heliograph.outbound.dialling import Dialler, RefusedAddress
from heliograph.outbound.heads import Head
from heliograph.outbound.pools import Hasty, Pools, Sessions
from heliograph.outbound.trip import TRIP, Trip

_REASON_LENGTH: Final = 256
"""Characters kept of a reason phrase, which has no meaning but may be 8 KiB long."""

_ODD_WITHIN: Final = 5.0
"""Seconds that the body of an answer with an odd head has: it may not end where that says."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one attempt may take. Times are seconds, sizes are bytes.

    `total` is the time for everything, the answer's body included; `connect` is the part of
    it for DNS, TCP and TLS. `header_bytes` is what is read of the answer's head (interim 1xx
    answers count too) and `headers` what is kept of it, `body_bytes` what is read of the body
    as it was sent, and `stored_bytes` what is kept of that. The figures are those of S3;
    `total` is DocuSign's.
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
        self,
        guard: Guard,
        budget: Budget,
        resolver: AbstractResolver | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`resolver` answers for host names (default: the system's, in a thread).

        It stays the caller's to close, and its answers are vetted like any other. `now` gives
        seconds that only go forward.
        """
        self._guard = guard
        self._budget = budget
        self._resolver = resolver
        self._hasty = Hasty(now)
        self._sessions: Sessions | None = None
        self._pools = Pools(self._make_sessions)

    async def open(self) -> None:
        """Make the pool of those without an identity; no connection is opened yet."""
        self._sessions = self._make_sessions(tls.context())

    def _make_sessions(self, context: ssl.SSLContext) -> Sessions:
        return Sessions(
            self._make_session(context, keeps=True), self._make_session(context, keeps=False)
        )

    def _make_session(self, context: ssl.SSLContext, *, keeps: bool) -> aiohttp.ClientSession:
        budget = self._budget
        connector = Dialler(
            self._guard,
            self._resolver or aiohttp.ThreadedResolver(),
            context,
            functools.partial(
                Connection,
                asyncio.get_running_loop(),
                head_bytes=budget.header_bytes,
                fields=budget.headers,
                body_bytes=budget.body_bytes,
            ),
            connect=budget.connect,
            receive_bytes=budget.header_bytes,
            keeps=keeps,
        )
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
        if self._sessions is not None:
            await self._sessions.close()
            self._sessions = None

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
        body: Body,
        identity: TlsIdentity | None = None,
        *,
        fresh: bool = False,
    ) -> Answer | Fault:
        """Send one POST once, and bring back what came of it.

        The request's headers are `headers`, Host and Content-Length, and no others, but for
        Connection where the connection is not kept. A `fresh` one is asked for by a post that
        nothing follows: none that a listener may be about to close serves that.
        `identity` counts for an https URL, and what it brings counts for it alone (S5).

        Returns:
            The answer whatever its status, or the Fault. A body longer than the budget is
            no fault: the answer has its beginning, and the connection is closed.

        Raises:
            asyncio.CancelledError: the caller gave up; the connection is closed.
            ValueError: a header holds a control character: what stores headers let it by.
            RuntimeError: the transport is not open.
        """
        if self._sessions is None:
            raise RuntimeError("the transport must be opened before it posts")
        try:
            target = self._guard.check_url(url)
        except Refused as refusal:
            return Fault(Phase.REFUSED_ADDRESS, str(refusal))
        if target.scheme == "http" or identity == _NOBODY:
            identity = None
        offers = identity is not None and identity.certificate is not None
        trip = Trip(target, self._hasty, offers=offers)
        token = TRIP.set(trip)
        pool: AbstractAsyncContextManager[Sessions] = (
            nullcontext(self._sessions) if identity is None else self._pools.of(identity)
        )
        try:
            async with asyncio.timeout(self._budget.total), pool as sessions:
                once = fresh or target in self._hasty
                session = sessions.fresh if once else sessions.kept
                return await self._exchange(session, trip, url, headers, body)
        except tls.BadIdentity as error:
            return Fault(Phase.TLS, str(error))
        except (aiohttp.ClientError, OSError) as error:
            if trip.odd is not None:
                return _odd_answer(trip.odd, trip.body)  # nothing but its status counts
            return self._fault(trip, error)
        finally:
            TRIP.reset(token)
            trip.forget()

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        trip: Trip,
        url: str,
        headers: Sequence[tuple[str, str]],
        body: Body,
    ) -> Answer:
        failpoint("send.connect")
        response = await session.post(
            URL(url, encoded=True),  # as configured: nothing is decoded and quoted again
            headers=headers,
            data=Outgoing(body, trip),
            allow_redirects=False,
        )
        trip.phase = Phase.BODY
        trip.response = response
        failpoint("send.headers")
        try:
            async with asyncio.timeout(None if trip.odd is None else _ODD_WITHIN):
                await self._read(response, trip.body)
        finally:
            # Still attached: the body has not ended. Abort rather than close, for a TLS
            # shutdown would go on reading what the listener sends.
            if (connection := response.connection) is not None:
                if connection.transport is not None:
                    connection.transport.abort()
                response.close()
        failpoint("send.body")
        if trip.odd is not None:
            return _odd_answer(trip.odd, trip.body)
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

    def _fault(self, trip: Trip, error: aiohttp.ClientError | OSError) -> Fault:
        phase, target, budget = trip.phase, trip.target, self._budget
        answer = None if trip.response is None else _answer(trip.response, trip.body)
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            what = words.too_slow(phase, target, min(budget.connect, budget.total))
            return Fault(phase, what, ours=phase is Phase.DNS)  # as a resolver that says so (R9)
        if isinstance(error, TimeoutError) and error.errno is None:
            what = words.too_slow(phase, target, budget.total)
            return Fault(phase, what, answer, ours=phase is Phase.DNS)
        cause = error.__cause__ or error  # what the system or OpenSSL said
        if isinstance(cause, RefusedAddress):
            return Fault(Phase.REFUSED_ADDRESS, words.refused(target.host, self._guard.profile))
        if isinstance(cause, ssl.SSLError):
            return Fault(Phase.TLS, words.handshake(cause, target, offered=trip.offers), answer)
        if phase is Phase.DNS:
            ours = words.is_ours(Phase.DNS, cause)
            return Fault(Phase.DNS, words.unresolved(cause, target.host), ours=ours)
        if isinstance(error, aiohttp.ClientResponseError | UnparsableBody):
            what = words.malformed(
                str(getattr(error, "message", error)),
                header_bytes=budget.header_bytes,
                headers=budget.headers,
            )
            return Fault(phase, what, answer)
        if phase is Phase.CONNECT:
            return Fault(phase, words.unconnected(cause, target), ours=words.is_ours(phase, cause))
        if trip.reused and phase is not Phase.BODY:
            self._hasty.note(target)
        return Fault(phase, words.lost(phase, cause, reused=trip.reused), answer)


_NOBODY: Final = TlsIdentity(None, None, None)


def _answer(response: aiohttp.ClientResponse, body: bytearray) -> Answer:
    # aiohttp decodes the reason with surrogates, which cannot be stored.
    reason = (response.reason or "").encode("utf-8", "surrogateescape")
    return _stored(response.status, reason, response.raw_headers, body)


def _odd_answer(head: Head, body: bytearray) -> Answer:
    return _stored(head.status, head.reason, head.fields, body)


def _stored(
    status: int, said: bytes, fields: Sequence[tuple[bytes, bytes]], body: bytearray
) -> Answer:
    reason = _text(said)[:_REASON_LENGTH]
    if not reason.isprintable():
        reason = "".join(character if character.isprintable() else " " for character in reason)
    headers = tuple((_text(name), _text(value)) for name, value in fields)
    return Answer(status, reason, headers, bytes(body))


def _text(raw: bytes) -> str:
    """Text that can be stored, whatever the bytes."""
    return raw.decode("utf-8", "backslashreplace")
