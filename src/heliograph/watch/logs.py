"""Logs: one line of JSON for each thing that happened, whatever its texts hold (S12).

What happened is noted where it happens, as plain values, and written by a thread, many lines at
once: a log that is read slowly delays no event, and to spell a line takes nothing of the loop's
time. Lines of errors are on their way out before the process goes on.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import logging
import os
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, MutableMapping
from datetime import datetime
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

import msgspec
import structlog

from heliograph.clock import SystemClock
from heliograph.model.deliveries import Delivered, RetryAt, Settlement
from heliograph.plain import harmless, harmless_json, harmless_lines
from heliograph.watch import Publication, outcome_name, tracing

FORMATS: Final = ("auto", "json", "console")
LEVELS: Final = ("debug", "info", "warning", "error")

_MOST_WAITING: Final = 50_000
"""Lines that wait to be written; further ones are dropped and counted."""

_GATHER: Final = 0.05
"""Seconds in which lines gather before they are written together."""

_FLUSH: Final = 1.0
"""Seconds that an error, or the end, waits for the lines before it to be written."""

_MOST_TOLD: Final = 8000
"""Characters of an exception in a line."""

_CALLS_TOLD: Final = 20
"""The innermost calls of an exception that are told."""

_CLOCK: Final = SystemClock()

_NO_WARNINGS: Final = ("debug", "info")

_AT_ONCE: Final = ("error", "critical")
"""Levels whose lines are waited for."""

_COLOURS: Final = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "31;1"}


Entry = tuple[datetime, str, MutableMapping[str, Any]]
"""When it was noted, by the machine's clock; its level; its values by name, none of which changes
any more."""

Render = Callable[[Entry], bytes]


class Lines:
    """Takes entries from any thread, and writes them in a thread of its own."""

    def __init__(
        self,
        stream: BinaryIO,
        render: Render,
        turn: int | None = None,
        in_the_way: Callable[[], bool] = lambda: False,
    ) -> None:
        """`turn` is the file that is locked for each write, where other processes write too;
        nothing below a warning is written while it is `in_the_way`."""
        self._stream = stream
        self._render = render
        self._turn = turn
        self._in_the_way = in_the_way
        self._waiting: deque[Entry | threading.Event] = deque()
        self._some = threading.Event()
        self._hurry = threading.Event()
        self._closed = False
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def take(self, entry: Entry) -> None:
        """Have an entry written soon, and an error before this returns, if it can be."""
        if entry[1] in _AT_ONCE:
            self._waiting.append(entry)
            self.flush()
        elif len(self._waiting) >= _MOST_WAITING:
            self._dropped += 1
        else:
            self._waiting.append(entry)
            if not self._some.is_set():
                self._some.set()

    def flush(self) -> None:
        """Wait until what was given so far is written, or `_FLUSH` has passed."""
        written = threading.Event()
        self._waiting.append(written)
        self._hurry.set()
        self._some.set()
        written.wait(_FLUSH)

    def close(self) -> None:
        """Write what waits, and end the thread."""
        self._closed = True
        self.flush()
        self._thread.join(_FLUSH)

    def _run(self) -> None:
        while not self._closed or self._waiting:
            self._some.wait()
            if not self._closed:
                self._hurry.wait(_GATHER)
            self._hurry.clear()
            self._some.clear()
            self._write()

    def _write(self) -> None:
        lines: list[bytes] = []
        written: list[threading.Event] = []
        only_warnings = self._in_the_way()
        while self._waiting:
            entry = self._waiting.popleft()
            if isinstance(entry, threading.Event):
                written.append(entry)
            elif not only_warnings or entry[1] not in _NO_WARNINGS:
                lines.append(self._rendered(entry))
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            entry = _CLOCK.now(), "warning", {"event": "log_lines_dropped", "lines": dropped}
            lines.append(self._rendered(entry))
        # A log that cannot be written must not end the server.
        with contextlib.suppress(OSError, ValueError), self._our_turn():
            self._stream.write(b"".join(line + b"\n" for line in lines))
            self._stream.flush()
        for event in written:
            event.set()

    @contextlib.contextmanager
    def _our_turn(self) -> Iterator[None]:
        """A pipe mixes what several processes write at once, where that is long."""
        if self._turn is None:
            yield
            return
        fcntl.lockf(self._turn, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._turn, fcntl.LOCK_UN)

    def _rendered(self, entry: Entry) -> bytes:
        try:
            return self._render(entry)
        except Exception as bug:  # a value that cannot be spelled: the other lines are written
            broke = {"event": "log_line_broke", "exception": told(bug)}
            return self._render((entry[0], "error", broke))


class _Later:
    """A text that is made of others where its line is spelled, and not where it is noted."""

    __slots__ = ("_make", "_of")

    def __init__(self, make: Callable[..., str], *of: str) -> None:
        self._make = make
        self._of = of

    def __str__(self) -> str:
        return self._make(*self._of)


def _trace_id(account_id: str, event_id: str) -> str:
    return tracing.of_event(account_id, event_id).trace_id


class LogObserver:
    """One wide line for each event that was accepted, and for each attempt."""

    def __init__(self) -> None:
        self._log = structlog.get_logger().bind()

    def published(self, publication: Publication) -> None:
        """A line for each event of the call."""
        if not self._log.is_enabled_for(logging.INFO):
            return
        caller = None if publication.caller is None else publication.caller.trace_id
        account_id = publication.account_id
        milliseconds = _milliseconds(publication.seconds)
        for receipt in publication.events:
            accepted = receipt.accepted
            self._log.info(
                "event_accepted",
                account_id=account_id,
                event_id=accepted.event_id,
                event_name=receipt.event.name,
                envelope_id=receipt.event.envelope.envelope_id or None,
                deliveries=accepted.deliveries,
                skips=receipt.skips,
                repeated=accepted.repeated,
                bytes=len(receipt.event.document),
                ms=milliseconds,
                trace_id=_Later(_trace_id, account_id, accepted.event_id),
                caller_trace_id=caller,
            )

    def answered(self, operation: str, status: int, refusal: str | None, seconds: float) -> None:
        """A line for a call that was refused; what was done is told elsewhere."""
        if refusal is not None:
            self._log.info(
                "call_refused",
                operation=operation,
                status=status,
                code=refusal,
                ms=_milliseconds(seconds),
            )

    def attempted(self, settlement: Settlement) -> None:
        """A line for the attempt."""
        if not self._log.is_enabled_for(logging.INFO):
            return
        claim, outcome = settlement.claim, settlement.outcome
        why = None if isinstance(outcome, Delivered) else outcome.why
        event = claim.event
        self._log.info(
            "attempt",
            account_id=event.account_id,
            delivery_id=claim.delivery_id,
            configuration_id=claim.configuration.connect_id,
            event_id=event.event_id,
            listener=_Later(bare_url, claim.configuration.url),
            number=claim.number,
            outcome=outcome_name(outcome),
            phase=None if why is None else why.phase.value,
            error=None if why is None else why.what,
            status=None if settlement.answer is None else settlement.answer.status,
            ms=_milliseconds(settlement.seconds),
            next_try=outcome.when if isinstance(outcome, RetryAt) else None,
            trace_id=_Later(_trace_id, event.account_id, claim.shown.event_id),
            **({} if claim.resent_by is None else {"resent_by": claim.resent_by}),
        )

    def settled(self, deliveries: int) -> None:
        """Nothing: each attempt has its line."""

    def paused(self, doing: str, seconds: float) -> None:
        """Nothing: the dispatcher says why when it happens."""


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)


def bare_url(url: str) -> str:
    """A listener's URL without what may be secret in it: user, password, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@contextlib.contextmanager
