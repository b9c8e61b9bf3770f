"""One attempt as a visible pipeline: render, sign, send, judge."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha1
from typing import Any, Final, Protocol
from weakref import WeakValueDictionary
from zoneinfo import ZoneInfo

import heliograph
from heliograph.clock import Clock
from heliograph.delivery.retry import Schedule, is_last, judge, schedule_for
from heliograph.delivery.verbatim import Verbatim
from heliograph.errors import StorageUnavailable, Unrenderable
from heliograph.failpoints import failpoint
from heliograph.model.configurations import (
    ConnectConfiguration,
    ScheduleName,
)
from heliograph.model.deliveries import (
    Answer,
    Body,
    Claim,
    Fault,
    GaveUp,
    Interrupted,
    Phase,
    Proofs,
    Settlement,
    Why,
    in_parts,
)
from heliograph.model.events import Event
from heliograph.watch import tracing
from heliograph.wire.messages import json_sim, message, signing
from heliograph.wire.messages.legacy_times import UTC_ZONE
from heliograph.wire.messages.message import Recipe, Rendering
from heliograph.wire.relayed.came import Came
from heliograph.wire.relayed.came import of as came_through_relay

_FIXED_HEADERS = (
    ("User-Agent", f"Heliograph/{heliograph.__version__}"),
    ("Accept", "*/*"),
)

ACCOUNT_HEADER: Final = "X-DocuSign-AccountId"
"""Whose message it is, by the account's GUID (recorded posts): public listeners choose the key of
a signature by it, and turn away what comes without."""


_NAMESPACE: Final = uuid.UUID("0b8e2f0e-64b7-4c1f-9d6d-6a7a3f1f9c55").bytes
"""For ids that are made from names."""

_SMALL: Final = 64 * 1024
"""Bytes up to which a message is no longer shared once it is made."""


_LARGE: Final = 2**20
"""Bytes of a document from which its message is made on another thread, one at a time: signing it
takes the loop's time else (R7)."""


class Renderings:
    """Messages that are under way: attempts that send the same share it, and nobody keeps it.

    `zone` is the one that they tell times in, where they tell local ones; `verbatim` reads what
    came through relays, None where nothing is sent on as it came.
    """

    def __init__(self, zone: ZoneInfo = UTC_ZONE, verbatim: Verbatim | None = None) -> None:
        self.zone = zone
        self.verbatim = verbatim
        self._known: WeakValueDictionary[tuple[str, str, Recipe], Rendering] = WeakValueDictionary()
        self.turn = asyncio.Lock()

    def of(self, event: Event, by: Recipe) -> Rendering:
        """The message of an event by a recipe."""
        place = (event.account_id, event.event_id, by)
        known = self._known.get(place)
        if known is None:
            known = self._known[place] = message.rendered(event, by)
        return known


class Sender(Protocol):
    """Posts a message with what its configuration wants a post to carry."""

    async def post(
        self,
        configuration: ConnectConfiguration,
        headers: Sequence[tuple[str, str]],
        body: Any,
        proofs: Proofs,
        *,
        last: bool,
    ) -> Answer | Fault:
        """One post of a `Body`.

        Of the proofs, what goes beside the message: signatures are headers already.
        After the `last` one there is no other: it must not fail by what could be avoided.
        """
        ...


async def attempt(
    claim: Claim,
    sender: Sender,
    clock: Clock,
    schedule: Schedule | ScheduleName,
    renderings: Renderings | None = None,
) -> Settlement:
    """Send one delivery once and say what came of it; `renderings` are shared with others."""
    started_at, began = clock.now(), clock.monotonic()
    sent_at = clock.machine()
    followed = schedule_for(claim.configuration, schedule)
    failpoint("send.begin", claim.event.envelope_id)
    try:
        exchanged = await exchange(
            claim.shown,
            claim.configuration,
            claim.proofs,
            sender=sender,
            number=claim.number,
            attempt_id=claim.attempt_id,
            at=sent_at,
            last=is_last(
                number=claim.schedule_number,
                started_at=claim.schedule_started_at,
                seed=claim.seed,
                now=started_at,
                schedule=followed,
            ),
            renderings=renderings,
            recipient=claim.recipient,
        )
    except Unrenderable as error:
        # Trying again would fail again: a person must look at the event (R17).
        return Settlement(claim, GaveUp(Why(Phase.RENDER, str(error))), None, started_at, 0.0)
    failpoint("send.end", claim.event.envelope_id)
    now, seconds = clock.now(), clock.monotonic() - began
    leapt = max(timedelta(), now - started_at - timedelta(seconds=seconds))
    outcome = judge(
        exchanged.came_back,
        number=claim.schedule_number,
        started_at=claim.schedule_started_at + leapt,
        seed=claim.seed,
        now=now,
        machine=clock.machine(),
        schedule=followed,
        uncounted=claim.number - claim.schedule_number,
    )
    return Settlement(claim, outcome, exchanged.answer, started_at, seconds)


