"""Posts through real sender processes to real sockets: the same answers, and what ends cost."""

from __future__ import annotations

import asyncio
import base64
import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from heliograph.clock import Clock, SystemClock
from heliograph.egress import Guard
from heliograph.model.deliveries import NO_PROOFS, Answer, Body, Fault, Phase, Proofs
from heliograph.outbound.authorizer import Authorizer
from heliograph.outbound.transport import Budget, Transport
from heliograph.senders import frames
from heliograph.senders import handing as module
from heliograph.senders.frames import Handed
from heliograph.senders.handing import LIGHT, Handing, handing
from tests.busy import hang
from tests.scripted import (
    BODY,
    EMULATOR,
    HEADERS,
    OK,
    PUBLIC,
    Listener,
    Peer,
    keep_answering,
    listening,
    says,
)
from tests.scripted import hang as hanging
from tests.service.outbound.staged import authorization, configuration
from tests.support import ManualClock, wanted_configuration


@asynccontextmanager
async def hands(
    guard: Guard = EMULATOR, *, most: int = 1, clock: Clock | None = None, total: float = 20.0
) -> AsyncIterator[Handing]:
    clock = clock or SystemClock()
    async with Transport(guard, Budget(total=total)) as transport:
        here = Authorizer(transport, clock, total=total)
        async with handing(here, guard, clock, most=most, total=total, in_flight=64) as made:
            yield made


async def post(
    to: Handing, url: str, body: Body = BODY, proofs: Proofs = NO_PROOFS, **fields: Any
) -> Answer | Fault:
    configuration = wanted_configuration(connect_id=7, urlToPublishTo=url, **fields)
    return await to.post(configuration, HEADERS, body, proofs, last=False)


@asynccontextmanager
async def started(
    monkeypatch: pytest.MonkeyPatch, guard: Guard = EMULATOR, **options: Any
) -> AsyncIterator[Handing]:
    """With its first process running, which the first post has started."""
    monkeypatch.setattr(module, "BUSY", 1)
    async with hands(guard, **options) as to, listening(keep_answering) as listener:
        async with hang(20):
            while len(to.processes) < options.get("most", 1):
                await post(to, listener.url)
                await asyncio.sleep(0)  # what the guard refuses takes no turn of the loop
        yield to


async def ended(process: int) -> None:
    """Once a process is there no more."""
    async with hang(20):
        while Path(f"/proc/{process}").exists():
            await asyncio.sleep(0)


@asynccontextmanager
async def in_flight(to: Handing, count: int = 3) -> AsyncIterator[list[asyncio.Task[Any]]]:
    """Posts that have come to a listener which does not answer."""
    came = asyncio.Semaphore(0)

    async def silent(listener: Listener, peer: Peer) -> None:
        await listener.take(peer)
        came.release()
        await hanging(listener, peer)

    async with listening(silent) as listener:
        posts = [asyncio.create_task(post(to, listener.url)) for _ in range(count)]
        async with hang(20):
            for _ in posts:
                await came.acquire()
        yield posts


async def test_a_server_at_rest_has_no_process_beside_it() -> None:
    async with hands() as to, listening(says(OK)) as listener:
        await asyncio.gather(*(post(to, listener.url) for _ in range(module.BUSY - 1)))
        assert to.started == 0
        await asyncio.gather(*(post(to, listener.url) for _ in range(module.BUSY)))
        assert to.started == 1


async def test_what_comes_back_is_what_would_come_back_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = b"HTTP/1.1 418 I'm a \xfeteapot\r\nX-A: \xc3\xa9\xff\r\nContent-Length: 3\r\n\r\npot"
    async with started(monkeypatch) as to, listening(says(answer)) as listener:
        for url in (listener.url, "http://127.0.0.1:1/", "http://nowhere.invalid/"):
            wanted = wanted_configuration(connect_id=7, urlToPublishTo=url)
            there = await to.post(wanted, HEADERS, BODY, NO_PROOFS, last=True)
            assert there == await to.here.post(wanted, HEADERS, BODY, last=True)
    first, second = listener.requests
    assert first == second
    assert first[1] == BODY


async def test_credentials_go_along_and_their_changes_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with started(monkeypatch) as to, listening(says(OK)) as listener:
        for password in ("one", "other"):
            wanted = configuration(listener.url, {"password": password}, userName="zoe")
            await to.post(wanted, HEADERS, BODY, NO_PROOFS, last=False)
    assert [authorization(listener, at) for at in (0, 1)] == [
        f"Basic {base64.b64encode(pair).decode()}" for pair in (b"zoe:one", b"zoe:other")
    ]


async def test_s1_a_process_posts_past_the_same_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    async with started(monkeypatch, PUBLIC) as to, listening(says(OK)) as listener:
        came_back = await post(to, listener.url)
    assert isinstance(came_back, Fault)
    assert came_back.phase is Phase.REFUSED_ADDRESS
    assert listener.connections == 0


async def test_what_is_large_stays_here(monkeypatch: pytest.MonkeyPatch) -> None:
    async with started(monkeypatch) as to, listening(says(OK)) as listener:
        (process,) = to.processes
        os.kill(process, signal.SIGSTOP)  # what is handed over would wait
        async with hang(20):
            await post(to, listener.url, b"x" * (LIGHT + 1))
            await post(to, listener.url, (b"x", b"y"))
            await post(to, listener.url, name="x" * LIGHT)
        os.kill(process, signal.SIGCONT)
    assert len(listener.requests) == 3


