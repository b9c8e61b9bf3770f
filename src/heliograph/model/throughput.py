"""How fast messages go out, and what waits: what the last posts and the backlog say. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import quantiles
from typing import Final

WINDOW: Final = timedelta(minutes=5)
"""What was posted longer ago says nothing about now."""

MOST_POSTS: Final = 1_000
"""So many posts say enough, and are read in a moment."""

_SHORTEST: Final = 1.0
"""Seconds: of less a rate by the minute would be a guess."""


@dataclass(frozen=True, slots=True)
class Post:
    """An attempt that has ended: when it began (UTC), seconds until its answer, None where that is
    not known, and whether it was delivered."""

    began: datetime
    seconds: float | None
    delivered: bool


@dataclass(frozen=True, slots=True)
class Backlog:
    """Deliveries that have not ended, by state; `capped`: there may be more of one of them."""

    waiting: int
    held: int
    in_flight: int
    capped: bool = False


@dataclass(frozen=True, slots=True)
class Throughput:
    """What goes out, by the last `posts`, which go back for `seconds` from now.

    Rates are by the minute. `median` and `p99` are the seconds until an answer came, None where
    none did. `drain` is in how many seconds what waits or is in flight will have gone out at this
    rate: None where nothing was delivered, so that nobody can tell.
    """

    backlog: Backlog
    posts: int
    seconds: float
    delivered: float
    failed: float
    median: float | None
    p99: float | None
    drain: float | None


def throughput(posts: Sequence[Post], backlog: Backlog, now: datetime) -> Throughput:
    """What the newest posts say, the newest first: all of `WINDOW`, or the last `MOST_POSTS`."""
    full = len(posts) >= MOST_POSTS
    window = max(_SHORTEST, (now - posts[-1].began if full else WINDOW).total_seconds())
    delivered = sum(post.delivered for post in posts)
    answers = sorted(post.seconds for post in posts if post.seconds is not None)
    to_go = backlog.waiting + backlog.in_flight
    drain = to_go * window / delivered if delivered else None
    return Throughput(
        backlog=backlog,
        posts=len(posts),
        seconds=window,
        delivered=delivered * 60 / window,
        failed=(len(posts) - delivered) * 60 / window,
        median=_share(answers, 50),
        p99=_share(answers, 99),
        drain=drain if to_go else 0.0,
    )


def _share(ascending: Sequence[float], percent: int) -> float | None:
    """The value that so many percent of them do not exceed."""
    if len(ascending) < 2:
        return ascending[0] if ascending else None
    return quantiles(ascending, n=100, method="inclusive")[percent - 1]
