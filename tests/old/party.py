"""The other side of an installation: every listener, and the authorization server, in one."""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from tests.process import PATIENCE

SHOWN = ("Authorization", "Content-Type", "SOAPAction", "webhook-id", "X-Heliograph-Hops")
"""Headers that are the same for the same delivery, whoever sends it."""


@dataclass(frozen=True)
class Message:
    """One post to a listener; `client` is the name in the certificate that was shown."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    client: str | None

    def shown(self, keys: Sequence[str]) -> dict[str, Any]:
        """What can be compared: of the signatures which key made each, whose text is random."""
        made = [base64.b64encode(hmac.digest(key.encode(), self.body, "sha256")) for key in keys]
        signatures: list[int] = []
        while (text := self.headers.get(f"X-DocuSign-Signature-{len(signatures) + 1}")) is not None:
            signatures.append(made.index(text.encode()) if text.encode() in made else -1)
        text = self.body.decode()
        return {
            "headers": {name: self.headers[name] for name in SHOWN if name in self.headers},
            "trace": self.headers["traceparent"].split("-")[1],
            "client": self.client,
            "signed by keys": signatures,
            "body": json.loads(text) if text.startswith("{") else text,
        }


@dataclass
class Party:
    """What is answered, by path (else 200), and what came."""

    base: str = ""
    secure: str = ""
    answers: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def until(self, holds: Callable[[list[Message]], bool]) -> None:
        """Wait until what came fulfils a condition."""
        with self.changed:
            came = self.changed.wait_for(lambda: holds(self.messages), PATIENCE)
        assert came, sorted(one.path for one in self.messages)

    def shown(self, keys: Sequence[str]) -> dict[str, Any]:
        """The messages by path, in the order of their text where any order may be."""
        found: dict[str, Any] = {}
        for one in self.messages:
            found.setdefault(one.path, []).append(one.shown(keys))
        for path, messages in found.items():
            if path != "/ordered":
                messages.sort(key=json.dumps)
        return found

    def take(self, message: Message) -> tuple[int, dict[str, str], bytes]:
        """Note a request; its answer."""
        with self.changed:
            if message.path == "/token":
                form = dict(parse_qsl(message.body.decode()))
                self.asked.append(form)
                token = {"access_token": f"of-{form['client_id']}", "token_type": "Bearer"}
                return 200, {"Content-Type": "application/json"}, json.dumps(token).encode()
            self.messages.append(message)
            self.changed.notify_all()
            status, headers = self.answers.get(message.path, (200, {}))
            return status, headers, b"ok" if status < 300 else b"broken"


@contextlib.contextmanager
def party(tls: ssl.SSLContext, ports: tuple[int, int] = (0, 0)) -> Iterator[Party]:
    """All of it on loopback, in the clear and with TLS; port 0 takes a free one."""
    one = Party()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            message = Message(self.path, dict(self.headers), body, _client(self.connection))
            status, headers, answer = one.take(message)
            self.send_response(status)
            for name, text in {**headers, "Content-Length": str(len(answer))}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments: Any) -> None:
            """Nobody reads it."""

    with contextlib.ExitStack() as parts:
        taken = []
        for port, context in zip(ports, (None, tls), strict=True):
            server = parts.enter_context(ThreadingHTTPServer(("127.0.0.1", port), Handler))
            server.daemon_threads = False
            if context is not None:
                server.socket = context.wrap_socket(server.socket, server_side=True)
            thread = threading.Thread(target=server.serve_forever, args=(0.02,))
            thread.start()
            parts.callback(thread.join)
            parts.callback(server.shutdown)
            taken.append(server.server_address[1])
        one.base, one.secure = f"http://127.0.0.1:{taken[0]}", f"https://localhost:{taken[1]}"
        yield one


def _client(connection: Any) -> str | None:
    if not isinstance(connection, ssl.SSLSocket):
        return None
    certificate: Any = connection.getpeercert()
    return str(certificate["subjectAltName"][0][1]) if certificate else None
