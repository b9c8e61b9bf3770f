"""What the fixture `heliograph_listener` is: it fires samples, catches messages and serves an app.

All calls are plain ones; what is asynchronous runs on a thread of its own.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from heliograph.egress import Guard, Profile
from heliograph.listen import signatures, zoo
from heliograph.listen.listener import listening
from heliograph.listen.messages import Summary, summarise
from heliograph.listen.requests import Request
from heliograph.listen.signatures import Authenticity
from heliograph.model.accounts import Secret
from heliograph.model.deliveries import Answer, Fault
from heliograph.outbound.transport import Budget, Transport
from heliograph.verify.applications import serving
from heliograph.verify.checks import CHECKS
from heliograph.verify.crafting import Scale, World
from heliograph.verify.plays import Outcome, Post, Verdict
from heliograph.verify.running import Trial, run
from heliograph.wire.messages import signing
from heliograph.wire.samples.changes import change
from heliograph.wire.samples.posts import FORMATS

T = TypeVar("T")

_GUARD: Final = Guard(Profile.EMULATOR)
_BACKLOG: Final = 512


@dataclass(frozen=True, slots=True)
class Answered:
    """What a listener answered to a sample: a status, or the `error` why there is none.

    `seconds` is how long that took.
    """

    status: int | None
    headers: tuple[tuple[str, str], ...]
    body: bytes
    error: str | None
    seconds: float

    @property
    def taken(self) -> bool:
        """Whether DocuSign would count it as delivered."""
        return self.status is not None and 200 <= self.status <= 299


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that came; texts are None where it has none.

    `signed` says whether one of its signatures is right, by the fixture's key. `format` is
    `json`, `json aggregate`, `xml`, `soap` or `other`.
    """

    event: str | None
    envelope_id: str | None
    format: str
    signed: bool
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read as JSON.

        Raises:
            ValueError: it is none.
        """
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Judged:
    """What the conformance kit came to: names of checks, and what it says of those."""

    passed: Sequence[str]
    failed: Mapping[str, str]
    skipped: Mapping[str, str]


class HeliographListener:
    """Fires samples at a listener under test, and is itself a listener, at `url`.

    `key` is the HMAC key that samples are signed with, and arrivals are held against.
    """

    def __init__(self, background: _Background, stack: ExitStack) -> None:
        self.key: str = signing.new_secret().reveal()
        self.url = ""
        self._background = background
        self._stack = stack
        self._arrivals: list[Arrival] = []
        self._changed = threading.Condition()

    @property
    def arrivals(self) -> list[Arrival]:
        """What has come to `url` so far, in order."""
        with self._changed:
            return list(self._arrivals)

    def wait_for(
        self, event: str | None = None, *, count: int = 1, within: float = 5.0
    ) -> list[Arrival]:
        """The first messages that came to `url`, as soon as there are so many.

        Args:
            event: Only those about this event.
            count: How many.
            within: Seconds to wait.

        Raises:
            AssertionError: there were fewer in that time; it says what came.
        """

        def found() -> list[Arrival]:
            return [one for one in self._arrivals if event is None or one.event == event]

        with self._changed:
            if not self._changed.wait_for(lambda: len(found()) >= count, within):
                came = ", ".join(str(one.event) for one in self._arrivals) or "nothing"
                wanted = f"{len(found())} of {count} {event or 'messages'}"
                raise AssertionError(f"{wanted} came in {within:g} s; in all there came {came}")
            return found()[:count]

    def fire(
        self,
        event: str = "envelope-completed",
        *,
        to: str | None = None,
        form: str = "json",
        changes: Mapping[str, str] | None = None,
        documents: int | None = None,
        retry_count: int = 0,
        keys: Sequence[str] | None = None,
        within: float = 100.0,
    ) -> Answered:
        """Make up the message of an event, post it once, and bring back the answer.

        Args:
            event: One of DocuSign's, or any other name.
            to: The listener's URL; without, the fixture's own `url`.
            form: `json`, `aggregate`, `xml` or `soap`.
            changes: Values by their path in the JSON message, as `trigger --set` takes them.
            documents: Bytes of a PDF that is put in; None puts none in.
            retry_count: What the message says of its tries.
            keys: HMAC keys to sign with, instead of `key`; none leaves it unsigned.
            within: Seconds that the answer may take.

        Raises:
            ValueError: there is no such message, or a path of `changes` is not in it.
        """
        if form not in FORMATS:
            raise ValueError(f"there is no format {form!r}: there are {', '.join(FORMATS)}")
        world = World(datetime.now(UTC), Secret(self.key))
        message = world.message(event, documents=documents, retry=retry_count)
        for path, value in (changes or {}).items():
            change(message, path, value)
        return self._post(to, world, message, form, documents is not None, keys, within)

    def tell(
        self, *, to: str | None = None, keys: Sequence[str] | None = None, within: float = 100.0
    ) -> list[Answered]:
        """Fire all messages about an envelope that two people sign, in DocuSign's order."""
        world = World(datetime.now(UTC), Secret(self.key))
        return [
            self._post(to, world, message, "json", False, keys, within) for message in world.story()
        ]

    def verify(
        self,
        url: str,
        *,
        only: Sequence[str] | None = None,
        skip: Sequence[str] = (),
        formats: Sequence[str] = ("json",),
        probe: str | None = None,
        signed: bool = True,
        within: float = 5.0,
    ) -> Judged:
        """Play the checks of the conformance kit against a listener (docs/reference/verify.md).

        Args:
            url: The listener; it knows `key`.
            only: Names of checks; None plays all.
            skip: Names of checks that are left out.
            formats: What it takes; the first is sent where none is meant.
            probe: A URL that answers how often it has acted.
            signed: Whether it checks signatures.
            within: Seconds that an answer may take.

        Raises:
            KeyError: there is no such check.
            running.Unreachable: the listener answers nothing.
            running.NoCount: the probe tells no number.
        """
        wanted = [CHECKS[name] for name in (CHECKS if only is None else only)]
        left_out = {CHECKS[name].name for name in skip}
        world = World(
            datetime.now(UTC),
            Secret(self.key) if signed else None,
            formats=formats,
            scale=Scale(slow=1.2 * within),
        )

        async def played() -> list[Verdict]:
            checks = [check for check in wanted if check.name not in left_out]
            return [one async for one in run(Trial(url, world, probe, within), checks)]

        verdicts = self._background.run(played())
        of = {
            outcome: {one.check.name: one.said for one in verdicts if one.outcome is outcome}
            for outcome in Outcome
        }
        return Judged(list(of[Outcome.PASSED]), of[Outcome.FAILED], of[Outcome.SKIPPED])

    def serve(self, app: Any) -> str:
        """Serve a WSGI or ASGI application on a free port until the test ends.

        Returns:
            Its address, `http://127.0.0.1:port`.
        """
        sock = self._stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG))
        self._stack.enter_context(serving(app, sock))
        return f"http://127.0.0.1:{sock.getsockname()[1]}"

    def _post(
        self,
        to: str | None,
        world: World,
        message: Mapping[str, Any],
        form: str,
        documents: bool,
        keys: Sequence[str] | None,
        within: float,
    ) -> Answered:
        post = world.unsigned(message, form, documents=documents)
        signers = [self.key] if keys is None else keys
        signed = world.signed(post, *map(Secret, signers)) if signers else post
        return self._background.run(_exchange(to or self.url, signed, within))

    def take(self, request: Request) -> None:
        told: Summary = summarise(request)
        right = signatures.check(request, [Secret(self.key)]).authenticity is Authenticity.MATCHED
        arrival = Arrival(
            *(told.event, told.envelope_id, told.format, right, request.headers, request.body)
        )
        with self._changed:
            self._arrivals.append(arrival)
            self._changed.notify_all()


