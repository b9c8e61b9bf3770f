"""One request and its answer, as an ASGI application sees them: receive, and send.

It does what uvicorn's cycle does, for an application whose names of headers are in small letters
and which says nothing that is not of HTTP. The head of an answer waits for the first of its body,
so that both go out in one write.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from enum import Enum, auto
from typing import Any, Final, Protocol, assert_never

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_CONTROLS: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""What no value of a header may have in it: it could end the header. Names are our own."""

_JOINED: Final = 64 * 1024
"""Bytes of a body up to which it is copied behind its head, which is cheaper than two buffers."""

WITHOUT_BODY: Final = (204, 304)
"""Statuses of answers that have none, nor a length of one."""

Headers = list[tuple[bytes, bytes]]
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
"""These are ASGI's."""


class _Body(Enum):
    AS_IT_IS = auto()
    IN_CHUNKS = auto()
    LEFT_OUT = auto()


class Common:
    """The headers of every answer as they are written, for all connections of a server."""

    def __init__(self) -> None:
        self._headers: Headers = []
        self._lines = b""

    def lines(self, headers: Headers) -> bytes:
        """Those of `headers`: uvicorn makes a new list each second, with the date."""
        if headers is not self._headers:
            self._headers = headers
            self._lines = b"".join(b"%s: %s\r\n" % header for header in headers)
        return self._lines


class Flow(Protocol):
    """Whether the connection takes more, and lets more come: uvicorn's."""

    write_paused: bool

    async def drain(self) -> None: ...

    def resume_reading(self) -> None: ...


class Exchange:
    """One request and its answer. The connection reads and writes its attributes."""

    def __init__(
        self,
        scope: Scope,
        transport: asyncio.Transport,
        flow: Flow,
        common: bytes,
        *,
        keep_alive: bool,
        expects: bool,
        complete: Callable[[], None],
    ) -> None:
        """`common` are the lines of the headers that every answer has; `expects` tells that the
        client waits for our 100 Continue; `complete` is called once the answer is written."""
        self._scope = scope
        self._transport = transport
        self._flow = flow
        self._common = common
        self._expects = expects
        self._complete = complete
        self._head: bytes | None = None
        self._body = _Body.AS_IT_IS
        self._left = 0
        self.keep_alive = keep_alive
        self.body = bytearray()
        self.more_body = True
        self.message_event = asyncio.Event()
        self.disconnected = False
        self.response_started = False
        """Whether something of the answer is written."""
        self.response_complete = False

    async def run(self, app: Application) -> None:
        """Have the application answer. Raises what it raises, or that it did not."""
        await app(self._scope, self.receive, self.send)
        if not (self.response_complete or self.disconnected):
            raise RuntimeError("a call was not answered, or not to the end")

    async def receive(self) -> Message:
        """What came of the body since the last time, when there is something."""
        if self._expects and not self._transport.is_closing():
            self._transport.write(_CONTINUE)
        self._expects = False
        if not self.disconnected and not self.response_complete:
            self._flow.resume_reading()
            await self.message_event.wait()
            self.message_event.clear()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body, self.body = bytes(self.body), bytearray()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def send(self, message: Message) -> None:
        """Write a part of the answer, in its turn.

        Raises:
            ConnectionResetError: the client is gone.
        """
        if self._flow.write_paused and not self.disconnected:
            await self._flow.drain()
        if self.disconnected:
            raise ConnectionResetError
        if message["type"] == "http.response.start":
            self._start(message["status"], message["headers"])
        else:
            self._go_on(message["body"], last=not message.get("more_body", False))

    def _start(self, status: int, headers: Headers) -> None:
        if self._head is not None:
            raise RuntimeError("an answer began twice")
        self._expects = False
        length, lines = None, []
        for name, value in headers:
            if name == b"content-length":
                length = int(value)
            elif name == b"connection":  # the application has one to say: that this is the last
                self.keep_alive = False
                continue
            if _CONTROLS.search(value):
                raise RuntimeError("a header has a control character")
            lines.append(b"%s: %s\r\n" % (name, value))
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        if self._scope["method"] == "HEAD":
            self._body = _Body.LEFT_OUT
        elif length is None and status not in WITHOUT_BODY:
            self._body = _Body.IN_CHUNKS
            lines.append(b"transfer-encoding: chunked\r\n")
        self._left = length or 0
        self._head = b"%s%s%s\r\n" % (STATUS_LINE[status], self._common, b"".join(lines))

    def _go_on(self, body: bytes, *, last: bool) -> None:
        if self._head is None or self.response_complete:
            raise RuntimeError("a body outside of an answer")
        match self._body:
            case _Body.LEFT_OUT:
                body = b""
            case _Body.IN_CHUNKS:
                body = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
                body += b"0\r\n\r\n" if last else b""
            case _Body.AS_IT_IS:
                self._left -= len(body)
                if self._left < 0 or (last and self._left):
                    raise RuntimeError("an answer is not as long as it says")
            case _:
                assert_never(self._body)
        if not self.response_started:
            self.response_started = True
            self._write_both(self._head, body)
        elif body:
            self._transport.write(body)
        if last:
            self.response_complete = True
            self.message_event.set()
            self._complete()

    def _write_both(self, head: bytes, body: bytes) -> None:
        if len(body) <= _JOINED:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))
