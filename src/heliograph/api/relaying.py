"""What real Connect configurations post to relays: verified, kept byte for byte, and published.

A post is answered with 200 when the event of it and all its bytes are committed, and with 503 where
that takes longer than `ANSWERED_WITHIN`: DocuSign has it in its own queue then, and comes again
(R25).
"""

from __future__ import annotations

import asyncio
import hmac
import re
import time
import uuid
from base64 import b64encode
from collections.abc import Sequence
from mmap import mmap
from pathlib import Path
from typing import Final

import structlog

from heliograph.api.contract.endpoint import Endpoint, Refusal, api_error, mark, only
from heliograph.api.contract.operation import body_parts
from heliograph.api.contract.request import Request
from heliograph.api.contract.response import Response
from heliograph.api.contract.routing import Route
from heliograph.api.intake import checked_hops
from heliograph.api.spool import SMALL, Room, Spool
from heliograph.aside import aside
from heliograph.delivery.publisher import Publisher
from heliograph.errors import (
    ApiError,
    InvalidBody,
    NotFound,
    RelayRefused,
    StorageBroken,
    StorageUnavailable,
    Unavailable,
)
from heliograph.model import relays
from heliograph.model.events import NewEvent
from heliograph.model.relays import Relay
from heliograph.store import Store
from heliograph.store.relays import MessageId
from heliograph.watch import AcceptedEvent, Observer, Publication
from heliograph.watch.metrics import RELAY
from heliograph.wire.media_types import error_body
from heliograph.wire.relayed import reading
from heliograph.wire.relayed.came import PART, Came, kept_headers
from heliograph.wire.relayed.reading import Origin

ANSWERED_WITHIN: Final = 5.0
"""Seconds from the end of a message to its answer, where reading it takes no longer than the rest
of them."""

_TO_STORE: Final = 2.0
"""Seconds that the disk has in any case: else no try of what takes long to read is answered 200."""

_SIGNATURE: Final = re.compile(r"[A-Za-z0-9+/]{43}=")
"""The form of an HMAC-SHA256 in Base64."""

_SHOWN: Final = 4 * 1024
"""Bytes of a message that was not taken, for a person to look at."""

_LOOK: Final = 1.0
"""Seconds for which no further one of a relay is kept: they are counted, and who sends them
decides how many there are."""

_MOST_SIGNATURES: Final = 100
"""Headers that DocuSign may send, one for each active key."""

_ACCOUNT: Final = re.compile(r"[0-9a-fA-F-]{36}")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")

_HEADERS: Final = {"cache-control": "no-store"}

_log = structlog.get_logger()


