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
)
