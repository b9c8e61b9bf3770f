"""A server, a publisher and a sink at work: what every scenario measures with."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from heliograph.access.credentials_file import FILE_NAME
from heliograph.bench import host
from heliograph.bench.listeners import Listeners
from heliograph.bench.orders import (
    Await,
    Called,
    Calls,
    Connect,
    Forget,
    Hang,
    Listen,
    Listening,
    Open,
    Seed,
    Seeded,
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


@dataclass(slots=True)
class Used:
    """What was needed in some time.

    `processor` has the seconds of each process by name, what it has started included, `busiest`
    those of that process of the server which had most: it is the bound where there are processors
    enough. `seconds` is what all of it lasted, and `others` the seconds of processors that went
    elsewhere meanwhile.
    """

    processor: Mapping[str, float] = field(default_factory=dict)
    busiest: float = 0.0
    seconds: float = 0.0
    others: float = 0.0

    @property
    def product(self) -> float:
        """What server and database have had together."""
        return sum(self.processor.get(name, 0.0) for name in ("server", "database"))


@dataclass(frozen=True, slots=True)
class Seen:
    """Calls, and what came of them until the last delivery had arrived."""

    called: Called
    told: Told
    used: Used

    @property
    def published(self) -> int:
        """Events that were answered as wanted."""
        return self.called.next - self.called.first - len(self.called.refused_events)

    @property
    def rate(self) -> float:
        """They, a second."""
        return self.published / (self.called.ended - self.called.began)

    @property
    def lags(self) -> Sequence[float]:
        """Milliseconds from each 202 to the arrival, where events came at a rate.

        A message may arrive before the 202 does: then it took no time.
        """
        answered = {number: at for number, _, at in self.called.answered}
        return self._since(answered)

    @property
    def journeys(self) -> Sequence[float]:
        """Milliseconds from each request to the arrival, where events came at a rate."""
        return self._since({number: at for number, at, _ in self.called.answered})

    def _since(self, times: Mapping[int, float]) -> Sequence[float]:
        return [
            max(0.0, arrived - times[number]) * 1000
            for number, arrived in self.told.each
            if number in times
        ]


class Rig:
    """An installation, and who publishes to it and listens. Its servers run within `serving`."""

    def __init__(
        self, bench: Bench, listeners: Listeners, place: Place, publisher: Child, sink: Child
    ) -> None:
        self.listeners = listeners
        self.place = place
        self.publisher = publisher
        self.sink = sink
        self.port = sink.ask(Listen(), Listening).port
        self.nodes: Sequence[Node] = ()
        self.expected = 0
        """Messages that must be at the sink."""
        self._options = bench.options
        self._configured = False
        self._hanging: frozenset[int] = frozenset()
        self._next = 0
        self.refused: Counter[int] = Counter()
        """Events that were not taken, by status."""
        self.told: Told | None = None
        """What the sink has at the end; known when the block of `rig` has ended."""

    def begin(self, **how: Any) -> None:
        """Publish; `how` are fields of `Calls`. `answered` waits for the answers."""
        order = Calls(path=self.events, templates=self.listeners.templates(), first=self._next)
        self.publisher.send(msgspec.structs.replace(order, **how))

    def answered(self, deliveries: int | None = None) -> Called:
        """Wait until what was begun is answered.

        Each event makes so many `deliveries`; None: as many as listeners want those of its user.
        """
        called = self.publisher.receive(Called)
        self._next = called.next
        refused = called.refused_events
        if refused:
            self.sink.tell(Forget(refused))
        for status, numbers in called.refused.items():
            self.refused[status] += len(numbers)
        for number in {*range(called.first, called.next)}.difference(refused):
            wanting = {*self.listeners.of(number % self.listeners.users)} - self._hanging
            self.expected += len(wanting) if deliveries is None else deliveries
        return called

    def fill(self, *, deliveries: int | None = None, **how: Any) -> Called:
        """Publish, and wait for the answers only."""
        self.begin(**how)
        return self.answered(deliveries)

    def publish(self, **how: Any) -> Seen:
        """Publish as `fill` does, and wait until everything has arrived.

        What is published at a rate is told one by one.
        """
        with self.watching() as used:
            called = self.fill(**how)
            self.arrived()
        each = how.get("rate") is not None
        told = self.sink.ask(Tell(called.first, until=called.ended, each=each), Told)
        return Seen(called, told, used)

    def call(self, path: str, method: str = "GET", **how: Any) -> Called:
        """Make calls that publish nothing; `how` are fields of `Calls`.

        Raises:
            BenchFailed: some are refused.
        """
        order = Calls(path=path, method=method, status=200)
        called = self.publisher.ask(msgspec.structs.replace(order, **how), Called)
        if called.refused:
            raise BenchFailed(f"{method} {path} is answered {min(called.refused)}.")
        return called

    def arrived(self) -> None:
        """Wait until everything that was accepted has arrived."""
        self.sink.tell(Await(self.expected, _QUIET))

    @contextlib.contextmanager
    def inside(self) -> Iterator[Child]:
        """A process of `inside.py` that has the data open. No server may run."""
        with child("inside") as inside:
            inside.tell(Open(str(self.place.data_dir), self.place.database_url))
            yield inside

    def seed(self, number: int, *, failed: bool) -> Seeded:
        """Let so many events of the first user have been delivered, or have failed, in the past.

        No server may run.
        """
        with self.inside() as inside:
            seeded = inside.ask(Seed(number, self._next, failed), Seeded)
        self._next += number
        return seeded

    @contextlib.contextmanager
    def watching(self) -> Iterator[Used]:
        """What processes need while the block runs; known when it has ended."""
        used = Used()
        before, busy, began = self._processor(), host.busy_seconds(), time.monotonic()
        each = self._of_each()
        yield used
        used.seconds = time.monotonic() - began
        used.processor = {name: one - before[name] for name, one in self._processor().items()}
        used.busiest = max(one - each.get(name, 0.0) for name, one in self._of_each().items())
        others = host.busy_seconds() - busy - sum(used.processor.values())
        used.others = max(0.0, others)

    def memory(self) -> Mapping[str, float]:
        """MB of the server and of the database, by name, where it may be read."""
        found = {"server": host.memory([p for n in self.nodes for p in host.tree(n.id)])}
        if self.place.database is not None:
            found["database"] = host.memory(host.tree(self.place.database))
        return {name: value for name, value in found.items() if value is not None}

    def _of_each(self) -> Mapping[int, float]:
        """What each process of the server has had."""
        return {
            process: seconds
            for node in self.nodes
            for process, seconds in host.processor_seconds_of_each(node.id).items()
        }

    def _processor(self) -> Mapping[str, float]:
        found = {"server": sum(host.processor_seconds(node.id) for node in self.nodes)}
        if self.place.database is not None:
            found["database"] = host.processor_seconds(self.place.database)
        for name, process in (("publisher", self.publisher), ("sink", self.sink)):
            found[name] = host.processor_seconds(process.id)
        return found

    def tally(self) -> None:
        """Look at the sink for the last time: what servers that stop send twice counts too."""
        self.told = self.sink.ask(Tell(), Told)

    @contextlib.contextmanager
    def serving(self, *options: str, nodes: int = 1) -> Iterator[None]:
        """Let servers run; the first ones make the configurations."""
        folder, environment = self.place.data_dir.parent, self.place.environment
        words = [*options, *self._options]
        with contextlib.ExitStack() as stack:
            running = [stack.enter_context(node(self.place.data_dir, environment, words))]
            for number in range(2, nodes + 1):
                beside = folder / f"data-{number}"
                beside.mkdir(mode=0o700, exist_ok=True)
                for name in ("master.key", FILE_NAME):
                    shutil.copy2(self.place.data_dir / name, beside)
                running.append(stack.enter_context(node(beside, environment, words)))
            self.nodes = running
            if not self._configured:
                self.ask("POST", "/secret")
                for number in range(self.listeners.number):
                    self.ask("POST", "", self.listeners.configuration(number, self.port))
                self._configured = True
            addresses = [urlsplit(one.credentials.base_uri) for one in running]
            self.publisher.tell(
                Connect(
                    [(str(one.hostname), one.port or 80) for one in addresses],
                    running[0].credentials.access_token.reveal(),
                    CONNECTIONS,
                )
            )
            yield

    @property
    def connect(self) -> str:
        """The path of the account's configurations."""
        return f"/restapi/v2.1/accounts/{self.nodes[0].credentials.account_id}/connect"

    @property
    def events(self) -> str:
        """The path of the publish call."""
        return f"{self.connect}/events"

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

    def pause(self, paused: bool) -> None:
        """Let what is published wait, or go."""
        for one in self.ask("GET", "")["configurations"]:
            changed = {"connectId": one["connectId"], "pausePublish": str(paused).lower()}
            self.ask("PUT", "", changed)

    def hang(self, listeners: Sequence[int]) -> None:
        """Let listeners take messages and answer none; theirs count no more."""
        self._hanging = frozenset(listeners)
        self.sink.tell(Hang(list(listeners)))


@contextlib.contextmanager
def rig(bench: Bench, listeners: Listeners | None = None) -> Iterator[Rig]:
    """A new installation, publisher and sink; servers do not run yet."""
    with bench.engine.place() as place, child("sink") as sink, child("publisher") as publisher:
        made = Rig(bench, listeners or Listeners(), place, publisher, sink)
        yield made
        made.tally()


@contextlib.contextmanager
def serving(
    bench: Bench, listeners: Listeners | None = None, *options: str, nodes: int = 1
) -> Iterator[Rig]:
    """A new installation whose servers run until the block ends."""
    with rig(bench, listeners) as made, made.serving(*options, nodes=nodes):
        yield made


def run_of(measured: Sequence[Measured], *rigs: Rig) -> Run:
    """What was measured, and what became of every delivery; the rigs' blocks have ended."""
    lost = repeated = 0
    refused: Counter[int] = Counter()
    for made in rigs:
        assert made.told is not None  # noqa: S101 (for mypy)
        lost += max(0, made.expected - made.told.arrived)
        repeated += made.told.repeated
        refused += made.refused
    return Run(measured, lost, repeated, refused)
