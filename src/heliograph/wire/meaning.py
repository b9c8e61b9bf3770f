"""What an event means, however it is written: by this a repeat is told from another event (R2).

Canonical JSON as RFC 8785 has it, but that integers are exact: objects have no order, the last of
equal names counts, an escape is the character that it stands for, and a number is its value: of an
integer (`9007199254740993.0` is one too) all digits, else the nearest double.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

import msgspec

from heliograph.wire.codec import uncollected

_HASH: Final = 32
_MARK: Final = 16
"""Bytes that stand for the event, and for each of its notifications."""


def _number(text: str) -> int | float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("Number out of range")
    if not value.is_integer():
        return value
    if not value:
        return 0  # of whatever sign and exponent
    exact = Decimal(text)
    return int(exact) if exact == exact.to_integral_value() else int(value)


_decoder: Final = msgspec.json.Decoder(float_hook=_number)


def decode(piece: bytes) -> Any:
    """A JSON value whose numbers are `int` where they are whole.

    Raises:
        msgspec.DecodeError: it is no JSON, or has a number that no double comes near to.
    """
    with uncollected():
        return _decoder.decode(piece)


def of_event(name: str, data: Any, notifications: Iterable[bytes]) -> bytes:
    """What an event means; `data` is decoded by `decode`, `notifications` are documents.

    A SHA-256, and behind it a mark for each notification, so that a repeat may name fewer.
    """
    canonical = msgspec.json.encode(data, order="deterministic")
    marks = sorted(hashlib.sha256(document).digest()[:_MARK] for document in notifications)
    return hashlib.sha256(name.encode() + b"\0" + canonical).digest() + b"".join(marks)


def is_repeat(first: bytes, again: bytes) -> bool:
    """Whether events of these meanings are the same one, its notifications left aside."""
    return first[:_HASH] == again[:_HASH]


def names_more(first: bytes, again: bytes) -> bool:
    """Whether a repeat names a notification that the first one did not."""
    return not _marks(again) <= _marks(first)


def _marks(meaning: bytes) -> set[bytes]:
    return {meaning[at : at + _MARK] for at in range(_HASH, len(meaning), _MARK)}
