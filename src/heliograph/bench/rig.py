"""A server, a publisher and a sink at work: what every scenario measures with."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from heliograph.bench import events, host
from heliograph.bench.orders import (
    Await,
    Called,
    Calls,
    Connect,
    Hang,
    Listen,
    Listening,
    Tell,
    Told,
)
from heliograph.bench.places import Engine, Place
from heliograph.bench.processes import BenchFailed, Child, Node, child, node
from heliograph.bench.report import Measured, Run
from heliograph.bench.sizes import Size

CONNECTIONS: Final = 64
"""Of the publisher, where nothing else is said."""

BATCH: Final = 500
"""Events of a request of a batch."""

BATCHED: Final = {"size": BATCH, "connections": 4}
"""How batches are published. With more at once events would wait for seconds, and be refused."""

LISTENERS: Final = 16
"""That share the events, where nothing else is said."""

_QUIET: Final = 30.0
"""Seconds without any arrival after which what is missing is called lost."""

_TIMEOUT: Final = 600.0
"""Seconds that one call beside the measured ones may take."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What all scenarios are measured with: how much, where, and with which options of serve."""

    size: Size
    engine: Engine
    folder: Path
    options: Sequence[str] = ()
    say: Callable[[str], None] = lambda text: None


@dataclass(frozen=True, slots=True)
class Listeners:
    """So many configurations, of which `wanting` want each event: those of its user."""

    number: int = LISTENERS
    wanting: int = 1

    @property
    def users(self) -> int:
        """Whose events there are."""
        return max(1, self.number // self.wanting)

    def of(self, user: int) -> Sequence[int]:
        """The numbers of the listeners that want a user's events."""
        return range(user * self.wanting, (user + 1) * self.wanting)

    def templates(self, size: int = events.USUAL) -> Sequence[Sequence[str]]:
        """An event of each user."""
        return [events.template(f"user-{user}", size) for user in range(self.users)]


@dataclass(frozen=True, slots=True)
class Seen:
    """Calls, and what came of them until the last delivery had arrived.

    `processor` has the seconds of each process by name, `seconds` is what all of it lasted, and
    `others` the seconds of processors that went elsewhere meanwhile.
    """

    called: Called
    told: Told
    processor: Mapping[str, float]
    seconds: float
    others: float

    @property
    def published(self) -> int:
        """Events that were answered as wanted."""
        return self.called.next - self.called.first - len(self.called.refused_events)


@dataclass(slots=True)
class Rig:
    """Everything is running."""

    nodes: Sequence[Node]
    publisher: Child
    sink: Child
    place: Place
    listeners: Listeners
    sink_port: int
    expected: int = 0
    """Messages that must be at the sink."""
    told: Told | None = None
    """What the sink had at the end, after the servers had stopped."""
    _refused: list[int] = field(default_factory=list)
    _statuses: dict[int, int] = field(default_factory=dict)
    _hanging: frozenset[int] = frozenset()
    _next: int = 0

    # ------------------------------------------------------------------ what is measured

    def fill(self, **how: Any) -> Called:
        """Publish, and wait for the answers only; `how` are fields of `Calls`."""
        order = Calls(path=self.events, templates=self.listeners.templates(), first=self._next)
        called = self.publisher.ask(msgspec.structs.replace(order, **how), Called)
        refused = called.refused_events
        self._refused += refused
        for status, numbers in called.refused.items():
            self._statuses[status] = self._statuses.get(status, 0) + len(numbers)
        self._next = called.next
        users = self.listeners.users
        self.expected += sum(
            listener not in self._hanging
            for number in {*range(called.first, called.next)}.difference(refused)
            for listener in self.listeners.of(number % users)
        )
        return called

    def publish(self, **how: Any) -> Seen:
        """Publish, and wait until everything has arrived; `how` are fields of `Calls`."""
        before, busy, began = self._processor(), host.busy_seconds(), time.monotonic()
        called = self.fill(**how)
        self.arrived()
        processor = {name: value - before[name] for name, value in self._processor().items()}
        seconds = time.monotonic() - began
        others = host.busy_seconds() - busy - sum(processor.values())
        each = how.get("rate") is not None
        told = self.sink.ask(
            Tell(called.first, called.refused_events, until=called.ended, each=each), Told
        )
        return Seen(called, told, processor, seconds, max(0.0, others))

    def warm(self, seconds: float) -> None:
        """Let listeners earn their attempts, and everything be imported and cached."""
        self.publish(seconds=seconds)

    def arrived(self) -> None:
        """Wait until everything that was accepted has arrived."""
        self.sink.tell(Await(self.expected, _QUIET))

    def memory(self) -> Mapping[str, float]:
        """MB of the server and of the database, by name, where it may be read."""
        found = {"server": host.memory([p for n in self.nodes for p in host.tree(n.id)])}
        if self.place.database is not None:
            found["database"] = host.memory(host.tree(self.place.database))
        return {name: value for name, value in found.items() if value is not None}

    def _processor(self) -> dict[str, float]:
        found = {"server": sum(host.processor_seconds(node.id) for node in self.nodes)}
        if self.place.database is not None:
            found["database"] = host.processor_seconds(self.place.database)
        for name, process in (("publisher", self.publisher), ("sink", self.sink)):
            found[name] = host.processor_seconds(process.id)
        return found

    # ------------------------------------------------------------------ what is arranged

    @property
    def events(self) -> str:
        """The path of the publish call."""
        return f"{self.connect}/events"

    @property
    def connect(self) -> str:
        """The path of the account's configurations."""
        return f"/restapi/v2.1/accounts/{self.nodes[0].credentials.account_id}/connect"

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """A call beside the measured ones, below the path of configurations.

        Raises:
            BenchFailed: it is refused.
        """
        credentials = self.nodes[0].credentials
        address = urlsplit(credentials.base_uri)
        headers = {
            "Authorization": f"Bearer {credentials.access_token.reveal()}",
            "Content-Type": "application/json",
        }
        connection = HTTPConnection(str(address.hostname), address.port, timeout=_TIMEOUT)
        with contextlib.closing(connection):
            sent = None if body is None else json.dumps(body)
            connection.request(method, f"{self.connect}{path}", sent, headers)
            answer = connection.getresponse()
            text = answer.read()
        if answer.status >= 300:
            raise BenchFailed(f"{method} {path} is answered {answer.status}: {text[:500]!r}")
        return json.loads(text or b"null")

    def configure(self) -> None:
        """A signing key, and a configuration for each listener."""
        self.ask("POST", "/secret")
        for number in range(self.listeners.number):
            self.ask("POST", "", self.configuration(number))

    def configuration(self, number: int, **fields: Any) -> Mapping[str, Any]:
        """What a listener wants: the events of its user, signed and logged."""
        return {
            "name": f"bench {number}",
            "urlToPublishTo": f"http://127.0.0.1:{self.sink_port}/{number}",
            "allowEnvelopePublish": "true",
            "enableLog": "true",
            "includeHMAC": "true",
            "userIds": [f"user-{number // self.listeners.wanting}"],
            "events": [events.NAME],
            **fields,
        }

    def pause(self, paused: bool) -> None:
        """Let what is published wait, or go."""
        for one in self.ask("GET", "")["configurations"]:
            changed = {"connectId": one["connectId"], "pausePublish": str(paused).lower()}
            self.ask("PUT", "", changed)

    def hang(self, listeners: Sequence[int]) -> None:
        """Let listeners take messages and answer none; theirs count no more."""
        self._hanging = frozenset(listeners)
        self.sink.tell(Hang(listeners))

    def run(self, measured: Sequence[Measured]) -> Run:
        """What was measured, and what became of every delivery; the servers have stopped."""
        assert self.told is not None  # noqa: S101 (for mypy: the block of `rig` has ended)
        lost = max(0, self.expected - self.told.arrived)
        return Run(measured, lost, self.told.repeated, self._statuses)


@contextlib.contextmanager
def rig(
    bench: Bench, listeners: Listeners | None = None, options: Sequence[str] = ()
) -> Iterator[Rig]:
    """A new installation with its listeners, for the time of the block."""
    with bench.engine.place() as place, child("sink") as sink, child("publisher") as publisher:
        port = sink.ask(Listen(), Listening).port
        with node(place.data_dir, place.environment, [*options, *bench.options]) as first:
            made = Rig([first], publisher, sink, place, listeners or Listeners(), port)
            made.configure()
            publisher.tell(_connections(made.nodes))
            yield made
        # What a server that stops sends twice counts too.
        made.told = sink.ask(Tell(without=made._refused), Told)


def _connections(nodes: Sequence[Node]) -> Connect:
    addresses = [urlsplit(node.credentials.base_uri) for node in nodes]
    return Connect(
        [(str(address.hostname), address.port or 80) for address in addresses],
        nodes[0].credentials.access_token.reveal(),
        CONNECTIONS,
    )
