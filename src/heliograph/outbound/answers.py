"""An answer is read here, byte by byte and within bounds (S3). Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from heliograph.outbound import heads
from heliograph.outbound.heads import CHUNKED, TO_THE_END, UNFRAMED, Head

HEAD_TOO_LONG: Final = "head too long"
TOO_MANY_FIELDS: Final = "too many fields"
"""What `Malformed` says of an answer above its bounds."""

_HEX: Final = b"0123456789abcdefABCDEF"
_MOST_DIGITS: Final = 16
"""Of a chunk's size."""

_AFTER_SIZE: Final = (b"", b";", b" ", b"\t", b"\r")
_KEPT: Final = 64
"""Bytes of a line that are kept: a chunk may have extensions, which mean nothing to us."""


class Malformed(Exception):
    """The answer is not what HTTP allows, or is above its bounds; the message says how."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is read of an answer: bytes of its heads (interim ones too), fields that are kept
    of each, bytes of its body; and how many of those are kept."""

    head_bytes: int
    fields: int
    body_bytes: int
    stored_bytes: int


class Answering:
    """An answer on its way: `head` and `body` are what has come of it so far.

    It is `whole` once nothing more of it is read. It `keeps` the connection if that may carry
    another one then.
    """

    __slots__ = ("_bounds", "_came", "_frame", "_room", "_seen", "body", "head", "keeps", "whole")

    def __init__(self, bounds: Bounds) -> None:
        self.head: Head | None = None
        self.body = b""
        self.whole = False
        self.keeps = False
        self._bounds = bounds
        self._room = bounds.head_bytes
        self._came = b""
        self._seen = 0
        self._frame: _Sized | _Chunks = _NO_BODY

    @property
    def odd(self) -> bool:
        """Whether the answer is judged by its status alone: whatever is wrong with the rest."""
        return self.head is not None and not self.head.plain

    def feed(self, came: bytes) -> None:
        """Take what has come.

        Raises:
            Malformed: and nothing more can be read.
        """
        if self.whole:  # nobody's: it would else be taken for the next answer (R5)
            self.keeps = False
            return
        if self.head is None:
            came = self._read_head(came)
        if self.head is not None:
            self._read_body(self.head, came)

    def end(self) -> Head | None:
        """Nothing more comes; gives the head if that is the whole answer."""
        if self.head is not None and (self.odd or self.head.framing == TO_THE_END):
            self.whole = True
        return self.head if self.whole else None

    def _read_head(self, came: bytes) -> bytes:
        """Keep a head until it is whole; gives what follows it."""
        came = self._came + came
        while came:
            if came[0] in b"\r\n":  # RFC 9112, 2.2: empty lines are no head
                rest = came.lstrip(b"\r\n")
                self._room -= len(came) - len(rest)
                came = rest
            if not heads.may_begin(came):
                raise Malformed(_no_status(came))
            end = heads.end(came)
            if max(end, len(came) if end < 0 else 0) > self._room:
                self._cut(came[: self._room])
                return b""
            if end < 0:
                break
            raw, came = came[:end], came[end:]
            self._room -= end
            head = heads.read(raw, self._bounds.fields)
            if head is None:
                raise Malformed(_no_status(raw))
            if not head.interim:
                self._begin(head)
                return came
        self._came = came
        return b""

    def _cut(self, came: bytes) -> None:
        """Of a head above its bounds the status counts, if that is legible."""
        head = heads.read(came, self._bounds.fields)
        if head is None or head.interim:
            raise Malformed(HEAD_TOO_LONG)
        self._begin(Head(head.status, head.reason, head.fields, False, UNFRAMED, False))

    def _begin(self, head: Head) -> None:
        self.head = head
        self._came = b""
        # Twice the budget of the body leaves room for the framing of chunks.
        self._room = 2 * self._bounds.body_bytes
        self._frame = (
            _Chunks(self._bounds.fields) if head.framing == CHUNKED else _Sized(head.framing)
        )

    def _read_body(self, head: Head, came: bytes) -> None:
        within, beyond = came[: self._room], came[self._room :]
        self._room -= len(within)
        try:
            left = self._frame.feed(within, self._keep)
        except Malformed:
            if head.plain:
                raise
            self.whole = True
            return
        if self._frame.ended:
            self.whole = True
            self.keeps = head.keeps and not left and not beyond
        elif beyond or self._seen > self._bounds.body_bytes:
            self.whole = True  # what came so far is the answer

    def _keep(self, piece: bytes) -> None:
        self._seen += len(piece)
        if len(self.body) < self._bounds.stored_bytes:
            self.body += piece[: self._bounds.stored_bytes - len(self.body)]


Keep = Callable[[bytes], None]


class _Sized:
    """A body of so many bytes, or one TO_THE_END of the connection."""

    __slots__ = ("_left", "ended")

    def __init__(self, size: int) -> None:
        self._left = size
        self.ended = size == 0

    def feed(self, came: bytes, keep: Keep) -> bytes:
        """Give what of these bytes is the body's to `keep`; what comes after it is left."""
        if self._left == TO_THE_END:
            keep(came)
            return b""
        piece, left = came[: self._left], came[self._left :]
        keep(piece)
        self._left -= len(piece)
        self.ended = self._left == 0
        return left


_NO_BODY: Final = _Sized(UNFRAMED)


class _Chunks:
    """A body in chunks (RFC 9112, 7.1): lines that say sizes, and bytes."""

    __slots__ = ("_left", "_line", "_next", "_trailers", "ended")

    def __init__(self, trailers: int) -> None:
        """`trailers` is how many fields may follow the body."""
        self._trailers = trailers
        self._left = 0
        self._line = b""
        self._next: Callable[[bytes, bool], None] = self._size
        self.ended = False

    def feed(self, came: bytes, keep: Keep) -> bytes:
        """As of `_Sized`.

        Raises:
            Malformed: these are no chunks.
        """
        while came and not self.ended:
            if self._left:
                piece, came = came[: self._left], came[self._left :]
                keep(piece)
                self._left -= len(piece)
                continue
            line, feed, came = came.partition(b"\n")
            self._line = (self._line + line[:_KEPT])[:_KEPT]
            self._next(self._line.removesuffix(b"\r") if feed else self._line, bool(feed))
            if feed:
                self._line = b""
        return came

    def _size(self, line: bytes, whole: bool) -> None:
        """The line before a chunk, or the beginning of it."""
        digits = len(line) - len(line.lstrip(_HEX))
        if digits > _MOST_DIGITS:
            raise Malformed(f"Chunk size overflow: {line!r}")
        if line[digits : digits + 1] not in _AFTER_SIZE or (whole and not digits):
            raise Malformed(f"Invalid character in chunk size: {line!r}")
        if whole:
            self._left = int(line[:digits], 16)
            self._next = self._end_of_chunk if self._left else self._trailer

    def _end_of_chunk(self, line: bytes, whole: bool) -> None:
        if line not in (b"", b"\r"):
            raise Malformed(f"Invalid end of a chunk: {line!r}")
        if whole:
            self._next = self._size

    def _trailer(self, line: bytes, whole: bool) -> None:
        if not whole:
            return
        if not line:
            self.ended = True
            return
        self._trailers -= 1
        if self._trailers < 0:
            raise Malformed(TOO_MANY_FIELDS)


def _no_status(came: bytes) -> str:
    line = came.split(b"\r\n", 1)[0][:_KEPT]
    expected = "" if line.startswith(b"HTTP/") else "Expected HTTP/, RTSP/ or ICE/: "
    return f"Bad status line: {expected}{line!r}"
