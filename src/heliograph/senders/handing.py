"""Hands posts to processes beside, once there are more than this one should make itself.

A sender process is never needed: what finds none is posted from here, and so is what is large.
One that ends, or answers no more, costs what it had in flight a visible failed attempt that is
tried again, and for a while nothing is handed over.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from heliograph.clock import Clock
from heliograph.egress import Guard
from heliograph.model.accounts import Secret
from heliograph.model.configurations import ClientCredentials, ConnectConfiguration
from heliograph.model.deliveries import Answer, Body, Fault, Phase, Proofs
from heliograph.outbound.authorizer import Authorizer
from heliograph.senders import frames
from heliograph.senders.frames import CameBack, Handed, Listener, Posting, Setup
from heliograph.settings import environment_without_settings

BUSY: Final = 24
"""Posts at once from here that show that another process pays: a server at rest has none."""

LIGHT: Final = 64 * 1024
"""Bytes up to which a message, or all that is known of a listener, is copied to a process."""

MOST_LISTENERS: Final = 2_000
"""Listeners that a process is told, changed ones anew; then it forgets them all."""

_PATIENCE: Final = 10.0
"""Seconds beyond the time of an attempt after which a process that has not answered is ended."""

_PAUSE: Final = 10.0
"""Seconds for which everything is posted from here after a process has ended: what it had comes
within them (`retry.judge`), so that a message that ends whoever sends it ends us, as R17 counts."""

_START: Final = 30.0
"""Seconds in which a process must take posts, or it is ended."""

_LOOK: Final = 5.0
"""Seconds between two looks whether each process still answers."""

_GONE: Final = Fault(
    Phase.HEADERS,
    "the process that sent it ended before the listener had answered",
    ours=True,
)

_log = structlog.get_logger()


class SenderBroke(Exception):
    """A bug of ours showed in a sender process; the text tells of it as it was seen there."""


@asynccontextmanager
async def handing(
    here: Authorizer, guard: Guard, clock: Clock, *, most: int, total: float, in_flight: int
) -> AsyncIterator[Handing]:
    """Hand posts over within the block, at the end of which none is in flight any more.

    Args:
        here: Posts from this process.
        guard: What it and the others post past.
        clock: Tells for how long a process has not answered.
        most: Processes that may be beside this one.
        total: Seconds of one attempt.
        in_flight: Posts at once.
    """
    networks = [str(network) for network in guard.networks]
    setup = Setup(guard.profile, networks, sorted(guard.hosts), total, in_flight)
    hands = Handing(here, setup, clock, most)
    try:
        yield hands
    finally:
        await hands.close()


class Handing:
    """The `Sender` of a dispatcher, which posts from `here` or has others post.

    `started` counts the processes that it has had.
    """

    def __init__(self, here: Authorizer, setup: Setup, clock: Clock, most: int) -> None:
        self.here = here
        self._setup = setup
        self._clock = clock
        self._most = most
        self._posting_here = 0
        self._hands: list[_Hand] = []
        self._not_before = 0.0
        self.started = 0

    @property
    def processes(self) -> Sequence[int]:
        """The ids of the processes that posts are handed to."""
        return [hand.process_id for hand in self._hands if hand.ready]

    async def post(
        self,
        configuration: ConnectConfiguration,
        headers: Sequence[tuple[str, str]],
        body: Body,
        proofs: Proofs,
        *,
        last: bool,
    ) -> Answer | Fault:
        """One post, wherever it is made from; see `Sender`."""
        ready = [hand for hand in self._hands if hand.ready]
        if ready and isinstance(body, bytes) and len(body) <= LIGHT:
            hand = min(ready, key=len)
            listener = hand.listener(configuration, proofs)
            if listener is not None:
                return await hand.post(listener, headers, body, last=last)
        self._posting_here += 1
        try:
            if self._posting_here >= BUSY:
                self._start()
            return await self.here.post(configuration, headers, body, proofs, last=last)
        finally:
            self._posting_here -= 1

    def _start(self) -> None:
        """Have as many processes as may be, unless one has just ended."""
        if self._clock.monotonic() < self._not_before:
            return
        while len(self._hands) < self._most:
            try:
                hand = _Hand(self._setup, self._clock, self._lost)
            except OSError as error:  # no descriptor, process or memory is left
                _log.error("sender_not_started", reason=str(error))
                self._pause()
                return
            self._hands.append(hand)
            self.started += 1

    def _lost(self, hand: _Hand) -> None:
        self._hands.remove(hand)
        self._pause()

    def _pause(self) -> None:
        """Start none for a while."""
        self._not_before = self._clock.monotonic() + _PAUSE

    async def close(self) -> None:
        """End the processes."""
        await asyncio.gather(*(hand.close() for hand in list(self._hands)))


@dataclass(frozen=True, slots=True)
class _Known:
    """A listener as a process knows it."""

    number: int
    told: tuple[ConnectConfiguration, tuple[str, Secret] | None, ClientCredentials | None]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A post that a process has; `since` is in monotonic seconds."""

    came_back: asyncio.Future[Answer | Fault]
    since: float


