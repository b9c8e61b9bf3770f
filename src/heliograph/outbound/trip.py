"""How far one post has come; what a Fault says is read from here."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Final

import aiohttp

from heliograph.egress import Target
from heliograph.model.deliveries import Phase
from heliograph.outbound.heads import Head
from heliograph.outbound.pools import Hasty


class Trip:
    """One post on its way. `offers` a client certificate, to who asks for one.

    `odd` is the head of an answer that is judged by its status alone, `ended` the end of the
    connection. `reused` holds until a new connection is made.
    """

    __slots__ = ("body", "ended", "hasty", "odd", "offers", "phase", "response", "reused", "target")

    def __init__(self, target: Target, hasty: Hasty, *, offers: bool) -> None:
        self.target = target
        self.hasty = hasty
        self.offers = offers
        self.phase = Phase.CONNECT
        self.reused = True
        self.response: aiohttp.ClientResponse | None = None
        self.odd: Head | None = None
        self.body = bytearray()
        self.ended = asyncio.Event()

    def forget(self) -> None:
        """Let the answer go: idle connections, and timers that were cancelled, keep the post."""
        self.response, self.odd, self.body = None, None, bytearray()


TRIP: Final[ContextVar[Trip]] = ContextVar("heliograph_trip")
"""The post that a connection is made or used for: aiohttp does that in the post's task."""
