"""Metrics for Prometheus: counters of what this process did, gauges of what the store holds.

No label ever holds text of a tenant or of a listener, so the number of series is bounded. A
registry belongs to one server: two servers in one process do not count into each other. Of several
nodes behind one port each shows what all of them count, by process: a sum would fall when one of
them begins anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import heliograph
from heliograph.errors import HeliographError
from heliograph.model.causes import cause_of
from heliograph.model.deliveries import Delivered, Settlement
from heliograph.store import Statistics, Store
from heliograph.watch import Publication, outcome_name
from heliograph.watch.siblings import Siblings

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4

KEPT: Final = 5.0
"""Seconds that the figures of the store are shown before they are read again."""

PATIENCE: Final = 3.0
"""Seconds that the store may take for its figures: a scrape mostly waits 10."""

PUBLISH: Final = "publish_events"

RELAY: Final = "relay"
"""What posts to relays are called by, among operations."""

TOO_MANY: Final = 429
"""The HTTP status of whatever is over a limit."""

_SHORT: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_ATTEMPT: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_LAG: Final = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800, 3600, 21600, 86400, 604800)
_BATCH: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

_HELP: Final = b"\n# HELP "

_FIGURES: Final = {
    "waiting": ("waiting", "Deliveries that wait for their time."),
    "held": ("held", "Deliveries that wait for a person, or for their turn."),
    "in_flight": ("claimed", "Deliveries in flight on all nodes."),
    "failures": ("failures_open", "Failures that are listed."),
    "orphans": ("audit_orphans", "Rows of v_audit_orphans: anything but 0 is a bug."),
    "nodes": ("nodes_alive", "Nodes whose lease has not run out."),
    "failing": ("configurations_failing", "Configurations whose listener takes nothing now."),
    "incidents": ("incidents_open", "Configurations and causes that have open failures."),
    "overdue": ("overdue_seconds", "How long the oldest waiting delivery has been due."),
    "unattended": ("unattended_seconds", "How long something is due and no node has looked."),
    "oldest_snapshot": ("oldest_snapshot_seconds", "Age of the oldest open transaction."),
    "database_bytes": ("database_bytes", "Size of the database."),
    "log_bytes": ("wal_bytes", "Size of the write-ahead log (0 on PostgreSQL)."),
}
"""Field of `Statistics`: the metric's name after heliograph_, and its help."""


