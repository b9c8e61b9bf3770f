"""Behaviours of an answer's head: slow, endless, malformed, another protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from heliograph.listen.behaviour import Act, Behaviour, Context, drip, flood, gone

_OK: Final = b"HTTP/1.1 200 OK\r\n"
_PACE: Final = 1.0
"""Seconds between two bytes."""

_MANY: Final = b"".join(b"X-%d: y\r\n" % number for number in range(10_000))
_TEXT: Final = b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"

# RFC 9113, 3.4: a server begins with a SETTINGS frame (here an empty one: length 0, type 4), a
# client with a text that no HTTP/1.1 server takes for a request.
_SETTINGS: Final = bytes.fromhex("000000040000000000")
_PRI: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def _says(data: Mapping[str, bytes], *, then_close: bool = False) -> Act:
    """Answer one request with the bytes of the variant, and leave the connection open."""

    async def act(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Context
    ) -> None:
        if await context.take(reader, writer) is None:
            return
        writer.write(data[context.variant])
        await writer.drain()
        if not then_close:
            await gone(reader)

    return act


def _floods(begin: bytes, piece: bytes) -> Act:
    """Answer one request with `begin`, and then `piece` for ever."""

    async def act(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Context
    ) -> None:
        if await context.take(reader, writer) is not None:
            writer.write(begin)
            await flood(writer, piece)

    return act


async def _slow_headers(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Context
) -> None:
    if await context.take(reader, writer) is None:
        return
    pace = context.pause(_PACE)
    for at in range(len(_OK)):
        await asyncio.sleep(pace)
        writer.write(_OK[at : at + 1])
        await writer.drain()
    await drip(writer, b"X-Slow: y\r\n", pace)


BEHAVIOURS: Final = (
    Behaviour(
        "slow-headers",
        "Sends the answer's head, which never ends, at a byte a second (--seconds).",
        _slow_headers,
    ),
    Behaviour(
        "endless-headers",
        "Sends headers of 1 KiB for ever.",
        _floods(_OK, b"X-Endless: " + b"y" * 1011 + b"\r\n"),
    ),
    Behaviour(
        "many-headers",
        "Answers 200 with 10,000 short headers.",
        _says({"": _OK + _MANY + _TEXT}),
    ),
    Behaviour(
        "long-header",
        "Answers 200 with a header line of 1 MB.",
        _says({"": _OK + b"X-Long: " + b"y" * 1_000_000 + b"\r\n" + _TEXT}),
    ),
    Behaviour(
        "control-characters",
        "Answers 200 with a control character within a header (RFC 9110, 5.5).",
        _says({"nul": _OK + b"X: a\0b\r\n" + _TEXT, "cr": _OK + b"X: a\rb\r\n" + _TEXT}),
        {"nul": "a NUL", "cr": "a CR without its LF"},
    ),
    Behaviour("no-status-line", "Begins its answer with the headers.", _says({"": _TEXT})),
    Behaviour(
        "http-0-9",
        "Answers as HTTP/0.9 did: with the body alone, and closes.",
        _says({"": b"<html>ok</html>\n"}, then_close=True),
    ),
    Behaviour(
        "http2-preface",
        "Speaks HTTP/2 without having been asked to (RFC 9113, 3.4).",
        _says({"settings": _SETTINGS, "client": _PRI}),
        {"settings": "a server's SETTINGS frame", "client": "the preface of a client"},
    ),
    Behaviour(
        "endless-continue",
        "Answers 100 Continue for ever.",
        _floods(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    ),
    Behaviour(
        "upgrade",
        "Answers 101 and goes on as a WebSocket that nobody asked for.",
        _says(
            {
                "": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\n\r\n\x81\x02hi"
            }
        ),
    ),
)
