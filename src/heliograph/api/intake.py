"""Publish: events come in here, and 202 means that they are durable (R1)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from heliograph.api import saving
from heliograph.api.contract.operation import Call, Operation
from heliograph.api.contract.parameters import Parameter, flag
from heliograph.aside import RECORD, aside
from heliograph.delivery.publisher import FEW, Publisher, Receipt
from heliograph.delivery.silences import silences
from heliograph.egress import Guard
from heliograph.errors import EventConflict, InvalidParameter, LoopDetected
from heliograph.failpoints import failpoint
from heliograph.model.fidelity import Fidelity
from heliograph.store import Store
from heliograph.watch import UNWATCHED, AcceptedEvent, Observer, Publication, tracing
from heliograph.wire import notifications
from heliograph.wire.media_types import JSON
from heliograph.wire.messages.json_sim import HOPS_HEADER, LONGEST_ID, MOST_HOPS, parse_events
from heliograph.wire.publishing import (
    BODY_SCHEMA,
    PublishedEvent,
    PublishResults,
    SkippedConfiguration,
)

BODY_LIMIT: Final = 25 * 2**20
"""Bytes of one publish call."""


def _key(text: str) -> str:
    if not (0 < len(text) <= LONGEST_ID and text.isprintable()):
        raise InvalidParameter(f"Idempotency-Key must be 1 to {LONGEST_ID} characters.")
    return text


def _hops(text: str) -> int:
    # Whoever writes something else did not copy it from us.
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


IDEMPOTENCY_KEY: Final[Parameter[str | None]] = Parameter(
    name="Idempotency-Key",
    about="Names the call: repeated with this key, it publishes nothing again.",
    schema={"type": "string", "minLength": 1, "maxLength": LONGEST_ID},
    parse=_key,
    absent=None,
    extension=True,
)
HOPS: Final = Parameter(
    name=HOPS_HEADER,
    about=f"How often this has been a message of Heliograph; {MOST_HOPS} are too many.",
    schema={"type": "integer", "minimum": 0},
    parse=_hops,
    absent=0,
    extension=True,
)
TRACEPARENT: Final = Parameter(
    name="traceparent",
    about="The trace that the call belongs to (W3C Trace Context).",
    schema={"type": "string"},
    parse=tracing.read,
    absent=None,
    extension=True,
    example="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
)
TRACESTATE: Final = Parameter(
    name="tracestate",
    about="What the caller's tracing keeps with its trace (W3C Trace Context).",
    schema={"type": "string"},
    parse=str,
    absent="",
    extension=True,
)
EXPLAIN: Final = flag(
    "explain",
    "Whether each configuration that does not get an event is listed with its reason, and not the "
    f"first {FEW} alone.",
    extension=True,
)

_TYPES: Final = (JSON, "application/x-ndjson", "application/ndjson", "application/jsonl")


class Intake:
    """The publish operation. An extension: DocuSign has no such call."""

    def __init__(
        self,
        store: Store,
        publisher: Publisher,
        guard: Guard,
        fidelity: Fidelity,
        observer: Observer = UNWATCHED,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._guard = guard
        self._fidelity = fidelity
        self._observer = observer

    def operations(self) -> Sequence[Operation]:
        """The operations of this module."""
        return [
            Operation(
                "publish_events",
                "POST",
                "/accounts/{accountId}/connect/events",
                self._publish,
                status=202,
                raw_types=_TYPES,
                raw_schema=BODY_SCHEMA,
                body_limit=BODY_LIMIT,
                metered=False,  # to publish is what Heliograph is for
                summary="Publishes events; they are on disk when this is answered.",
                answer=PublishResults,
                query=(EXPLAIN,),
                errors=(EventConflict, LoopDetected),
                headers=(IDEMPOTENCY_KEY, HOPS, TRACEPARENT, TRACESTATE),
                extension=True,
            )
        ]

    async def _integrator(self, call: Call) -> str | None:
        """Whose keys sign for its notifications, if an application publishes, and asks for that."""
        if call.principal.integration_key is None:
            return None
        asked = await aside(len(call.raw), lambda: _INTEGRATOR.search(call.raw) is not None)
        return await saving.integrator(self._store, call.principal) if asked else None

    async def _publish(self, call: Call) -> PublishResults:
        began = time.monotonic()
        hops = checked_hops(lambda _: call.headers.get(HOPS.name))
        integrator = await self._integrator(call)
        events = await aside(
            len(call.raw),
            lambda: parse_events(
                call.raw, call.content_type, call.account_id, hops, self._fidelity, integrator
            ),
        )
        key = call.headers.get(IDEMPOTENCY_KEY.name)
        if key is not None:
            IDEMPOTENCY_KEY.parse(key)
        warnings: dict[bytes, Sequence[str]] = {}
        for document in dict.fromkeys(
            document for event in events for document in event.notifications
        ):
            wanted = notifications.wanted(call.account_id, document)
            saving.check(self._guard, wanted, "The url of a notification")
            warnings[document] = [one.text for one in silences(wanted, self._fidelity)]
        failpoint("accept.parsed")
        explain = EXPLAIN.read(call.query)
        receipts = await self._publisher.publish(call.account_id, events, key, explain=explain)
        published = _publication(call, receipts, time.monotonic() - began)
        await aside(RECORD * len(receipts), lambda: self._observer.published(published))
        failpoint("accept.reply")
        verdicts = sum(1 + len(receipt.skips) for receipt in receipts)
        shown = await aside(
            RECORD * verdicts, lambda: [_to_wire(receipt, warnings) for receipt in receipts]
        )
        return PublishResults(events=shown, total_records=str(len(receipts)))


_INTEGRATOR: Final = re.compile(rb"integratorManaged", re.IGNORECASE)


def checked_hops(header: Callable[[str], str | None]) -> int:
    """How often what comes with a request has been a message of ours; `header` finds one (S15).

    Raises:
        LoopDetected: too often.
    """
    hops = _hops(header(HOPS_HEADER.lower()) or "")
    if hops >= MOST_HOPS:
        raise LoopDetected(
            f"This has been a message of Heliograph {hops} times: a listener publishes what it "
            "gets. Let it publish elsewhere, or let its configuration name other events."
        )
    return hops


def _publication(call: Call, receipts: Sequence[Receipt], seconds: float) -> Publication:
    return Publication(
        account_id=call.account_id,
        events=[
            AcceptedEvent(receipt.event, receipt.accepted, receipt.skipped) for receipt in receipts
        ],
        seconds=seconds,
        caller=TRACEPARENT.read(call.headers),
        caller_state=TRACESTATE.read(call.headers),
    )


def _to_wire(receipt: Receipt, warnings: Mapping[bytes, Sequence[str]]) -> PublishedEvent:
    """`warnings` are what will not arrive at notifications, by their documents."""
    named = receipt.event.notifications
    return PublishedEvent(
        event_id=receipt.accepted.event_id,
        event=receipt.event.name,
        envelope_id=receipt.event.envelope.envelope_id or None,
        deliveries=str(receipt.accepted.deliveries),
        repeated="true" if receipt.accepted.repeated else "false",
        skipped=[
            SkippedConfiguration(
                connect_id=str(skip.connect_id), name=skip.name, reason=skip.reason
            )
            for skip in receipt.skips
        ],
        skipped_count=str(receipt.skipped),
        warnings=[text for document in named for text in warnings[document]] or None,
    )
