"""What heavy calls do to everybody else's turn (S17): `uv run python -m tests.bench.turns --help`.

A real server process with failures, users and configurations in it. While each heavy call runs, one
client asks /healthz and another publishes plain events, one call after the other on connections of
their own; shown is the longest that each of them waited, the least of several runs, since what else
the machine does only adds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

from heliograph.access.credentials_file import Credentials
from heliograph.model.accounts import Role
from heliograph.model.deliveries import GaveUp, Phase, Why
from heliograph.model.people import NewUser
from heliograph.settings import from_environment
from heliograph.store import Store
from heliograph.store.opening import open_store
from tests.busy import hang_times
from tests.cost import Stopwatch
from tests.postgres_server import DURABLE, postgres_server
from tests.process import Server, started
from tests.support import accept, new_event, settled, wanted_configuration

HEALTH_WITHIN: Final = 1.0
PUBLISH_WITHIN: Final = 2.0
"""Seconds that /healthz and a plain publish wait at most (S17)."""

_ALONE: Final = ("--processes", "1")
"""What waits is one process's turn: with several, a call may go to one that does nothing else."""

HANGS: Final = 150.0 * hang_times()
"""Seconds after which a call hangs; one that waits for outcomes takes 110."""


@dataclass(frozen=True)
class Size:
    """How much there is: failures (one an envelope), users, and values or bytes of a body."""

    failures: int = 50_000
    users: int = 10_000
    values: int = 409_000
    body: int = 24 << 20

    @property
    def some(self) -> int:
        """As many ids as a body of 1 MiB has room for."""
        return min(self.failures, 49_000)


@dataclass(frozen=True)
class Heavy:
    """One call; `prepare` is done before each run of it, and is not measured."""

    name: str
    method: str
    path: str
    body: bytes | None = None
    form: str = "application/json"
    accept: str = "application/json"
    status: int = 200


@dataclass(frozen=True)
class Waits:
    """Seconds: the longest wait for /healthz and for a plain publish, and of the call itself."""

    name: str
    status: int
    call: float
    health: float
    publish: float

    @property
    def kept(self) -> bool:
        return self.health <= HEALTH_WITHIN and self.publish <= PUBLISH_WITHIN


def _event(inside: str, envelope: str = "heavy") -> bytes:
    text = f'{{"event":"envelope-sent","data":{{"envelopeId":"{envelope}"{inside}}}}}'
    return text.encode()


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def user_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def bodies(size: Size) -> list[Heavy]:
    """Publishes: many values, long ones, many events."""

    def publish(name: str, body: bytes, form: str = "application/json", status: int = 202) -> Heavy:
        return Heavy(name, "POST", "events", body, form, status=status)

    count, most = size.values, size.body
    members = ",".join(f'"k{number}":1' for number in range(count))
    lines = [_event("", f"line-{number}") for number in range(min(10_000, count))]
    return [
        publish("as many members as may be", _event(f",{members}")),
        publish("as many lists as may be", _event(f',"x":[{",".join(["[]"] * count)}]')),
        publish("as many numbers as may be", _event(f',"x":[{",".join(["1.5"] * count)}]')),
        publish(
            "numbers of 4,000 digits",
            _event(f',"x":[{",".join(["9" * 4000] * (most // 4001))}]'),
            status=400,
        ),
        publish(
            "numbers of 1,000 digits", _event(f',"x":[{",".join(["9" * 1000] * (most // 1001))}]')
        ),
        publish(
            "fractions of 4,000 digits",
            _event(f',"x":[{",".join(["0." + "3" * 4000] * (most // 4003))}]'),
        ),
        publish("one long text", _event(f',"x":"{"x" * most}"')),
        publish("escapes", _event(f',"x":"{chr(92)}u00e9{(chr(92) + "u00e9") * (most // 6 - 1)}"')),
        publish("10,000 events", b"[" + b",".join(lines) + b"]"),
        publish("10,000 lines", b"\n".join(lines), "application/x-ndjson"),
        publish(
            "nested too deep", _event(f',"x":{"[" * (most // 2)}{"]" * (most // 2)}'), status=400
        ),
    ]


