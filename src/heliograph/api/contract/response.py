"""An answer, before it is written."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Final

import msgspec

from heliograph.incoming.exchange import WITHOUT_BODY, Send
from heliograph.wire.media_types import JSON

_NONE: Final[Mapping[str, str]] = {}


class Response:
    """An answer with a body that is there, or comes in parts."""

    __slots__ = ("body", "endless", "headers", "status")

    def __init__(
        self,
        body: bytes | AsyncGenerator[bytes, None] = b"",
        status: int = 200,
        headers: Mapping[str, str] = _NONE,
        media_type: str = "",
        *,
        endless: bool = False,
    ) -> None:
        """`headers` may be named in any letters; a text says that it is in UTF-8. What is `endless`
        goes on until somebody ends it: how long it took is no matter of the answer."""
        self.body = body
        self.endless = endless
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        """By names in small letters; what is set here is written."""
        if media_type[:5] == "text/" and "charset=" not in media_type:
            media_type += "; charset=utf-8"
        if media_type:
            self.headers["content-type"] = media_type
        if isinstance(body, bytes) and status not in WITHOUT_BODY:
            self.headers["content-length"] = str(len(body))

    async def write(self, send: Send) -> None:
        """Send it. Raises ConnectionResetError where the client is gone."""
        headers = [(name.encode(), text.encode("latin-1")) for name, text in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        if isinstance(self.body, bytes):
            await send({"type": "http.response.body", "body": self.body})
            return
        async with aclosing(self.body) as parts:
            async for part in parts:
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def in_json(value: object, status: int = 200) -> Response:
    """An answer of plain values."""
    return Response(msgspec.json.encode(value), status, media_type=JSON)
