"""What a behaviour is, and what it gets to work with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from heliograph.bounded import Bounded
from heliograph.listen.requests import Request, read_request

_MOST_SEEN: Final = 100_000
_MOST_BYTES: Final = 64 * 2**20
"""Of as many messages the tries are counted: those that came last."""

Publish = Callable[[Request], Awaitable[int]]
"""Publishes a message that came as a new event; returns the status of the answer."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a behaviour can be told; each uses what it needs.

    `seconds` is the time between two bytes, before an answer, or between its head and its
    body, where None is the behaviour's own; `tries` is the attempt that is answered 200;
    `retry_after` goes out as the text of a Retry-After header.
    """

    seconds: float | None = None
    tries: int = 3
    retry_after: str | None = None
    publish: Publish | None = None


@dataclass(slots=True)
class Shared:
    """What the connections of one listener have in common."""

    base_url: str = ""
    seen: Bounded[bytes, int] = field(default_factory=lambda: Bounded(_MOST_SEEN, _MOST_BYTES))
    marks: list[str] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)


@dataclass(frozen=True, slots=True)
class Context:
    """One connection's surroundings: how to behave, and who is told of what came."""

    variant: str
    parameters: Parameters
    shared: Shared
    on_request: Callable[[Request], None]

    async def take(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Request | None:
        """Read one whole request and tell of it; None when there is no next one.

        Raises:
            BadRequest, OSError, asyncio.IncompleteReadError: as `read_request`.
        """
        request = await read_request(reader, writer)
        if request is not None:
            self.on_request(request)
        return request

    def pause(self, usual: float) -> float:
        """Seconds to wait: as told, else as is usual for the behaviour."""
        return usual if self.parameters.seconds is None else self.parameters.seconds

    async def mark(self, what: str) -> None:
        """Let who waits for it know that something was done."""
        async with self.shared.changed:
            self.shared.marks.append(what)
            self.shared.changed.notify_all()


Act = Callable[[asyncio.StreamReader, asyncio.StreamWriter, Context], Awaitable[None]]
"""Serves one connection and returns when it is to be closed."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A way to serve connections.

    `variants` has one line for each; the first is the usual one. `accepts` is False where no
    connection is taken at all, `reads` where no request is read.
    """

    name: str
    about: str
    act: Act
    variants: Mapping[str, str] = field(default_factory=dict)
    accepts: bool = True
    reads: bool = True

    def variant(self, name: str | None) -> str:
        """The variant of this name, or the usual one; empty where there is but one way.

        Raises:
            LookupError: there is no such variant; the text names those that are.
        """
        if name is None:
            return next(iter(self.variants), "")
        if name in self.variants:
            return name
        known = ", ".join(self.variants) or "none"
        raise LookupError(f"{self.name} has no variant {name!r}; it has: {known}.")


_REASONS: Final = {
    200: "OK",
    307: "Temporary Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    407: "Proxy Authentication Required",
    410: "Gone",
    413: "Content Too Large",
    421: "Misdirected Request",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    502: "Bad Gateway",
}


def answer(status: int, *headers: tuple[str, str], body: bytes = b"") -> bytes:
    """A correct answer, whole."""
    lines = [
        f"HTTP/1.1 {status} {_REASONS[status]}",
        *(f"{name}: {text}" for name, text in headers),
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def flood(writer: asyncio.StreamWriter, piece: bytes) -> None:
    """Send `piece` for ever; ends with the OSError of a connection that the other side closed."""
    while True:
        writer.write(piece)
        await writer.drain()


async def drip(writer: asyncio.StreamWriter, data: bytes, seconds: float) -> None:
    """Send `data` byte by byte with `seconds` before each, and again from its start for ever."""
    while True:
        for at in range(len(data)):
            await asyncio.sleep(seconds)
            writer.write(data[at : at + 1])
            await writer.drain()


async def gone(reader: asyncio.StreamReader) -> None:
    """Wait until the other side has closed the connection."""
    while await reader.read(65536):
        pass
