"""What the publisher and the sink are told, and what they answer: lines of JSON on their pipes.

Times are seconds of the machine's monotonic clock, which all processes share.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec
import uvloop

_LONGEST_LINE: Final = 2**30


class Connect(msgspec.Struct, tag=True):
    """To the publisher: open so many connections, to the addresses in turn."""

    addresses: Sequence[tuple[str, int]]
    token: str
    connections: int


class Calls(msgspec.Struct, tag=True, kw_only=True):
    """To the publisher: make calls, each connection one after the other, or at a rate.

    Events are made of `templates` in turn: each is a text that is cut where the event's number, of
    `events.DIGITS` digits, belongs. A call has `size` of them, as an array above one; without
    templates it has no body. Calls end after `seconds`, or when so many `calls` were made.
    `rate` is in events a second; `status` is what each shall be answered.
    """

    method: str = "POST"
    path: str
    templates: Sequence[Sequence[str]] = ()
    size: int = 1
    first: int = 0
    seconds: float | None = None
    calls: int | None = None
    rate: float | None = None
    connections: int | None = None
    status: int = 202


class Called(msgspec.Struct):
    """From the publisher: the calls have all been answered.

    Events have the numbers from `first` to below `next`, of which `refused` were answered
    otherwise, by status (0: not at all). `took` has the seconds of each call. Where a rate was
    asked for, `answered` has of each event when it was sent, and when its answer had come. `calls`
    were answered as wanted; the last answer's body had so many `bytes`.
    """

    first: int
    next: int
    calls: int
    began: float
    ended: float
    took: Sequence[float]
    refused: dict[int, Sequence[int]]
    answered: Sequence[tuple[int, float, float]]
    bytes: int

    @property
    def refused_events(self) -> Sequence[int]:
        """The numbers of all of them."""
        return [number for numbers in self.refused.values() for number in numbers]


class Listen(msgspec.Struct, tag=True):
    """To the sink: listen on a free port of loopback; the answer is `Listening`."""


class Listening(msgspec.Struct):
    """From the sink."""

    port: int


class Hang(msgspec.Struct, tag=True):
    """To the sink: take messages of these listeners, answer none, and count none."""

    listeners: Sequence[int]


class Await(msgspec.Struct, tag=True):
    """To the sink: answer when so many different messages have come, or none for `quiet` s."""

    arrived: int
    quiet: float


class Forget(msgspec.Struct, tag=True):
    """To the sink: count nothing of these events, whether it has come or comes yet.

    They were refused, which may mean that nobody knows: some are delivered all the same (R2).
    """

    numbers: Sequence[int]


class Tell(msgspec.Struct, tag=True):
    """To the sink: what has come of events from the number `first`."""

    first: int = 0
    until: float | None = None
    each: bool = False


class Told(msgspec.Struct):
    """From the sink: different messages, those of them that came before `until`, repeats.

    `last` is when the last of them came, `bytes` how large one was. `each` has the number and the
    time of each where that was asked for.
    """

    arrived: int
    meanwhile: int
    repeated: int
    last: float
    bytes: int
    each: Sequence[tuple[int, float]]


class Open(msgspec.Struct, tag=True):
    """To who works inside: open the database of a data directory, no server having it."""

    data_dir: str
    database_url: str


class Seed(msgspec.Struct, tag=True):
    """To who works inside: let so many events have been delivered, or have `failed`.

    They have the numbers from `first`; the answer is `Seeded`.
    """

    events: int
    first: int
    failed: bool


class Seeded(msgspec.Struct):
    """From who works inside: the deliveries that there are more, and the seconds they took."""

    deliveries: int
    seconds: float


class Stage(msgspec.Struct, tag=True):
    """To who works inside: do one stage of so many events, which the stages before have prepared.

    The answer is `Staged`.
    """

    name: str
    events: int


class Staged(msgspec.Struct):
    """From who works inside: seconds of the processor, of all threads."""

    processor: float


Handler = Callable[[Any], Awaitable[Any]]


def obey(orders: Any, handle: Handler) -> None:
    """Carry out what standard input says, one line after the other, until it ends."""
    gc.freeze()
    gc.disable()  # a pass over a million arrivals would look like a slow server
    uvloop.run(obeying(orders, handle))


async def obeying(orders: Any, handle: Handler) -> None:
    """The same, in a loop that runs."""
    decoder = msgspec.json.Decoder(orders)
    reader = asyncio.StreamReader(limit=_LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        answer = await handle(decoder.decode(line))
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()
