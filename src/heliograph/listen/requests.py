"""Reading a request as a listener does: the head and a body of known size or in chunks.

Framing is that of RFC 9112, 6 and 7: what is ambiguous there is refused here.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

LONGEST_HEAD: Final = 64 * 1024
"""Bytes of a request's head."""

LONGEST_BODY: Final = 256 * 2**20
"""Bytes: far above what Connect sends (25 MiB with documents)."""

_MOST_TRAILERS: Final = 100
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class BadRequest(Exception):
    """What came is no request that can be read; `status` is what to answer."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(what)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came; `at` is when its body was complete (UTC)."""

    at: datetime
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first header of this name, in whatever case."""
        return next((text for key, text in self.headers if key.lower() == name.lower()), None)

    def all(self, name: str) -> list[str]:
        """Every header of this name, in whatever case."""
        return [text for key, text in self.headers if key.lower() == name.lower()]


async def read_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Request | None:
    """Read one whole request; None when the other side closed before a next one began.

    `writer` is for the interim answer to `Expect: 100-continue` (RFC 9110, 10.1.1).

    Raises:
        BadRequest: it is not HTTP/1.x, ambiguous, or too large.
        asyncio.IncompleteReadError: the other side closed within it.
        OSError: the connection broke.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise BadRequest(431, f"the head is longer than {LONGEST_HEAD} bytes") from None
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise
    method, target, headers = _parse_head(head)
    request = Request(datetime.now(UTC), method, target, headers, b"")
    if (request.header("Expect") or "").lower() == "100-continue":
        writer.write(_CONTINUE)
    body = await _read_body(reader, request)
    return Request(datetime.now(UTC), method, target, headers, body)


def _parse_head(head: bytes) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise BadRequest(400, "the first line is no HTTP/1.x request line")
    headers = []
    for line in lines:
        name, colon, text = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest(400, "a header is no `Name: text`")
        # What is not ASCII is mostly UTF-8, though HTTP gives it no meaning.
        text = text.strip(" \t").encode("latin-1").decode("utf-8", "replace")
        headers.append((name, text))
    return parts[0], parts[1], tuple(headers)


async def _read_body(reader: asyncio.StreamReader, request: Request) -> bytes:
    lengths, coding = request.all("Content-Length"), request.all("Transfer-Encoding")
    if coding:
        if lengths or [text.lower() for text in coding] != ["chunked"]:
            raise BadRequest(400, "the body's length is ambiguous")
        return await _read_chunks(reader)
    if not lengths:
        return b""
    if len(lengths) != 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
        raise BadRequest(400, "the Content-Length is no single number")
    digits = lengths[0].lstrip("0") or "0"
    if len(digits) > 12 or int(digits) > LONGEST_BODY:
        raise BadRequest(413, f"the body is longer than {LONGEST_BODY >> 20} MiB")
    return await reader.readexactly(int(digits))


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        size = (await _read_line(reader)).partition(b";")[0].strip()
        try:
            length = int(size, 16) if size.isalnum() and len(size) <= 8 else -1
        except ValueError:
            length = -1
        if length < 0:
            raise BadRequest(400, "a chunk's size is no hexadecimal number")
        if len(body) + length > LONGEST_BODY:
            raise BadRequest(413, f"the body is longer than {LONGEST_BODY >> 20} MiB")
        if length == 0:
            break
        body += await reader.readexactly(length)
        if await reader.readexactly(2) != b"\r\n":
            raise BadRequest(400, "a chunk does not end where its size says")
    for _ in range(_MOST_TRAILERS):
        if await _read_line(reader) == b"":
            return bytes(body)
    raise BadRequest(400, f"more than {_MOST_TRAILERS} trailers")


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    try:
        return (await reader.readuntil(b"\r\n"))[:-2]
    except asyncio.LimitOverrunError:
        raise BadRequest(400, f"a line is longer than {LONGEST_HEAD} bytes") from None