class Relaying:
    """Takes messages of DocuSign's Connect."""

    def __init__(
        self, store: Store, publisher: Publisher, observer: Observer, folder: Path, most: int
    ) -> None:
        """Large messages lie in the `folder` while they come; `most` is the bytes of one."""
        self._store = store
        self._publisher = publisher
        self._observer = observer
        self._room = Room(folder)
        self._most = most
        self._looked: dict[str, float] = {}
        self._accepting: set[asyncio.Task[None]] = set()

    def routes(self) -> Sequence[Route]:
        """Where relays are."""
        answer = only("POST", self._take)
        endpoint = Endpoint(lambda _: RELAY, answer, _refuse, self._observer, _HEADERS)
        return [Route("/relay/{accountId}/{relayName}", endpoint)]

    async def _take(self, request: Request) -> Response:
        relay = await self._relay(request)
        spool = Spool(self._room, relay.secrets)
        try:
            event, message = await self._received(relay, request, spool)
        except BaseException:
            spool.close()
            raise
        left = spool.ended + ANSWERED_WITHIN - time.monotonic()
        await self._accepted(message, event, spool, max(_TO_STORE, left))
        return Response(b"", 200)

    async def _received(
        self, relay: Relay, request: Request, spool: Spool
    ) -> tuple[NewEvent, MessageId]:
        try:
            _check_basic(relay, request)
            async for part in body_parts(request, self._most):
                if spool.size + len(part) >= SMALL:
                    _check_form(relay, request)
                await spool.add(part)
            await spool.end()
            _check_signature(relay, request, spool)
            return await self._read(relay, request, spool)
        except (RelayRefused, InvalidBody) as problem:
            await self._show(relay, request, spool, problem)
            raise

    async def _relay(self, request: Request) -> Relay:
        account_id, name = request.parameters["accountId"], request.parameters["relayName"]
        if _ACCOUNT.fullmatch(account_id) and _NAME.fullmatch(name):
            relay = await self._store.relays.get(account_id.lower(), name)
            if relay is not None:
                return relay
        raise NotFound("There is no such resource.")

    async def _read(
        self, relay: Relay, request: Request, spool: Spool
    ) -> tuple[NewEvent, MessageId]:
        message = MessageId(relay.account_id, str(uuid.uuid4()))
        came = Came(message.message_id, spool.size, kept_headers(_headers(request)))
        origin = Origin(relay.relay_id, relay.account_id, checked_hops(request.header))
        content, digest = spool.content, spool.digest
        event = await aside(spool.size, lambda: reading.read(content, digest, origin, came))
        return event, message

    async def _accepted(
        self, message: MessageId, event: NewEvent, spool: Spool, seconds: float
    ) -> None:
        """Commit an event and its message. Raises Unavailable where that takes so long.

        It goes on then: a repeat finds it.
        """
        task = asyncio.ensure_future(self._accept(message, event, spool))
        self._accepting.add(task)
        task.add_done_callback(lambda done: self._ended(done, spool))
        done, _ = await asyncio.wait([task], timeout=seconds)
        if not done:
            raise Unavailable("The message is not on disk yet: send it again.")
        task.result()

    def _ended(self, task: asyncio.Task[None], spool: Spool) -> None:
        self._accepting.discard(task)
        spool.close()
        if not task.cancelled() and (problem := task.exception()) is not None:
            _log.warning("relay_message_not_kept", reason=str(problem))

    async def _accept(self, message: MessageId, event: NewEvent, spool: Spool) -> None:
        began, content = time.monotonic(), spool.content
        # Where the first try took too long a repeat must not take as long again. A small one is
        # sorted out by the accept.
        if spool.size <= PART or not await self._is_accepted(message, event):
            await self._keep(message, event, content)
        try:
            (receipt,) = await self._publisher.publish(message.account_id, [event])
        except ApiError:  # it was not accepted, and the next try brings bytes of its own
            await self._forget(message)
            raise
        if receipt.accepted.repeated:
            await self._forget(message)
        seconds = time.monotonic() - began
        accepted = AcceptedEvent(receipt.event, receipt.accepted, receipt.skipped)
        self._observer.published(Publication(message.account_id, [accepted], seconds, None, ""))

    async def _keep(self, message: MessageId, event: NewEvent, content: bytes | mmap) -> None:
        try:
            for number, start in enumerate(range(0, len(content), PART)):
                part = bytes(content[start : start + PART])
                await self._store.relays.keep(message, event.event_id, number, part)
        except (StorageUnavailable, StorageBroken):
            await self._forget(message)
            raise

    async def _is_accepted(self, message: MessageId, event: NewEvent) -> bool:
        return await self._store.relays.is_accepted(message.account_id, event.event_id)

    async def _forget(self, message: MessageId) -> None:
        """Delete the bytes of a repeat; where that fails they go with the event's."""
        try:
            await self._store.relays.forget(message)
        except (StorageUnavailable, StorageBroken) as trouble:
            _log.warning("relay_repeat_kept", reason=str(trouble))

    async def _show(self, relay: Relay, request: Request, spool: Spool, problem: ApiError) -> None:
        """Keep what was not taken for a person to look at, if none was just now."""
        now = time.monotonic()
        if now - self._looked.get(relay.relay_id, -_LOOK) < _LOOK:
            return
        self._looked[relay.relay_id] = now
        shown = [(name, value) for name, value in _headers(request) if name == "user-agent"]
        refusal = relays.Refusal(
            created_at=self._store.clock.now(),
            reason=problem.code,
            address=request.address,
            size=spool.size,
            headers=(*kept_headers(_headers(request)), *shown),
            content=bytes(spool.content[:_SHOWN]),
        )
        try:
            await self._store.relays.refuse(relay, refusal)
        except (StorageUnavailable, StorageBroken) as trouble:
            _log.warning("relay_refusal_lost", reason=str(trouble))


def _headers(request: Request) -> list[tuple[str, str]]:
    return [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in request.scope["headers"]
    ]


def _check_basic(relay: Relay, request: Request) -> None:
    """Raises RelayRefused where user name and password are not the relay's."""
    if relay.basic is None:
        return
    user_name, password = relay.basic
    wanted = b64encode(f"{user_name}:{password.reveal()}".encode())
    scheme, _, given = (request.header("authorization") or "").partition(" ")
    same = hmac.compare_digest(wanted, given.strip().encode("utf-8", "surrogatepass"))
    if not same or scheme.lower() != "basic":
        raise RelayRefused("The message does not bring the relay's user name and password.")


def _check_signature(relay: Relay, request: Request, spool: Spool) -> None:
    """Raises RelayRefused where no secret of the relay has signed the body."""
    if not relay.secrets:
        return
    if not spool.is_signed(_signatures(request)):
        raise RelayRefused("None of the relay's keys has signed the message.")


def _check_form(relay: Relay, request: Request) -> None:
    """Raises RelayRefused where nothing has the form of a signature: what is large and nobody has
    signed takes no room from what somebody has."""
    signatures = (text.strip() for text in _signatures(request))
    if relay.secrets and not any(_SIGNATURE.fullmatch(text) for text in signatures):
        raise RelayRefused("None of the relay's keys has signed the message.")


def _signatures(request: Request) -> list[str]:
    return [
        text
        for number in range(1, _MOST_SIGNATURES + 1)
        for text in request.every(f"x-docusign-signature-{number}")[:1]
    ]


def _refuse(request: Request, problem: Exception) -> Refusal:
    """The error as errorDetails."""
    error = api_error(request, problem)
    form, body = error_body(error, ", ".join(request.every("accept")))
    response = Response(body, error.status, _HEADERS, media_type=form)
    if error.status == 401:  # each must say how to sign in (RFC 9110, 15.5.2)
        response.headers["www-authenticate"] = 'Basic realm="relay"'
    mark(response, error.status, error.retry_after, error)
    return Refusal(error.code, response)
