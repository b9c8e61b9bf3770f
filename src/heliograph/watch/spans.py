"""OpenTelemetry spans of publish calls, accepted events and attempts: an optional extra.

Only `watching` imports this module, and only when `otlp_endpoint` is set. A publish call has a
span in its caller's trace. Each event has a trace of its own (see `tracing`), which begins
where it was accepted and holds all its attempts, whichever node makes them; links lead from
one to the other. Spans are made when all is over, with the times it took: nothing is carried
along. The exporter sends from a thread of its own, past the egress guard: the operator named
its endpoint, not a tenant.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from opentelemetry import trace as otel
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.util.types import AttributeValue

import heliograph
from heliograph.clock import Clock
from heliograph.model.deliveries import Delivered, Settlement
from heliograph.watch import Publication, outcome_name, tracing
from heliograph.watch.tracing import Trace

_PATH: Final = "/v1/traces"
_EXPORT_SECONDS: Final = 5.0
_MOST_LINKS: Final = 128
_MICROSECOND: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Spans:
    """Makes a span of each thing it is told."""

    def __init__(self, processor: SpanProcessor, clock: Clock) -> None:
        self._clock = clock
        self._ids = _GivenIds()
        self._provider = TracerProvider(
            resource=Resource.create(
                {"service.name": "heliograph", "service.version": heliograph.__version__}
            ),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("heliograph", heliograph.__version__)

    def close(self) -> None:
        """Send what waits, as far as the exporter's patience goes. Blocks."""
        self._provider.shutdown()

    def published(self, publication: Publication) -> None:
        """A span for the call, and one for each event that is new."""
        ended = self._clock.machine()
        began = ended - timedelta(seconds=publication.seconds)
        traces = [
            tracing.of_event(publication.account_id, receipt.accepted.event_id)
            for receipt in publication.events
        ]
        call = self._span(
            "heliograph.publish",
            otel.SpanKind.SERVER,
            began,
            ended,
            attributes={
                "heliograph.account_id": publication.account_id,
                "heliograph.events": len(publication.events),
            },
            parent=publication.caller,
            state=publication.caller_state,
            links=traces[:_MOST_LINKS],
        )
        for receipt, place in zip(publication.events, traces, strict=True):
            if receipt.accepted.repeated:
                continue
            self._span(
                "heliograph.accept",
                otel.SpanKind.PRODUCER,
                began,
                ended,
                attributes={
                    "heliograph.account_id": publication.account_id,
                    "heliograph.event_id": receipt.accepted.event_id,
                    "heliograph.event": receipt.event.name,
                    "heliograph.deliveries": receipt.accepted.deliveries,
                },
                at=place,
                links=[call],
            )

    def attempted(self, settlement: Settlement) -> None:
        """A span for the attempt, under the id that the listener was sent."""
        ended = self._clock.machine()
        claim, outcome = settlement.claim, settlement.outcome
        event = claim.event
        attributes: dict[str, AttributeValue] = {
            "heliograph.account_id": event.account_id,
            "heliograph.event_id": event.event_id,
            "heliograph.delivery_id": claim.delivery_id,
            "heliograph.configuration_id": claim.configuration.connect_id,
            "heliograph.delivery.attempt": claim.number,
            "heliograph.outcome": outcome_name(outcome),
        }
        if settlement.answer is not None:
            attributes["http.response.status_code"] = settlement.answer.status
        problem = None
        if not isinstance(outcome, Delivered):
            problem = str(outcome.why)
            attributes["error.type"] = outcome.why.phase.value
        self._span(
            "heliograph.delivery.attempt",
            otel.SpanKind.CLIENT,
            ended - timedelta(seconds=settlement.seconds),
            ended,
            attributes=attributes,
            at=tracing.of_attempt(event.account_id, claim.shown.event_id, claim.attempt_id),
            parent=tracing.of_event(event.account_id, claim.shown.event_id),
            problem=problem,
        )

    def answered(self, operation: str, status: int, refusal: str | None, seconds: float) -> None:
        """Nothing: what was refused left nothing behind."""

    def settled(self, deliveries: int) -> None:
        """Nothing."""

    def paused(self, doing: str, seconds: float) -> None:
        """Nothing."""

    def _span(
        self,
        name: str,
        kind: otel.SpanKind,
        began: datetime,
        ended: datetime,
        *,
        attributes: dict[str, AttributeValue],
        at: Trace | None = None,
        parent: Trace | None = None,
        state: str = "",
        links: list[Trace] | None = None,
        problem: str | None = None,
    ) -> Trace:
        context = otel.set_span_in_context(otel.INVALID_SPAN)
        if parent is not None:
            remote = otel.NonRecordingSpan(_context(parent, state))
            context = otel.set_span_in_context(remote)
        self._ids.next = at
        span = self._tracer.start_span(
            name,
            context,
            kind,
            attributes,
            [otel.Link(_context(link)) for link in links or ()],
            _nanoseconds(began),
        )
        self._ids.next = None
        if problem is not None:
            span.set_status(otel.StatusCode.ERROR, problem)
        span.end(_nanoseconds(ended))
        place = span.get_span_context()
        return Trace(
            otel.format_trace_id(place.trace_id),
            otel.format_span_id(place.span_id),
            place.trace_flags.sampled,
        )


@asynccontextmanager
async def exporting(endpoint: str, clock: Clock) -> AsyncIterator[Spans]:
    """Send spans by OTLP over HTTP to `endpoint` (below it to /v1/traces) within the block."""
    url = endpoint if endpoint.endswith(_PATH) else endpoint.rstrip("/") + _PATH
    exporter = OTLPSpanExporter(endpoint=url, timeout=_EXPORT_SECONDS)
    spans = Spans(BatchSpanProcessor(exporter), clock)
    try:
        yield spans
    finally:
        await asyncio.to_thread(spans.close)


class _GivenIds(IdGenerator):
    """Hands out the ids of `next`, and without it random ones."""

    def __init__(self) -> None:
        self.next: Trace | None = None
        self._random = RandomIdGenerator()

    def generate_trace_id(self) -> int:
        if self.next is None:
            return self._random.generate_trace_id()
        return int(self.next.trace_id, 16)

    def generate_span_id(self) -> int:
        if self.next is None:
            return self._random.generate_span_id()
        return int(self.next.span_id, 16)


def _context(place: Trace, state: str = "") -> otel.SpanContext:
    return otel.SpanContext(
        int(place.trace_id, 16),
        int(place.span_id, 16),
        is_remote=True,
        trace_flags=otel.TraceFlags(int(place.sampled)),
        trace_state=otel.TraceState.from_header([state]) if state else otel.TraceState(),
    )


def _nanoseconds(when: datetime) -> int:
    return (when - _EPOCH) // _MICROSECOND * 1000