class Metrics:
    """Counts what it is told, and shows it with the figures of the store."""

    def __init__(self, store: Store, siblings: Siblings | None = None) -> None:
        """`siblings` are the nodes behind the same port, where there are several."""
        self._store = store
        self._siblings = siblings
        self._clock = store.clock
        self._figures = _Figures()
        self._read_at: float | None = None
        self._reading = asyncio.Lock()
        self._of_all = _Registry()
        self._of_all.register(self._figures)
        self._registry = registry = _Registry(None if siblings is None else siblings.number)
        ProcessCollector(registry=registry)
        version = Gauge("heliograph_info", "The version.", ["version"], registry=registry)
        version.labels(heliograph.__version__).set(1)
        events = Counter(
            "heliograph_events", "Events answered with 202.", ["result"], registry=registry
        )
        self._new, self._repeated = events.labels("accepted"), events.labels("repeated")
        self._deliveries = Counter(
            "heliograph_deliveries_accepted", "Deliveries committed.", registry=registry
        )
        self._refused = Counter(
            "heliograph_publish_refused",
            "Publish calls of which nothing was kept, by error code.",
            ["code"],
            registry=registry,
        )
        self._relay_refused = Counter(
            "heliograph_relay_refused",
            "Messages that relays did not take, by error code.",
            ["code"],
            registry=registry,
        )
        self._publish_seconds = Histogram(
            "heliograph_publish_seconds",
            "From the whole body to the commit, of a publish call answered with 202.",
            buckets=_SHORT,
            registry=registry,
        )
        self._requests = Counter(
            "heliograph_requests",
            "Calls of the API by operation and HTTP status.",
            ["operation", "status"],
            registry=registry,
        )
        self._requests_by: dict[tuple[str, int], Counter] = {}  # to look one up by name takes long
        self._limited = Counter(
            "heliograph_calls_limited",
            "Calls of the API that were one too many, by error code.",
            ["code"],
            registry=registry,
        )
        self._turned_away = Counter(
            "heliograph_turned_away",
            "Connections and requests that were refused before any operation saw them.",
            ["reason"],
            registry=registry,
        )
        self._count_attempts(registry)

    def _count_attempts(self, registry: CollectorRegistry) -> None:
        self._attempts = Counter(
            "heliograph_attempts",
            "Attempts by outcome, and by the phase that failed.",
            ["outcome", "phase"],
            registry=registry,
        )
        self._delivered = self._attempts.labels("delivered", "")
        self._causes = Counter(
            "heliograph_failed_attempts",
            "Attempts that failed, by cause: a phase and what happened there.",
            ["phase", "what"],
            registry=registry,
        )
        self._attempt_seconds = Histogram(
            "heliograph_attempt_seconds", "Time of an attempt.", buckets=_ATTEMPT, registry=registry
        )
        self._lag = Histogram(
            "heliograph_delivery_lag_seconds",
            "From accepted, or from republished after the retries had ended, to delivered.",
            buckets=_LAG,
            registry=registry,
        )
        self._batch = Histogram(
            "heliograph_settle_batch",
            "Attempts settled at once.",
            buckets=_BATCH,
            registry=registry,
        )
        self._pauses = Counter(
            "heliograph_storage_pauses",
            "Times that the dispatcher waited for the storage.",
            ["doing"],
            registry=registry,
        )
        self._paused_seconds = Counter(
            "heliograph_storage_unavailable_seconds",
            "Seconds that the dispatcher waited for the storage.",
            ["doing"],
            registry=registry,
        )
        self._in_flight = Gauge(
            "heliograph_in_flight",
            "Attempts claimed by this process and not settled.",
            registry=registry,
        )
        clock = self._clock
        Gauge(
            "heliograph_clock_ahead_seconds",
            "By how much the store's clock is ahead of the machine's; negative: behind.",
            registry=registry,
        ).set_function(lambda: clock.differs().total_seconds())
        Gauge(
            "heliograph_clock_doubted_seconds",
            "By how much the clock is ahead of the time that has passed, without being believed.",
            registry=registry,
        ).set_function(lambda: clock.doubted().total_seconds())
        self._in_flight_bytes = Gauge(
            "heliograph_in_flight_bytes",
            "Bytes of heavy documents and messages of those attempts, what they share once.",
            registry=registry,
        )
        for doing in ("claim", "settle"):
            self._pauses.labels(doing)
            self._paused_seconds.labels(doing)

    def watch_in_flight(
        self, in_flight: Callable[[], int], in_bytes: Callable[[], int] = lambda: 0
    ) -> None:
        """Where to read how much this process has in flight: attempts, and what is heavy."""
        self._in_flight.set_function(in_flight)
        self._in_flight_bytes.set_function(in_bytes)

    def turned_away(self, reason: str) -> None:
        """Count a client that came no further than the door."""
        self._turned_away.labels(reason).inc()

    def published(self, publication: Publication) -> None:
        """Count the events of a call."""
        new = [event.accepted for event in publication.events if not event.accepted.repeated]
        self._new.inc(len(new))
        if repeated := len(publication.events) - len(new):
            self._repeated.inc(repeated)
        if deliveries := sum(accepted.deliveries for accepted in new):
            self._deliveries.inc(deliveries)
        self._publish_seconds.observe(publication.seconds)

    def answered(self, operation: str, status: int, refusal: str | None, seconds: float) -> None:
        """Count a call."""
        counter = self._requests_by.get((operation, status))
        if counter is None:
            counter = self._requests.labels(operation, str(status))
            self._requests_by[operation, status] = counter
        counter.inc()
        if status == TOO_MANY and refusal is not None:
            self._limited.labels(refusal).inc()
        if operation == PUBLISH and refusal is not None:
            self._refused.labels(refusal).inc()
        if operation == RELAY and refusal is not None:
            self._relay_refused.labels(refusal).inc()

    def attempted(self, settlement: Settlement) -> None:
        """Count an attempt."""
        self._attempt_seconds.observe(settlement.seconds)
        outcome = settlement.outcome
        if isinstance(outcome, Delivered):
            self._delivered.inc()
            since = settlement.claim.schedule_started_at
            ended = settlement.started_at + timedelta(seconds=settlement.seconds)
            self._lag.observe(max(0.0, (ended - since).total_seconds()))
        else:
            self._attempts.labels(outcome_name(outcome), outcome.why.phase.value).inc()
            cause = cause_of(str(outcome.why))
            self._causes.labels(cause.phase, cause.what).inc()

    def settled(self, deliveries: int) -> None:
        """Note the size of a batch."""
        self._batch.observe(deliveries)

    def paused(self, doing: str, seconds: float) -> None:
        """Count a pause."""
        self._pauses.labels(doing).inc()
        self._paused_seconds.labels(doing).inc(seconds)

    async def scrape(self) -> bytes:
        """Everything in Prometheus' text format; without the store's figures when it is away."""
        async with self._reading:
            now = self._clock.monotonic()
            if self._read_at is None or now - self._read_at >= KEPT:
                self._figures.last = await self._read()
                self._read_at = now
        counted = self.counted()
        if self._siblings is not None:
            counted = merged([counted, *await self._siblings.ask()])
        return counted + generate_latest(self._of_all)

    def counted(self) -> bytes:
        """What this process counts, as `scrape` shows it."""
        return generate_latest(self._registry)

    async def _read(self) -> Statistics | None:
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._store.statistics()
        except (HeliographError, TimeoutError):
            return None


