"""Messages that came are posted on, past the guard, as they came."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from heliograph.cli.exits import wrong
from heliograph.clock import SystemClock
from heliograph.egress import Guard, Profile, Refused
from heliograph.listen.forwarding import Forward, Forwarded, headers_of
from heliograph.listen.requests import Request
from heliograph.model.deliveries import Fault
from heliograph.outbound.transport import Budget, Transport

_HERE: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_GUARD: Final = Guard(Profile.EMULATOR)


def check_target(url: str, port: int) -> None:
    """See that messages may be handed on to a URL: on this machine, or a public address, and not to
    the listener's own `port`.

    Raises:
        Stop: they may not.
    """
    try:
        target = _GUARD.check_new_url(url)
    except Refused as refusal:
        raise wrong(f"--forward-to: {refusal}") from None
    if target.port == port and target.host in _HERE:
        raise wrong("--forward-to leads back to this listener.", "Give one of both another port.")


@asynccontextmanager
async def forwarding_to(
    url: str, tell: Callable[[Request, Forwarded], None]
) -> AsyncIterator[Forward]:
    """Posts messages to `url`, once each, and tells what came of it."""
    clock = SystemClock()
    async with Transport(_GUARD, Budget()) as transport:

        async def forward(request: Request) -> Forwarded:
            began = clock.monotonic()
            forwarded = await _posted(transport, url, request, lambda: clock.monotonic() - began)
            tell(request, forwarded)
            return forwarded

        yield forward


async def _posted(
    transport: Transport, url: str, request: Request, seconds: Callable[[], float]
) -> Forwarded:
    try:
        back = await transport.post(url, headers_of(request), request.body, fresh=True)
    except ValueError as error:  # of a header that came
        return Forwarded(None, "", b"", str(error), seconds())
    if isinstance(back, Fault):
        return Forwarded(None, "", b"", back.what, seconds())
    return Forwarded(back.status, back.reason, back.body, None, seconds())
