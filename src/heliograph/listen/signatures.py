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


class Verdict(StrEnum):
    """What the signatures of a message come to."""

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
    """The verdict over a message, and what it rests on."""

    verdict: Verdict
    found: tuple[Signature, ...]

    @property
    def keys(self) -> tuple[int, ...]:
        """The numbers of the keys that signed it, each once."""
        return tuple(dict.fromkeys(one.key for one in self.found if one.key is not None))

    def __str__(self) -> str:
        match self.verdict:
            case Verdict.MATCHED:
                made = (f"key {one.key} ({one.header})" for one in self.found if one.key)
                return f"signed by {', '.join(made)}"
            case Verdict.NONE_MATCHED:
                return f"WRONG SIGNATURE: no given key made any of {len(self.found)}"
            case Verdict.UNSIGNED:
                return "UNSIGNED"
            case Verdict.UNCHECKED:
                return f"{len(self.found)} signatures not checked: no key was given"


def check(request: Request, keys: Sequence[Secret]) -> Signatures:
    """Hold every signature header against every key, in constant time for each pair."""
    given = [(name, text) for name, text in request.headers if _NAME.fullmatch(name)]
    given = given[: signing.MOST_KEYS]
    if not given:
        return Signatures(Verdict.UNSIGNED, ())
    if not keys:
        return Signatures(Verdict.UNCHECKED, tuple(Signature(name, None) for name, _ in given))
    right = [signing.signature(key, request.body).encode() for key in keys]
    found = tuple(Signature(name, _made_by(text.encode(), right)) for name, text in given)
    matched = any(one.key is not None for one in found)
    return Signatures(Verdict.MATCHED if matched else Verdict.NONE_MATCHED, found)


def _made_by(given: bytes, right: Sequence[bytes]) -> int | None:
    # All of them are compared, so that the time does not tell which one it was.
    same = [hmac.compare_digest(given, one) for one in right]
    return same.index(True) + 1 if any(same) else None
