"""Outbound HTTP: how the server reaches listeners, token endpoints and who is alerted.

How a connection is made is in `dialling`, what goes over it in `connections`, what an answer says
in `answers` and its head in `heads`; what an identity brings to TLS is in `tls`, the pools that
keep identities apart are in `pools`, and what a fault says is in `words`.

No address is dialled that the guard has not vetted (S1). Redirects are never followed (S2), an
answer is read within a budget of time and bytes and never decompressed (S3), TLS is always
verified (S5). What a listener or the network does wrong is a value, a `Fault` with the phase it
happened in.

Why no request is ever repeated here: a listener may close an idle connection at the moment
a request is on its way, and then "closed without an answer" looks the same whether it took
the message or not. A second send would risk a duplicate that no attempt accounts for (R3,
R5), so that is a Fault and the schedule decides. It is made rare instead: an idle connection
is looked at before it is used again, which finds every close that has reached this machine; it
is given up after `pools.KEPT_ALIVE` seconds, before common servers give it up; and none is used
again of a listener that was found to have closed one, nor by a post that nothing follows.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from heliograph.bounded import Bounded
from heliograph.egress import Guard, Refused, Target
from heliograph.failpoints import failpoint
from heliograph.model.configurations import TlsIdentity
from heliograph.model.deliveries import Answer, Body, Fault, Phase, in_parts
from heliograph.outbound import tls, words
from heliograph.outbound.answers import Answering, Bounds, Malformed
from heliograph.outbound.connections import Connection
from heliograph.outbound.dialling import Dialler, RefusedAddress, Resolver, SystemResolver
from heliograph.outbound.heads import Head
from heliograph.outbound.pools import Hasty, Pool, Pools
from heliograph.outbound.trip import Trip

_REASON_LENGTH: Final = 256
"""Characters kept of a reason phrase, which has no meaning but may be 8 KiB long."""

_TOGETHER: Final = 64 * 1024
"""Bytes up to which a message goes out in one piece with its head."""

_MOST_PLACES: Final = 10_000
_MOST_PLACES_BYTES: Final = 16 * 2**20


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


@dataclass(frozen=True, slots=True)
class _Place:
    """What a URL says: whom a post goes to, and how its head begins.

    URLs of one `origin` share connections.
    """

    target: Target
    origin: str
    opening: str


class Transport:
    """Posts messages over pools of connections; made for one event loop.

    The caller bounds how many posts run at once: the pools themselves have no limit. Roots that
    the system does not trust are added with OpenSSL's SSL_CERT_FILE or SSL_CERT_DIR.
    """

    def __init__(
        self,
        guard: Guard,
        budget: Budget,
        resolver: Resolver | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`resolver` answers for host names (default: the system's, in a thread).

        It stays the caller's to close, and its answers are vetted like any other. `now` gives
        seconds that only go forward.
        """
        self._guard = guard
        self._budget = budget
        self._bounds = Bounds(
            budget.header_bytes, budget.headers, budget.body_bytes, budget.stored_bytes
        )
        self._places = Bounded[str, _Place](_MOST_PLACES, _MOST_PLACES_BYTES)
        self._dialler = Dialler(
            guard,
            resolver or SystemResolver(),
            connect=budget.connect,
            receive_bytes=budget.header_bytes,
        )
        self._hasty = Hasty(now)
        self._pool: Pool | None = None
        self._pools = Pools(self._make_pool)

    async def open(self) -> None:
        """Make the pool of those without an identity; no connection is opened yet."""
        self._pool = self._make_pool(tls.context())

    def _make_pool(self, context: ssl.SSLContext) -> Pool:
        return Pool(context, self._hasty)

    async def close(self) -> None:
        """Close the pools and every connection in them."""
        self._pools.close()
        if self._pool is not None:
            self._pool.close()
            self._pool = None

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
        if self._pool is None:
            raise RuntimeError("the transport must be opened before it posts")
        try:
            place = self._place(url)
        except Refused as refusal:
            return Fault(Phase.REFUSED_ADDRESS, str(refusal))
        if place.target.scheme == "http" or identity == _NOBODY:
            identity = None
        offers = identity is not None and identity.certificate is not None
        trip = Trip(place.target, Answering(self._bounds), self._budget.total, offers=offers)
        until = asyncio.get_running_loop().time() + self._budget.total
        try:
            if identity is None:
                return await self._exchange(self._pool, trip, place, headers, body, fresh, until)
            async with AsyncExitStack() as using:
                async with asyncio.timeout_at(until):
                    pool = await using.enter_async_context(self._pools.of(identity))
                return await self._exchange(pool, trip, place, headers, body, fresh, until)
        except tls.BadIdentity as error:
            return Fault(Phase.TLS, str(error))
        except (Malformed, OSError) as error:
            return self._fault(trip, error, place.origin)

    def _place(self, url: str) -> _Place:
        """What a URL says, once the guard has admitted it.

        Raises:
            Refused: the guard does not.
        """
        place = self._places.get(url)
        if place is None:
            place = self._places[url] = _read(url, self._guard.check_url(url))
        return place

    async def _exchange(
        self,
        pool: Pool,
        trip: Trip,
        place: _Place,
        headers: Sequence[tuple[str, str]],
        body: Body,
        fresh: bool,
        until: float,
    ) -> Answer:
        origin, hasty = place.origin, self._hasty
        connection = None if fresh or origin in hasty else pool.take(origin)
        trip.reused = connection is not None
        once = fresh or (connection is None and origin in hasty)
        parts = in_parts(body)
        length = sum(map(len, parts))
        head = _head(place, headers, length, once=once)
        if connection is None:
            connection = await self._connect(pool, trip, origin, until)
        parts = (b"".join((head, *parts)),) if length <= _TOGETHER else (head, *parts)
        came = await connection.exchange(trip, parts, until)
        failpoint("send.body")
        if once:
            connection.close()
        elif not connection.closed:
            pool.give(origin, connection)
        return _answer(came, trip.answer.body)

    async def _connect(self, pool: Pool, trip: Trip, origin: str, until: float) -> Connection:
        budget = self._budget
        failpoint("send.connect")
        by = asyncio.get_running_loop().time() + budget.connect
        trip.within = budget.connect if by < until else budget.total
        async with asyncio.timeout_at(min(by, until)):
            connected, secure = await self._dialler.connect(trip, pool.context)
        trip.within = budget.total
        return pool.connection(origin, connected, secure)

    def _fault(self, trip: Trip, error: Malformed | OSError, origin: str) -> Fault:
        phase, target, budget = trip.phase, trip.target, self._budget
        head = trip.answer.head
        answer = None if head is None else _answer(head, trip.answer.body)
        # The system's "timed out" is a TimeoutError too, and no end of our patience.
        if isinstance(error, TimeoutError) and error.errno is None:
            what = words.too_slow(phase, target, trip.within)
            return Fault(phase, what, answer, ours=phase is Phase.DNS)  # as a resolver's (R9)
        if isinstance(error, RefusedAddress):
            return Fault(Phase.REFUSED_ADDRESS, words.refused(target.host, self._guard.profile))
        if isinstance(error, ssl.SSLError):
            return Fault(Phase.TLS, words.handshake(error, target, offered=trip.offers), answer)
        if isinstance(error, Malformed):
            what = words.malformed(
                str(error), header_bytes=budget.header_bytes, headers=budget.headers
            )
            return Fault(phase, what, answer)
        if phase is Phase.DNS:
            ours = words.is_ours(Phase.DNS, error)
            return Fault(Phase.DNS, words.unresolved(error, target.host), ours=ours)
        if phase is Phase.CONNECT:
            return Fault(phase, words.unconnected(error, target), ours=words.is_ours(phase, error))
        if trip.reused and phase is not Phase.BODY:
            self._hasty.note(origin)
        return Fault(phase, words.lost(phase, error, reused=trip.reused), answer)


