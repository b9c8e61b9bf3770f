"""Records of TLS that bring no data: a listener may send any number of them at any time."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from heliograph.model.configurations import TlsIdentity
from heliograph.model.deliveries import Answer, Fault, Phase
from heliograph.outbound.transport import Budget, Transport
from tests.scripted import BODY, EMULATOR, HEADERS, OK, fault, threaded
from tests.service.outbound.records import Wire, recording

Run = Callable[[Coroutine[Any, Any, Answer | Fault]], Answer | Fault]
both_loops = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])

WITHIN = 60.0
"""Seconds that a hand-over between the two threads may take."""

BUFFERED = 256 * 1024
"""Bytes, more than are on their way between the two sides."""

RECORD = 16_000
"""Bytes of what is sent at once, about."""

UPDATES = RECORD // 27

EMPTY: dict[str, Callable[[Wire], bytes]] = {
    "tickets": Wire.tickets,
    "key updates": lambda wire: wire.key_updates(UPDATES),
}


async def post(
    url: str, identity: TlsIdentity, body: bytes = BODY, between: Callable[[], None] | None = None
) -> Answer | Fault:
    """What came of a post; of a second one, if something happens `between` the two."""
    async with Transport(EMULATOR, Budget(total=WITHIN, header_bytes=BUFFERED)) as transport:
        came_back = await transport.post(url, HEADERS, body, identity)
        if between is not None:
            assert isinstance(came_back, Answer), came_back
            between()
            came_back = await transport.post(url, HEADERS, body, identity)
        return came_back


class Turns:
    """What a loop had of them, in all and while a listener sent more than is on its way."""

    def __init__(self) -> None:
        self.had = self.meanwhile = 0

    async def post(self, url: str, identity: TlsIdentity | None = None) -> Answer | Fault:
        async def count() -> None:
            while True:
                self.had += 1
                await asyncio.sleep(0)

        counter = asyncio.create_task(count())
        try:
            async with Transport(EMULATOR, Budget(total=WITHIN)) as transport:
                return await transport.post(url, HEADERS, BODY, identity)
        finally:
            counter.cancel()

    def flood(self, connection: socket.socket, piece: Callable[[], bytes]) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        pieces = [piece() for _ in range(3 * BUFFERED // RECORD)]
        begun = len(pieces) // 3
        connection.sendall(b"".join(pieces[:begun]))
        before = self.had  # the other side is at it now
        for one in pieces[begun:]:
            connection.sendall(one)
        self.meanwhile = self.had - before


@both_loops
@pytest.mark.parametrize("kind", EMPTY)
def test_r7_s3_records_without_data_do_not_hold_the_loop(
    run: Run, kind: str, tmp_path: Path
) -> None:
    turns = Turns()

    def serve(wire: Wire) -> None:
        wire.take()
        turns.flood(wire.connection, lambda: EMPTY[kind](wire))
        wire.connection.sendall(wire.data(OK))

    with recording(tmp_path, serve) as (url, identity):
        came_back = run(turns.post(url, identity))
    assert isinstance(came_back, Answer), came_back
    assert turns.meanwhile > 2


@both_loops
def test_r7_s3_a_handshake_that_does_not_get_on_does_not_hold_the_loop(run: Run) -> None:
    """HelloRequest says nothing, and may come at any time (RFC 5246, 7.4.1.1)."""
    turns = Turns()
    hello = b"\x16\3\3" + RECORD.to_bytes(2) + b"\0\0\0\0" * (RECORD // 4)

    def serve(listening: socket.socket) -> None:
        with listening.accept()[0] as connection:
            assert connection.recv(65536)
            turns.flood(connection, lambda: hello)

    with threaded(serve) as url:
        phase, _ = fault(run(turns.post(url.replace("http://127.0.0.1", "https://localhost"))))
    assert phase is Phase.TLS
    assert turns.meanwhile > 2


def test_r13_s3_who_asks_for_new_keys_and_reads_none_is_left(tmp_path: Path) -> None:
    """Each request brings a reply of its size, and the message itself is not taken either."""

    def serve(wire: Wire) -> None:
        for _ in range(400):  # more than the buffers hold, beside the message
            wire.connection.sendall(wire.key_updates(UPDATES, requested=True))
        wire.connection.sendall(wire.data(OK))

    with recording(tmp_path, serve) as (url, identity):
        phase, what = fault(asyncio.run(post(url, identity, b"x" * 30_000_000)))
    assert phase is Phase.WRITE
    assert what == "the listener closed the connection while the message was being sent"


@both_loops
@pytest.mark.parametrize(
    ("records", "ends"), [(1, True), (6, False)], ids=["an end behind a ticket", "no end of them"]
)
def test_r3_tickets_do_not_hide_that_an_idle_connection_has_ended(
    run: Run, records: int, ends: bool, tmp_path: Path
) -> None:
    idle, done = threading.Event(), threading.Event()

    def first(wire: Wire) -> None:
        wire.take()
        wire.connection.sendall(wire.data(OK))
        assert idle.wait(WITHIN)
        wire.connection.sendall(b"".join(wire.tickets() for _ in range(records)))
        if ends:
            wire.connection.close()
        done.set()
        if not ends:
            wire.connection.recv(65536)

    def second(wire: Wire) -> None:
        wire.take()
        wire.connection.sendall(wire.data(OK))

    def between() -> None:  # blocks the loop on purpose: it cannot read what comes
        idle.set()
        assert done.wait(WITHIN)

    with recording(tmp_path, first, second) as (url, identity):
        assert isinstance(run(post(url, identity, between=between)), Answer)
