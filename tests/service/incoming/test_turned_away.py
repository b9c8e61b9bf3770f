"""S13: who is one too many gets the 503, whatever it sends and whenever; never a reset."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from heliograph.incoming import dev_certificate
from tests.process import Server, everything, started, statuses

LARGE = 3_000_000


@pytest.fixture(scope="module", params=["http", "https"])
def full(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server that has one connection, and no room for another."""
    folder, options = tmp_path_factory.mktemp("full"), []
    if request.param == "https":
        made = dev_certificate.issue(folder)
        options = ["--tls-cert", str(made.certificate), "--tls-key", str(made.key)]
    with (
        started(folder, "--connections-per-address", "1", *options) as server,
        contextlib.closing(connected(server)) as only,
    ):
        only.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert statuses(only.recv(65536)) == [200]
        yield server


def connected(server: Server) -> socket.socket:
    if server.trust is None:
        return server.open()
    return server.trust.wrap_socket(server.open(), server_hostname="127.0.0.1")


def posted(server: Server, length: int) -> bytes:
    head = f"POST {server.connect} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
    return head.encode() + bytes(length)


@pytest.mark.parametrize("length", [0, 10, LARGE])
def test_s13_who_is_turned_away_reads_503_and_no_reset(full: Server, length: int) -> None:
    for _ in range(12):
        with contextlib.closing(connected(full)) as connection:
            connection.sendall(posted(full, length))
            answer = connection.recv(65536)
            assert statuses(answer) == [503]
            head, _, body = answer.partition(b"\r\n\r\n")
            assert b"Retry-After: 2" in head
            assert json.loads(body)["errorCode"] == "SERVICE_UNAVAILABLE"


def test_s13_who_is_turned_away_and_says_nothing_is_answered_and_let_go(full: Server) -> None:
    with contextlib.closing(connected(full)) as connection:
        assert statuses(everything(connection)) == [503]
    with contextlib.closing(connected(full)) as connection:
        connection.sendall(b"GET /hea")
        assert statuses(everything(connection)) == [503]


def test_s13_a_crowd_that_is_turned_away_reads_503(full: Server) -> None:
    """More at once than are read to the end: as a client library sees it."""
    with ThreadPoolExecutor(60) as crowd:
        asked = [crowd.submit(full.call, "POST", "", bytes(1000)) for _ in range(60)]
        assert [one.result().status for one in asked] == [503] * 60


def test_s13_who_is_turned_away_is_counted_once(tmp_path: Path) -> None:
    with started(tmp_path, "--connections", "1") as server:
        with server.open() as only:
            only.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert statuses(only.recv(65536)) == [200]
            with server.open("127.0.0.2") as other:
                other.sendall(posted(server, 10))
                assert statuses(everything(other)) == [503]
            only.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            shown = everything(only)
        assert b'turned_away_total{reason="too_many_connections"} 1.0' in shown
        assert b'reason="SERVICE_UNAVAILABLE"' not in shown
