"""S13: every method, target, Upgrade and body is answered once, and whatever a callback raises."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from heliograph.incoming import dev_certificate
from heliograph.incoming.protocol import GuardedProtocol
from heliograph.watch import logs
from tests.process import PATIENCE, Server, everything, started, statuses
from tests.server import serving
from tests.service.incoming import matrix
from tests.service.incoming.test_raw_http import PLAIN

LONG = "x" * 100_000

REQUEST = b"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture(scope="module", params=["http", "https"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder, options = tmp_path_factory.mktemp("matrix"), []
    if request.param == "https":
        made = dev_certificate.issue(folder)
        options = ["--tls-cert", str(made.certificate), "--tls-key", str(made.key)]
    with started(folder, *options) as running:
        yield running


_SOME = [matrix.METHODS[at : at + 6] for at in range(0, len(matrix.METHODS), 6)]


@pytest.mark.parametrize("methods", _SOME, ids=lambda methods: methods[0])
def test_s13_every_method_and_target_is_answered_once_and_soon(
    server: Server, methods: Sequence[str]
) -> None:
    before = len(server.log.read_bytes())
    played = matrix.play(server, methods)
    assert [one for one in played if len(one.statuses) != 1] == []
    assert server.answers  # and what is logged before it is written
    lines = server.log.read_bytes()[before:].splitlines()
    assert len(lines) <= len(played)
    assert max(map(len, lines), default=0) < matrix.MOST_LOGGED


def test_s13_a_request_that_ends_early_is_answered_and_a_whole_one_too(server: Server) -> None:
    if server.trust is not None:
        pytest.skip("TLS ends both ways at once")
    for sent, status in (
        (PLAIN, 200),
        (PLAIN[:-2], 400),
        (b"G", 400),
        (REQUEST[:-2], 405),
        (
            f"POST {server.connect} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n"
            f"Authorization: Bearer {server.token}\r\n\r\n{{".encode(),
            400,
        ),
    ):
        with server.open() as connection:
            connection.sendall(sent)
            connection.shutdown(1)
            assert statuses(everything(connection)) == [status]


CALLBACKS = (
    *("on_message_begin", "on_url", "on_header", "on_headers_complete", "on_body"),
    *("on_message_complete", "_look"),
)


async def test_s13_what_a_callback_raises_is_one_answer_and_a_short_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = (ValueError, RecursionError, MemoryError)
    log = (tmp_path / "log").open("w+b")
    with log, logs.writing("json", "info", log):
        async with serving(tmp_path) as client:
            host, _, port = client.server.base_uri.removeprefix("http://").rpartition(":")
            found = {}
            for name, kind in itertools.product(CALLBACKS, kinds):

                def broken(*_: object, kind: type[Exception] = kind) -> None:
                    raise kind(LONG)

                with monkeypatch.context() as patched:
                    patched.setattr(GuardedProtocol, name, broken)
                    reader, writer = await asyncio.open_connection(host, port)
                    writer.write(REQUEST)
                    async with asyncio.timeout(PATIENCE):
                        found[name, kind] = statuses(await reader.read())
                    writer.close()
            assert found == {key: [500] for key in found}
            shown = (await client.call("GET", "/metrics")).body.decode()
        log.seek(0)
        lines = [line for line in log.read().splitlines() if b"connection_broke" in line]
    assert f'heliograph_turned_away_total{{reason="UNSPECIFIED_ERROR"}} {len(lines)}.0' in shown
    assert len(lines) == len(found)
    assert all(len(line) < matrix.MOST_LOGGED and json.loads(line) for line in lines)
