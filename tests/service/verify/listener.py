"""A listener that does all that it should, and the faults that one can have, one at a time.

It verifies, remembers what it has done, and answers how often it has acted under /count.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any

from lxml import etree

KEYS = ("the first key", "the second key")
WITHIN = 1.0
"""Seconds that an answer may take in these tests."""

_CROWDED = 32
_SIGNATURE = re.compile(r"x-docusign-signature-([0-9]+)", re.IGNORECASE)
_ROOT = "DocuSignEnvelopeInformation"
_DEEPEST = 50
_STALE = timedelta(hours=1)


class Refused(Exception):
    """What is answered instead of 200."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Listener:
    """What it knows and does; `fault` is the one that it has, if any."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.acted = 0
        self.done: dict[Any, None] = {}
        self.newest: dict[str, int] = {}
        self.right: set[str] = set()
        self.busy: set[Any] = set()
        self.open = 0
        self.crowded = False
        self.reading = 0
        self.stuck = False
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.of_key: dict[Any, threading.Lock] = {}

    def take(self, headers: Sequence[tuple[str, str]], body: bytes) -> Any:
        """Verify, read, act once; what the message is known by.

        Raises:
            Refused: it is not taken.
        """
        fault = self.fault
        if fault == "checks-afterwards":
            with suppress(Refused):
                self._act(self._verified(headers, body))
            return None
        if fault == "acts-before-it-checks":
            self._act(self._key(body))
        if fault == "notes-before-it-checks":
            key = self._key(body)
            known = key in self.done
            self.done[key] = None
            self._verify(headers, body)
            if not known:
                self.acted += 1
            return key
        return self._act(self._verified(headers, body))

    def _verified(self, headers: Sequence[tuple[str, str]], body: bytes) -> Any:
        self._verify(headers, body)
        return self._key(body)

    def _verify(self, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        fault = self.fault
        signatures = [
            (int(found[1]), value)
            for name, value in headers
            if (found := _SIGNATURE.fullmatch(name))
            and (fault != "wants-capitals" or name.startswith("X-DocuSign"))
        ]
        if fault == "reads-one-digit":
            signatures = [one for one in signatures if one[0] < 10]
        if fault == "reads-the-first-header":
            signatures = [one for one in signatures if one[0] == 1]
        values = [value for _, value in sorted(signatures)]
        if not values and fault == "takes-unsigned":
            return
        if not values and fault == "breaks-without-signature":
            raise Refused(500)
        if values == [""] and fault == "takes-empty-signatures":
            return
        if values and fault == "takes-any-signature":
            return
        keys = KEYS[:1] if fault == "knows-one-key" else KEYS
        bodies = [body]
        if fault == "signs-what-it-writes":
            bodies = [_written(body)]
        elif fault == "takes-what-it-writes":
            bodies.append(_written(body))
        elif fault == "signs-an-empty-body":
            bodies.append(b"")
        right = [_signature(key, one) for key in keys for one in bodies]
        matches = [any(self._same(value, one) for one in right) for value in values]
        enough = all if fault == "wants-every-signature-right" else any
        if not (matches and enough(matches)):
            raise Refused(401)
        self.right.update(values)

    def _same(self, value: str, right: str) -> bool:
        if self.fault == "compares-beginnings":
            return bool(value) and right.startswith(value)
        if self.fault == "remembers-signatures" and value in self.right:
            return True
        return hmac.compare_digest(value.encode(), right.encode())

    def _key(self, body: bytes) -> Any:
        """What tells a message from others.

        Raises:
            Refused: it is none.
        """
        if body.lstrip()[:1] == b"<":
            return self._key_of_xml(body)
        try:
            message = json.loads(body)
            if "event" not in message:
                return self._key_of_aggregate(message)
            return self._key_of_sim(message, body)
        except RecursionError:
            raise Refused(500 if self.fault == "recurses" else 400) from None
        except (ValueError, KeyError, TypeError):
            if self.fault == "swallows-garbage":
                return None
            raise Refused(500 if self.fault == "breaks-on-garbage" else 400) from None

    def _key_of_aggregate(self, message: Any) -> Any:
        if self.fault == "knows-no-aggregate":
            raise Refused(400)
        return message["envelopeId"], message["status"], message["statusChangedDateTime"]

    def _key_of_sim(self, message: Any, body: bytes) -> Any:
        fault, event, data = self.fault, message["event"], message["data"]
        envelope, at = data.get("envelopeId"), message["generatedDateTime"]
        if fault == "refuses-unknown-events" and event == "envelope-unheard-of":
            raise Refused(400)
        if fault == "refuses-unknown-fields" and "anotherField" in message:
            raise Refused(400)
        if fault == "wants-a-summary" and "envelopeSummary" not in data:
            raise Refused(500)
        if fault == "wants-an-envelope" and envelope is None:
            raise Refused(500)
        if fault == "breaks-on-documents" and b"PDFBytes" in body:
            raise Refused(500)
        age = datetime.now(UTC) - datetime.fromisoformat(at[:19] + "+00:00")
        if fault == "refuses-old-messages" and age > _STALE:
            raise Refused(400)
        if fault == "refuses-late-retries" and message["retryCount"] > 9:
            raise Refused(400)
        if fault in ("refuses-what-is-out-of-order", "starts-anew-when-overtaken"):
            self._look_at_order(envelope, at)
        if fault == "knows-repeats-by-digest":
            return hashlib.sha256(body).hexdigest()
        if fault == "knows-repeats-by-envelope":
            return envelope
        return envelope, event, at

    def _look_at_order(self, envelope: str, at: str) -> None:
        digits = int(re.sub(r"\D", "", at))
        with self.lock:
            overtaken = digits < self.newest.get(envelope, 0)
            if overtaken and self.fault == "refuses-what-is-out-of-order":
                raise Refused(409)
            self.acted += overtaken
            self.newest[envelope] = digits if not overtaken else self.newest[envelope]

    def _key_of_xml(self, body: bytes) -> Any:
        fault = self.fault
        if fault == "knows-no-xml":
            raise Refused(415)
        if b"<!DOCTYPE" in body:
            if fault == "takes-doctypes" or (
                fault == "reads-external-entities" and b"SYSTEM" in body
            ):
                return None
            raise Refused(400)
        try:
            root = etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True))
        except etree.XMLSyntaxError:
            raise Refused(500 if fault == "breaks-on-broken-xml" else 400) from None
        if fault == "walks-without-end" and b"<a>" * _DEEPEST in body:
            raise Refused(500)
        if etree.QName(root).localname != _ROOT and fault == "knows-no-soap":
            raise Refused(400)
        status = root.find(f".//{{*}}{_ROOT}/{{*}}EnvelopeStatus")
        if status is None:
            status = root.find("{*}EnvelopeStatus")
        if status is None:
            raise Refused(400)
        if fault == "acts-on-every-xml":
            return object()
        names = ("EnvelopeID", "Status", "TimeGenerated")
        return tuple(status.findtext(f"{{*}}{name}") for name in names)

    def _act(self, key: Any) -> Any:
        fault = self.fault
        if key is None:
            return None
        if fault == "looks-and-then-notes":
            known = key in self.done
            if not known:
                time.sleep(0.05)  # what it does: here others look
            self.done[key] = None
            self.acted += not known
            return key
        with self.lock:
            if fault == "breaks-over-itself" and key in self.busy:
                raise Refused(500)
            self.busy.add(key)
        if fault == "breaks-over-itself":
            time.sleep(0.05)  # what it does: here the next one comes
        crowded = self._is_crowded()
        with self.lock:
            self.busy.discard(key)
            known = key in self.done
            if known and fault == "refuses-repeats":
                raise Refused(409)
            if fault == "loses-some-in-a-crowd" and crowded:
                return key
            self.done[key] = None
            if fault == "forgets" and len(self.done) > 20:
                del self.done[next(iter(self.done))]
            self.acted += not known or fault == "acts-every-time"
        if fault == "is-slow-in-a-crowd" and crowded:
            time.sleep(1.3 * WITHIN)
        return key

    def _is_crowded(self) -> bool:
        """Whether there are many at once; who has such a fault waits until that can be told."""
        if "crowd" not in self.fault:
            return False
        with self.changed:
            self.changed.wait_for(lambda: self.crowded or self.open < 2, 0.5)
            crowded = self.crowded
        if crowded and self.fault == "turns-a-crowd-away":
            raise Refused(503)
        return crowded

    def opened(self, change: int) -> None:
        """So many more connections are open."""
        with self.changed:
            self.open += change
            self.crowded = self.open > _CROWDED or (self.crowded and self.open > 1)
            self.changed.notify_all()


class Handler(BaseHTTPRequestHandler):
    """The HTTP of it."""

    protocol_version = "HTTP/1.1"
    listener: Listener

    def do_GET(self) -> None:
        self._answer(200, str(self.listener.acted).encode())

    def do_POST(self) -> None:
        listener, fault = self.listener, self.listener.fault
        key, status = None, 200
        try:
            body = self._body()
            if fault == "is-slow" or (fault == "is-slow-with-documents" and len(body) > 100_000):
                time.sleep(1.3 * WITHIN)
            if fault.endswith("when-cut"):
                self._take_with_care(body)
                return
            key = listener.take(self.headers.items(), body)
        except Refused as refused:
            status = refused.status
        self._answer(status, str(key).encode())

    def _body(self) -> bytes:
        fault = self.listener.fault
        length = int(self.headers["Content-Length"])
        if fault == "takes-a-little" and length > 100_000:
            self._drop(length)
            raise Refused(413)
        if fault == "gives-up-on-slow-messages":
            return self._hasty(length)
        if fault == "never-lets-go":
            return self._with_a_lock(length)
        return self.rfile.read(length)

    def _with_a_lock(self, length: int) -> bytes:
        """What was begun is never given up where it was cut; one later message pays for it."""
        listener = self.listener
        with listener.changed:
            listener.reading += 1
        try:
            body = self.rfile.read(length)
        except ConnectionResetError:
            body = b""
        with listener.changed:
            listener.reading -= 1
            listener.changed.notify_all()
            if len(body) < length:
                listener.stuck = True
                raise Refused(400)
            listener.changed.wait_for(lambda: listener.reading == 0, 1)
            if listener.stuck:
                listener.stuck = False
                raise Refused(503)
        return body

    def _drop(self, length: int) -> None:
        while length > 0:
            length -= len(self.rfile.read(min(length, 65536)))

    def _hasty(self, length: int) -> bytes:
        until, body = time.monotonic() + WITHIN / 2, b""
        while len(body) < length:
            if time.monotonic() > until:
                self._drop(length - len(body))
                raise Refused(408)
            piece = self.rfile.read1(length - len(body))
            if not piece:
                raise Refused(400)
            body += piece
        return body

    def _take_with_care(self, body: bytes) -> None:
        """Two that look whether their answer has arrived, and draw the wrong conclusion."""
        listener = self.listener
        try:
            listener._verify(self.headers.items(), body)
            key = listener._key(body)
        except Refused as refused:
            self._answer(refused.status, b"")
            return
        with listener.lock:
            mine = listener.of_key.setdefault(key, threading.Lock())
        with mine:
            if key in listener.busy:
                self._answer(503, b"")
                return
            listener._act(key)
            if not self._answer(200, b"") or self._was_cut():
                if listener.fault == "undoes-when-cut":
                    listener.done.pop(key, None)
                else:
                    listener.busy.add(key)

    def _was_cut(self) -> bool:
        """Whether the connection is reset, rather than closed, by who has the answer."""
        try:
            self.rfile.read1(1)
        except ConnectionResetError:
            return True
        return False

    def _answer(self, status: int, body: bytes) -> bool:
        """Answer; whether that went out."""
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            return False
        return True

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


class _Many(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True
    RequestHandlerClass: type[Handler]

    def process_request(self, request: Any, client_address: Any) -> None:
        self.RequestHandlerClass.listener.opened(1)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.RequestHandlerClass.listener.opened(-1)

    def handle_error(self, *_: object) -> None:
        """Connections are cut on purpose."""


class _One(HTTPServer):
    request_queue_size = 512

    def handle_error(self, *_: object) -> None:
        """Connections are cut on purpose."""


@contextmanager
def listening(fault: str = "", tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A listener on a free port; gives `http://127.0.0.1:port`, or `https://localhost:port`."""
    handler = type("OfOne", (Handler,), {"listener": Listener(fault)})
    kind = _One if fault == "takes-turns" else _Many
    with kind(("127.0.0.1", 0), handler) as server:
        begins = "http://127.0.0.1"
        if tls is not None:
            begins = "https://localhost"
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"{begins}:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def _signature(key: str, body: bytes) -> str:
    return base64.b64encode(hmac.digest(key.encode(), body, "sha256")).decode()


def _written(body: bytes) -> bytes:
    try:
        return json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return body
