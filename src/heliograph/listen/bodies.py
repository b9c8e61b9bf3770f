"""Behaviours of an answer's body: lengths that lie, chunks, floods, and what a log must bear."""

from __future__ import annotations

import asyncio
import functools
import zlib
from collections.abc import Callable
from typing import Final

from heliograph.listen.behaviour import Behaviour, Context, answer, drip, flood, gone

_OK: Final = b"HTTP/1.1 200 OK\r\n"
_CHUNKED: Final = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
_PACE: Final = 1.0
"""Seconds between two bytes."""

_BODY_BYTES: Final = 10 * 10**9
_BOMB_BYTES: Final = 50 * 10**6
_HUGE_BYTES: Final = 10**6


async def _send(writer: asyncio.StreamWriter, context: Context, head: bytes, rest: bytes) -> None:
    """In one packet, or with --seconds in between: who reads may judge the two differently."""
    pause = context.pause(0.0)
    if pause:
        writer.write(head)
        await writer.drain()
        await asyncio.sleep(pause)
        writer.write(rest)
    else:
        writer.write(head + rest)
    await writer.drain()


async def _no_content_body(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Context
) -> None:
    while await context.take(reader, writer) is not None:
        head = b"HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n"
        await _send(writer, context, head, b"surplus")


_LENGTHS: Final = {
    "short": (b"Content-Length: 2\r\n\r\nok", b"more than two", False),
    "long": (b"Content-Length: 1000\r\n\r\n", b"short", True),
    "negative": (b"Content-Length: -1\r\n\r\n", b"ok", False),
    "two": (b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n", b"ok", False),
}


async def _wrong_content_length(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Context
) -> None:
    head, rest, then_close = _LENGTHS[context.variant]
    while await context.take(reader, writer) is not None:
        await _send(writer, context, _OK + head, rest)
        if then_close:
            return


_CHUNKS: Final = {
    "endless": b"",
    "bad-size": b"zz\r\nok\r\n",
    "overflowing-size": b"f" * 32 + b"\r\nok\r\n",
    "long-extension": b"2;" + b"e" * 1_000_000 + b"\r\nok\r\n0\r\n\r\n",
    "endless-trailer": b"2\r\nok\r\n0\r\n" + b"X-Trailer: y\r\n" * 200,
}
_ENDLESS: Final = {
    "endless": b"400\r\n" + b"z" * 1024 + b"\r\n",
    "endless-trailer": b"X-Trailer: y\r\n" * 100,
}


async def _bad_chunks(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Context
) -> None:
    if await context.take(reader, writer) is None:
        return
    await _send(writer, context, _CHUNKED, _CHUNKS[context.variant])
    if context.variant in _ENDLESS:
        await flood(writer, _ENDLESS[context.variant])
    await gone(reader)


async def _huge_body(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Context
) -> None:
    if await context.take(reader, writer) is None:
        return
    writer.write(_OK + b"Content-Length: %d\r\n\r\n" % _BODY_BYTES)
    piece = b"x" * 50_000
    for _ in range(_BODY_BYTES // len(piece)):
        writer.write(piece)
        await writer.drain()


@functools.cache
def _bomb() -> bytes:
    """gzip of zeros, about a thousandth of their size (RFC 1952)."""
    packer = zlib.compressobj(9, wbits=31)
    piece = bytes(500_000)
    packed = [packer.compress(piece) for _ in range(_BOMB_BYTES // len(piece))]
    return b"".join([*packed, packer.flush()])


async def _gzip_bomb(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Context
) -> None:
    while await context.take(reader, writer) is not None:
        writer.write(answer(200, ("Content-Encoding", "gzip"), body=_bomb()))
        await writer.drain()


async def _slow_body(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Context
) -> None:
    if await context.take(reader, writer) is None:
        return
    writer.write(_OK + b"Content-Length: 1000000000\r\n\r\n")
    await drip(writer, b".", context.pause(_PACE))


_SCRIPT: Final = b"""</script></textarea></title><script>alert(document.domain)</script>
<img src=x onerror=alert(1)>"""
_HTML: Final = b"""<!doctype html><title>500</title><h1>It broke</h1>
<form action=/login method=post><input name=password type=password></form>"""
_ANSI: Final = (
    b"\x1b[2J\x1b[H\x1b]0;owned\x07\x1b]8;;http://203.0.113.1/\x07click\x1b]8;;\x07"
    b"\x1b[31mred\x1b[8mhidden\r\xc2\x9b31m\xe2\x80\xaeesrever\x08\x08\x7f"
)
_HOSTILE: Final[dict[str, tuple[str, Callable[[], bytes]]]] = {
    "script": ("text/html; charset=utf-8", lambda: _SCRIPT),
    "html": ("text/html; charset=utf-8", lambda: _HTML),
    "ansi": ("text/plain; charset=utf-8", lambda: _ANSI),
    "binary": ("application/octet-stream", lambda: bytes(range(256)) * 8),
    "huge": ("text/plain", lambda: b"All work and no play. " * (_HUGE_BYTES // 22)),
}


async def _hostile_body(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Context
) -> None:
    kind, body = _HOSTILE[context.variant]
    while await context.take(reader, writer) is not None:
        writer.write(answer(500, ("Content-Type", kind), body=body()))
        await writer.drain()


BEHAVIOURS: Final = (
    Behaviour(
        "no-content-body",
        "Answers 204 with a body, which it cannot have (RFC 9110, 15.3.5).",
        _no_content_body,
    ),
    Behaviour(
        "wrong-content-length",
        "Answers 200 with a Content-Length that is wrong (RFC 9112, 6.3).",
        _wrong_content_length,
        {
            "short": "less than what follows",
            "long": "more than what comes before the close",
            "negative": "below zero",
            "two": "two of them, with different values",
        },
    ),
    Behaviour(
        "bad-chunks",
        "Answers 200 in chunks that are wrong or without end (RFC 9112, 7.1).",
        _bad_chunks,
        {
            "endless": "chunks for ever",
            "bad-size": "a size that is no number",
            "overflowing-size": "a size of 128 bits",
            "long-extension": "a chunk extension of 1 MB",
            "endless-trailer": "trailers for ever",
        },
    ),
    Behaviour("huge-body", "Answers 200 with a body of 10 GB.", _huge_body),
    Behaviour("gzip-bomb", "Answers 200 with 50 KB of gzip that unpack to 50 MB.", _gzip_bomb),
    Behaviour(
        "slow-body",
        "Answers 200 at once, and sends the body at a byte a second (--seconds).",
        _slow_body,
    ),
    Behaviour(
        "hostile-body",
        "Answers 500 with a body that is to harm who looks at the log.",
        _hostile_body,
        {
            "script": "`</script>` and more that ends an element",
            "html": "a page with a form",
            "ansi": "escape sequences for a terminal",
            "binary": "every byte there is",
            "huge": "1 MB of text",
        },
    ),
)
