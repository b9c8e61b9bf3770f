"""Puts together who watches a server: metrics, the log, and spans where they are wanted."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from heliograph.settings import Settings
from heliograph.store import Store
from heliograph.watch import Observer, Several
from heliograph.watch.logs import LogObserver
from heliograph.watch.metrics import Metrics
from heliograph.watch.siblings import Siblings

_NEEDED: Final = ("opentelemetry", "opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


@dataclass(frozen=True, slots=True)
class Watch:
    """Who watches; `metrics` is None where they are turned off."""

    observer: Observer
    metrics: Metrics | None

    def turned_away(self, reason: str) -> None:
        """A client was turned away before any operation saw it; reasons are a closed list."""
        if self.metrics is not None:
            self.metrics.turned_away(reason)


@asynccontextmanager
async def watching(
    settings: Settings, store: Store, siblings: Siblings | None = None
) -> AsyncIterator[Watch]:
    """Watch a server within the block, as its settings say; `siblings` are those of its port."""
    observers: list[Observer] = [LogObserver()]
    async with AsyncExitStack() as stack:
        metrics = None
        if settings.metrics:
            metrics = Metrics(store, siblings)
            observers.append(metrics)
            if siblings is not None:
                stack.enter_context(siblings.answering(metrics.counted))
        if settings.otlp_endpoint:
            from heliograph.watch.spans import exporting  # noqa: PLC0415 (an optional extra)

            exported = exporting(settings.otlp_endpoint, store.clock)
            observers.append(await stack.enter_async_context(exported))
        yield Watch(Several(observers), metrics)


def check_tracing(settings: Settings) -> None:
    """Raises ValueError where `otlp_endpoint` cannot be used."""
    if not settings.otlp_endpoint:
        return
    parts = urlsplit(settings.otlp_endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError("--otlp-endpoint takes a URL such as http://127.0.0.1:4318.")
    try:
        installed = all(importlib.util.find_spec(name) for name in _NEEDED)
    except ModuleNotFoundError:
        installed = False
    if not installed:
        raise ValueError(
            "--otlp-endpoint needs the extra opentelemetry: "
            "pip install 'heliograph[opentelemetry]'."
        )
