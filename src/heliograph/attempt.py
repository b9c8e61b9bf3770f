"""One attempt as a visible pipeline: render, sign, send, judge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import heliograph
from heliograph import signing, tracing
from heliograph.clock import Clock
from heliograph.failpoints import failpoint
from heliograph.model import (
    Answer,
    Claim,
    Fault,
    GaveUp,
    Interrupted,
    Phase,
    ScheduleName,
    Settlement,
    Why,
)
from heliograph.retry import Schedule, judge, schedule_for
from heliograph.wire import json_sim

_FIXED_HEADERS = (
    ("Content-Type", "application/json; charset=utf-8"),
    ("User-Agent", f"Heliograph/{heliograph.__version__}"),
    ("Accept", "*/*"),
)


class Transport(Protocol):
    """Posts a message; what the network or the listener does wrong is a value."""

    async def post(
        self, url: str, headers: Sequence[tuple[str, str]], body: bytes
    ) -> Answer | Fault:
        """One POST within the transport's budget of time and bytes."""
        ...


async def attempt(
    claim: Claim, transport: Transport, clock: Clock, schedule: Schedule | ScheduleName
) -> Settlement:
    """Send one delivery once and say what came of it."""
    started_at, began = clock.now(), clock.monotonic()
    failpoint("send.begin", claim.event.envelope_id)
    try:
        message = json_sim.render(
            claim.event, claim.configuration.connect_id, retry_count=claim.number - 1
        )
    except Exception as error:
        # Trying again would fail again: a person must look at the event (R17).
        why = Why(Phase.RENDER, f"the message cannot be rendered: {error!r}")
        return Settlement(claim, GaveUp(why), None, started_at, 0.0)
    event = claim.event
    place = tracing.of_attempt(event.account_id, event.event_id, claim.attempt_id)
    headers = [
        *_FIXED_HEADERS,
        ("traceparent", place.header),
        *signing.headers(claim.keys, message),
    ]
    came_back = await transport.post(claim.configuration.url, headers, message)
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


def interrupted(claim: Claim, clock: Clock) -> Settlement:
    """What becomes of an attempt that a stop cut short: unknown, and due again (R5, R15)."""
    why = Why(Phase.HEADERS, "Heliograph stopped before the listener had answered")
    return Settlement(claim, Interrupted(why), None, clock.now(), 0.0)
