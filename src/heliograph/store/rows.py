"""Rows to model values and back, and what is decided by them: the same for each engine."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, assert_never

from heliograph.errors import ConfigurationsChanged, EventConflict, TooManyKeys
from heliograph.model.causes import cause_of
from heliograph.model.deliveries import (
    MERGED_INTO,
    PENDING,
    SKIPPED,
    AttemptOutcome,
    Claim,
    Delivered,
    DeliveryState,
    Gathered,
    GaveUp,
    Interrupted,
    RetryAt,
    Settlement,
)
from heliograph.model.events import Accepted, HeldReason, NewEvent, Verdict, Wanted
from heliograph.model.logs import Requeued
from heliograph.store import MOST_UNSETTLED_CLAIMS
from heliograph.store.times import to_microseconds
from heliograph.wire import meaning
from heliograph.wire.configurations import is_logged
from heliograph.wire.messages import signing

DELETED: Final = "claim: the configuration was deleted"
"""The error of deliveries whose configuration was deleted before they ended."""

POISON: Final = f"claim: the process ended {MOST_UNSETTLED_CLAIMS} times while this was being sent"
"""The error of a delivery that is parked (R17)."""


def because(error: str | None) -> dict[str, str | None]:
    """The columns of a failure that say why: the error, and its cause; an error of None stays."""
    if error is None:
        return {"error": None, "phase": None, "what": None}
    cause = cause_of(error)
    return {"error": error, "phase": cause.phase, "what": cause.what}


def closing(settlement: Settlement) -> dict[str, Any]:
    """The values of the query `attempt_add`."""
    outcome, answer = settlement.outcome, settlement.answer
    why = None if isinstance(outcome, Delivered) else outcome.why
    if isinstance(outcome, Delivered):
        ended = AttemptOutcome.DELIVERED
    elif isinstance(outcome, Interrupted):
        ended = AttemptOutcome.UNKNOWN
    else:
        ended = AttemptOutcome.FAILED
    claim = settlement.claim
    return {
        "attempt_id": claim.attempt_id,
        "delivery_id": claim.delivery_id,
        "account_id": claim.event.account_id,
        "connect_id": claim.configuration.connect_id,
        "envelope_id": claim.event.envelope_id,
        "number": claim.number,
        "epoch": claim.epoch,
        "url": claim.configuration.url,
        "resent_by": claim.resent_by,
        "outcome": ended,
        "logged": claim.configuration.enable_log,
        "started_us": to_microseconds(settlement.started_at),
        "milliseconds": round(settlement.seconds * 1000),
        "phase": why and why.phase,
        "error": why and str(why),
        "answer_status": answer and answer.status,
        "answer_reason": answer and answer.reason,
        "answer_headers": answer and json.dumps(answer.headers),
        "answer_body": answer and answer.body,
    }


def refuse_changed(known: tuple[int, bool], version: int, *, notifies: bool) -> None:
    """Raises ConfigurationsChanged where an account's configurations are not what was matched.

    `known` is their version, and whether some are ad hoc; `version` and `notifies` are what an
    accept was given.
    """
    if known[0] != version or (known[1] and not notifies):
        raise ConfigurationsChanged


def notified(events: Iterable[tuple[NewEvent, Sequence[Verdict]]]) -> list[int]:
    """The ad hoc configurations that events were matched with."""
    return sorted({connect_id for event, _ in events for connect_id in event.notified})


def refuse_changed_ad_hoc(
    live: Iterable[tuple[int, str | None]], events: Iterable[tuple[NewEvent, Sequence[Verdict]]]
) -> None:
    """Raises ConfigurationsChanged where an ad hoc configuration is not as it was matched.

    `live` has those that are live, and why each holds deliveries, if it does.
    """
    holding = {connect_id: reason_held(held) for connect_id, held in live}
    for event, verdicts in events:
        own = frozenset(event.notified)
        if not own <= holding.keys():
            raise ConfigurationsChanged
        wanted = (verdict for verdict in verdicts if isinstance(verdict, Wanted))
        if any(one.connect_id in own and one.held != holding[one.connect_id] for one in wanted):
            raise ConfigurationsChanged


def reason_held(text: str | None) -> HeldReason | None:
    """What a column of a reason says."""
    return None if text is None else HeldReason(text)


def health(settlements: Iterable[Settlement]) -> tuple[list[int], list[int]]:
    """The configurations that took something, and those that only failed, each by id."""
    took, failed = set(), set()
    for settlement in settlements:
        match settlement.outcome:
            case Delivered():
                took.add(settlement.claim.configuration.connect_id)
            case RetryAt(counts=True) | GaveUp():
                failed.add(settlement.claim.configuration.connect_id)
            case RetryAt() | Interrupted():
                pass
            case _:
                assert_never(settlement.outcome)
    return sorted(took), sorted(failed - took)


@dataclass(frozen=True, slots=True)
class JobAnswers:
    """What attempts came to that a republish job waits for: how many were delivered, and which
    deliveries failed."""

    job_id: int
    delivered: int
    failed: tuple[int, ...]


def job_answers(
    settlements: Iterable[Settlement], ours: Callable[[Claim], bool]
) -> Sequence[JobAnswers]:
    """By job, in one order for every transaction. A fault of our own is no outcome (R9)."""
    delivered: Counter[int] = Counter()
    failed: dict[int, list[int]] = {}
    for settlement in settlements:
        claim = settlement.claim
        if claim.job_id is None or not ours(claim):
            continue
        match settlement.outcome:
            case Delivered():
                delivered[claim.job_id] += 1
            case RetryAt(counts=True) | GaveUp():
                failed.setdefault(claim.job_id, []).append(claim.delivery_id)
            case RetryAt() | Interrupted():
                pass
            case _:
                assert_never(settlement.outcome)
    return [
        JobAnswers(job_id, delivered[job_id], tuple(failed.get(job_id, ())))
        for job_id in sorted({*delivered, *failed})
    ]


def listed_at_once(verdict: Wanted, *, down: bool) -> str | None:
    """Why a new delivery is among the failures before anybody tried it, if it is (DocuSign)."""
    if verdict.held is HeldReason.PAUSED:
        return SKIPPED
    return PENDING if down else None


def merging(claim: Claim, gathered: Gathered) -> dict[str, Any]:
    """Whose deliveries a message that was taken stood for, beside its own."""
    return {
        "connect_id": claim.configuration.connect_id,
        "lane": claim.event.envelope_id,
        "through": gathered.through,
        "merged_into": f"{MERGED_INTO}{gathered.event.event_id}",
    }


@dataclass(frozen=True, slots=True)
class KnownEvent:
    """An event id that is known: what its event was, for how many (R2).

    `meaning` is None where a node of an older version accepted it; `notified` then has the
    configurations of its envelope alone.
    """

    digest: bytes
    meaning: bytes | None
    deliveries: int
    notified: frozenset[int] = frozenset()

    def repeated(self, event: NewEvent) -> Accepted:
        """The receipt of a repeat. Raises EventConflict where the event is another one."""
        if self.meaning is None or event.meaning is None:
            same = self.digest == event.digest
            more = not self.notified.issuperset(event.notified)
        else:
            same = meaning.is_repeat(self.meaning, event.meaning)
            more = meaning.names_more(self.meaning, event.meaning)
        if not same:
            raise EventConflict(
                f"Event id {event.event_id} was published before with another event or data: "
                "give each event an id of its own."
            )
        if more:
            raise EventConflict(
                f"Event id {event.event_id} was published before without this notification: name "
                "it with another event of the envelope."
            )
        return Accepted(event.event_id, self.deliveries, repeated=True)


def refuse_too_many_keys(active: int) -> None:
    """Raises TooManyKeys where an account has all the active keys that it may have."""
    if active >= signing.MOST_KEYS:
        raise TooManyKeys(
            f"The account has {signing.MOST_KEYS} active HMAC keys: retire one first."
        )


def logged(found: Iterable[tuple[int, bytes]]) -> list[int]:
    """Of configurations (id and document), those whose posts are logged."""
    return [connect_id for connect_id, document in found if is_logged(document)]


def storable(text: str | None) -> str | None:
    """Text of a listener as PostgreSQL can hold it: it has no NUL."""
    return text and text.replace("\x00", "\N{REPLACEMENT CHARACTER}")


NOWHERE_TO_SEND: Final = "The configuration was deleted: this cannot be sent any more."
BEING_SENT: Final = "It is being sent now."


def held_back(reason: str) -> str:
    """Why what somebody wants sent does not go out yet."""
    return f"The configuration is {reason}: it goes out when publishing resumes."


def requeued(row: Any, *, deleted: bool, reason: HeldReason | None) -> tuple[Requeued, str | None]:
    """What asking for another try does to an open failure, and the query that does it.

    Args:
        row: A row of `requeue_page`.
        deleted: Whether its configuration was deleted.
        reason: Why its configuration holds deliveries, if it does.
    """
    state, query = DeliveryState(row.state), None
    if deleted:
        note = NOWHERE_TO_SEND
    elif state is DeliveryState.IN_FLIGHT:
        note = BEING_SENT
    elif state is DeliveryState.HELD:
        note = held_back(row.held_reason)
    elif state is DeliveryState.FAILED:
        state = DeliveryState.WAITING if reason is None else DeliveryState.HELD
        note, query = "Queued: retries had ended and begin anew.", "requeue_ended"
        if reason is not None:
            note = held_back(reason)
    else:
        note, query = "Queued: the next try is due now.", "requeue_waiting"
    requeued = Requeued(
        delivery_id=row.delivery_id,
        envelope_id=row.envelope_id,
        connect_id=row.connect_id,
        config_url=row.url,
        attempts=row.attempts,
        state=state,
        note=note,
    )
    return requeued, query
