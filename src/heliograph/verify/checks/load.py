"""How much, how slowly, how many at once. Pure."""

from __future__ import annotations

from typing import Final

from heliograph.verify.crafting import World
from heliograph.verify.plays import Check, Kind, Manner, Need, Play, Post, Sending, one

_BUSY: Final = (
    "who works before it answers is slowest when there is most to do; put the message on disk, "
    "answer, and work afterwards"
)
_MANY: Final = "a bulk send completes hundreds of envelopes in a moment"


def _documents(world: World) -> Post:
    message = world.message(documents=world.scale.document)
    return world.signed(world.unsigned(message, documents=True))


def _crowd(world: World) -> Play:
    posts = [world.post() for _ in range(world.scale.at_once)]
    return Play([[Sending(post) for post in posts]], effects=(len(posts), len(posts)))


def _beside(world: World) -> Play:
    slow = Sending(world.post(), Manner.SLOW, judged=False)
    return Play([[slow, Sending(world.post(), Manner.TIMED)]])


CHECKS: Final = (
    Check(
        "in-time",
        Kind.IN_TIME,
        "a message as it comes every day",
        f"DocuSign gives up after 100 s, and what waits holds up what follows; {_BUSY}",
        lambda world: Play(one(world.post(), Manner.TIMED)),
    ),
    Check(
        "documents",
        Kind.ACCEPT,
        "a message of 30 MB, with documents",
        "frameworks and proxies refuse bodies above 1 MB or less, unless they are told otherwise",
        lambda world: Play(one(_documents(world), Manner.TIMED)),
    ),
    Check(
        "documents-in-time",
        Kind.IN_TIME,
        "a message of 30 MB, with documents",
        f"{_BUSY}. Time counts from the last byte of the message on",
        lambda world: Play(one(_documents(world), Manner.TIMED)),
    ),
    Check(
        "slow-writing",
        Kind.ACCEPT,
        "a message that comes a little at a time, for longer than an answer may take",
        "a network may be slow; the time of a message is that between its bytes",
        lambda world: Play(one(world.post(), Manner.SLOW)),
    ),
    Check(
        "beside-slow-writing",
        Kind.IN_TIME,
        "a message while another one comes a little at a time",
        "a listener that serves one connection after the other stands still for whoever is slow",
        _beside,
    ),
    Check(
        "crowd-accepted",
        Kind.ACCEPT,
        "200 messages at once",
        f"{_MANY}, and connections that are refused are retries for hours",
        _crowd,
    ),
    Check(
        "crowd-in-time",
        Kind.IN_TIME,
        "200 messages at once",
        f"{_MANY}; {_BUSY}",
        _crowd,
    ),
    Check(
        "crowd-once",
        Kind.ONCE,
        "200 messages at once",
        f"{_MANY}; each must be acted on, and once",
        _crowd,
        (Need.PROBE,),
    ),
)