@contextmanager
def running() -> Iterator[HeliographListener]:
    """The fixture's value: it listens on a free port of loopback until the context ends."""
    with ExitStack() as stack:
        background = stack.enter_context(_background())
        mine = HeliographListener(background, stack)
        end = asyncio.Event()
        begun: list[str] = []
        started = threading.Event()

        async def listen() -> None:
            async with listening(zoo.make("accept", on_request=mine.take)) as listener:
                begun.append(f"{listener.base_url}/")
                started.set()
                await end.wait()

        task = background.start(listen())
        task.add_done_callback(lambda _: started.set())
        started.wait()
        if not begun:
            task.result()
        mine.url = begun[0]
        stack.callback(task.result)
        stack.callback(background.call, end.set)
        yield mine


class _Background:
    """An event loop on a thread of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def start(self, doing: Coroutine[Any, Any, T]) -> Any:
        return asyncio.run_coroutine_threadsafe(doing, self._loop)

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        done: T = self.start(doing).result()
        return done

    def call(self, what: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(what)


@contextmanager
def _background() -> Iterator[_Background]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="heliograph_listener")
    thread.start()
    try:
        yield _Background(loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


async def _exchange(url: str, post: Post, within: float) -> Answered:
    began = time.monotonic()
    async with Transport(_GUARD, Budget(total=within)) as transport:
        back = await transport.post(url, post.headers, post.body, fresh=True)
    seconds = time.monotonic() - began
    error = back.what if isinstance(back, Fault) else None
    answer: Answer | None = back.answer if isinstance(back, Fault) else back
    if answer is None or error is not None:
        return Answered(None, (), b"", error, seconds)
    return Answered(answer.status, tuple(answer.headers), answer.body, None, seconds)