@dataclass(frozen=True, slots=True)
class Post:
    """What goes out, but for credentials: those are added when it is sent."""

    headers: tuple[tuple[str, str], ...]
    message: Body
    rendering: Rendering = field(repr=False)  # held, for others to share it meanwhile

    @property
    def body(self) -> bytes:
        """The message in one piece."""
        return b"".join(in_parts(self.message))


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was posted, and what came back."""

    post: Post
    came_back: Answer | Fault

    @property
    def answer(self) -> Answer | None:
        """What the listener answered, also where that was no whole answer."""
        return self.came_back if isinstance(self.came_back, Answer) else self.came_back.answer


async def exchange(
    event: Event,
    configuration: ConnectConfiguration,
    proofs: Proofs,
    *,
    sender: Sender,
    number: int,
    attempt_id: int,
    at: datetime,
    last: bool,
    renderings: Renderings | None = None,
    recipient: str | None = None,
) -> Exchange:
    """Post the message of an event once, for the `last` time or not; the rest is as `compose`
    has it.

    Raises:
        Unrenderable: there is no message; nothing was sent.
    """
    shared = renderings or Renderings()

    came = came_through_relay(event) if configuration.rendering.verbatim else None
    if came is not None and shared.verbatim is not None:
        try:
            body = await shared.verbatim.of(event.account_id, came)
        except (StorageUnavailable, OSError) as trouble:  # ours, and not the listener's
            return Exchange(_NO_POST, Fault(Phase.CLAIM, f"no bytes: {trouble}", ours=True))
        post = _as_it_came(event, came, body, attempt_id)
        came_back = await sender.post(configuration, post.headers, post.message, proofs, last=last)
        return Exchange(post, came_back)

    def composing() -> Post:
        return compose(
            event,
            configuration,
            proofs,
            number=number,
            attempt_id=attempt_id,
            at=at,
            renderings=shared,
            recipient=recipient,
        )

    try:
        if len(event.document) < _LARGE:
            post = composing()
        else:
            async with shared.turn:
                post = await asyncio.to_thread(composing)
    except Exception as error:
        raise Unrenderable(f"the message cannot be rendered: {error!r}") from error
    came_back = await sender.post(configuration, post.headers, post.message, proofs, last=last)
    return Exchange(post, came_back)


_NO_POST: Final = Post((), b"", Rendering((), b""))


def _as_it_came(event: Event, came: Came, body: bytes | memoryview, attempt_id: int) -> Post:
    """What came through a relay, to be posted with what DocuSign has signed it by.

    No signature of ours goes with it: they would have the names of DocuSign's.
    """
    trace = tracing.of_attempt(event.account_id, event.event_id, attempt_id)
    headers = (
        *((name, value) for name, value in came.headers),
        *_FIXED_HEADERS,
        ("traceparent", trace.header),
        (json_sim.HOPS_HEADER, str(json_sim.hops(event) + 1)),
    )
    message = body if isinstance(body, bytes) else (b"", body)
    return Post(headers, message, _NO_POST.rendering)


def compose(
    event: Event,
    configuration: ConnectConfiguration,
    proofs: Proofs,
    *,
    number: int,
    attempt_id: int,
    at: datetime,
    renderings: Renderings | None = None,
    recipient: str | None = None,
) -> Post:
    """Render and sign the message of an event for one attempt, from number 1, begun `at`.

    `recipient` is whom of the envelope's recipients it is for, where each of them gets one.
    """
    renderings = renderings or Renderings()
    certificate = None if proofs.client is None else proofs.client[0]
    recipe = message.recipe(
        event.name,
        configuration,
        certificate,
        account=proofs.account,
        zone=renderings.zone,
        recipient=recipient,
    )
    rendering = renderings.of(event, recipe)
    head = rendering.head(configuration.connect_id, number - 1)
    # What is small is sent as one: a part costs a write.
    is_small = len(rendering.rest) <= _SMALL
    body: Body = head + rendering.rest if is_small else (head, rendering.rest)
    trace = tracing.of_attempt(event.account_id, event.event_id, attempt_id)
    name = message_id(event, configuration.connect_id, recipient)
    headers = (
        *rendering.headers,
        *_FIXED_HEADERS,
        (ACCOUNT_HEADER, event.account_id),
        ("traceparent", trace.header),
        (json_sim.HOPS_HEADER, str(json_sim.hops(event) + 1)),
        *signing.headers(proofs.keys, body),
        *signing.standard_headers(proofs.keys, name, at, body),
    )
    return Post(headers, body, rendering)


def message_id(event: Event, connect_id: int, recipient: str | None = None) -> str:
    """Names a delivery to its listener, the same at each attempt, so that repeats are told."""
    name = f"{event.account_id}\n{event.event_id}\n{connect_id}"
    if recipient is not None:
        name += f"\n{recipient}"
    # As uuid5 makes it (RFC 9562, 5.5), in a third of the time.
    made = bytearray(sha1(_NAMESPACE + name.encode(), usedforsecurity=False).digest()[:16])
    made[6] = made[6] & 0x0F | 0x50
    made[8] = made[8] & 0x3F | 0x80
    return f"msg_{made.hex()}"


def interrupted(claim: Claim, clock: Clock) -> Settlement:
    """What becomes of an attempt that a stop cut short: unknown, and due again (R5, R15)."""
    why = Why(Phase.HEADERS, "Heliograph stopped before the listener had answered")
    return Settlement(claim, Interrupted(why), None, clock.now(), 0.0)
