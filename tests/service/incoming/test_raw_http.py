"""S13: what is not HTTP/1.1, or may be read in two ways, is refused; slow clients are let go."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.cost import Stopwatch
from tests.process import Server, everything, started, statuses
from tests.service.incoming.raw_requests import CHUNKED, LEGAL, REFUSED, SECOND

PLAIN = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
SLOW = 1.0
"""Seconds of each deadline of the servers here."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    deadlines = ("--head-timeout", f"{SLOW}", "--body-timeout", f"{SLOW}", "--idle-timeout", "2")
    with started(tmp_path_factory.mktemp("raw"), *deadlines) as running:
        yield running


def converse(server: Server, *parts: bytes) -> bytes:
    """Send and read until the server closes."""
    with server.open() as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for part in parts:
                connection.sendall(part)
        return everything(connection)


@pytest.mark.parametrize("name", LEGAL)
def test_s13_what_is_legal_is_answered_once(server: Server, name: str) -> None:
    request, status = LEGAL[name]
    assert statuses(converse(server, request)) == [status]


@pytest.mark.parametrize("name", REFUSED)
def test_s13_what_is_not_http_or_ambiguous_is_refused_and_closed(server: Server, name: str) -> None:
    request, status = REFUSED[name]
    answer = converse(server, request)
    assert statuses(answer) == [status]
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Connection: close" in head
    assert set(json.loads(body)) == {"errorCode", "message"}
    assert server.answers


@pytest.mark.parametrize("name", [*LEGAL, *REFUSED])
def test_s13_byte_by_byte_the_same_comes_of_it(server: Server, name: str) -> None:
    request, status = {**LEGAL, **REFUSED}[name]
    if len(request) > 1000:
        pytest.skip("too long to be sent byte by byte within the deadlines")
    if CHUNKED in request:
        # An operation that waits for the body; /healthz answers without it.
        rest = request.partition(b"\r\n")[2]
        token = f"POST {server.connect} HTTP/1.1\r\nAuthorization: Bearer {server.token}\r\n"
        request, status = token.encode() + rest, 400
    with server.open() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for at in range(len(request)):
                connection.sendall(request[at : at + 1])
        assert statuses(everything(connection)) == [status]


def test_s13_a_second_request_before_the_first_answer_is_not_read(server: Server) -> None:
    assert statuses(converse(server, PLAIN + SECOND)) == [200]
    body = b"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    assert statuses(converse(server, body + SECOND)) == [405]
    assert statuses(converse(server, PLAIN + b"\x00\x00")) == [200]


def test_s13_requests_after_answers_are_read_and_idle_ones_are_let_go(server: Server) -> None:
    with server.open() as connection:
        for _ in range(3):
            connection.sendall(PLAIN)
            answer = b""
            while not answer.endswith(b"}"):
                answer += connection.recv(65536)
            assert statuses(answer) == [200]
        began, watch = time.monotonic(), Stopwatch(server.process.pid)
        assert everything(connection) == b""
        assert time.monotonic() - began > 1.5
        assert watch.seconds < 6


def test_s13_a_trailer_does_not_sign_in(server: Server) -> None:
    request = (
        f"POST {server.connect} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        f"2\r\n{{}}\r\n0\r\nAuthorization: Bearer {server.token}\r\n\r\n"
    )
    with server.open() as connection:
        connection.sendall(request.encode())
        assert statuses(connection.recv(65536)) == [401]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", []),
        (b"G", [408]),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: ", [408]),
        (b"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhel", [405]),
    ],
    ids=["silent", "one letter", "within a header", "within a body that nobody waits for"],
)
def test_s13_a_client_that_stops_is_let_go_in_time(
    server: Server, sent: bytes, status: list[int]
) -> None:
    began, watch = time.monotonic(), Stopwatch(server.process.pid)
    assert statuses(converse(server, sent)) == status
    assert time.monotonic() - began > SLOW / 2
    assert watch.seconds < SLOW + 5
    assert server.answers


def test_s13_a_body_that_stops_or_drips_is_given_up(server: Server) -> None:
    head = (
        f"POST {server.connect} HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n"
        f"Authorization: Bearer {server.token}\r\nContent-Type: application/json\r\n\r\n"
    ).encode()
    assert statuses(converse(server, head + b"{")) == [408]
    watch = Stopwatch(server.process.pid)
    with server.open() as connection:
        connection.sendall(head)
        connection.settimeout(0.1)
        answer = b""
        while not answer and watch.seconds < 10:
            connection.sendall(b" ")
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(65536)
        assert statuses(answer) == [408]
    assert watch.seconds < SLOW + 5