def merged(shown: Sequence[bytes]) -> bytes:
    """What several processes show, each metric in one place as the format asks for.

    Source: Prometheus, Exposition formats: all lines of a metric are one group; a line break in a
    text is escaped.
    """
    groups: dict[bytes, list[bytes]] = {}
    for text in shown:
        for group in (b"\n" + text).split(_HELP)[1:]:
            about, kind, *samples = group.rstrip(b"\n").split(b"\n")
            groups.setdefault(_HELP[1:] + about + b"\n" + kind, []).extend(samples)
    return b"".join(b"\n".join((head, *lines, b"")) for head, lines in groups.items())


class _Registry(CollectorRegistry):
    """With the label `process` where that is given.

    Without the `_created` series, which double what is stored and which nothing here needs.
    """

    def __init__(self, process: int | None = None) -> None:
        super().__init__(auto_describe=True)
        self._label = {} if process is None else {"process": str(process)}

    def collect(self) -> Iterator[Metric]:
        for metric in super().collect():
            metric.samples = [
                sample._replace(labels={**sample.labels, **self._label})
                for sample in metric.samples
                if not sample.name.endswith("_created")
            ]
            yield metric


class _Figures(Collector):
    """The store's figures, as they were last read."""

    last: Statistics | None = None

    def describe(self) -> Iterable[Metric]:
        return [_gauge(name, about) for name, about in _FIGURES.values()]

    def collect(self) -> Iterable[Metric]:
        up = _gauge("storage_up", "Whether the store gave its figures.")
        up.add_metric([], 0 if self.last is None else 1)
        yield up
        if self.last is None:
            return
        for figure in fields(Statistics):
            metric = _gauge(*_FIGURES[figure.name])
            metric.add_metric([], getattr(self.last, figure.name))
            yield metric


def _gauge(name: str, about: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"heliograph_{name}", about)
