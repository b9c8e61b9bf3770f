"""Handing each message on to another listener, whose answer goes back to who sent it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from heliograph.listen.behaviour import Behaviour, Context, answer
from heliograph.listen.requests import Request

_OF_ONE_HOP: Final = frozenset(
    {
        *("connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    }
)
"""Headers of one hop only (RFC 9110, 7.6.1), and what a client writes itself."""


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What came of handing a message on: a status and a body, or the `error` why there is none."""

    status: int | None
    reason: str
    body: bytes
    error: str | None
    seconds: float


Forward = Callable[[Request], Awaitable[Forwarded]]
"""Hands a message on, and tells whoever watches."""


def headers_of(request: Request) -> list[tuple[str, str]]:
    """The headers that go on with a message: as they came, signatures and credentials too."""
    return [pair for pair in request.headers if pair[0].lower() not in _OF_ONE_HOP]


def forwarding(forward: Forward) -> Behaviour:
    """Answers what the other listener answers, and 502 where that answers nothing.

    What is no POST is no message: it is answered 200.
    """

    async def act(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Context
    ) -> None:
        while (request := await context.take(reader, writer)) is not None:
            if request.method == "POST":
                writer.write(_answer(await forward(request)))
            else:
                writer.write(answer(200))
            await writer.drain()

    return Behaviour("forward", "Hands each message on, and answers what comes back.", act)


def _answer(forwarded: Forwarded) -> bytes:
    status = HTTPStatus.BAD_GATEWAY if forwarded.status is None else forwarded.status
    body = b"" if status in (204, 304) or status < 200 else forwarded.body
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = ""
    head = f"HTTP/1.1 {int(status)} {reason}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
