"""Behaviours of the connection itself: not read, closed, reset, refused, closed when idle."""

from __future__ import annotations

import asyncio
import select
import socket
import struct
from typing import Final

from heliograph.listen.behaviour import Behaviour, Context, answer

_LOOK_AGAIN: Final = 0.2
"""Seconds between two looks whether a connection that is not read was closed."""

_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends RST instead of FIN (socket(7))."""

_CLOSED: Final = select.POLLRDHUP | select.POLLHUP | select.POLLERR


async def accept(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Context
) -> None:
    """Answer 200 to everything, and keep the connection."""
    while await context.take(reader, writer) is not None:
        writer.write(answer(200))
        await writer.drain()


async def _accept_no_read(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Context
) -> None:
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    # A close is not seen by who does not read, and the connection would stay for ever.
    poll = select.poll()
    poll.register(writer.get_extra_info("socket").fileno(), select.POLLRDHUP)
    while not any(flags & _CLOSED for _, flags in poll.poll(0)):  # noqa: ASYNC110 (no event)
        await asyncio.sleep(_LOOK_AGAIN)
    writer.transport.abort()


async def _accept_close(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Context
) -> None:
    if context.variant == "after-request":
        await context.take(reader, writer)


async def _reset(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Context
) -> None:
    if context.variant == "after-request":
        await context.take(reader, writer)
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


async def _refuse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Context
) -> None:
    """Never called: nothing listens on the port."""


async def _stale_connection(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Context
) -> None:
    if await context.take(reader, writer) is None:
        return
    writer.write(answer(200, ("Connection", "keep-alive")))
    await writer.drain()
    if context.variant == "at-next-write":
        await context.take(reader, writer)


BEHAVIOURS: Final = (
    Behaviour(
        "accept-no-read",
        "Takes the connection and never reads from it.",
        _accept_no_read,
        reads=False,
    ),
    Behaviour(
        "accept-close",
        "Takes the connection and closes it (FIN) without an answer.",
        _accept_close,
        {"after-request": "when the request was read", "at-once": "before anything was read"},
    ),
    Behaviour(
        "reset",
        "Takes the connection and resets it (RST).",
        _reset,
        {"after-request": "when the request was read", "at-once": "before anything was read"},
    ),
    Behaviour("refuse", "Has the port and refuses every connection.", _refuse, accepts=False),
    Behaviour(
        "stale-connection",
        "Answers 200 with keep-alive, and then closes the connection.",
        _stale_connection,
        {
            "idle": "at once, so that the next request finds it closed",
            "at-next-write": "when it has read the next request, which gets no answer",
        },
    ),
)