def writing(
    log_format: str,
    level: str,
    stream: BinaryIO | None = None,
    *,
    process: int | None = None,
    turn: int | None = None,
) -> Iterator[None]:
    """Write our log, and that of the libraries, to `stream` (standard error) within the block.

    Args:
        log_format: One of `FORMATS`; auto is console on a terminal, else json, and writes warnings
            alone while somebody else is served at the terminal.
        level: One of `LEVELS`. Libraries are heard from warning on.
        stream: For bytes.
        process: The number of this one, which each line then has, where several write to it.
        turn: The descriptor of a file whose lock is a process's turn to write.
    """
    out = sys.stderr.buffer if stream is None else stream
    console = log_format == "console" or (log_format == "auto" and out.isatty())
    render: Render = _render_console if console else _render_json
    if process is not None:
        render = functools.partial(_render_numbered, render, process)
    in_the_way = functools.partial(_is_in_the_way, out) if log_format == "auto" else lambda: False
    lines = Lines(out, render, turn, in_the_way)
    number = logging.getLevelNamesMapping()[level.upper()]
    root = logging.getLogger()
    before = structlog.get_config(), root.handlers[:], root.level
    structlog.configure(
        processors=[],
        wrapper_class=type("Logger", (_Logger,), {"least": number}),
        logger_factory=lambda *_: lines,
        context_class=dict,
        cache_logger_on_first_use=False,
    )
    root.handlers[:] = [_Handler(lines)]
    root.setLevel(max(number, logging.WARNING))
    logging.captureWarnings(capture=True)
    try:
        yield
    finally:
        logging.captureWarnings(capture=False)
        root.handlers[:] = before[1]
        root.setLevel(before[2])
        structlog.configure(**before[0])
        lines.close()


