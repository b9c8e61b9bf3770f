"""What one message costs to make and to post: `uv run python -m tests.bench.posts --help`.

Processor time of this process alone: the listeners are a process beside it that do next to
nothing. A message has 2 KB and two signatures; 64 are under way to 16 listeners.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import ssl
import time
from argparse import ArgumentParser
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import urlsplit

import uvloop

from heliograph.delivery.attempt import Post, Renderings, compose
from heliograph.egress import Guard, Profile
from heliograph.model.accounts import HmacKey
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.deliveries import Answer, Proofs
from heliograph.model.events import Event
from heliograph.outbound.authorizer import Authorizer
from heliograph.outbound.transport import Budget, Transport
from heliograph.wire.messages import signing
from tests.bench.http import Client, Sink
from tests.pki import Authority, Pair, serving
from tests.support import ACCOUNT, START, ManualClock, published, wanted_configuration

LISTENERS: Final = 16
UNDER_WAY: Final = 64
_BODY: Final = 2000
_ROUNDS: Final = 5


@dataclass(frozen=True, slots=True)
class Figures:
    """Microseconds of processor time a message: the median of the rounds, and the least.

    `bare` is the post of a client that does nothing else, over as many connections: the floor.
    """

    posts: int
    message_bytes: int
    make: float
    make_least: float
    post: float
    post_least: float
    bare: float
    bare_least: float


def _listen(told: Connection, count: int, tls: tuple[Pair, Path] | None) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()
        context = None if tls is None else serving(*tls)
        servers = [
            await loop.create_server(
                lambda: Sink(lambda body, at: None), "127.0.0.1", 0, ssl=context
            )
            for _ in range(count)
        ]
        told.send([server.sockets[0].getsockname()[1] for server in servers])
        await asyncio.Event().wait()

    uvloop.run(serve())


@contextmanager
def listening(count: int, folder: Path | None = None) -> Iterator[list[ConnectConfiguration]]:
    """Configurations of so many listeners in another process, over TLS with a folder for that."""
    base, tls = "http://127.0.0.1", None
    if folder is not None:
        authority = Authority()
        trusted = folder / "trusted.pem"
        trusted.write_text(authority.certificate)
        os.environ["SSL_CERT_FILE"] = str(trusted)
        base, tls = "https://localhost", (authority.pair("localhost"), folder)
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_listen, args=(theirs, count, tls), daemon=True)
    process.start()
    try:
        yield [
            wanted_configuration(connect_id=number, urlToPublishTo=f"{base}:{port}/hooks/{number}")
            for number, port in enumerate(ours.recv(), start=1)
        ]
    finally:
        process.kill()
        process.join()


def _events(count: int) -> list[Event]:
    made = []
    for number in range(count):
        body = published(envelope_id=f"envelope-{number}")
        body["data"]["filler"] = "x" * (_BODY - len(json.dumps(body)))
        document = json.dumps(body).encode()
        made.append(
            Event(
                ACCOUNT, f"event-{number}", "envelope-sent", f"envelope-{number}", START, document
            )
        )
    return made


async def measure(configurations: Sequence[ConnectConfiguration], posts: int) -> Figures:
    """Make and post `posts` messages in each round; the first round of each is not counted."""
    keys = [HmacKey(key_id, signing.new_secret(), START) for key_id in ("1", "2")]
    proofs, events, made = Proofs(tuple(keys)), _events(posts), list[Made]()
    async with (
        Transport(Guard(Profile.EMULATOR), Budget()) as transport,
        _bare(configurations) as bare,
    ):
        sender = Authorizer(transport, ManualClock(), total=100.0)

        async def make() -> None:
            made[:] = _made(events, configurations, proofs)

        async def post() -> None:
            left = iter(made)
            await asyncio.gather(*(_post(sender, left, proofs) for _ in range(UNDER_WAY)))

        async def post_bare() -> None:
            left = iter(made)
            await asyncio.gather(*(_post_bare(client, left) for client in bare))

        figures = []
        for part in (make, post, post_bare):
            rounds = [await _seconds(part) / posts * 1e6 for _ in range(1 + _ROUNDS)][1:]
            figures += [round(median(rounds), 1), round(min(rounds), 1)]
    return Figures(posts, len(made[0][1].body), *figures)


async def _seconds(part: Callable[[], Awaitable[None]]) -> float:
    """Of processor time."""
    began = time.process_time()
    await part()
    return time.process_time() - began


Made = tuple[ConnectConfiguration, Post]


def _made(
    events: Sequence[Event], configurations: Sequence[ConnectConfiguration], proofs: Proofs
) -> list[Made]:
    renderings, made = Renderings(), []
    for number, event in enumerate(events):
        configuration = configurations[number % len(configurations)]
        post = compose(
            event,
            configuration,
            proofs,
            number=1,
            attempt_id=number,
            at=START,
            renderings=renderings,
        )
        made.append((configuration, post))
    return made


async def _post(sender: Authorizer, left: Iterator[Made], proofs: Proofs) -> None:
    for configuration, post in left:
        came_back = await sender.post(configuration, post.headers, post.message, proofs)
        assert isinstance(came_back, Answer), came_back


async def _post_bare(client: Client, left: Iterator[Made]) -> None:
    for _, post in left:
        await client.call("POST", "/hooks", post.body)


@asynccontextmanager
async def _bare(configurations: Sequence[ConnectConfiguration]) -> AsyncIterator[list[Client]]:
    """Connections of a client that does nothing but post, as many as posts are under way."""
    clients, context = [], ssl.create_default_context()
    for number in range(UNDER_WAY):
        place = urlsplit(configurations[number % len(configurations)].url)
        _, client = await asyncio.get_running_loop().create_connection(
            lambda: Client("Host: listener\r\n"),
            place.hostname or "",
            place.port or 0,
            ssl=context if place.scheme == "https" else None,
        )
        clients.append(client)
    yield clients
    for client in clients:
        client.transport.close()


def table(found: Figures) -> str:
    """The figures for a person."""
    head = f"{found.posts} messages of {found.message_bytes} bytes, processor time a message"
    rows = (
        ("render and sign", found.make, found.make_least),
        ("post", found.post, found.post_least),
        ("bare post", found.bare, found.bare_least),
    )
    return "\n".join(
        [
            head,
            *(
                f"  {name:<16}{usual:7.1f} us   least {least:7.1f} us"
                for name, usual, least in rows
            ),
        ]
    )


def main() -> None:
    parser = ArgumentParser(prog="python -m tests.bench.posts", description=__doc__)
    parser.add_argument("--posts", type=int, default=5000, help="in each of the rounds")
    parser.add_argument("--tls", action="store_true", help="to listeners whose URLs are https")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with (
        TemporaryDirectory() as folder,
        listening(LISTENERS, Path(folder) if given.tls else None) as configurations,
    ):
        found = uvloop.run(measure(configurations, given.posts))
    print(json.dumps(asdict(found), indent=2) if given.json else table(found))  # noqa: T201


if __name__ == "__main__":
    main()
