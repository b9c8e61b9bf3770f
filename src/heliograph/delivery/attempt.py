"""One attempt as a visible pipeline: render, sign, send, judge."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import heliograph
from heliograph.clock import Clock
from heliograph.delivery.retry import Schedule, judge, schedule_for
from heliograph.failpoints import failpoint
from heliograph.model.accounts import HmacKey, Secret
from heliograph.model.configurations import (
    ClientCredentials,
    ConnectConfiguration,
    ScheduleName,
    TlsIdentity,
)
from heliograph.model.deliveries import (
    Answer,
    Claim,
    Fault,
    GaveUp,
    Interrupted,
    Phase,
    Settlement,
    Why,
)
from heliograph.model.events import Event
from heliograph.watch import tracing
from heliograph.wire.messages import json_sim, message, signing

_FIXED_HEADERS = (
    ("User-Agent", f"Heliograph/{heliograph.__version__}"),
    ("Accept", "*/*"),
)


_NAMESPACE: Final = uuid.UUID("0b8e2f0e-64b7-4c1f-9d6d-6a7a3f1f9c55")
"""For ids that are made from names."""


class Transport(Protocol):
    """Posts a message; what the network or the listener does wrong is a value."""

    async def post(
        self,
        url: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        identity: TlsIdentity | None = None,
    ) -> Answer | Fault:
        """One POST within the transport's budget of time and bytes."""
        ...


class Sender(Protocol):
    """Posts a message with what its configuration wants a post to carry."""

    async def post(
        self,
        configuration: ConnectConfiguration,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        client: tuple[str, Secret] | None = None,
        oauth: ClientCredentials | None = None,
    ) -> Answer | Fault:
        """One attempt; `client` is the account's client certificate and its key, both PEM, and
        `oauth` its OAuth client."""
        ...


async def attempt(
    claim: Claim, sender: Sender, clock: Clock, schedule: Schedule | ScheduleName
) -> Settlement:
    """Send one delivery once and say what came of it."""
    started_at, began = clock.now(), clock.monotonic()
    failpoint("send.begin", claim.event.envelope_id)
    try:
        post = compose(
            claim.shown,
            claim.configuration,
            claim.keys,
            number=claim.number,
            attempt_id=claim.attempt_id,
            at=started_at,
            certificate=None if claim.client is None else claim.client[0],
        )
    except Exception as error:
        # Trying again would fail again: a person must look at the event (R17).
        why = Why(Phase.RENDER, f"the message cannot be rendered: {error!r}")
        return Settlement(claim, GaveUp(why), None, started_at, 0.0)
    came_back = await sender.post(
        *(claim.configuration, post.headers, post.body), claim.client, claim.oauth
    )
    failpoint("send.end", claim.event.envelope_id)
    outcome = judge(
        came_back,
        number=claim.schedule_number,
        started_at=claim.schedule_started_at,
        seed=claim.seed,
        now=clock.now(),
        schedule=schedule_for(claim.configuration, schedule),
        uncounted=claim.number - claim.schedule_number,
    )
    answer = came_back if isinstance(came_back, Answer) else came_back.answer
    return Settlement(claim, outcome, answer, started_at, clock.monotonic() - began)


@dataclass(frozen=True, slots=True)
class Post:
    """What goes out, but for credentials: those are added when it is sent."""

    headers: tuple[tuple[str, str], ...]
    body: bytes


def compose(
    event: Event,
    configuration: ConnectConfiguration,
    keys: Sequence[HmacKey],
    *,
    number: int,
    attempt_id: int,
    at: datetime,
    certificate: str | None = None,
) -> Post:
    """Render and sign the message of an event for one attempt, from number 1, begun `at`.

    `certificate` is the account's client certificate (PEM), where the configuration shows it.
    """
    made = message.render(event, configuration, number - 1, certificate)
    place = tracing.of_attempt(event.account_id, event.event_id, attempt_id)
    name = message_id(event, configuration.connect_id)
    headers = (
        *made.headers,
        *_FIXED_HEADERS,
        ("traceparent", place.header),
        (json_sim.HOPS_HEADER, str(json_sim.hops(event) + 1)),
        *signing.headers(keys, made.body),
        *signing.standard_headers(keys, name, at, made.body),
    )
    return Post(headers, made.body)


def message_id(event: Event, connect_id: int) -> str:
    """Names a delivery to its listener, the same at each attempt, so that repeats are told."""
    name = f"{event.account_id}\n{event.event_id}\n{connect_id}"
    return f"msg_{uuid.uuid5(_NAMESPACE, name).hex}"


def interrupted(claim: Claim, clock: Clock) -> Settlement:
    """What becomes of an attempt that a stop cut short: unknown, and due again (R5, R15)."""
    why = Why(Phase.HEADERS, "Heliograph stopped before the listener had answered")
    return Settlement(claim, Interrupted(why), None, clock.now(), 0.0)
