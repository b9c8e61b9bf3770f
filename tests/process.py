"""A server in a process of its own, and raw sockets to it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from multidict import CIMultiDict

from heliograph.access.credentials_file import Credentials
from tests.busy import hang_times
from tests.server import Reply

PATIENCE = 20.0 * hang_times()
"""Seconds after which an answer is called missing; longer beside busy processes (tests/busy.py)."""


@dataclass(frozen=True)
class Server:
    """A running `heliograph serve`."""

    process: subprocess.Popen[bytes]
    credentials: Credentials
    log: Path
    trust: ssl.SSLContext | None = None

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.credentials.base_uri)
        return str(parts.hostname), int(parts.port or 0)

    @property
    def connect(self) -> str:
        return f"/restapi/v2.1/accounts/{self.credentials.account_id}/connect"

    @property
    def token(self) -> str:
        return self.credentials.access_token.reveal()

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """One call on a connection of its own; `body` is bytes, or what becomes JSON."""
        url = path if path[:1] == "/" else f"{self.connect}/{path}".rstrip("/")
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        with contextlib.closing(self._connection()) as connection:
            kept = {name: value for name, value in sent.items() if value}
            connection.request(method, url, data, kept)
            answer = connection.getresponse()
            return Reply(answer.status, CIMultiDict(answer.getheaders()), answer.read())

    def _connection(self) -> HTTPConnection:
        if self.trust is not None:
            return HTTPSConnection(*self.address, timeout=PATIENCE, context=self.trust)
        return HTTPConnection(*self.address, timeout=PATIENCE)

    def open(self, source: str = "127.0.0.1") -> socket.socket:
        """A connection from an address of loopback."""
        return socket.create_connection(self.address, PATIENCE, (source, 0))

    @property
    def answers(self) -> bool:
        """Whether a normal request gets its answer."""
        return self.process.poll() is None and self.call("GET", "/healthz").status == 200


@contextlib.contextmanager
def started(
    folder: Path,
    *options: str,
    prefix: Sequence[str] = (),
    module: str = "heliograph.cli",
    own_group: bool = False,
    **environment: str,
) -> Iterator[Server]:
    """A server on a free port that admits loopback listeners, relaxed; stopped with the block.

    With `own_group` its number is also that of a group, which only what it starts is in.
    """
    data, log = folder / "data", folder / "server.log"
    words = (
        *(sys.executable, "-m", module, "serve", "--port", "0", "--data-dir", data),
        *("--egress", "emulator", "--fidelity", "relaxed", "--i-accept-data-loss"),
        *("--log-format", "json", *options),
    )
    with log.open("ab") as file:
        process = subprocess.Popen(
            [*prefix, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=file,
            env={**os.environ, "COLUMNS": "200", **environment},
            start_new_session=own_group,
        )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if b"Stop" in line:
                break
        else:
            raise AssertionError(log.read_text())
        credentials = Credentials.read(data)
        trust = None
        if credentials.base_uri.startswith("https"):
            trust = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        yield Server(process, credentials, log, trust)
    finally:
        process.terminate()
        process.wait(PATIENCE)
        if process.stdout is not None:
            process.stdout.close()


def everything(connection: socket.socket, most: int = 2**20) -> bytes:
    """What comes until the other side closes; a reset is an end as well."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while len(found) < most and (piece := connection.recv(65536)):
            found += piece
    return found


def statuses(answers: bytes) -> list[int]:
    """The status of each answer in what came, interim ones too."""
    return [int(found) for found in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", answers)]
