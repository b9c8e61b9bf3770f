"""A connection to a listener: the message goes out, and its answer is read within bounds.

What has come counts, whatever became of the message: a listener may answer before it has read
all of it, and close. The event loop gives a connection up with the first write that fails, and
drops what it has not read yet; so it is read here, from a second descriptor (RFC 9112, 9.5).
"""

from __future__ import annotations

import asyncio
import os
import select
import ssl
from contextlib import suppress
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError, RawResponseMessage

from heliograph.failpoints import failpoint
from heliograph.model.deliveries import Body, Phase, in_parts
from heliograph.outbound import heads, tls, words
from heliograph.outbound.trip import TRIP, Trip

_PIECE: Final = 256 * 1024
"""Bytes written at once; a large message is paced by what the listener takes."""


class UnparsableBody(aiohttp.ClientError):
    """The rest of an answer is not what HTTP allows."""


class Connection(ResponseHandler):
    """aiohttp's side of a connection, with a bound on the bytes of an answer.

    aiohttp bounds each header but not their sum, nor chunk extensions and trailers, and has no
    use for an answer whose head is odd. So it gets one head at a time, once that is whole, in
    words that it takes. The body has twice its budget on the wire, which leaves room for the
    framing of chunks.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, head_bytes: int, fields: int, body_bytes: int
    ) -> None:
        """`fields` is how many lines of a head are kept."""
        super().__init__(loop)
        self._head_room = head_bytes
        self._fields = fields
        self._body_room = 2 * body_bytes
        self._room = head_bytes
        self._came = bytearray()
        self._head: heads.Head | None = None
        self._reads_head = False
        self._answered = False
        self._params: dict[str, Any] = {}
        self._spare: int | None = None
        self._trip: Trip = TRIP.get()
        self._trip.reused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Before the first request."""
        super().connection_made(transport)
        with suppress(OSError):  # no descriptor left: an early answer may be missed then
            self._spare = os.dup(transport.get_extra_info("socket").fileno())

    def is_connected(self) -> bool:
        """Whether the connection may be used again.

        Nothing is due on an idle connection. If there is something to read, then that is
        the listener's close (or a breach of HTTP), even if the loop has not seen it yet.
        """
        # What it has read since the last answer would else be taken for the next one (R5).
        if self.transport is None or self.should_close:
            return False
        poll = select.poll()
        if super().is_connected():
            poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
            if not poll.poll(0):
                return True
        self._trip.hasty.note(self._trip.target)
        return False

    def set_response_params(self, **params: Any) -> None:
        """A request begins."""
        self._trip = TRIP.get()
        self._params = params
        self._room = self._head_room
        self._came.clear()
        self._head = None
        self._reads_head = True
        self._answered = False
        super().set_response_params(**params)

    def feed_data(
        self, data: tuple[RawResponseMessage, aiohttp.StreamReader], size: int = 0
    ) -> None:
        """The parser has a whole head."""
        self._answered = True
        self._room = self._body_room
        super().feed_data(data, size)

    def data_received(self, data: bytes) -> None:
        """Bytes of an answer, or none: then aiohttp goes on with what it has."""
        if self.exception() is not None:
            return  # the parser is not to be asked again
        if self._reads_head and data:
            data = self._read_head(data)
            if not data:
                return
        within, beyond = data[: self._room], data[self._room :]
        self._room -= len(within)
        super().data_received(within)
        if beyond:
            self._stop()

    def _read_head(self, data: bytes) -> bytes:
        """Keep a head until it is whole, and pass it on; gives what follows it."""
        self._came += data
        while self._came:
            if self._came[0] in b"\r\n":  # RFC 9112, 2.2: empty lines are no head
                blank = len(self._came) - len(self._came.lstrip(b"\r\n"))
                del self._came[:blank]
                self._room -= blank
            if not heads.may_begin(self._came):
                return self._rest()  # nobody's answer: the parser says what is wrong with it
            end = heads.end(self._came)
            if max(end, 0) > self._room or (end < 0 and len(self._came) > self._room):
                self._stop()
                break
            if end < 0:
                break
            raw = bytes(self._came[:end])
            del self._came[:end]
            self._room -= end
            head = heads.read(raw, self._fields)
            if head is None or not head.interim:
                self._pass_on(head, raw)
                return self._rest()
        return b""

    def _rest(self) -> bytes:
        self._reads_head = False
        rest = bytes(self._came)
        self._came.clear()
        return rest

    def _pass_on(self, head: heads.Head | None, raw: bytes) -> None:
        self._head = head
        if head is None or head.plain:
            super().data_received(raw)
        else:
            self._judge(head, head.mended())

    def _judge(self, head: heads.Head, mended: bytes) -> None:
        """Let an answer be judged by its status, and the connection carry nothing else."""
        self.force_close()
        self._head = None
        self._trip.odd = head
        super().set_response_params(**self._params)  # a parser that has seen nothing
        super().data_received(mended)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """The answer cannot be parsed, or the connection is lost."""
        payload, head = self._payload, self._head
        if isinstance(exc, HttpProcessingError) and head is not None and not self._answered:
            self._judge(head, head.mended(heads.UNFRAMED))
            return
        super().set_exception(exc, *cause)
        if isinstance(exc, HttpProcessingError) and payload is not None and not payload.is_eof():
            # aiohttp tells who waits for a head, and not who reads a body.
            payload.set_exception(UnparsableBody(exc.message))

    def connection_lost(self, exc: BaseException | None) -> None:
        """The end, after which nothing comes any more."""
        if self.transport is not None:  # else it is we who closed it
            if self._answered and not self.should_close:  # it was idle
                self._trip.hasty.note(self._trip.target)
            elif exc is not None:
                exc = self._read_what_came() or exc
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None
        self._trip.ended.set()
        super().connection_lost(exc)

    def _read_what_came(self) -> ssl.SSLError | None:
        """Take what the loop has left unread; gives what TLS says of the end, if it does."""
        if self._spare is None or self.transport is None:
            return None
        came = bytearray()
        with suppress(OSError):  # there is no more, or the reset
            while len(came) <= self._room and (piece := os.read(self._spare, _PIECE)):
                came += piece
        secure: tls.SecureObject | None = self.transport.get_extra_info("ssl_object")
        plain, error = (bytes(came), None) if secure is None else tls.decrypt(secure, came)
        if plain:
            self.data_received(plain)
        return error

    def _stop(self) -> None:
        """The answer is longer than is read."""
        payload, self._payload = self._payload, None
        self.force_close()
        if not self._answered:
            head = heads.read(self._rest()[: self._room], self._fields)
            if head is not None and not head.interim:
                self._judge(head, head.mended(heads.UNFRAMED))
            else:
                self.set_exception(HttpProcessingError(code=400, message=words.HEAD_TOO_LONG))
        elif payload is not None:
            payload.feed_eof()  # what came so far is the answer
        if self.transport is not None:
            self.transport.abort()


class Outgoing(aiohttp.Payload):
    """A message on its way out; tells the trip when the writing begins and ends."""

    def __init__(self, body: Body, trip: Trip) -> None:
        super().__init__(body)
        self._parts = in_parts(body)
        self._trip = trip

    @property
    def size(self) -> int:
        return sum(map(len, self._parts))

    @property
    def autoclose(self) -> bool:
        return True

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return str(b"".join(self._parts), encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        self._trip.phase = Phase.WRITE
        try:
            await self._write(writer)
        except ConnectionError:
            # Who reads the answer is told by the end of the connection, which comes after all
            # that the listener has said.
            await self._trip.ended.wait()
            return
        failpoint("send.written")
        # The answer may have come before the end, and so may the end of the connection.
        if self._trip.phase is Phase.WRITE and not self._trip.ended.is_set():
            self._trip.phase = Phase.HEADERS

    async def _write(self, writer: AbstractStreamWriter) -> None:
        for part in self._parts:
            if len(part) <= _PIECE:
                await writer.write(part)
                continue
            view = memoryview(part)
            for start in range(0, len(part), _PIECE):
                await writer.write(view[start : start + _PIECE])
        await writer.drain()
