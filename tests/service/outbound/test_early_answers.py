"""An answer that came before the whole message was taken counts, whatever became of the message."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import uvloop

from heliograph.model.configurations import TlsIdentity
from heliograph.model.deliveries import Answer, Fault, Phase
from heliograph.outbound.transport import Budget, Transport
from tests.pki import Authority, serving
from tests.scripted import BODY, EMULATOR, HEADERS, fault, post, threaded

Run = Callable[[Coroutine[Any, Any, Answer | Fault]], Answer | Fault]

WITHIN = 20.0
"""Seconds that a hand-over between the two threads may take."""

both_loops = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


class Late(bytes):
    """A message whose first byte is written once the listener has answered and reset the
    connection; our event loop stands still meanwhile, so that it cannot have read the answer.

    Its length is asked for its head, and again when it is written."""

    may_answer: threading.Event
    gone: threading.Event
    asked = 0

    def __len__(self) -> int:
        self.asked += 1
        if self.asked == 2:
            self.may_answer.set()
            assert self.gone.wait(WITHIN)
        return super().__len__()


@contextlib.contextmanager
def answering_early(answer: bytes, tls: ssl.SSLContext | None) -> Iterator[tuple[int, Late]]:
    """A port, and the message for it: it answers before it has read any of that."""
    body = Late(b"x" * 3_000_000)
    body.may_answer, body.gone = threading.Event(), threading.Event()

    def serve(listening: socket.socket) -> None:
        connection = listening.accept()[0]
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # all is sent at once
        if tls is not None:
            connection = tls.wrap_socket(connection, server_side=True)
        assert body.may_answer.wait(WITHIN)
        connection.sendall(answer)
        # With no time to linger, closing sends the reset that unread bytes would bring.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        body.gone.set()

    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        yield listening.getsockname()[1], body
        thread.join(WITHIN)


def answered(run: Run, answer: bytes, folder: Path | None) -> Answer | Fault:
    """What came of a post to a listener that answers early, over TLS with a folder for that."""
    tls, identity, base = None, None, "http://127.0.0.1"
    if folder is not None:
        authority = Authority()
        tls, base = serving(authority.pair("localhost"), folder), "https://localhost"
        identity = TlsIdentity(None, None, authority.certificate)
    with answering_early(answer, tls) as (port, body):

        async def post() -> Answer | Fault:
            async with Transport(EMULATOR, Budget(total=WITHIN)) as transport:
                return await transport.post(f"{base}:{port}/", HEADERS, body, identity)

        return run(post())


ANSWERS = {
    "with a length": b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig",
    "in chunks": b"HTTP/1.1 413 Too Large\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nbig\r\n0\r\n\r\n",
    "to the end": b"HTTP/1.1 413 Too Large\r\n\r\nbig",
    "after an interim one": b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 413 Too Large\r\nContent-Length: 3"
    b"\r\n\r\nbig",
    "odd": b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nbig",
}


@both_loops
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("how", ANSWERS)
def test_r5_an_answer_that_came_before_a_write_failed_counts(
    run: Run, tls: bool, how: str, tmp_path: Path
) -> None:
    came_back = answered(run, ANSWERS[how], tmp_path if tls else None)
    assert isinstance(came_back, Answer), came_back
    assert (came_back.status, came_back.reason, came_back.body) == (413, "Too Large", b"big")


@both_loops
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_r5_a_2xx_that_came_before_a_write_failed_is_no_reason_to_send_again(
    run: Run, tls: bool, tmp_path: Path
) -> None:
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    came_back = answered(run, ok, tmp_path if tls else None)
    assert isinstance(came_back, Answer), came_back
    assert came_back.status == 200


@both_loops
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nX"])
def test_r5_what_was_cut_before_its_head_had_ended_is_a_fault(
    run: Run, tls: bool, said: bytes, tmp_path: Path
) -> None:
    phase, what = fault(answered(run, said, tmp_path if tls else None))
    assert phase is Phase.WRITE
    assert what.startswith("the listener ")
    assert what.endswith("the connection while the message was being sent")


@both_loops
@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nX", b"HTTP/1.1 103 Hi\r\n\r\n"])
def test_r5_a_reset_in_the_middle_of_an_answer_is_told_at_once(run: Run, said: bytes) -> None:
    """uvloop tells of what came before a reset, and not of the reset."""

    def serve(listening: socket.socket) -> None:
        connection = listening.accept()[0]
        while not connection.recv(65536).endswith(BODY):
            pass
        connection.sendall(said)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    with threaded(serve) as url:
        what = "the listener reset the connection before answering"
        assert fault(run(post(url, budget=Budget(total=WITHIN)))) == (Phase.HEADERS, what)


@both_loops
def test_r5_an_answer_that_came_with_the_end_of_the_handshake_counts(
    run: Run, tmp_path: Path
) -> None:
    authority = Authority()
    tls = serving(authority.pair("localhost"), tmp_path, version=ssl.TLSVersion.TLSv1_2)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    secure = tls.wrap_bio(incoming, outgoing, server_side=True)

    def serve(listening: socket.socket) -> None:
        with listening.accept()[0] as connection:
            while True:
                try:
                    secure.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    connection.sendall(outgoing.read())
                    incoming.write(connection.recv(65536))
            secure.write(ANSWERS["with a length"])
            connection.sendall(outgoing.read())  # in TLS 1.2 the listener's word is the last
            while connection.recv(65536):
                pass

    with threaded(serve) as plain_url:
        url = plain_url.replace("http://127.0.0.1", "https://localhost")
        identity = TlsIdentity(None, None, authority.certificate)

        async def posted() -> Answer | Fault:
            async with Transport(EMULATOR, Budget(total=WITHIN)) as transport:
                return await transport.post(url, HEADERS, BODY, identity)

        came_back = run(posted())
    assert isinstance(came_back, Answer), came_back
    assert (came_back.status, came_back.body) == (413, b"big")
