"""What bounds every other figure: how fast the disk flushes, and publisher and sink alone are."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from heliograph.bench import host
from heliograph.bench.listeners import Listeners
from heliograph.bench.names import Figure
from heliograph.bench.orders import Called, Calls, Connect, Listen, Listening
from heliograph.bench.processes import child
from heliograph.bench.report import Measured, Run, percentiles
from heliograph.bench.rig import BATCH, BATCHED, CONNECTIONS, Bench

_PAGE: Final = b"\0" * 4096


@dataclass(frozen=True, slots=True)
class Found:
    """Seconds of each flush; calls of one event, and of `BATCH`; processor seconds of the first."""

    flushes: Sequence[float]
    single: Called
    batched: Called
    processor: Sequence[tuple[Figure, float]]


def measure(bench: Bench) -> Run:
    """A file of the folder, and a publisher that posts to a sink, nothing between them."""
    flushes = _flushes(bench.folder / "flushes", bench.size.alone)
    with child("sink") as sink, child("publisher") as publisher:
        port = sink.ask(Listen(), Listening).port
        publisher.tell(Connect([("127.0.0.1", port)], "none", CONNECTIONS))
        order = Calls(
            path="/0", templates=Listeners().templates(), seconds=bench.size.alone, status=200
        )
        processes = ((Figure.CPU_PUBLISHER, publisher.id), (Figure.CPU_SINK, sink.id))
        before = [host.processor_seconds(process) for _, process in processes]
        single = publisher.ask(order, Called)
        processor = [
            (figure, host.processor_seconds(process) - used)
            for (figure, process), used in zip(processes, before, strict=True)
        ]
        order = msgspec.structs.replace(order, first=single.next, **BATCHED)
        batched = publisher.ask(order, Called)
    return Run(figures(Found(flushes, single, batched, processor)))


def figures(found: Found) -> Sequence[Measured]:
    """What is told."""
    milliseconds = [second * 1000 for second in found.flushes]
    single, batched = (one.calls / (one.ended - one.began) for one in (found.single, found.batched))
    return [
        Measured(Figure.FLUSHES, len(found.flushes) / sum(found.flushes)),
        *percentiles(Figure.FLUSH_P50, Figure.FLUSH_P99, milliseconds),
        Measured(Figure.POSTS, single),
        Measured(Figure.POSTS_BATCHED, batched * BATCH),
        *(
            Measured(figure, seconds * 1000 / max(1, found.single.calls))
            for figure, seconds in found.processor
        ),
    ]


def _flushes(path: Path, seconds: float) -> Sequence[float]:
    """The seconds of each of the flushes of a file that grows, as a write-ahead log does."""
    took: list[float] = []
    began = now = time.perf_counter()
    with path.open("xb", buffering=0) as file:
        while now - began < seconds:
            file.write(_PAGE)
            os.fdatasync(file.fileno())
            before, now = now, time.perf_counter()
            took.append(now - before)
    path.unlink()
    return took