class _Hand:
    """A sender process, and what it has in flight."""

    def __init__(self, setup: Setup, clock: Clock, lost: Callable[[_Hand], None]) -> None:
        """`lost` is called once it has ended."""
        self._setup = setup
        self._clock = clock
        self._lost = lost
        self._waiting: dict[int, _Waiting] = {}  # the oldest first
        self._known: dict[int, _Known] = {}
        self._told = 0
        self._numbers = 0
        self._handed: Handed | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._closing = False
        self.ready = False
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "heliograph.senders.process", str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env=environment_without_settings(),
                    process_group=0,  # Ctrl-C is for the server, which ends it when all is settled
                )
            except OSError:
                ours.close()
                raise
        self._running = asyncio.create_task(self._run(ours))

    def __len__(self) -> int:
        """How many posts it has in flight."""
        return len(self._waiting)

    @property
    def process_id(self) -> int:
        return self._process.pid

    def listener(self, configuration: ConnectConfiguration, proofs: Proofs) -> int | None:
        """The number by which it knows a listener from here on; None: too large to be told."""
        known = self._known.get(configuration.connect_id)
        told = (configuration, proofs.client, proofs.oauth)
        # The same by value: what the store reads anew is another object each time.
        if known is not None and known.told == told:
            return known.number
        packed = frames.pack(configuration, proofs)
        if len(packed) > LIGHT:
            return None
        if self._told >= MOST_LISTENERS:
            self._write()  # what is on its way names some of them
            self._known.clear()
            self._told = 0
            self._to_hand().forget = True
        number = self._next()
        self._to_hand().listeners.append(Listener(number, packed))
        self._known[configuration.connect_id] = _Known(number, told)
        self._told += 1
        return number

    async def post(
        self, listener: int, headers: Sequence[tuple[str, str]], body: bytes, *, last: bool
    ) -> Answer | Fault:
        """One post to a listener that it knows."""
        number = self._next()
        came_back: asyncio.Future[Answer | Fault] = asyncio.get_running_loop().create_future()
        self._waiting[number] = _Waiting(came_back, self._clock.monotonic())
        self._to_hand().posts.append(Posting(number, listener, list(headers), body, last))
        try:
            return await came_back
        except asyncio.CancelledError:
            if self._waiting.pop(number, None) is not None:
                self._to_hand().cancelled.append(number)
            raise

    async def close(self) -> None:
        """End the process."""
        self._closing = True
        self._process.kill()
        await self._running

    def _next(self) -> int:
        self._numbers += 1
        return self._numbers

    def _to_hand(self) -> Handed:
        """What goes to the process at the end of this turn of the loop."""
        if self._handed is None:
            self._handed = Handed()
            asyncio.get_running_loop().call_soon(self._write)
        return self._handed

    def _write(self) -> None:
        handed, self._handed = self._handed, None
        if handed is not None and self._writer is not None:
            frames.write(self._writer, handed)

    async def _run(self, ours: socket.socket) -> None:
        watching = asyncio.create_task(self._watch())
        try:
            reader, self._writer = await asyncio.open_unix_connection(sock=ours)
            frames.write(self._writer, self._setup)
            while (frame := await frames.read(reader)) is not None:
                self.ready = True
                for came_back in frames.CAME_BACK.decode(frame):
                    self._ended(came_back)
        finally:
            watching.cancel()
            self.ready = False
            writer, self._writer = self._writer, None
            if writer is not None:
                writer.close()
            self._process.kill()
            status = await asyncio.to_thread(self._process.wait)
            if not self._closing:
                _log.error("sender_ended", process=self.process_id, status=status, posts=len(self))
            self._give_up()
            self._lost(self)

    def _ended(self, came_back: CameBack) -> None:
        waiting = self._waiting.pop(came_back.number, None)
        if waiting is None or waiting.came_back.done():
            return
        result = came_back.answer or came_back.fault
        if result is None:  # as if it had broken here
            waiting.came_back.set_exception(SenderBroke(came_back.broke))
        else:
            waiting.came_back.set_result(result)

    def _give_up(self) -> None:
        """Whether listeners took what it had is unknown: it goes out again."""
        waiting, self._waiting = self._waiting, {}
        for one in waiting.values():
            if not one.came_back.done():
                one.came_back.set_result(_GONE)

    async def _watch(self) -> None:
        """End a process that stands still: it would have given each post up by itself."""
        never, began = asyncio.Event(), self._clock.monotonic()
        while True:
            await self._clock.wait(never, _LOOK)
            oldest = next(iter(self._waiting.values()), None)
            if not self.ready:
                until = began + _START
            elif oldest is not None:
                until = oldest.since + self._setup.total + _PATIENCE
            else:
                continue
            if self._clock.monotonic() > until:
                _log.error("sender_stands_still", process=self.process_id)
                self._process.kill()
