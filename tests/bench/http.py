"""The least HTTP/1.1 that a benchmark needs: a sink and a client that cost next to nothing."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import Final, cast

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class _Messages(asyncio.Protocol):
    """Cuts what comes into messages of a head and a body of the told length."""

    def __init__(self) -> None:
        self._buffer = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is of no such class

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self._buffer, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            message, self._buffer = self._buffer[:whole], self._buffer[whole:]
            self.got(message[:end], message[end + 4 :])

    def got(self, head: bytes, body: bytes) -> None:
        raise NotImplementedError


class Sink(_Messages):
    """Answers 200, after it has told when which body came."""

    def __init__(self, came: Callable[[bytes, float], None]) -> None:
        super().__init__()
        self._came = came

    def got(self, head: bytes, body: bytes) -> None:
        self._came(body, time.perf_counter())
        self.transport.write(_ANSWER)


class Client(_Messages):
    """One connection; one call at a time."""

    def __init__(self, head: str) -> None:
        super().__init__()
        self._head = head
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    async def call(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """The status and the body of the answer."""
        self._answer = asyncio.get_running_loop().create_future()
        head = f"{method} {path} HTTP/1.1\r\n{self._head}Content-Length: {len(body)}\r\n\r\n"
        self.transport.write(head.encode() + body)
        return await self._answer

    def got(self, head: bytes, body: bytes) -> None:
        assert self._answer is not None
        self._answer.set_result((int(head.split(b" ", 2)[1]), body))

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the server closed the connection"))
