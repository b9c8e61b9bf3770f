"""Events from a file, in batches: one object, an array, or one to a line, told by the content.

A file of lines is read as it is sent and never held whole. Each event is checked here by the
rules of the server, so that a bad one is named by its place in the file before its batch
leaves; batches that were already sent stay the same when the bad line is mended.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final

import msgspec

from heliograph.errors import InvalidBody
from heliograph.wire.messages.json_sim import parse_events

MOST_EVENTS: Final = 1_000
MOST_BYTES: Final = 5 * 2**20
"""Of one batch; an event that is larger goes alone."""

LONGEST_EVENT: Final = 24 * 2**20
"""Bytes: the server takes 25 MiB in one call."""

_BOM: Final = b"\xef\xbb\xbf"


class BadEvent(Exception):
    """An event that cannot be published; the text names its place in the file."""


@dataclass(slots=True)
class Batch:
    """Events that are published in one call.

    `first` counts events from 1; `lines` are the numbers of their lines, and `read` is how
    many bytes of the file were read when it was full.
    """

    first: int
    events: list[bytes] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    size: int = 0
    read: int = 0

    @property
    def body(self) -> bytes:
        return b"\n".join(self.events)


def batches(stream: BinaryIO) -> Iterator[Batch]:
    """Read events into batches.

    Raises:
        BadEvent: its whole batch stays behind, so that the same events go out together once
            it is mended.
    """
    batch, read, count = Batch(first=1), 0, 0
    for number, event, size in _events(stream):
        read += size
        if not event:
            continue
        count += 1
        full = len(batch.events) == MOST_EVENTS or batch.size + len(event) > MOST_BYTES
        if batch.events and full:
            yield batch
            batch = Batch(first=count)
        _check(number, event)
        batch.events.append(event)
        batch.lines.append(number)
        batch.size += len(event) + 1
        batch.read = read
    if not count:
        raise BadEvent("it holds no event: give one object, an array, or one object to a line.")
    yield batch


def _events(stream: BinaryIO) -> Iterator[tuple[int, bytes, int]]:
    """(number of the line, event or nothing, bytes read for it)."""
    number, skipped, first = 0, 0, b""
    while not first.strip():
        first = _read_line(stream, number + 1)
        if not first:
            return
        number += 1
        first = first.removeprefix(_BOM) if number == 1 else first
        skipped += len(first)
    start = first.lstrip()[:1]
    if start == b"[":
        yield from _array(number, first + stream.read())
    elif start != b"{":
        raise BadEvent(f"line {number}: this is no JSON object, array, or NDJSON.")
    elif _is_json(first):
        yield number, first.strip(), skipped
        while line := _read_line(stream, number + 1):
            number += 1
            yield number, line.strip(), len(line)
    else:
        yield from _one_object(number, first, stream)


def _read_line(stream: BinaryIO, number: int) -> bytes:
    line = stream.readline(LONGEST_EVENT + 1)
    if len(line) > LONGEST_EVENT:
        raise BadEvent(f"line {number}: longer than {LONGEST_EVENT >> 20} MiB.")
    return line


def _one_object(number: int, first: bytes, stream: BinaryIO) -> Iterator[tuple[int, bytes, int]]:
    """An object over several lines, or lines of which the first is broken."""
    whole = first + stream.read(LONGEST_EVENT)
    if len(whole) <= LONGEST_EVENT and _is_json(whole):
        yield number, msgspec.json.format(whole, indent=-1), len(whole)
        return
    second = whole[len(first) :].lstrip()[:1]
    _malformed(number, first if second == b"{" else whole)


def _array(number: int, text: bytes) -> Iterator[tuple[int, bytes, int]]:
    try:
        msgspec.json.decode(text)
        pieces = msgspec.json.decode(text, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        _malformed(number, text)
    at = 0
    for piece in map(bytes, pieces):
        # Only white space, commas and the bracket stand between: the first find is the piece.
        start = text.index(piece, at)
        number += text.count(b"\n", at, start)
        yield number, msgspec.json.format(piece, indent=-1), start + len(piece) - at
        number += piece.count(b"\n")
        at = start + len(piece)


def _check(number: int, event: bytes) -> None:
    if not event.startswith(b"{"):
        raise BadEvent(f"line {number}: the event is not a JSON object.")
    try:
        parse_events(event, "application/json")
    except InvalidBody as problem:
        raise BadEvent(f"line {number}: {problem}") from None


def _malformed(number: int, text: bytes) -> None:
    """Raise BadEvent with the line of the byte that the parser stumbled over."""
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = str(error)
        _, _, offset = message.rpartition("(byte ")
        byte = offset.removesuffix(")")
        line = number + (text.count(b"\n", 0, int(byte)) if byte.isdigit() else 0)
        raise BadEvent(f"line {line}: not valid JSON: {message.partition(' (byte')[0]}.") from None
    raise BadEvent(f"line {number}: the object is longer than {LONGEST_EVENT >> 20} MiB.")


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
