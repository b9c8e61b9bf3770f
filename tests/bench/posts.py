"""What one message costs to make and to post: `uv run python -m tests.bench.posts --help`.

Processor time of this process alone: the listeners are a process beside it that do next to
nothing. A message has 2 KB and two signatures; 64 are under way to 16 listeners.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from statistics import median
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


def _listen(told: Connection, count: int) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()
        servers = [
            await loop.create_server(lambda: Sink(lambda body, at: None), "127.0.0.1", 0)
            for _ in range(count)
        ]
        told.send([server.sockets[0].getsockname()[1] for server in servers])
        await asyncio.Event().wait()

    uvloop.run(serve())


@contextmanager
def listening(count: int) -> Iterator[list[ConnectConfiguration]]:
    """Configurations of so many listeners in another process."""
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_listen, args=(theirs, count), daemon=True)
    process.start()
    try:
        yield [
            wanted_configuration(
                connect_id=number, urlToPublishTo=f"http://127.0.0.1:{port}/hooks/{number}"
            )
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
    """Make and post `posts` messages in each round; a first one is not counted."""
    proofs = Proofs(
        (HmacKey("1", signing.new_secret(), START), HmacKey("2", signing.new_secret(), START))
    )
    clock, events = ManualClock(), _events(posts)
    making, posting, bare = [], [], []
    async with Transport(Guard(Profile.EMULATOR), Budget()) as transport:
        sender = Authorizer(transport, clock, total=100.0)
        for _ in range(1 + _ROUNDS):
            began = time.process_time()
            made = _made(events, configurations, proofs)
            making.append(time.process_time() - began)
            began = time.process_time()
            left = iter(made)
            await asyncio.gather(*(_post(sender, left, proofs) for _ in range(UNDER_WAY)))
            posting.append(time.process_time() - began)
            bare.append(await _bare(made))
    rounds = [[seconds / posts * 1e6 for seconds in part[1:]] for part in (making, posting, bare)]
    return Figures(
        posts,
        len(made[0][1].body),
        *(round(figure, 1) for part in rounds for figure in (median(part), min(part))),
    )


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


async def _bare(made: Sequence[Made]) -> float:
    """Seconds of processor time that the bare client takes for all of them."""
    clients = []
    for number in range(UNDER_WAY):
        port = urlsplit(made[number % len(made)][0].url).port or 0
        _, client = await asyncio.get_running_loop().create_connection(
            lambda: Client("Host: listener\r\n"), "127.0.0.1", port
        )
        clients.append(client)
    left = iter(made)

    async def go_on(client: Client) -> None:
        for _, post in left:
            await client.call("POST", "/hooks", post.body)

    began = time.process_time()
    await asyncio.gather(*map(go_on, clients))
    seconds = time.process_time() - began
    for client in clients:
        client.transport.close()
    return seconds


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
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with listening(LISTENERS) as configurations:
        found = uvloop.run(measure(configurations, given.posts))
    print(json.dumps(asdict(found), indent=2) if given.json else table(found))  # noqa: T201


if __name__ == "__main__":
    main()
