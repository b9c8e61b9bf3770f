"""What the demo plays with: listeners that fail in four ways, and a day of envelopes.

The listeners are real: they check signatures, and count what they took. `PUT /name` with the
body `broken` or `mended` changes one while it runs.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import msgspec
from aiohttp import web

from heliograph.model.accounts import Secret
from heliograph.wire.messages import signing
from heliograph.wire.samples.envelope import Scene
from heliograph.wire.samples.messages import story


class Fails(StrEnum):
    """How a listener behaves while it is broken."""

    NEVER = "is well"
    ERRORS = "answers 500"
    CLOSES = "closes the connection"
    HANGS = "does not answer in time"


@dataclass(frozen=True, slots=True)
class Part:
    """One listener, and the events that its configuration wants."""

    name: str
    fails: Fails
    events: tuple[str, ...]


SENT, VIEWED, COMPLETED = "envelope-sent", "envelope-delivered", "envelope-completed"

PARTS: Final = (
    Part("crm", Fails.NEVER, (SENT, VIEWED, COMPLETED)),
    Part("billing", Fails.ERRORS, (COMPLETED,)),
    Part("archive", Fails.CLOSES, (SENT, COMPLETED)),
    Part("analytics", Fails.HANGS, (SENT, VIEWED)),
)

_ENVELOPES: Final = (
    ("Lease of 12 Harbour Street", "Ada Lovelace"),
    ("Employment contract: Grace Hopper", "Charles Babbage"),
    ("Purchase order 4711, 200 lamps", "Mary Somerville"),
    ("Non-disclosure agreement with Difference & Co.", "Ada Lovelace"),
    ("Consent to the processing of health records", "Florence Nightingale"),
    ("Loan agreement 2026-118", "George Boole"),
    ("Minutes of the general meeting", "Mary Somerville"),
    ("Power of attorney: Emmy Noether", "George Boole"),
    ("Service agreement, lighthouse maintenance", "Hertha Ayrton"),
    ("Offer of a studentship", "Charles Babbage"),
    ("Licence for the heliograph patents", "Hertha Ayrton"),
    ("Delivery note 90210, Überseekiste", "Florence Nightingale"),
)

ENVELOPES: Final = len(_ENVELOPES)
"""How many envelopes the demo's events are of."""


def published() -> list[list[dict[str, Any]]]:
    """Three calls' worth of events: every envelope is sent, then viewed, then completed."""
    start = datetime.now(UTC) - timedelta(minutes=len(_ENVELOPES))
    stories = [
        story(
            "signing-of-two",
            Scene(str(uuid.uuid4()), subject=subject, sender=sender),
            start + timedelta(minutes=at),
        )
        for at, (subject, sender) in enumerate(_ENVELOPES)
    ]
    return [
        [event for told in stories for event in told if event["event"] == name]
        for name in (SENT, VIEWED, COMPLETED)
    ]


@dataclass(slots=True)
class Tally:
    """What one listener saw. `taken` are the messages it answered 2xx: (event, envelope)."""

    posts: int = 0
    refused: int = 0
    unsigned: int = 0
    repeats: int = 0
    taken: set[tuple[str, str]] = field(default_factory=set)


class Listeners:
    """All listeners of the demo, on one port, each at its own path."""

    def __init__(self, parts: Sequence[Part] = PARTS) -> None:
        self.base = ""
        self.tallies: Mapping[str, Tally] = {part.name: Tally() for part in parts}
        self.broken = {part.name for part in parts if part.fails is not Fails.NEVER}
        self._fails = {part.name: part.fails for part in parts}
        self._secret: Secret | None = None
        self._changed = asyncio.Condition()

    def trust(self, secret: Secret) -> None:
        """Take only messages signed with this key."""
        self._secret = secret

    async def mend(self) -> None:
        """From now on every listener is well."""
        async with self._changed:
            self.broken.clear()
            self._changed.notify_all()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until a condition holds; it is looked at after every post."""
        async with self._changed:
            await self._changed.wait_for(holds)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Take a post as the listener of its path does, or be told to behave otherwise."""
        name, body = request.path.strip("/"), await request.read()
        tally = self.tallies.get(name)
        if tally is None:
            return web.Response(status=404, text="There is no such listener.\n")
        if request.method == "PUT":
            return await self._break_or_mend(name, body)
        async with self._changed:
            tally.posts += 1
            if name in self.broken:
                tally.refused += 1
            self._changed.notify_all()
        if name in self.broken:
            return await self._fail(name, request)
        return await self._take(tally, request, body)

    async def _fail(self, name: str, request: web.BaseRequest) -> web.StreamResponse:
        fails = self._fails[name]
        if fails in (Fails.ERRORS, Fails.NEVER):
            return web.Response(status=500, text="The database of this listener is away.\n")
        if fails is Fails.HANGS:
            await self.until(lambda: name not in self.broken)
        # Never an answer on this connection: who asked has given up, or must see it close.
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)

    async def _take(
        self, tally: Tally, request: web.BaseRequest, body: bytes
    ) -> web.StreamResponse:
        signature = request.headers.get("X-DocuSign-Signature-1", "")
        signed = self._secret is not None and signing.verify(self._secret, body, signature)
        async with self._changed:
            if signed:
                message = msgspec.json.decode(body)
                what = (message["event"], message["data"]["envelopeId"])
                tally.repeats += what in tally.taken
                tally.taken.add(what)
            else:
                tally.unsigned += 1
            self._changed.notify_all()
        return web.Response(text="ok\n") if signed else web.Response(status=401, text="unsigned\n")

    async def _break_or_mend(self, name: str, body: bytes) -> web.StreamResponse:
        wanted = body.strip().lower()
        if wanted not in (b"broken", b"mended"):
            return web.Response(status=400, text="Send `broken` or `mended`.\n")
        async with self._changed:
            (self.broken.add if wanted == b"broken" else self.broken.discard)(name)
            self._changed.notify_all()
        return web.Response(text=f"{name} is {wanted.decode()}\n")


@asynccontextmanager
async def listening() -> AsyncIterator[Listeners]:
    """The demo's listeners on a free port of this machine."""
    listeners = Listeners()
    runner = web.ServerRunner(web.Server(listeners.answer), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    listeners.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield listeners
    finally:
        await runner.cleanup()
