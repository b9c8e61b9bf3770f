"""What the head of an answer says, also where it is not what HTTP allows (RFC 9112).

An answer is judged by its status, and a listener that has said 200 in an odd head would say
the same of every other attempt. So all that must be legible is the status line. Where the
rest is odd the fields are read as far as they can be, the body as far as its length can be
told, and the connection carries nothing else. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_STATUS_LINE: Final = re.compile(rb"HTTP/([0-9](?:\.[0-9])?) +([1-9][0-9]{2})(?: ([^\r\n]*))?\r?\n")
_BEGIN: Final = b"HTTP/"
_END: Final = re.compile(rb"\n\r?\n")
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PLAIN: Final = re.compile(
    rb"HTTP/1\.[01] [1-9][0-9]{2}(?: [^\r\n\0]*)?\r?\n"
    rb"(?:" + _TOKEN + rb":[^\r\n\0]*\r?\n(?:[ \t][^\r\n\0]*\r?\n)*)*\r?\n"
)
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_BODILESS: Final = frozenset({101, 204, 304})

_SHORT: Final = 1024
"""Bytes of a head that is worth remembering: most have less."""

CHUNKED: Final = -1
TO_THE_END: Final = -2
"""Until the connection is closed."""

UNFRAMED: Final = 0
"""Where nobody can say how long a body is, none is read."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an answer: `plain` if it is what HTTP allows.

    `framing` says where the body ends: after so many bytes, or as CHUNKED or TO_THE_END has it.
    `keeps`: the connection may carry another answer after that.
    """

    status: int
    reason: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    plain: bool
    framing: int
    keeps: bool

    @property
    def interim(self) -> bool:
        """Whether another head follows (RFC 9110, 15.2): nobody waits for this one."""
        return self.status < 200 and self.status != 101


def may_begin(came: bytes) -> bool:
    """Whether a head that has come as far as this may still have a legible status line."""
    if b"\n" in came:
        return _STATUS_LINE.match(came) is not None
    return came.startswith(_BEGIN) or _BEGIN.startswith(came)


def end(came: bytes) -> int:
    """How many bytes the head takes, its empty line included; -1 while it has not ended."""
    found = _END.search(came)
    return -1 if found is None else found.end()


def read(raw: bytes, most: int) -> Head | None:
    """Read a head, or as much of one as there is, with at most `most` fields; None where no
    status line is legible."""
    return _known(raw, most) if len(raw) <= _SHORT else _read(raw, most)


def _read(raw: bytes, most: int) -> Head | None:
    line = _STATUS_LINE.match(raw)
    if line is None:
        return None
    version, status, reason = line.groups(b"")
    fields = _fields(raw[line.end() :])
    framing, framed = _framing(fields)
    plain = framed and len(fields) <= most and _PLAIN.fullmatch(raw) is not None
    if int(status) in _BODILESS:  # RFC 9112, 6.3, whatever the fields say
        framing = UNFRAMED
    keeps = plain and framing != TO_THE_END and status != b"101" and _stays(version, fields)
    return Head(int(status), reason.strip(), tuple(fields[:most]), plain, framing, keeps)


_known = lru_cache(maxsize=1024)(_read)
"""But for the second of its Date, a listener says the same head again and again."""


def _stays(version: bytes, fields: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether the other side leaves the connection open (RFC 9112, 9.3)."""
    options = [option.lower() for option in _values(fields, b"connection")]
    if b"close" in options:
        return False
    return version == b"1.1" or b"keep-alive" in options


def _fields(raw: bytes) -> list[tuple[bytes, bytes]]:
    """Names and values of all lines that are whole and have a colon."""
    fields: list[tuple[bytes, bytes]] = []
    for line in raw.split(b"\n")[:-1]:
        if line[:1] in (b" ", b"\t") and fields:  # RFC 9112, 5.2
            name, value = fields.pop()
            fields.append((name, value + b" " + line.strip()))
            continue
        name, colon, value = line.partition(b":")
        if colon:
            fields.append((name.rstrip(b" \t"), value.strip()))
    return fields


def _framing(fields: Sequence[tuple[bytes, bytes]]) -> tuple[int, bool]:
    """Where the body ends, and whether the head says it in one way (RFC 9112, 6.3)."""
    lengths = _values(fields, b"content-length")
    codings = _values(fields, b"transfer-encoding")
    if codings and codings[-1].lower() == b"chunked":
        return CHUNKED, not lengths
    if not lengths:  # until the connection is closed, which a coding that is none may not mean
        return TO_THE_END, not codings
    if len(set(lengths)) > 1 or not _LENGTH.fullmatch(lengths[0]):
        return UNFRAMED, False
    return int(lengths[0]), len(lengths) == 1 and not codings


def _values(fields: Sequence[tuple[bytes, bytes]], wanted: bytes) -> list[bytes]:
    """The members of a field that is a list, from all its lines."""
    return [
        member.strip(b" \t")
        for name, value in fields
        if name.lower() == wanted
        for member in value.split(b",")
    ]