def _is_in_the_way(stream: BinaryIO) -> bool:
    """Whether this process runs behind a shell that has the terminal, as after `&`."""
    with contextlib.suppress(OSError, ValueError):  # no terminal, or not ours
        return os.tcgetpgrp(stream.fileno()) not in (0, os.getpgrp())
    return False


class _Logger(structlog.BoundLoggerBase):
    """Notes what it is told. structlog's own takes it through a chain of functions, which costs
    more than all else of a line."""

    least = logging.NOTSET
    _logger: Lines

    def is_enabled_for(self, level: int) -> bool:
        """Whether lines of this level are written."""
        return level >= self.least

    def debug(self, event: str, **values: Any) -> None:
        if self.least <= logging.DEBUG:
            self._note("debug", event, values)

    def info(self, event: str, **values: Any) -> None:
        if self.least <= logging.INFO:
            self._note("info", event, values)

    def warning(self, event: str, **values: Any) -> None:
        if self.least <= logging.WARNING:
            self._note("warning", event, values)

    def error(self, event: str, **values: Any) -> None:
        self._note("error", event, values)

    def critical(self, event: str, **values: Any) -> None:
        self._note("critical", event, values)

    def exception(self, event: str, **values: Any) -> None:
        """An error, with the exception that is being handled."""
        self._note("error", event, {"exc_info": True, **values})

    def _note(self, level: str, event: str, values: dict[str, Any]) -> None:
        found = values.pop("exc_info", None)
        error = found if isinstance(found, BaseException) else sys.exception() if found else None
        if error is not None:
            values["exception"] = told(error)
        self._logger.take((_CLOCK.now(), level, {"event": event, **self._context, **values}))


class _Handler(logging.Handler):
    """What libraries log with the standard library, in our form."""

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; a bad one is told as far as it can be read."""
        try:
            event = record.getMessage()
        except Exception:
            event = str(record.msg)
        line = {"event": event, "logger": record.name}
        if record.exc_info is not None and record.exc_info[1] is not None:
            line["exception"] = told(record.exc_info[1])
        self._lines.take((_CLOCK.now(), record.levelname.lower(), line))


def told(error: BaseException, most: int = _MOST_TOLD) -> str:
    """An exception with its innermost calls, in `most` characters: its text may hold whatever
    came over the network, and a recursion the same call a thousand times."""
    text = "".join(traceback.format_exception(error, limit=-_CALLS_TOLD))
    if len(text) <= most:
        return text
    gap = "\n[...]\n"
    kept = (most - len(gap)) // 2
    return text[:kept] + gap + text[-kept:]


_encode: Final = msgspec.json.Encoder(enc_hook=str).encode


def _render_json(entry: Entry) -> bytes:
    """One JSON object on one line."""
    at, level, event = entry
    line = {
        "timestamp": _spelled(at),
        "level": level,
        "event": event.pop("event", ""),
        **event,
    }
    try:
        encoded = _encode(line)
    except Exception:  # half a character, or an object that msgspec does not know
        encoded = json.dumps(line, default=str, skipkeys=True).encode()
    if encoded.isascii() and b"\x7f" not in encoded:
        return encoded
    return harmless_json(encoded.decode()).encode()


def _render_numbered(render: Render, process: int, entry: Entry) -> bytes:
    at, level, event = entry
    return render((at, level, {**event, "process": process}))


_FOR_PROGRAMS: Final = frozenset(
    {"event", "exception", "event_id", "trace_id", "caller_trace_id", "bytes"}
)
"""What a line for a person has elsewhere, or not at all: it is to stay one line."""

_OF_DELIVERIES: Final = frozenset({"event_accepted", "attempt"})
"""Lines that come by the thousand, and do without the account; any other names it."""


def _render_console(entry: Entry) -> bytes:
    """A line for a person at a terminal; an exception follows on lines of its own."""
    at, level, event = entry
    of_delivery = event.get("event") in _OF_DELIVERIES
    hidden = _FOR_PROGRAMS | {"account_id"} if of_delivery else _FOR_PROGRAMS
    details = [
        f"{name}={harmless(_plain(value))}"
        for name, value in event.items()
        if name not in hidden and value is not None
    ]
    colour = _COLOURS.get(level, "0")
    line = (
        f"{_spelled(at)[11:23]} \x1b[{colour}m{level:<8}\x1b[0m "
        f"{harmless(str(event.get('event', '')))}  {' '.join(details)}"
    )
    if event.get("exception"):
        line += "\n" + harmless_lines(str(event["exception"]).rstrip())
    return line.encode("utf-8", "backslashreplace")


def _plain(value: Any) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or " " in text else text


def _spelled(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")
