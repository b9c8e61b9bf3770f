"""Listeners that work, fail, hang and ask for patience, behind a transport of one node."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import msgspec

from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.deliveries import Answer, Fault, Phase
from tests.simulation.loop import Owner, SimulatedLoop
from tests.simulation.watcher import Watcher

BUDGET: Final = 100.0
"""Seconds that one attempt may take."""

_TOO_MANY: Final = 429


class Mood(Enum):
    """How a listener takes a message."""

    FINE = "fine"
    BROKEN = "broken"
    BUSY = "busy"
    RESET = "reset"
    DEAF = "deaf"
    SLOW = "slow"
    FORGETFUL = "forgetful"


_REASONS: Final = {200: "OK", 500: "Internal Server Error", _TOO_MANY: "Too Many Requests"}


@dataclass
class Listener:
    """One configuration's listener; `outages` are (from, until, mood) in the loop's seconds."""

    random: random.Random
    hiccups: float
    outages: list[tuple[float, float, Mood]] = field(default_factory=list)

    def mood(self, now: float) -> Mood:
        """How it is just now."""
        for begin, end, mood in self.outages:
            if begin <= now < end:
                return mood
        if self.random.random() < self.hiccups:
            return self.random.choice(list(Mood))
        return Mood.FINE


@dataclass(frozen=True, slots=True)
class _Reaction:
    """What follows from one message: after `seconds`, a status and what comes back of it."""

    seconds: float
    status: int | None
    result: Answer | Fault
    asked: float = 0.0


class SimulatedTransport:
    """What a node's dispatcher posts with."""

    def __init__(
        self,
        name: str,
        owner: Owner,
        loop: SimulatedLoop,
        listeners: dict[int, Listener],
        watcher: Watcher,
        poisoned: Callable[[str], bool],
    ) -> None:
        self._name, self._owner, self._loop = name, owner, loop
        self._listeners, self._watcher, self._poisoned = listeners, watcher, poisoned
        self.sending = 0

    async def post(
        self,
        configuration: ConnectConfiguration,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        proofs: object,
        *,
        last: bool,
    ) -> Answer | Fault:
        if self._owner.dead:
            raise asyncio.CancelledError
        message = msgspec.json.decode(body)
        connect_id = message["configurationId"]
        pair = (message["data"]["id"], connect_id)
        send = self._watcher.begin(self._name, pair, message["retryCount"])
        self._poisoned(pair[0])
        reaction = self._reaction(self._listeners[connect_id])
        came_back: asyncio.Future[Answer | Fault] = self._loop.create_future()

        def react() -> None:
            lost = came_back.done() or self._owner.dead or isinstance(reaction.result, Fault)
            if reaction.status is not None:
                self._watcher.answer(send, reaction.status, reaction.asked, lost)
            else:
                send.answered_at = (self._loop.time(), self._watcher.now_db())
            if not came_back.done():
                came_back.set_result(reaction.result)

        self._loop.call_later(reaction.seconds, react, context=Context())
        self.sending += 1
        try:
            return await came_back
        finally:
            self.sending -= 1
            self._watcher.end(send)

    def _reaction(self, listener: Listener) -> _Reaction:
        chance = listener.random
        quick = chance.uniform(0.003, 0.3)
        match listener.mood(self._loop.time()):
            case Mood.FINE:
                return _Reaction(quick, 200, _answer(200))
            case Mood.BROKEN:
                return _Reaction(quick, 500, _answer(500))
            case Mood.BUSY:
                asked = float(chance.choice((0, 1, 7, 30, 120, 1800, 7200)))
                header = (("Retry-After", str(int(asked))),)
                return _Reaction(quick, _TOO_MANY, _answer(_TOO_MANY, header), asked)
            case Mood.RESET:
                return _Reaction(quick, None, Fault(Phase.CONNECT, "refused"))
            case Mood.DEAF:
                return _Reaction(BUDGET, None, Fault(Phase.HEADERS, "no answer in time"))
            case Mood.SLOW:
                return _Reaction(chance.uniform(1.0, BUDGET - 1), 200, _answer(200))
            case Mood.FORGETFUL:  # takes it, and the answer is lost on its way
                return _Reaction(quick, 200, Fault(Phase.HEADERS, "the connection was reset"))


def _answer(status: int, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    return Answer(status, _REASONS[status], headers, b"")
