"""Every method x target form x protocol asked for x body: what is answered, and what is logged.

`python -m tests.service.incoming.matrix` plays it over HTTP and HTTPS, and prints the figures.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from heliograph.incoming import dev_certificate
from tests.process import Server, everything, started, statuses

METHODS = (
    *("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"),
    *("COPY", "LOCK", "MKCOL", "MOVE", "PROPFIND", "PROPPATCH", "SEARCH", "UNLOCK", "BIND"),
    *("REBIND", "UNBIND", "ACL", "REPORT", "MKACTIVITY", "CHECKOUT", "MERGE", "M-SEARCH"),
    *("NOTIFY", "SUBSCRIBE", "UNSUBSCRIBE", "PURGE", "MKCALENDAR", "LINK", "UNLINK", "SOURCE"),
    *("PRI", "DESCRIBE", "SMUGGLE", "connect"),
)
"""Those that the parser knows, the one of HTTP/2's preface, one of RTSP, and two of nobody."""

TARGETS = {
    "origin": b"/healthz",
    "origin of an operation": b"/restapi/v2.1/accounts/1/connect",
    "origin of two slashes": b"//a:443",
    "authority": b"a:443",
    "absolute": b"http://a/healthz",
    "asterisk": b"*",
}

UPGRADES = {
    "no upgrade": b"Connection: close\r\n",
    "h2c": b"Upgrade: h2c\r\nHTTP2-Settings: AAA\r\nConnection: Upgrade, HTTP2-Settings, close\r\n",
    "websocket": b"Upgrade: websocket\r\nConnection: upgrade\r\nConnection: close\r\n",
    "upgrade not named": b"Upgrade: a\r\nConnection: close\r\n",
    "upgrade to nothing": b"Connection: close, Upgrade\r\n",
}

BODIES = {
    "no body": (b"", b""),
    "length": (b"Content-Length: 5\r\n", b"hello"),
    "chunked": (b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
}

MOST_LOGGED = 2048
"""Bytes of log that one request may leave."""


@dataclass(frozen=True)
class Played:
    """What one request came to."""

    name: str
    statuses: list[int]
    seconds: float


def requests(methods: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """The name and the bytes of each; all ask for the connection to be closed."""
    for method, target, upgrade, body in itertools.product(methods, TARGETS, UPGRADES, BODIES):
        head, content = BODIES[body]
        line = b"%s %s HTTP/1.1\r\nHost: a\r\n" % (method.encode(), TARGETS[target])
        yield (
            f"{method}, {target}, {upgrade}, {body}",
            line + UPGRADES[upgrade] + head + b"\r\n" + content,
        )


def play(server: Server, methods: Sequence[str] = METHODS) -> list[Played]:
    """Every request on a connection of its own, one after the other."""
    return [Played(name, *_ask(server, request)) for name, request in requests(methods)]


def _ask(server: Server, request: bytes) -> tuple[list[int], float]:
    began = time.monotonic()
    with contextlib.closing(_connected(server)) as connection:
        connection.sendall(request)
        answer = connection.recv(65536)
        seconds = time.monotonic() - began
        if server.trust is not None:
            # TLS has no half of a close: the server would wait for ours.
            with socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as plain:
                plain.shutdown(socket.SHUT_WR)
        return statuses(answer + everything(connection)), seconds


def _connected(server: Server) -> socket.socket:
    if server.trust is None:
        return server.open()
    return server.trust.wrap_socket(server.open(), server_hostname="127.0.0.1")


def main() -> int:
    """Print a line for each transport; the status is 1 where something does not hold."""
    good = True
    for scheme in ("http", "https"):
        with tempfile.TemporaryDirectory() as name:
            folder, options = Path(name), []
            if scheme == "https":
                made = dev_certificate.issue(folder)
                options = ["--tls-cert", str(made.certificate), "--tls-key", str(made.key)]
            with started(folder, *options) as server:
                played = play(server)
            lines = server.log.read_bytes().splitlines(keepends=True)
        once = sum(len(one.statuses) == 1 for one in played)
        answers = Counter(status for one in played for status in one.statuses)
        print(  # noqa: T201
            f"{scheme}: {len(played)} requests, {once} answered once, "
            f"the slowest in {max(one.seconds for one in played):.3f} s; "
            f"answers {dict(sorted(answers.items()))}; log: {sum(map(len, lines))} bytes in "
            f"{len(lines)} lines, the longest of {max(map(len, lines), default=0)} bytes"
        )
        good = good and once == len(played) and max(map(len, lines), default=0) < MOST_LOGGED
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
