"""The names of what is measured: scenarios in the order in which they run, and figures."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

SCENARIOS: Final[Mapping[str, str]] = {
    "machine": "what this machine does without Heliograph",
    "single": "one event a request, each wanted by one of 16 listeners",
    "batch": "500 events a request, each wanted by one of 16 listeners",
    "fanout": "one event a request, each wanted by so many listeners",
    "latency": "one event a request, at half of what is accepted at full load",
    "drain": "what gathered behind paused configurations, once they go on",
    "stages": "processor time of each stage of an event, alone",
    "isolation": "a steady rate, while half of the listeners take messages and never answer",
    "failures": "a page of 100 failures of very many by each filter, incidents, and previews",
    "configurations": "one event a request, each wanted by one of so many configurations",
    "payloads": "one event a request, of so many bytes",
    "history": "one event a request, with so many rows of events, deliveries and attempts there",
    "notifications": "one event a request, with so many notifications of envelopes there",
    "republishing": "many failures: a listing, an export, and a republish while others publish",
    "start": "a command, and a server until it is ready",
    "nodes": "one event a request, with so many nodes on one PostgreSQL",
}
"""Each is measured by the module of its name in `scenarios/`."""

OF_POSTGRESQL: Final = frozenset({"nodes"})
"""What SQLite, with its one writer, does not have."""


class Figure(Enum):
    """A figure: what it is called, and its unit."""

    FLUSHES = "flushes of 4 KiB, one after the other", "/s"
    FLUSH_P50 = "one flush, p50", "ms"
    FLUSH_P99 = "one flush, p99", "ms"
    POSTS = "posts from the publisher straight to the sink", "/s"
    POSTS_BATCHED = "the same, 500 events a request: events", "/s"
    ACCEPTED = "events accepted durably", "/s"
    ACCEPT_P50 = "request to 202, p50", "ms"
    ACCEPT_P99 = "request to 202, p99", "ms"
    DELIVERED = "deliveries, until the last has arrived", "/s"
    DELIVERED_MEANWHILE = "deliveries while publishing", "/s"
    DELIVERED_AFTER = "deliveries once publishing had ended", "/s"
    RATE = "events published", "/s"
    ARRIVAL_P50 = "202 to arrival, p50", "ms"
    ARRIVAL_P99 = "202 to arrival, p99", "ms"
    JOURNEY_P50 = "request to arrival, p50", "ms"
    JOURNEY_P99 = "request to arrival, p99", "ms"
    BACKLOG = "deliveries that waited", ""
    DRAIN = "until all had arrived", "s"
    DRAINED = "deliveries while draining", "/s"
    CPU_PRODUCT = "processor an event: server and database", "ms"
    CPU_SERVER = "processor an event: server", "ms"
    CPU_BUSIEST = "processor an event: busiest process of the server", "ms"
    CPU_DATABASE = "processor an event: database", "ms"
    CPU_PUBLISHER = "processor an event: publisher", "ms"
    CPU_SINK = "processor an event: sink", "ms"
    CORES = "cores busy with all these", ""
    CORES_OTHERS = "cores busy with anything else", ""
    FAILURES = "failures in the log", ""
    SEEDED = "failures made, by accept, claim and settle alone", "/s"
    LISTED_P50 = "one page, p50", "ms"
    LISTED_P99 = "one page, p99", "ms"
    ONE_P50 = "one publish at a time, p50", "ms"
    ONE_P99 = "one publish at a time, p99", "ms"
    ANSWER = "answer to one publish", "KB"
    MESSAGE = "message to one listener", "KB"
    LISTING = "a listing of all configurations", "ms"
    UPDATE = "an update of one of them", "ms"
    AFTER_UPDATE = "the next publish", "ms"
    LOG_P50 = "100 log entries, p50", "ms"
    LOG_P99 = "100 log entries, p99", "ms"
    NEW_CPU = "processor of a publish with a new notification", "ms"
    NEW_P50 = "a publish with a new notification, p50", "ms"
    FAILURES_LISTED = "10,000 failures in one answer", "s"
    EXPORTED = "an export of all", "s"
    REPUBLISHED = "a republish of all, until the last had arrived", "s"
    BESIDE_P50 = "a publish meanwhile, p50", "ms"
    BESIDE_P99 = "a publish meanwhile, p99", "ms"
    HELP = "heliograph --help", "s"
    READY = "heliograph serve, until it answers", "s"
    IDLE = "processor of a server with nothing to do", "ms/s"
    STAGE_PARSE = "parse the body", "µs"
    STAGE_MATCH = "match, of 16 configurations", "µs"
    STAGE_ACCEPT = "accept, 64 at once", "µs"
    STAGE_SETTLE = "claim and settle, 64 at once", "µs"
    STAGE_COMPOSE = "render and sign", "µs"
    STAGE_POST = "post, 64 at once", "µs"
    STAGE_SUM = "all of these", "µs"
    STAGE_HEALTHZ = "GET /healthz", "µs"
    STAGE_LISTING = "a listing of nothing", "µs"
    STAGE_UNWANTED = "publish what nobody wants", "µs"
    STAGE_WHOLE = "the whole, an event delivered", "µs"
    MEMORY_SERVER = "memory of the server", "MB"
    MEMORY_DATABASE = "memory of the database", "MB"

    def __init__(self, title: str, unit: str) -> None:
        self.title = title
        self.unit = unit


PROCESSOR: Final = {
    "server": Figure.CPU_SERVER,
    "database": Figure.CPU_DATABASE,
    "publisher": Figure.CPU_PUBLISHER,
    "sink": Figure.CPU_SINK,
}
"""Whose processor time is told, by the names that a rig gives to processes."""

MEMORY: Final = {"server": Figure.MEMORY_SERVER, "database": Figure.MEMORY_DATABASE}
"""Whose memory is."""