def bulk(size: Size) -> list[Heavy]:
    """Calls on many rows."""
    envelopes = [f"f{number}" for number in range(size.some)]
    named = _json({"users": [{"userId": user_id(number)} for number in range(size.users)]})
    changed = _json(
        {"users": [{"userId": user_id(n), "userName": "b"} for n in range(min(size.users, 12_000))]}
    )
    imported = [
        {"email": f"i{number}@example.com", "userName": "i"} for number in range(size.users)
    ]
    historical = {
        "envelopes": envelopes[:9_999],
        "config": {"urlToPublishTo": "http://127.0.0.1:4998/"},
    }
    xml, lines = "application/xml", "application/x-ndjson"
    ids = "".join(f"<envelopeId>{one}</envelopeId>" for one in envelopes[: min(size.some, 24_000)])
    return [
        Heavy(
            "retry_queue of many envelopes",
            "PUT",
            "envelopes/retry_queue",
            _json({"envelopeIds": envelopes}),
        ),
        Heavy(
            "the same in XML",
            "PUT",
            "envelopes/retry_queue",
            f"<connectFailureFilter><envelopeIds>{ids}</envelopeIds></connectFailureFilter>".encode(),
            xml,
        ),
        Heavy("retry_queue of one envelope", "PUT", "envelopes/many/retry_queue"),
        Heavy("retry_queue of a filter", "PUT", "failures/retry_queue?error=nothing%20like%20it"),
        Heavy("retry_queue of all", "PUT", "failures/retry_queue?all=true"),
        Heavy("failures as JSON", "GET", "failures"),
        Heavy("failures as XML", "GET", "failures", accept=xml),
        Heavy("failures as lines", "GET", "failures", accept=lines),
        Heavy("failures of a filter", "GET", "failures?error=nothing%20like%20it"),
        Heavy(
            "historical publish",
            "POST",
            "envelopes/publish/historical",
            _json(historical),
            status=201,
        ),
        Heavy("import of users", "POST", "../users", _json({"newUsers": imported}), status=201),
        Heavy("users into a group", "PUT", "../groups/1/users", named),
        Heavy("users out of a group", "DELETE", "../groups/1/users", named),
        Heavy("changes of users", "PUT", "../users", changed),
        Heavy(
            "groups",
            "POST",
            "../groups",
            _json({"groups": [{"groupName": f"g{n}"} for n in range(min(20_000, size.users * 2))]}),
            status=201,
        ),
        Heavy("closing users", "DELETE", "../users", named),
        Heavy(
            "resuming a configuration",
            "PUT",
            "",
            _json({"connectId": "1", "pausePublish": "false"}),
        ),
        Heavy(
            "retry_queue that waits",
            "PUT",
            "envelopes/retry_queue",
            _json({"envelopeIds": envelopes, "synchronous": "true"}),
        ),
        Heavy(
            "pausing a configuration", "PUT", "", _json({"connectId": "1", "pausePublish": "true"})
        ),
        Heavy("deleting failures of a filter", "DELETE", "failures?error=nothing%20like%20it"),
        Heavy("deleting failures", "DELETE", "failures?all=true"),
        Heavy("deleting the log", "DELETE", "logs"),
        Heavy("deleting a configuration", "DELETE", "1"),
    ]


