"""Publishing a message that came as a new event: a loop that a careless setup can build."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

from heliograph.listen.behaviour import Publish
from heliograph.listen.requests import Request
from heliograph.model.accounts import Secret

_PATIENCE: Final = 30.0
"""Seconds for one publish."""

# Those of one hop only (RFC 9110, 7.6.1), and what the client writes itself.
_OURS: Final = frozenset(
    {
        "authorization",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


@asynccontextmanager
async def publishing(url: str, token: Secret | None) -> AsyncIterator[Publish]:
    """Posts messages to `url` as they came, with their headers, as a reverse proxy would.

    Args:
        url: Where events are published, `.../connect/events` of an account.
        token: The access token that is sent along.

    The function that this gives raises OSError where there is no answer.
    """
    timeout = aiohttp.ClientTimeout(total=_PATIENCE)
    async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:

        async def publish(request: Request) -> int:
            headers = [pair for pair in request.headers if pair[0].lower() not in _OURS]
            if token is not None:
                headers.append(("Authorization", f"Bearer {token.reveal()}"))
            try:
                async with session.post(
                    url, data=request.body, headers=headers, allow_redirects=False
                ) as response:
                    return response.status
            except (aiohttp.ClientError, TimeoutError) as error:
                raise OSError(f"no answer from the publish address: {error}") from None

        yield publish
