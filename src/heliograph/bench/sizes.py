"""How much is measured: everything, or so little that it says no more than that it works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Size:
    """Of all scenarios. Durations are seconds."""

    warm: float
    seconds: float
    alone: float
    backlog: int
    staged: int
    listeners: int
    steady: float
    failures: int
    listed: int
    outage: int
    fanouts: tuple[int, ...]
    configurations: tuple[int, ...]
    payloads: tuple[int, ...]
    histories: tuple[int, ...]
    notifications: tuple[int, ...]
    nodes: tuple[int, ...]


FULL: Final = Size(
    warm=2.0,
    seconds=12.0,
    alone=3.0,
    backlog=100_000,
    staged=5_000,
    listeners=200,
    steady=20.0,
    failures=1_000_000,
    listed=200,
    outage=60_000,
    fanouts=(1, 5, 50),
    configurations=(1, 100, 5_000),
    payloads=(1_000, 7_000, 1_000_000),
    histories=(10_000, 100_000, 1_000_000, 10_000_000),
    notifications=(0, 1_000, 10_000, 100_000),
    nodes=(1, 2, 3),
)
QUICK: Final = Size(
    warm=0.3,
    seconds=1.0,
    alone=0.3,
    backlog=500,
    staged=200,
    listeners=20,
    steady=2.0,
    failures=2_000,
    listed=5,
    outage=400,
    fanouts=(1, 5),
    configurations=(1, 30),
    payloads=(1_000, 200_000),
    histories=(300, 3_000),
    notifications=(0, 500),
    nodes=(1, 2),
)
