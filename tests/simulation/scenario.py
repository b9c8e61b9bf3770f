"""What a seed stands for: an installation, its listeners, what is published, what goes wrong."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import Final

from heliograph.delivery.retry import STANDARD, Schedule
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.events import Envelope, NewEvent
from tests.simulation.listeners import Listener, Mood
from tests.support import wanted_configuration

DAY: Final = 86_400.0

_SCHEDULES: Final = (
    STANDARD,
    STANDARD,
    Schedule(first=5.0, factor=2.0, ceiling=600.0, horizon=6 * 3600.0, jitter=0.2),
    Schedule(first=5.0, factor=3.0, ceiling=3600.0, horizon=2 * 3600.0, jitter=0.2),
)


class Wrong(Enum):
    """What can happen to an installation."""

    CRASH = "crash"
    FREEZE = "freeze"
    STOP = "stop"
    AWAY = "away"
    CUT = "cut"
    ROUGH = "rough"
    JUMP = "jump"
    PAUSE = "pause"
    DELETE = "delete"
    REPUBLISH = "republish"
    ASK = "ask"
    CANCEL = "cancel"


_GRIM_SHARE: Final = 0.85
"""Share of the seeds in which more goes wrong than what people and listeners do."""

_MILD: Final = (Wrong.PAUSE, Wrong.REPUBLISH, Wrong.ASK, Wrong.CANCEL, Wrong.STOP)
_GRIM: Final = (
    *(Wrong.CRASH, Wrong.CRASH, Wrong.FREEZE, Wrong.FREEZE, Wrong.AWAY, Wrong.ROUGH),
    *(Wrong.ROUGH, Wrong.CUT, Wrong.CUT, Wrong.JUMP, Wrong.DELETE),
)


@dataclass(frozen=True, slots=True)
class Publication:
    """Events of one publish call."""

    at: float
    events: Sequence[NewEvent]


@dataclass(frozen=True, slots=True)
class Incident:
    """Something happens; `seconds` and `choice` mean what the kind makes of them."""

    at: float
    kind: Wrong
    seconds: float
    choice: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """One seed."""

    seed: int
    days: int
    shared: bool
    """Many nodes on one server with leases; else one node on a file."""
    nodes: int
    cap: int
    in_flight: int
    schedule: Schedule
    configurations: Sequence[ConnectConfiguration]
    listeners: dict[int, Listener]
    publications: Sequence[Publication]
    incidents: Sequence[Incident]
    poison: str | None = None
    """The event that ends each process that sends it."""


def scenario(seed: int, days: int = 1) -> Scenario:
    """What a seed stands for."""
    chance = random.Random(f"scenario {seed}")
    shared = chance.random() < 0.7
    span = days * DAY
    count = chance.choice((1, 2, 2, 3))
    cap = chance.choice((1, 2, 8))
    configurations = [_configuration(number + 1, chance) for number in range(count)]
    listeners = {
        each.connect_id: Listener(random.Random(chance.random()), chance.choice((0.0, 0.02, 0.1)))
        for each in configurations
    }
    making = _Making(chance, span, shared, listeners)
    making.quiet_hours(12 + 6 * days)
    grim = chance.random() < _GRIM_SHARE
    for _ in range(2 + 2 * days):
        making.episode(grim=grim)
    return Scenario(
        seed=seed,
        days=days,
        shared=shared,
        nodes=chance.choice((1, 2, 3, 3)) if shared else 1,
        cap=cap,
        in_flight=cap * count + chance.choice((0, 8)),
        schedule=chance.choice(_SCHEDULES),
        configurations=configurations,
        listeners=listeners,
        publications=making.publications,
        incidents=making.incidents,
        poison="event-7" if grim and chance.random() < 0.2 else None,
    )


def _configuration(connect_id: int, chance: random.Random) -> ConnectConfiguration:
    names = {"envelope-sent", "envelope-completed"}
    if chance.random() < 0.2:
        names.discard("envelope-sent")
    return wanted_configuration(
        connect_id=connect_id,
        name=f"listener {connect_id}",
        urlToPublishTo=f"https://listener-{connect_id}.example.com/",
        events=sorted(names),
        includeHMAC="false",
    )


class _Making:
    """Fills a span of time."""

    def __init__(
        self, chance: random.Random, span: float, shared: bool, listeners: dict[int, Listener]
    ) -> None:
        self._chance, self._span, self._shared = chance, span, shared
        self._listeners = listeners
        self._envelopes = [f"env-{number}" for number in range(chance.randint(2, 10))]
        self._made = 0
        self.publications: list[Publication] = []
        self.incidents: list[Incident] = []

    def quiet_hours(self, events: int) -> None:
        """Events over the whole span, and listeners that are out for minutes to hours."""
        chance = self._chance
        until = self._made + events
        while self._made < until:
            self._burst(chance.uniform(0.0, self._span * 0.95), chance.choice((1, 1, 2)))
        for listener in self._listeners.values():
            for _ in range(chance.randint(1, 3)):
                begin = chance.uniform(0.0, self._span * 0.9)
                lasts = chance.choice((600.0, 3600.0, 4 * 3600.0)) * chance.uniform(0.2, 1.5)
                listener.outages.append((begin, begin + lasts, chance.choice(list(Mood))))

    def episode(self, *, grim: bool) -> None:
        """Much at once: events, listeners in a mood, and one misfortune after the other."""
        chance = self._chance
        begin = chance.uniform(60.0, self._span * 0.95)
        for listener in self._listeners.values():
            if chance.random() < 0.7:
                mood = chance.choice((Mood.SLOW, Mood.SLOW, *Mood))
                listener.outages.append((begin - 5.0, begin + chance.uniform(5.0, 200.0), mood))
        for _ in range(chance.randint(1, 4)):
            self._burst(begin + chance.uniform(-5.0, 10.0), chance.choice((1, 3)))
        kinds = [chance.choice(_GRIM if grim else _MILD)]
        while chance.random() < 0.5:
            kinds.append(chance.choice((*_MILD, *_GRIM, *_GRIM) if grim else _MILD))
        for kind in kinds:
            if kind is Wrong.CUT and not self._shared:
                continue
            at = begin + chance.choice((1.0, 15.0, 60.0)) * chance.random()
            seconds = chance.choice((2.0, 20.0, 40.0, 90.0)) * chance.uniform(0.3, 1.3)
            self.incidents.append(Incident(at, kind, seconds, chance.random()))

    def _burst(self, at: float, calls: int) -> None:
        """Publish calls about few envelopes, so that lanes fill."""
        chance = self._chance
        lanes = chance.sample(self._envelopes, 2)
        for _ in range(calls):
            batch = []
            for _ in range(chance.choice((1, 1, 3))):
                batch.append(_event(f"event-{self._made}", chance.choice(lanes), chance))
                self._made += 1
            self.publications.append(Publication(max(0.0, at), batch))
            at += chance.choice((0.0, 0.001, 0.3, 5.0))


def _event(event_id: str, envelope_id: str, chance: random.Random) -> NewEvent:
    document = b'{"data":{"id":"%s"}}' % event_id.encode()
    return NewEvent(
        event_id=event_id,
        name=chance.choice(("envelope-sent", "envelope-completed")),
        user_id=None,
        recipient_id=None,
        envelope=Envelope(envelope_id, None, None, None, "Sent"),
        generated_at=None,
        document=document,
        digest=sha256(document).digest(),
    )