def test_s13_a_head_that_drips_is_given_up(server: Server) -> None:
    watch = Stopwatch(server.process.pid)
    with server.open() as connection:
        connection.sendall(PLAIN[:-2])
        connection.settimeout(0.1)
        answer = b""
        while not answer and watch.seconds < 10:
            connection.sendall(b"X: y\r\n")
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(65536)
        assert statuses(answer) == [408]
    assert watch.seconds < SLOW + 5


def test_s13_a_client_that_takes_nothing_of_its_answer_is_let_go(server: Server) -> None:
    configuration = {
        "name": "large",
        "urlToPublishTo": "http://127.0.0.1:4999/",
        "userIds": ["11111111-2222-4333-8444-555555555555"] * 20_000,
    }
    for _ in range(20):
        assert server.call("POST", server.connect, configuration).status == 201
    process = psutil.Process(server.process.pid)
    request = (
        f"GET {server.connect} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {server.token}\r\n\r\n"
    )
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(server.address)
        here = connection.getsockname()[1]
        connection.sendall(request.encode())

        def held() -> bool:
            return any(one.raddr and one.raddr.port == here for one in process.net_connections())

        watch = Stopwatch(server.process.pid)
        while not held():  # the kernel took it first
            assert watch.seconds < 20
        while held():
            assert watch.seconds < 20


def test_s13_a_thousand_idle_connections_leave_room_for_others(tmp_path: Path) -> None:
    few = ("--connections-per-address", "100", "--connections", "150", "--head-timeout", "30")
    with started(tmp_path, *few) as server, contextlib.ExitStack() as stack:
        idle = [stack.enter_context(server.open("127.0.0.2")) for _ in range(1000)]
        # The others were answered at once, and closed.
        turned_away = [statuses(everything(one)) for one in idle[100:]]
        assert turned_away.count([503]) > 800
        assert all(one in ([503], []) for one in turned_away)
        assert server.answers
        for one in idle[:100]:
            one.sendall(PLAIN)
            assert statuses(one.recv(65536)) == [200]
        # In all there may be 150.
        more = [stack.enter_context(server.open("127.0.0.3")) for _ in range(60)]
        assert statuses(everything(more[-1])) == [503]
        for one in (*idle, *more):
            one.close()
        watch = Stopwatch(server.process.pid)
        while statuses(converse(server, PLAIN[:-2] + b"Connection: close\r\n\r\n")) != [200]:
            assert watch.seconds < 10
        shown = server.call("GET", "/metrics").body.decode()
        (line,) = [one for one in shown.splitlines() if 'reason="too_many_connections"' in one]
        assert float(line.rpartition(" ")[2]) >= 900


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: ", b"the head and half of a body"],
    ids=["idle", "slow heads", "slow bodies"],
)
def test_s13_a_thousand_slow_clients_cost_little_and_delay_nobody(
    tmp_path: Path, sent: bytes
) -> None:
    with started(tmp_path, "--head-timeout", "20", "--body-timeout", "20") as server:
        if b"body" in sent:
            sent = (
                f"POST {server.connect} HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n"
                f"Authorization: Bearer {server.token}\r\nContent-Type: application/json\r\n\r\n"
                "{"
            ).encode()
        process = psutil.Process(server.process.pid)
        assert server.answers
        before = process.memory_info().rss
        with contextlib.ExitStack() as stack:
            for number in range(1000):  # 200 from each of five addresses
                client = stack.enter_context(server.open(f"127.0.0.{2 + number % 5}"))
                client.sendall(sent)
            watch = Stopwatch(server.process.pid)
            assert server.answers
            assert watch.seconds < 5
            open_now = [one for one in process.net_connections() if one.status == "ESTABLISHED"]
            assert len(open_now) >= 1000
            assert process.memory_info().rss - before < 64 * 2**20
            used = process.cpu_times().user
            assert server.answers
            assert process.cpu_times().user - used < 1
        watch = Stopwatch(server.process.pid)
        while len([one for one in process.net_connections() if one.raddr]) > 100:
            assert watch.seconds < 20
        assert server.answers


def test_s13_few_descriptors_leave_room_for_attempts(tmp_path: Path) -> None:
    with started(tmp_path, prefix=("prlimit", "--nofile=1200:1200")) as server:
        with contextlib.ExitStack() as stack:
            for _ in range(100):
                stack.enter_context(server.open("127.0.0.2"))
            assert statuses(converse(server, PLAIN)) == [503]
        watch = Stopwatch(server.process.pid)
        while "few_descriptors" not in server.log.read_text():
            assert watch.seconds < 10
        (warning,) = [one for one in server.log.read_text().splitlines() if "few_desc" in one]
        assert json.loads(warning)["connections"] == 1200 - 2 * 512 - 128
