"""Who signed a message: each signature header is held against every given key.

The scheme is DocuSign's Connect HMAC (see `heliograph.wire.messages.signing`):
`X-DocuSign-Signature-1` to `-n`, one for each active key of the account, so that keys can be
changed without a gap.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from heliograph.listen.requests import Request
from heliograph.model.accounts import Secret
from heliograph.wire.messages import signing

_NAME: Final = re.compile(r"X-DocuSign-Signature-[0-9]{1,4}", re.IGNORECASE)


class Authenticity(StrEnum):
    """Whether a message is from who holds a key."""

    MATCHED = "matched"
    NONE_MATCHED = "none matched"
    UNSIGNED = "unsigned"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature header, and the number (from 1) of the key that made it, if it is known."""

    header: str
    key: int | None


@dataclass(frozen=True, slots=True)
class Signatures:
    """What the signatures of a message come to, and what that rests on."""

    authenticity: Authenticity
    all: tuple[Signature, ...]

    @property
    def keys(self) -> tuple[int, ...]:
        """The numbers of the keys that signed it, each once."""
        return tuple(
            dict.fromkeys(signature.key for signature in self.all if signature.key is not None)
        )

    def __str__(self) -> str:
        match self.authenticity:
            case Authenticity.MATCHED:
                matches = (
                    f"key {signature.key} ({signature.header})"
                    for signature in self.all
                    if signature.key
                )
                return f"signed by {', '.join(matches)}"
            case Authenticity.NONE_MATCHED:
                return f"WRONG SIGNATURE: no given key made any of {len(self.all)}"
            case Authenticity.UNSIGNED:
                return "UNSIGNED"
            case Authenticity.UNCHECKED:
                return f"{len(self.all)} signatures not checked: no key was given"


def check(request: Request, keys: Sequence[Secret]) -> Signatures:
    """Hold every signature header against every key, in constant time for each pair."""
    headers = [(name, text) for name, text in request.headers if _NAME.fullmatch(name)]
    headers = headers[: signing.MOST_KEYS]
    if not headers:
        return Signatures(Authenticity.UNSIGNED, ())
    if not keys:
        return Signatures(
            Authenticity.UNCHECKED, tuple(Signature(name, None) for name, _ in headers)
        )
    right = [signing.signature(key, request.body).encode() for key in keys]
    signatures = tuple(Signature(name, _made_by(text.encode(), right)) for name, text in headers)
    matched = any(signature.key is not None for signature in signatures)
    return Signatures(Authenticity.MATCHED if matched else Authenticity.NONE_MATCHED, signatures)


def _made_by(value: bytes, right: Sequence[bytes]) -> int | None:
    # All of them are compared, so that the time does not tell which one it was.
    same = [hmac.compare_digest(value, expected) for expected in right]
    return same.index(True) + 1 if any(same) else None