_NOBODY: Final = TlsIdentity(None, None, None)


def _read(url: str, target: Target) -> _Place:
    # As configured: nothing is decoded and quoted again.
    _, _, after = url.partition("://")
    authority = after.partition("?")[0].partition("/")[0]
    path = after.removeprefix(authority)
    if not path.startswith("/"):
        path = f"/{path}"
    usual = 443 if target.scheme == "https" else 80
    opening = f"POST {path} HTTP/1.1\r\nHost: {authority.removesuffix(f':{usual}')}\r\n"
    return _Place(target, f"{target.scheme}://{target.host}:{target.port}", opening)


def _head(place: _Place, headers: Sequence[tuple[str, str]], length: int, *, once: bool) -> bytes:
    lines = [f"{name}: {value}" for name, value in headers]
    lines.append(f"Content-Length: {length}")
    if once:
        lines.append("Connection: close")
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1 or "\0" in text:
        raise ValueError("a header holds a control character")
    return f"{place.opening}{text}\r\n\r\n".encode()


def _answer(head: Head, body: bytes) -> Answer:
    reason = _text(head.reason)[:_REASON_LENGTH]
    if not reason.isprintable():
        reason = "".join(character if character.isprintable() else " " for character in reason)
    fields = tuple([(_text(name), _text(value)) for name, value in head.fields])
    return Answer(head.status, reason, fields, body)


def _text(raw: bytes) -> str:
    """Text that can be stored, whatever the bytes."""
    return raw.decode("utf-8", "backslashreplace")
