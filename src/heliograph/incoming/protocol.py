"""HTTP/1.1 as strict as RFC 9112 allows, with a deadline for each thing a client must do (S13).

uvicorn's protocol over llhttp does the parsing; here is what it lets through and a server
must not: a request that never ends, a head without bounds, forms of a request target that
only proxies need, trailers that become headers, a second request that nobody counted.

A client that pipelines gets an answer to its first request and is then disconnected, which
RFC 9112 (9.3.2) has it expect; so no bytes after a request are ever taken for another one
before the first is answered.

Whatever a callback raises ends in one answer and the end of the connection: the loop would
only log it, and leave the client waiting.
"""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Callable
from enum import Enum, auto
from typing import Concatenate, Final, ParamSpec, TypeVar
from urllib.parse import unquote

import httptools
import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from heliograph.errors import (
    ApiError,
    HeadTooLarge,
    MalformedRequest,
    RequestTimedOut,
    TargetTooLong,
    Unspecified,
    VersionNotSupported,
)
from heliograph.incoming.bounds import MOST_HEAD, MOST_TOLD, Bounds
from heliograph.incoming.exchange import Common, Exchange
from heliograph.watch.logs import told
from heliograph.wire.media_types import error_body

_LINGER: Final = 2.0
"""Seconds in which what still comes after the last answer is thrown away: a close with unread
bytes is a reset, which would overtake the answer (RFC 9112, 9.6)."""

_TARGET: Final = re.compile(rb"/[!\"$-~]*")
"""The origin form (RFC 9112, 3.2.1) in visible ASCII, without a fragment."""

_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]*)(?::[0-9]{0,5})?")

_ASGI: Final = {"version": "3.0", "spec_version": "2.4"}

_NO_UPGRADE: Final = (b"upgrade", b"http2-settings")

_log = structlog.get_logger()

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


class _Phase(Enum):
    HEAD = auto()
    """Between requests, or within a head."""
    BODY = auto()
    DONE = auto()
    """The whole request is here; its answer is not complete, or nothing came after it."""
    DEAF = auto()
    """Whatever still comes is thrown away."""


class _StopParsingError(Exception):
    """Ends the parser's work from within one of its callbacks."""


def _guarded(
    callback: Callable[Concatenate[GuardedProtocol, _Given], _Result],
) -> Callable[Concatenate[GuardedProtocol, _Given], _Result | None]:
    """A callback of the loop; whatever it raises ends the connection."""

    @functools.wraps(callback)
    def guarded(
        self: GuardedProtocol, /, *args: _Given.args, **kwargs: _Given.kwargs
    ) -> _Result | None:
        try:
            return callback(self, *args, **kwargs)
        except Exception as bug:
            self._broke(bug)
            return None

    return guarded


class GuardedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        bounds: Bounds,
        common: Common,
        gone: Callable[[], None],
        refused: Callable[[str], None],
        full: ApiError | None = None,
    ) -> None:
        """`gone` is called when the connection has ended, `refused` with an error's code.

        `full` is the answer of a connection that is one too many: to its request, which must be
        read first, for a close before that is a reset.
        """
        super().__init__(config, server_state, {}, asyncio.get_running_loop())
        self.timeout_keep_alive = bounds.idle_timeout  # type: ignore[assignment]
        self._bounds = bounds
        self._common = common
        self._gone = gone
        self._refused = refused
        self.url = b""  # uvicorn sets both with the first byte of a request
        self.headers = []
        self._phase = _Phase.HEAD
        self._head_bytes = 0
        self._full = full
        self._refusal: ApiError | None = None
        self._read_anew = False
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def hurry(self) -> None:
        """End a connection that is one too many."""
        if self._full is not None and self._phase is not _Phase.DEAF:
            self._refuse(self._full)
        self.transport.close()

    def left(self) -> None:
        """The connection has ended, maybe before it was made."""
        self._gone()

    @_guarded
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The head's deadline begins with the connection."""
        super().connection_made(transport)
        self._give(self._bounds.head_timeout if self._full is None else _LINGER)

    @_guarded
    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left running."""
        try:
            self._take_back()
            self.resume_writing()
            self._unset_keepalive_if_required()
            super().connection_lost(exc)
        finally:
            self.left()

    @_guarded
    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more; it may still read, and then gets its answer."""
        if self.scheme == "https" or not self._is_owed:  # TLS ends both ways at once
            return False
        if self._phase in (_Phase.HEAD, _Phase.BODY):
            self._refuse(MalformedRequest("The request ended before it was whole."))
            return False
        self.cycle.keep_alive = False
        return True

    @_guarded
    def data_received(self, data: bytes) -> None:
        """Feed the parser, and answer what it objects to."""
        if self._phase is _Phase.DEAF:
            return
        self._unset_keepalive_if_required()
        if self._phase is _Phase.DONE and self.cycle.response_complete:
            self._next_head()
        if self._phase is _Phase.HEAD:
            self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._read_without_upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserCallbackError as error:
            self._stopped(error)
            return
        except httptools.HttpParserError as error:
            self._objected(error)
            return
        if self._phase is _Phase.HEAD:
            if self._head_bytes > MOST_HEAD:
                self._refuse(self._too_large())
            elif self._head_bytes:
                self._give(self._bounds.head_timeout)
        elif self._phase is _Phase.BODY:
            self._give(self._bounds.body_timeout)

    @_guarded
    def pause_writing(self) -> None:
        """A client that takes nothing of its answer has as long as for a body."""
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(self._bounds.body_timeout, self._abort)

    @_guarded
    def resume_writing(self) -> None:
        """It took something."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    @_guarded
    def on_response_complete(self) -> None:
        """What is closed now has some time to take the last bytes."""
        super().on_response_complete()
        if self._phase is _Phase.DEAF:
            self._unset_keepalive_if_required()
        elif self.transport.is_closing():
            self._give(self._bounds.body_timeout)

    @_guarded
    def timeout_keep_alive_handler(self) -> None:
        """The connection was idle for too long."""
        super().timeout_keep_alive_handler()
        self._phase = _Phase.DEAF
        self._give(_LINGER)

    def on_message_begin(self) -> None:
        """A request begins; there must be none before it that is not answered."""
        if self._phase is _Phase.DONE and self.cycle.response_complete:
            self._next_head()
        if self._phase is not _Phase.HEAD:
            raise _StopParsingError
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; a trailer is dropped, or it would join the headers that were checked."""
        if self._phase is _Phase.HEAD:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is here: look at it before anything else does."""
        self._refusal = self._full or self._look()
        if self._refusal is not None:
            raise _StopParsingError
        if self.parser.should_upgrade():
            return
        self._take_back()
        self._read_anew = False
        self._phase = _Phase.BODY
        self._begin()

    def on_message_complete(self) -> None:
        """The whole request is here."""
        if self.parser.should_upgrade():
            return
        super().on_message_complete()
        self._take_back()
        self._phase = _Phase.DONE

    def _begin(self) -> None:
        """Have the application answer what was asked."""
        version, (raw_path, _, query) = self.parser.get_http_version(), self.url.partition(b"?")
        path = raw_path.decode("ascii")
        scope = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "method": self.parser.get_method().decode("ascii"),
            "root_path": "",
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": self.headers,
        }
        exchange = Exchange(
            scope,
            self.transport,
            self.flow,
            self._common.lines(self.server_state.default_headers),
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            expects=self.expect_100_continue,
            complete=self._answered,
        )
        self.cycle = exchange  # type: ignore[assignment]
        task = self.loop.create_task(self._answer(exchange))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    async def _answer(self, exchange: Exchange) -> None:
        try:
            await exchange.run(self.app)
        except BaseException as bug:  # cancelled, where a stop waits no longer
            self._broke(bug)

    def _answered(self) -> None:
        if not self.cycle.keep_alive:
            self._finish()
        self.on_response_complete()

    def _look(self) -> ApiError | None:
        version = self.parser.get_http_version()
        if version not in ("1.1", "1.0"):
            return VersionNotSupported(f"HTTP/{version} is not spoken here: use HTTP/1.1.")
        if self._head_bytes > MOST_HEAD and self._size() > MOST_HEAD:
            return self._too_large()
        if self.parser.get_method() == b"CONNECT" or not _TARGET.fullmatch(self.url):
            return MalformedRequest("The request target must be a path, in ASCII, and no tunnel.")
        hosts: list[bytes] = []
        lengths: list[bytes] = []
        codings: list[bytes] = []
        for name, value in self.headers:
            if name == b"host":
                hosts.append(value.strip(b" \t"))
            elif name == b"content-length":
                lengths.append(value.strip(b" \t"))
            elif name == b"transfer-encoding":
                codings.append(value.lower())
            elif name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
        if len(hosts) > 1 or (not hosts and version == "1.1"):
            return MalformedRequest("A request has one Host header.")
        if hosts and not _HOST.fullmatch(hosts[0]):
            return MalformedRequest("The Host header is no host.")
        if len(lengths) > 1 or (lengths and (codings or not lengths[0].isdigit())):
            return MalformedRequest(
                "A body's length is given once: as Content-Length or by Transfer-Encoding."
            )
        if codings and (codings != [b"chunked"] or version == "1.0"):
            return MalformedRequest("The only Transfer-Encoding is chunked, in HTTP/1.1.")
        return None

    def _size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _too_large(self) -> ApiError:
        if len(self.url) > MOST_HEAD // 2:
            return TargetTooLong(f"The request target and headers have over {MOST_HEAD} bytes.")
        return HeadTooLarge(f"The request's head is larger than {MOST_HEAD} bytes.")

    def _stopped(self, error: Exception) -> None:
        """A callback of the parser raised; httptools keeps what in the context."""
        why = error.__context__ or error
        if not isinstance(why, _StopParsingError):
            self._broke(why)
        elif self._refusal is not None:
            self._refuse(self._refusal)
        else:
            self._read_no_more()

    def _read_no_more(self) -> None:
        """More came before the answer: it stays unread, and the client repeats it."""
        self.cycle.keep_alive = False
        self._phase = _Phase.DEAF

    def _objected(self, error: Exception) -> None:
        """The parser does not take what came."""
        if self._phase is _Phase.DONE:
            self._read_no_more()
        elif not self.headers and self.url == b"*" and self.parser.get_method() == b"PRI":
            self._refuse(VersionNotSupported("HTTP/2 is not spoken here: use HTTP/1.1."))
        else:
            self._refuse(MalformedRequest(f"The request is not HTTP/1.1: {error}."))

    def _read_without_upgrade(self, rest: bytes) -> None:
        """Read a request whose client would like another protocol as if it would not.

        RFC 9110 (7.8) lets a server ignore Upgrade, and clients such as Java's ask for h2c
        with every first request. llhttp stops there, body or not: it reads the head again.
        """
        if self._read_anew:
            raise RuntimeError("a request without Upgrade asks for another protocol")
        self._read_anew = True
        kept = [pair for pair in self.headers if pair[0] not in _NO_UPGRADE]
        version = self.parser.get_http_version().encode("ascii")
        head = b"%s %s HTTP/%s\r\n" % (self.parser.get_method(), self.url, version)
        head += b"".join(b"%s: %s\r\n" % pair for pair in kept)
        self.parser = httptools.HttpRequestParser(self)
        self._next_head()
        self.data_received(head + b"\r\n" + rest)

    def _next_head(self) -> None:
        self._phase = _Phase.HEAD
        self._head_bytes = 0

    def _give(self, seconds: float) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(seconds, self._expired)

    def _take_back(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    @_guarded
    def _expired(self) -> None:
        self._deadline = None
        if self._full is not None:
            self.hurry()
        elif self._phase is _Phase.HEAD and self._head_bytes:
            self._refuse(RequestTimedOut("The request's head did not come in time."))
        elif self._phase is _Phase.BODY and not self.cycle.response_started:
            self._refuse(RequestTimedOut("The request's body did not come in time."))
        else:
            self._abort()

    @property
    def _is_owed(self) -> bool:
        """Whether something was asked, or part of it, that is not answered."""
        if self._phase is _Phase.HEAD:
            return self._head_bytes > 0
        cycle = self.cycle
        return cycle is not None and not (cycle.response_complete or cycle.disconnected)

    def _broke(self, bug: BaseException) -> None:
        """A callback raised: one answer, where one is owed, and the end of the connection."""
        error = Unspecified("Heliograph made an error; its log has the details.")
        try:
            _log.error("connection_broke", client=self.client, exception=told(bug, MOST_TOLD))
            fresh = self._phase is _Phase.HEAD and self.cycle is None
            if (fresh or self._is_owed) and not self.transport.is_closing():
                self._refuse(error)
            else:
                self._refused(error.code)
                self.transport.close()
        except Exception:  # what broke is needed for the answer too
            if self.transport is not None:
                self.transport.close()

    def _refuse(self, error: ApiError) -> None:
        """Answer, throw away what still comes, and close."""
        self._refused(error.code)
        _log.debug("request_refused", client=self.client, code=error.code, why=error.message)
        self._phase = _Phase.DEAF
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if cycle.response_started:
                self._abort()
                return
            cycle.disconnected = True
            cycle.message_event.set()
        accepted = b", ".join(value for name, value in self.headers if name == b"accept")
        self.transport.write(answer(error, accepted.decode("latin-1")))
        self._linger()

    def _finish(self) -> None:
        """Close after an answer, when a client that still sends has had time to read it."""
        if self._phase in (_Phase.BODY, _Phase.DEAF):
            self._phase = _Phase.DEAF
            self._linger()
        else:
            self.transport.close()

    def _linger(self) -> None:
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._take_back()
        self._give(_LINGER)

    def _abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()


NO_SNIFFING: Final = ("X-Content-Type-Options", "nosniff")
"""Of every answer: it is of the type that it says, whatever is in it (S10)."""

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\n"


def answer(error: ApiError, accept: str = "") -> bytes:
    """An error as a whole answer, for a request that no operation saw."""
    form, body = error_body(error, accept)
    headers = [": ".join(NO_SNIFFING)]
    if error.retry_after is not None:
        headers.append(f"Retry-After: {error.retry_after}")
    return b"%s%sContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n%s" % (
        STATUS_LINE[error.status],
        b"".join(header.encode("ascii") + b"\r\n" for header in headers),
        form.encode("ascii"),
        len(body),
        b"Connection: close\r\n",
        body,
    )
