"""What the parts tell whoever watches: metrics, logs, traces.

Observers are told after the fact and decide nothing. They are called in the event loop, so
they return at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, assert_never

import structlog

from heliograph.model.deliveries import Delivered, GaveUp, Interrupted, Outcome, RetryAt, Settlement
from heliograph.model.events import Accepted, NewEvent
from heliograph.watch.tracing import Trace

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class AcceptedEvent:
    """An event that was committed, its receipt, and how many configurations skip it."""

    event: NewEvent
    accepted: Accepted
    skips: int


@dataclass(frozen=True, slots=True)
class Publication:
    """A publish call that was answered with 202; `caller` is the trace that it came with."""

    account_id: str
    events: Sequence[AcceptedEvent]
    seconds: float
    caller: Trace | None
    caller_state: str


class Observer(Protocol):
    """Whoever watches."""

    def published(self, publication: Publication) -> None:
        """Events were committed."""
        ...

    def answered(self, operation: str, status: int, refusal: str | None, seconds: float) -> None:
        """A call of the API was answered; `refusal` is the error code, None where it succeeded.

        Operation and code are from our own closed lists.
        """
        ...

    def attempted(self, settlement: Settlement) -> None:
        """An attempt ended; it is not settled yet."""
        ...

    def settled(self, deliveries: int) -> None:
        """A batch of attempts was settled in one transaction."""
        ...

    def paused(self, doing: str, seconds: float) -> None:
        """The dispatcher could not claim, or not settle, since the storage was away."""
        ...


class Several:
    """Tells several observers, none included; what breaks in one of them is logged and no more."""

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        self._observers = tuple(observers)

    def published(self, publication: Publication) -> None:
        for observer in self._observers:
            try:
                observer.published(publication)
            except Exception:
                _broke()

    def answered(self, operation: str, status: int, refusal: str | None, seconds: float) -> None:
        for observer in self._observers:
            try:
                observer.answered(operation, status, refusal, seconds)
            except Exception:
                _broke()

    def attempted(self, settlement: Settlement) -> None:
        for observer in self._observers:
            try:
                observer.attempted(settlement)
            except Exception:
                _broke()

    def settled(self, deliveries: int) -> None:
        for observer in self._observers:
            try:
                observer.settled(deliveries)
            except Exception:
                _broke()

    def paused(self, doing: str, seconds: float) -> None:
        for observer in self._observers:
            try:
                observer.paused(doing, seconds)
            except Exception:
                _broke()


def outcome_name(outcome: Outcome) -> str:
    """What an attempt came to, in one word."""
    match outcome:
        case Delivered():
            return "delivered"
        case RetryAt():
            return "retry"
        case GaveUp():
            return "gave_up"
        case Interrupted():
            return "interrupted"
        case _:
            assert_never(outcome)


def _broke() -> None:
    _log.exception("observer_broke")


UNWATCHED: Final = Several()
"""Nobody watches."""