async def fill(store: Store, account_id: str, size: Size) -> None:
    """Failures of the first configuration, which is paused, and users.

    The second one is paused too: what is published heavily waits, and nothing else is going on.
    """
    url = "http://127.0.0.1:4999/"
    common: Any = {"urlToPublishTo": url, "deliveryOrder": "none"}
    for name, paused in (("envelope-completed", "false"), ("envelope-sent", "true")):
        fields = {**common, "events": [name], "pausePublish": paused}
        await store.create_configuration(wanted_configuration(account_id, **fields))
    for first in range(0, size.failures, 5_000):
        numbers = range(first, min(first + 5_000, size.failures))
        names = [f"f{n}" if n < size.failures * 4 // 5 else "many" for n in numbers]
        events = [
            new_event("envelope-completed", name, f"e{n}")
            for name, n in zip(names, numbers, strict=True)
        ]
        await accept(store, *events, account_id=account_id)
        while claims := (await store.claim(2_000, 2_000)).claims:
            why = GaveUp(Why(Phase.CONNECT, "connect: nobody answers there"))
            await store.settle([settled(claim, why) for claim in claims])
    first_one = wanted_configuration(
        account_id, 1, **common, events=["envelope-completed"], pausePublish="true"
    )
    await store.update_configuration(first_one)
    await store.people.add_groups(account_id, ["all"])
    for first in range(0, size.users, 5_000):
        new = [
            NewUser(user_id(n), f"u{n}@example.com", "u", "", "", Role.VIEWER)
            for n in range(first, min(first + 5_000, size.users))
        ]
        await store.people.add_users(account_id, new)


class Probe(threading.Thread):
    """Makes one small call after the other until it is stopped; keeps the longest wait.

    What other work on the machine takes is left out, as far as it can be known.
    """

    def __init__(self, server: Server, method: str, path: str, body: bytes | None) -> None:
        super().__init__(daemon=True)
        self._process = server.process.pid
        self._call = method, path, body
        self._headers = {
            "Authorization": f"Bearer {server.token}",
            "Content-Type": "application/json",
        }
        self._connection = HTTPConnection(*server.address, timeout=HANGS)
        self._ended = threading.Event()
        self.begun = threading.Event()
        self.longest = 0.0
        self.refused: list[int] = []

    def run(self) -> None:
        over = False
        while not over:
            over = self._ended.is_set()  # one call more then: a short heavy call has its figure too
            watch = Stopwatch(self._process)
            self._connection.request(*self._call, self._headers)
            answer = self._connection.getresponse()
            answer.read()
            if answer.status >= 300:
                self.refused.append(answer.status)
            if self.begun.is_set():
                self.longest = max(self.longest, watch.seconds)
            self.begun.set()
            self._ended.wait(0.002)

    def stop(self) -> None:
        self._ended.set()
        self.join()
        self._connection.close()


@contextlib.contextmanager
def probing(server: Server) -> Iterator[tuple[Probe, Probe]]:
    health = Probe(server, "GET", "/healthz", None)
    plain = Probe(
        server,
        "POST",
        f"{server.connect}/events",
        _event("", "plain").replace(b"-sent", b"-delivered"),
    )
    for probe in (health, plain):
        probe.start()
        probe.begun.wait()
    try:
        yield health, plain
    finally:
        health.stop()
        plain.stop()


def measure(server: Server, heavy: Heavy) -> Waits:
    """One run of a heavy call."""
    url = f"{server.connect}/{heavy.path}".rstrip("/").replace("/connect/../", "/")
    headers = {"Content-Type": heavy.form, "Accept": heavy.accept}
    headers["Authorization"] = f"Bearer {server.token}"
    with probing(server) as (health, plain):
        began = time.perf_counter()
        status = _call(server, heavy, url, headers)
        seconds = time.perf_counter() - began
    assert not health.refused + plain.refused, (heavy.name, health.refused, plain.refused[:9])
    return Waits(heavy.name, status, seconds, health.longest, plain.longest)


def _call(server: Server, heavy: Heavy, url: str, headers: Mapping[str, str]) -> int:
    """The status; the answer is read and forgotten."""
    connection = HTTPConnection(*server.address, timeout=HANGS)
    with contextlib.closing(connection):
        connection.request(heavy.method, url, heavy.body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status


def least(runs: Sequence[Waits]) -> Waits:
    """The least of several runs, each wait by itself."""
    return Waits(
        runs[0].name,
        runs[0].status,
        *(min(getattr(run, field) for run in runs) for field in ("call", "health", "publish")),
    )


def table(found: Sequence[Waits]) -> str:
    """The figures for a person."""
    head = f"{'':<34}{'status':>7}{'call':>9}{'/healthz':>10}{'publish':>9}   seconds"
    lines = [
        f"{one.name:<34}{one.status:>7}{one.call:>9.2f}{one.health:>10.3f}{one.publish:>9.3f}   "
        f"{'' if one.kept else 'NOT KEPT'}"
        for one in found
    ]
    return "\n".join([head, *lines])


@contextlib.contextmanager
def filled(folder: Path, size: Size, *options: str) -> Iterator[Server]:
    """A server with everything in it that the heavy calls are about."""
    with started(folder, *options):
        pass
    data = folder / "data"
    account_id = Credentials.read(data).account_id
    url = options[options.index("--database-url") + 1] if "--database-url" in options else ""

    async def write() -> None:
        settings = from_environment({}, data_dir=data, database_url=url, i_accept_data_loss=True)
        async with open_store(settings) as store:
            await fill(store, account_id, size)

    asyncio.run(write())
    limits = ("--hourly-limit", "0", "--burst-limit", "0", "--token-limit", "0")
    with started(folder, *options, *limits, *_ALONE) as server:
        yield server


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.turns", description=__doc__)
    parser.add_argument("--engine", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--part", type=float, default=1.0, help="of the usual size")
    parser.add_argument("--only", default="", help="calls whose name holds this")
    given = parser.parse_args()
    whole = Size()
    size = Size(*(int(getattr(whole, name) * given.part) for name in Size.__dataclass_fields__))
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        options: list[str] = []
        if given.engine == "postgres":
            options = ["--database-url", stack.enter_context(postgres_server(**DURABLE)).url]
        publishes, others = (
            [heavy for heavy in calls if given.only in heavy.name]
            for calls in (bodies(size), bulk(size))
        )
        size = size if others else replace(size, failures=0, users=0)
        server = stack.enter_context(filled(folder, size, *options))
        print(table([]))  # noqa: T201
        for heavy in (*publishes, *others):
            found = least([measure(server, heavy) for _ in range(given.runs)])
            print(table([found]).partition("\n")[2], flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
