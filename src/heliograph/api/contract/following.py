"""A listing that is followed: what comes to it, as server-sent events (WHATWG HTML, 9.2).

The store is read again and again, from the place where the reading before ended, so that it does
not matter which process has written a row. A signal of this process saves the waiting. An event's
id is its place: who comes again with it as Last-Event-ID goes on there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Final, TypeVar

import msgspec

from heliograph.api.contract import selection
from heliograph.api.contract.operation import FOLLOWED, Call
from heliograph.api.contract.parameters import LARGEST_ID, Parameter
from heliograph.api.contract.response import Response
from heliograph.clock import Clock
from heliograph.delivery.signals import Signals
from heliograph.errors import (
    ApiError,
    InvalidParameter,
    StorageUnavailable,
    TooManyFollowers,
    Unavailable,
)
from heliograph.model.logs import Cursor
from heliograph.store.tails import MOST_PENDING, Passage, Place
from heliograph.wire.codec import encode_json

R = TypeVar("R")

MOST_OF_ACCOUNT: Final = 20
"""Followers of one account, for each process of a server."""

MOST: Final = 100
"""Followers of all accounts, for each process."""

PAGE: Final = 100
"""Rows that are read at once: of a follower that takes nothing no more are held in memory."""

_APART: Final = 0.1
"""Seconds between two readings, however much is new."""

_LOOK: Final = 1.0
"""Seconds between them where no signal comes: of what other processes write none does."""

_ALIVE: Final = 15.0
"""Seconds of silence after which a comment says that the connection is alive, as one does first."""

_RETRY: Final = b"retry: 1000\n\n"
"""Milliseconds after which an EventSource comes again. As the first line it brings the head out."""

_PLACE: Final = re.compile(r"[0-9a-f]{1,16}(?:\.[0-9a-f]{1,16})+")

_WITHOUT: Final = (selection.TO_DATE, selection.COUNT, selection.CURSOR, selection.ORDER)


def _place(text: str) -> Place:
    parts = text.split(".") if _PLACE.fullmatch(text) else []
    numbers = [int(part, 16) for part in parts]
    pending = tuple(accumulate(numbers[2:]))
    if not 2 <= len(numbers) <= 2 + MOST_PENDING or max(*numbers[:2], *pending) > LARGEST_ID:
        raise InvalidParameter(
            "Last-Event-ID is not one that Heliograph gave: leave it out, and say with from_date "
            "where to begin."
        )
    return Place(Cursor(numbers[0], numbers[1]), pending)


LAST_EVENT_ID: Final[Parameter[Place | None]] = Parameter(
    name="Last-Event-ID",
    about="Where a listing that is followed goes on: the id of the event that came last.",
    schema={"type": "string"},
    parse=_place,
    absent=None,
    extension=True,
)


def write_place(place: Place) -> str:
    """A place as text that callers hand back and do not read."""
    return f"{place.cursor.created_us:x}.{place.cursor.row_id:x}{_pending(place.pending)}"


@lru_cache(maxsize=64)
def _pending(ids: tuple[int, ...]) -> str:
    """Each as what it is more than the one before: posts that run together have ids close by."""
    ordered = sorted(ids)
    return "".join(
        f".{one - before:x}" for before, one in zip([0, *ordered], ordered, strict=False)
    )


class Followers:
    """Those who follow a listing of this process: so many and no more, until the server stops."""

    def __init__(self, signals: Signals, clock: Clock) -> None:
        self._signals = signals
        self._clock = clock
        self._here: Counter[str] = Counter()

    def follow(
        self,
        call: Call,
        passages: Callable[[Place | None], Awaitable[Passage[R]]],
        shown: Callable[[R], msgspec.Struct],
    ) -> Response:
        """The answer to a call that follows what `passages` gives; a row is `shown` as the API has
        it.

        Raises:
            InvalidParameter: a parameter is for listings that end.
            TooManyFollowers: the account has as many as it may.
            Unavailable: the server has, or it stops.
        """
        for parameter in _WITHOUT:
            if call.query.get(parameter.name, "").strip():
                raise InvalidParameter(
                    f"Leave {parameter.name} out: a listing that is followed has no end, and its "
                    "oldest come first. from_date says where it begins."
                )
        place = LAST_EVENT_ID.read(call.headers)
        if refusal := self._refusal(call.account_id):
            raise refusal
        events = self._events(call, passages, shown, place)
        # nginx would keep them until it has a buffer full.
        headers = {"X-Accel-Buffering": "no"}
        return Response(events, 200, headers, media_type=FOLLOWED, endless=True)

    def _refusal(self, account_id: str) -> ApiError | None:
        if self._signals.stopped.is_set():
            return Unavailable("The server stops: follow again in a moment.")
        if self._here[account_id] >= MOST_OF_ACCOUNT:
            return TooManyFollowers(
                f"{MOST_OF_ACCOUNT} of this account follow events or the log: end one of them, or "
                "list what has come from time to time."
            )
        if self._here.total() >= MOST:
            return Unavailable(f"{MOST} follow events or the log: try again in a moment.", 15)
        return None

    async def _events(
        self,
        call: Call,
        passages: Callable[[Place | None], Awaitable[Passage[R]]],
        shown: Callable[[R], msgspec.Struct],
        place: Place | None,
    ) -> AsyncGenerator[bytes, None]:
        # Others may have come since it was asked; who is one too many comes again, and is told.
        if self._refusal(call.account_id):
            return
        self._here[call.account_id] += 1
        try:
            with self._signals.following() as news:
                yield _RETRY
                told = -_ALIVE + self._clock.monotonic()
                while not self._signals.stopped.is_set():
                    news.clear()
                    try:
                        await call.still_may()
                        passage = await passages(place)
                    except (ApiError, StorageUnavailable):
                        return  # who comes again is told why
                    place = passage.place
                    if passage.entries:
                        yield _written(passage.entries, shown)
                        told = self._clock.monotonic()
                    elif self._clock.monotonic() - told >= _ALIVE:
                        # An event without data is none: it tells the place, and no more.
                        yield b": alive\nid: %s\n\n" % write_place(place).encode("ascii")
                        told = self._clock.monotonic()
                    if not passage.more:
                        await self._clock.wait(self._signals.stopped, _APART)
                        await self._clock.wait(news, _LOOK - _APART)
        finally:
            self._here[call.account_id] -= 1
            if not self._here[call.account_id]:
                del self._here[call.account_id]


def _written(entries: Sequence[tuple[R, Place]], shown: Callable[[R], msgspec.Struct]) -> bytes:
    """Rows as events; JSON has no line break."""
    return b"".join(
        b"id: %s\ndata: %s\n\n" % (write_place(place).encode("ascii"), encode_json(shown(row)))
        for row, place in entries
    )
