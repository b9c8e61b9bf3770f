"""What happens to an envelope, in DocuSign's order, and how long after one another.

An envelope is created and sent, then each signer in the routing order is sent it, views it and
completes it. It counts as sent until all have viewed it (DocuSign: event triggers); the last
signature gives one recipient's event and then the envelope's (DocuSign: JSON SIM event model).
Which of two that happen in the same moment goes first is else our choice: the envelope's, where it
is sent, and the recipient's, where all have viewed it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

EXPIRED: Final = "Envelope has expired."
"""Why an envelope is voided when its time is over: public clients of DocuSign tell it by that."""


@dataclass(frozen=True, slots=True)
class Step:
    """An event, how long `after` the one before it, of which `signer` (from 0) where it is one's.

    `reason` is what a signer declines with, or why the envelope is voided.
    """

    event: str
    after: timedelta = timedelta()
    signer: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """What happens to one envelope, from its creation on."""

    about: str
    steps: Sequence[Step]


_MOMENT: Final = timedelta(seconds=1)
_MINUTES: Final = timedelta(minutes=4)
_HOURS: Final = timedelta(hours=2)
_DAYS: Final = timedelta(days=3)
_EXPIRES_AFTER: Final = timedelta(days=120)

_CREATED: Final = (Step("envelope-created"),)
_SENT: Final = (
    *_CREATED,
    Step("envelope-sent", _MINUTES),
    Step("recipient-sent", _MOMENT, 0),
)
_VIEWED: Final = (*_SENT, Step("recipient-delivered", _HOURS, 0))
_ALL_VIEWED: Final = (
    *_VIEWED,
    Step("recipient-completed", _MINUTES, 0),
    Step("recipient-sent", _MOMENT, 1),
    Step("recipient-delivered", _HOURS, 1),
    Step("envelope-delivered", _MOMENT),
)
_SIGNED: Final = (
    *_ALL_VIEWED,
    Step("recipient-completed", _MINUTES, 1),
    Step("envelope-completed", _MOMENT),
)
_TERMS: Final = "The terms are not those that we agreed on."

STORIES: Final[Mapping[str, Story]] = {
    "signing-of-two": Story("Two people sign, one after the other.", _SIGNED),
    "decline": Story(
        "The first signs, the second declines.",
        (
            *_ALL_VIEWED,
            Step("recipient-declined", _MINUTES, 1, _TERMS),
            Step("envelope-declined", _MOMENT),
        ),
    ),
    "void": Story(
        "The sender voids it when the first has viewed it.",
        (*_VIEWED, Step("envelope-voided", _HOURS, reason="The flat is let to somebody else.")),
    ),
    "expiry": Story(
        "Nobody signs, a reminder does not help, and it expires.",
        (
            *_SENT,
            Step("envelope-reminder-sent", _DAYS),
            Step("envelope-voided", _EXPIRES_AFTER - _DAYS, reason=EXPIRED),
        ),
    ),
}

_ELSEWHERE: Final[Mapping[str, Sequence[Step]]] = {
    "envelope-resent": (*_SENT, Step("envelope-resent", _DAYS)),
    "envelope-corrected": (*_SENT, Step("envelope-corrected", _HOURS)),
    "envelope-deleted": (*_CREATED, Step("envelope-deleted", _HOURS)),
    "envelope-discard": (*_CREATED, Step("envelope-discard", _HOURS)),
    "envelope-purge": (*_SIGNED, Step("envelope-purge", _DAYS)),
    "envelope-removed": (*_SIGNED, Step("envelope-removed", _DAYS)),
    "recipient-resent": (*_SENT, Step("recipient-resent", _DAYS, 0)),
    "recipient-autoresponded": (*_SENT, Step("recipient-autoresponded", _MINUTES, 0)),
    "recipient-authenticationfailed": (
        *_SENT,
        Step("recipient-authenticationfailed", _HOURS, 0),
    ),
    "recipient-finish-later": (*_VIEWED, Step("recipient-finish-later", _MINUTES, 0)),
    "recipient-reassign": (*_VIEWED, Step("recipient-reassign", _MINUTES, 0)),
    "recipient-delegate": (*_VIEWED, Step("recipient-delegate", _MINUTES, 0)),
}
"""What happens in no story."""


def until(event: str) -> Sequence[Step]:
    """The steps up to the first event of this name; it comes after `envelope-sent`, if it is none
    of DocuSign's."""
    for steps in (*(story.steps for story in STORIES.values()), *_ELSEWHERE.values()):
        for at, step in enumerate(steps, start=1):
            if step.event == event:
                return steps[:at]
    return (*_SENT, Step(event, _MOMENT))
