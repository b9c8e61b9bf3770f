"""Names and ids that callers give."""

from __future__ import annotations

import uuid
from typing import Final

from heliograph.errors import InvalidBody

LONGEST_NAME: Final = 100
LONGEST_EMAIL: Final = 254


def printable_name(text: str | None, field: str) -> str:
    """What somebody or something is to be called, "" for nothing.

    Raises:
        InvalidBody: too long, or not printable.
    """
    name = (text or "").strip()
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidBody(f"{field} must have at most {LONGEST_NAME} printable characters.")
    return name


def guid(text: str) -> str:
    """A user's id, in small letters.

    Raises:
        InvalidBody: it is no GUID.
    """
    try:
        return str(uuid.UUID(text.strip()))
    except ValueError:
        raise InvalidBody("userId must be a GUID.") from None
