"""The words of the kit: what a check has sent, what came back, and what that comes to. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from heliograph.verify.crafting import World


class Kind(StrEnum):
    """What a check demands of a listener.

    A refusal is a 4xx: whoever answers 5xx has broken over what it should have turned away.
    """

    ACCEPT = "must accept"
    REFUSE = "must refuse"
    SURVIVE = "must not break"
    ONCE = "must not act twice"
    IN_TIME = "must answer in time"


class Need(StrEnum):
    """What a check cannot be played without; the value says what was not given."""

    KEY = "signatures are not checked: --unsigned"
    SECOND_KEY = "no --second-key"
    PROBE = "no --probe"
    JSON = "json is not among --formats"
    AGGREGATE = "aggregate is not among --formats"
    XML = "neither xml nor soap is among --formats"
    PLAIN_XML = "xml is not among --formats"
    SOAP = "soap is not among --formats"


class Manner(StrEnum):
    """How a message is sent: at once, a little at a time, or not to its end.

    `CUT` takes the connection away as soon as an answer begins, and `HALF` within the message.
    """

    PLAIN = "plain"
    TIMED = "timed"
    SLOW = "slow"
    CUT = "cut"
    HALF = "half"


@dataclass(frozen=True, slots=True)
class Post:
    """What is posted, signatures and all; `about` tells it from others of its check."""

    headers: tuple[tuple[str, str], ...]
    body: bytes
    about: str = ""


@dataclass(frozen=True, slots=True)
class Sending:
    """One post on its way, and whether what comes back is `judged`."""

    post: Post
    manner: Manner = Manner.PLAIN
    judged: bool = True


@dataclass(frozen=True, slots=True)
class Play:
    """What a check sends: steps one after the other, the sendings of a step all at once.

    The `prelude` comes before side effects are counted. From then on there must be at least and
    at most so many `effects`.
    """

    steps: Sequence[Sequence[Sending]]
    effects: tuple[int, int] = (1, 1)
    prelude: Sequence[Sequence[Sending]] = ()


@dataclass(frozen=True, slots=True)
class Came:
    """What came back: a status, or why there is none.

    `seconds` is how long the answer took from the last byte of the message on.
    """

    status: int | None
    why: str | None
    seconds: float

    def __str__(self) -> str:
        return f"answered {self.status}" if self.why is None else self.why


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is demanded; `name` is its section in docs/reference/verify.md.

    `title` says what is sent, and `why` what goes wrong where the demand is not met.
    """

    name: str
    kind: Kind
    title: str
    why: str
    play: Callable[[World], Play]
    needs: tuple[Need, ...] = ()

    @property
    def page(self) -> str:
        """Where the documentation says more."""
        return f"docs/reference/verify.md#{self.name}"


class Outcome(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check came to, and in how many seconds; `said` is why, where it did not pass."""

    check: Check
    outcome: Outcome
    said: str = ""
    seconds: float = 0.0


def one(post: Post, manner: Manner = Manner.PLAIN) -> list[list[Sending]]:
    """A single post."""
    return [[Sending(post, manner)]]


def in_turn(posts: Sequence[Post]) -> list[list[Sending]]:
    """Posts one after the other, each once the one before it is answered."""
    return [[Sending(post)] for post in posts]


def unjudged(*posts: Post) -> list[list[Sending]]:
    """The same, whatever is answered."""
    return [[Sending(post, judged=False)] for post in posts]
