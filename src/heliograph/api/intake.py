"""Publish: events come in here, and 202 means that they are durable (R1)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from heliograph import tracing
from heliograph.api import saving
from heliograph.api.contract import JSON, Call, Operation
from heliograph.egress import Guard
from heliograph.errors import InvalidParameter, LoopDetected
from heliograph.failpoints import failpoint
from heliograph.observing import UNWATCHED, AcceptedEvent, Observer, Publication
from heliograph.publisher import Publisher, Receipt
from heliograph.wire import notifications
from heliograph.wire.json_sim import HOPS_HEADER, LONGEST_ID, MOST_HOPS, parse_events
from heliograph.wire.rest import PublishedEvent, PublishResults, SkippedConfiguration

BODY_LIMIT: Final = 25 * 2**20
"""Bytes of one publish call."""

_TYPES: Final = (JSON, "application/x-ndjson", "application/ndjson", "application/jsonl")


class Intake:
    """The publish operation. An extension: DocuSign has no such call."""

    def __init__(self, publisher: Publisher, guard: Guard, observer: Observer = UNWATCHED) -> None:
        self._publisher = publisher
        self._guard = guard
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
                body_limit=BODY_LIMIT,
                metered=False,  # to publish is what Heliograph is for
            )
        ]

    async def _publish(self, call: Call) -> PublishResults:
        began = time.monotonic()
        events = parse_events(call.raw, call.content_type, call.account_id, _hops(call))
        key = call.headers.get("idempotency-key")
        if key is not None and not (0 < len(key) <= LONGEST_ID and key.isprintable()):
            raise InvalidParameter(f"Idempotency-Key must be 1 to {LONGEST_ID} characters.")
        for document in dict.fromkeys(one for event in events for one in event.notifications):
            wanted = notifications.wanted(call.account_id, document)
            saving.check(self._guard, wanted, "The url of a notification")
        failpoint("accept.parsed")
        receipts = await self._publisher.publish(call.account_id, events, key)
        self._observer.published(_publication(call, receipts, time.monotonic() - began))
        failpoint("accept.reply")
        return PublishResults(
            events=[_to_wire(receipt) for receipt in receipts],
            total_records=str(len(receipts)),
        )


def _hops(call: Call) -> int:
    """How often the events of a call have been messages of ours (S15)."""
    given = call.headers.get(HOPS_HEADER.lower(), "").strip()
    # Whoever writes something else did not copy it from us.
    hops = int(given) if given.isascii() and given.isdigit() and len(given) < 10 else 0
    if hops >= MOST_HOPS:
        raise LoopDetected(
            f"This has been a message of Heliograph {hops} times: a listener publishes what it "
            "gets. Let it publish elsewhere, or let its configuration name other events."
        )
    return hops


def _publication(call: Call, receipts: Sequence[Receipt], seconds: float) -> Publication:
    return Publication(
        account_id=call.account_id,
        events=[AcceptedEvent(one.event, one.accepted, len(one.skips)) for one in receipts],
        seconds=seconds,
        caller=tracing.read(call.headers.get("traceparent")),
        caller_state=call.headers.get("tracestate", ""),
    )


def _to_wire(receipt: Receipt) -> PublishedEvent:
    return PublishedEvent(
        event_id=receipt.accepted.event_id,
        event=receipt.event.name,
        envelope_id=receipt.event.envelope.envelope_id,
        deliveries=str(receipt.accepted.deliveries),
        repeated="true" if receipt.accepted.repeated else "false",
        skipped=[
            SkippedConfiguration(
                connect_id=str(skip.connect_id), name=skip.name, reason=skip.reason
            )
            for skip in receipt.skips
        ],
    )
