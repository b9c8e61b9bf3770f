"""What comes again, out of order, or half: DocuSign delivers at least once. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from heliograph.verify import schedule
from heliograph.verify.crafting import World
from heliograph.verify.plays import (
    Check,
    Kind,
    Manner,
    Need,
    Play,
    Post,
    Sending,
    in_turn,
    one,
    unjudged,
)

_RETRIES: Final = 6
_RACING: Final = 20
_LOST_ANSWER: Final = "DocuSign sends again whatever it got no answer to, also where that was lost"
_AGAIN: Final = (
    "what is refused is sent again and again, and in the end the configuration is switched off"
)
_TWICE: Final = "remember envelope, event and generatedDateTime of what was done, and answer 200"


def _twice(world: World) -> Sequence[Sequence[Sending]]:
    post = world.post()
    return in_turn([post, post])


def _retries(world: World) -> Sequence[Sequence[Sending]]:
    message = world.message()
    return in_turn([world.retried(message, retry) for retry in range(_RETRIES)])


def _day(world: World) -> Sequence[Post]:
    moments = schedule.moments(world.now, world.scale.an_hour)
    first = world.message(at=moments[0].at)
    return [
        world.told(world.message(at=moment.at))
        if moment.retry is None
        else world.retried(first, moment.retry)
        for moment in moments
    ]


def _day_once(world: World) -> Play:
    moments = schedule.moments(world.now, world.scale.an_hour)
    others = sum(moment.retry is None for moment in moments)
    return Play(in_turn(_day(world)), effects=(others + 1, others + 1))


def _old(world: World) -> Play:
    message = world.message(at=world.now - schedule.STORY)
    return Play(one(world.retried(message, 12)))


def _backwards(world: World) -> Sequence[Post]:
    return [world.told(told, about=told["event"]) for told in reversed(world.story())]


def _reversed_once(world: World) -> Play:
    posts = _backwards(world)
    return Play(in_turn(posts), effects=(1, len(posts)))


def _next_event(world: World) -> Play:
    told = world.story()
    before, last = told[-2], {**told[-1], "event": world.event}
    return Play(in_turn([world.told(last)]), prelude=unjudged(world.told(before)))


def _race(world: World) -> Sequence[Sequence[Sending]]:
    post = world.post()
    return [[Sending(post)] * _RACING]


def _cut(world: World) -> Sequence[Sequence[Sending]]:
    message = world.message()
    lost = Sending(world.retried(message, 0), Manner.CUT, judged=False)
    return [[lost], [Sending(world.retried(message, 1))]]


def _half(world: World) -> Play:
    post = world.post()
    return Play([[Sending(post, Manner.HALF, judged=False)], *one(post)])


def _xml_twice(world: World) -> Play:
    post = world.signed(world.unsigned(world.message(), world.xml))
    return Play(in_turn([post, post]))


CHECKS: Final = (
    Check(
        "duplicate-accepted",
        Kind.ACCEPT,
        "the same message twice",
        f"{_LOST_ANSWER}. A 409 for the second says that it did not arrive: {_AGAIN}",
        lambda world: Play(_twice(world)),
    ),
    Check(
        "duplicate-once",
        Kind.ONCE,
        "the same message twice",
        f"{_LOST_ANSWER}; {_TWICE}",
        lambda world: Play(_twice(world)),
        (Need.PROBE,),
    ),
    Check(
        "retries-accepted",
        Kind.ACCEPT,
        "a message and five retries of it, whose retryCount grows",
        f"a retry is a message like any other: {_AGAIN}",
        lambda world: Play(_retries(world)),
        (Need.JSON,),
    ),
    Check(
        "retries-once",
        Kind.ONCE,
        "a message and five retries of it, whose retryCount grows",
        "between tries of a message only retryCount differs, so that a digest of the body, or the "
        f"count, tells no repeat; {_TWICE}",
        lambda world: Play(_retries(world)),
        (Need.JSON, Need.PROBE),
    ),
    Check(
        "retries-25h-accepted",
        Kind.ACCEPT,
        "25 hours of DocuSign's retries of a message, and ten others an hour",
        f"a listener that was down for the night is still sent what it missed: {_AGAIN}",
        lambda world: Play(in_turn(_day(world))),
        (Need.JSON,),
    ),
    Check(
        "retries-25h-once",
        Kind.ONCE,
        "25 hours of DocuSign's retries of a message, and ten others an hour",
        "what was done must be remembered for as long as DocuSign tries, up to 15 days, and "
        "however much else has come since",
        _day_once,
        (Need.JSON, Need.PROBE),
    ),
    Check(
        "old-message",
        Kind.ACCEPT,
        "a message that was generated 25 hours ago and comes for the first time, as retry 12",
        "how old a message is says how long the listener was away, and nothing about who sent it",
        _old,
        (Need.JSON,),
    ),
    Check(
        "reversed-accepted",
        Kind.ACCEPT,
        "all messages about an envelope that two sign, the last one first",
        "a retry of an early message comes after later ones; refused, it comes again, and later "
        "still",
        lambda world: Play(in_turn(_backwards(world))),
        (Need.JSON,),
    ),
    Check(
        "reversed-once",
        Kind.ONCE,
        "all messages about an envelope that two sign, the last one first",
        "what waits for an earlier message waits for ever where that has come and gone; what is "
        "done must be done from whatever comes first, and no more often than in order",
        _reversed_once,
        (Need.JSON, Need.PROBE),
    ),
    Check(
        "next-event",
        Kind.ONCE,
        "another event of an envelope that the listener knows already",
        "an envelope has many messages: who remembers envelopes alone drops all but the first",
        _next_event,
        (Need.JSON, Need.PROBE),
    ),
    Check(
        "race-accepted",
        Kind.ACCEPT,
        "the same message 20 times at once",
        f"a message and its retry may arrive together. {_AGAIN.capitalize()}",
        lambda world: Play(_race(world)),
    ),
    Check(
        "race-once",
        Kind.ONCE,
        "the same message 20 times at once",
        "to look first and to note later lets two through that come together; let a unique key of "
        "the database decide",
        lambda world: Play(_race(world)),
        (Need.PROBE,),
    ),
    Check(
        "cut-accepted",
        Kind.ACCEPT,
        "a message whose connection is cut while it is answered, and then its retry",
        f"{_LOST_ANSWER}: {_AGAIN}",
        lambda world: Play(_cut(world)),
        (Need.JSON,),
    ),
    Check(
        "cut-once",
        Kind.ONCE,
        "a message whose connection is cut while it is answered, and then its retry",
        f"{_LOST_ANSWER}; whether an answer could be written says nothing of what was done",
        lambda world: Play(_cut(world)),
        (Need.JSON, Need.PROBE),
    ),
    Check(
        "half-then-whole",
        Kind.ACCEPT,
        "a message whose connection is cut within its body, and then all of it",
        "networks break in the middle; what was begun must be given up, locks and all",
        _half,
    ),
    Check(
        "xml-duplicate-once",
        Kind.ONCE,
        "the same legacy XML twice",
        "legacy XML has no retryCount and no event: EnvelopeID, Status and TimeGenerated tell "
        "repeats",
        _xml_twice,
        (Need.XML, Need.PROBE),
    ),
)