async def test_more_listeners_than_a_process_knows_are_told_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_LISTENERS", 3)
    async with started(monkeypatch) as to, listening(says(OK)) as listener:
        wanted = [
            wanted_configuration(connect_id=one, urlToPublishTo=listener.url) for one in range(8)
        ]
        posts = [to.post(one, HEADERS, BODY, NO_PROOFS, last=False) for one in wanted * 2]
        came_back = await asyncio.gather(*posts)
    assert [one.status for one in came_back if isinstance(one, Answer)] == [200] * 16


async def test_a_listener_that_changes_all_the_time_is_forgotten_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_LISTENERS", 3)
    written: list[Any] = []
    write = frames.write

    def noting(writer: asyncio.StreamWriter, frame: Any) -> None:
        written.append(frame)
        write(writer, frame)

    monkeypatch.setattr(frames, "write", noting)
    async with started(monkeypatch) as to, listening(keep_answering) as listener:
        for number in range(12):
            wanted = configuration(listener.url, {"password": f"{number // 2}"}, userName="zoe")
            await to.post(wanted, HEADERS, BODY, NO_PROOFS, last=False)
    handed = [frame for frame in written if isinstance(frame, Handed)]
    # Each is told once, though it is another object each time; no more than three are known.
    assert sum(len(frame.listeners) for frame in handed) == 6
    assert sum(frame.forget for frame in handed) == 1


async def test_r9_a_process_that_cannot_be_started_costs_no_post(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise BlockingIOError(errno.EAGAIN, "no process is left")

    monkeypatch.setattr(module, "_PAUSE", 0.0)  # for which none would be started in any case
    async with hands() as to, listening(keep_answering) as listener:
        with monkeypatch.context() as without:
            without.setattr(subprocess, "Popen", refuse)
            posts = (post(to, listener.url) for _ in range(module.BUSY + 1))
            assert all(isinstance(one, Answer) for one in await asyncio.gather(*posts))
        # They are counted down again: a few at once are few.
        await asyncio.gather(*(post(to, listener.url) for _ in range(module.BUSY - 1)))
        assert to.started == 0


async def test_what_breaks_there_breaks_as_it_does_here(monkeypatch: pytest.MonkeyPatch) -> None:
    async with started(monkeypatch) as to, listening(says(OK)) as listener:
        wanted = wanted_configuration(connect_id=7, urlToPublishTo=listener.url)
        odd = [("X-Odd", "two\nlines")]
        with pytest.raises(ValueError, match="control character"):
            await to.here.post(wanted, odd, BODY)
        with pytest.raises(module.SenderBroke, match="control character"):
            await to.post(wanted, odd, BODY, NO_PROOFS, last=False)


async def test_r5_a_process_that_ends_leaves_what_it_had_as_failed_by_our_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = ManualClock()
    async with started(monkeypatch, clock=clock) as to, in_flight(to) as posts:
        (process,) = to.processes
        os.kill(process, signal.SIGKILL)
        for came_back in await asyncio.gather(*posts):
            assert isinstance(came_back, Fault)
            assert came_back.ours
            assert "ended before the listener had answered" in came_back.what
        await ended(process)
        # Nothing is handed over for a while: what ends whoever sends it would end us (R17).
        assert to.started == 1
        clock.move(9)
        async with listening(keep_answering) as listener:
            await post(to, listener.url)
        assert to.started == 1
        clock.move(2)
        async with hang(20), listening(keep_answering) as listener:
            while not to.processes:
                await post(to, listener.url)
        assert to.started == 2


async def test_a_process_that_stands_still_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    async with started(monkeypatch, clock=clock, total=20.0) as to, in_flight(to, 1) as (waiting,):
        (process,) = to.processes
        os.kill(process, signal.SIGSTOP)
        clock.move(25)  # it may be about to say that the time is over
        await clock.until_waited_for()
        assert not waiting.done()
        clock.move(10)
        async with hang(20):
            assert isinstance(await waiting, Fault)
        await ended(process)


async def test_a_process_that_never_begins_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    monkeypatch.setattr(module, "BUSY", 1)
    async with hands(clock=clock) as to, listening(keep_answering) as listener:
        await post(to, listener.url)
        (process,) = (
            one.pid for one in psutil.Process().children() if "senders" in str(one.cmdline())
        )
        os.kill(process, signal.SIGSTOP)
        clock.move(31)
        await ended(process)


async def test_a_post_that_is_cancelled_is_given_up_there(monkeypatch: pytest.MonkeyPatch) -> None:
    async with started(monkeypatch) as to, listening(hanging) as listener:
        waiting = asyncio.create_task(post(to, listener.url))
        async with hang(20):
            while not listener.connections:
                await asyncio.sleep(0)
            waiting.cancel()
            await listener.ended.wait()
        assert waiting.cancelled()


async def test_posts_are_spread_over_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    async with started(monkeypatch, most=3) as to, in_flight(to, 6) as posts:
        assert len(to.processes) == 3
        for process in to.processes:
            os.kill(process, signal.SIGKILL)
        assert all(isinstance(one, Fault) for one in await asyncio.gather(*posts))


async def test_the_processes_end_with_the_block_and_with_their_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with started(monkeypatch, most=2) as to:
        processes = list(to.processes)
    for process in processes:
        assert not Path(f"/proc/{process}").exists()


async def test_s7_a_process_is_given_no_setting_and_so_no_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HELIOGRAPH_DATABASE_URL", "postgresql://u:canary@db/h")
    async with started(monkeypatch) as to:
        (process,) = to.processes
        assert b"canary" not in Path(f"/proc/{process}/environ").read_bytes()
        assert b"PATH=" in Path(f"/proc/{process}/environ").read_bytes()


async def test_a_process_ends_with_its_server_however_that_ended() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "heliograph.senders.process", str(theirs.fileno())),
            pass_fds=[theirs.fileno()],
        )
    async with hang(20):
        assert await process.wait() == 0
