"""What an event that came through a relay keeps of the message: where its bytes are, its headers.

It stands in the event's document, beside what was published, and in no message.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from heliograph.model.events import Event

PART: Final = 2 * 2**20
"""Bytes of a part that a message is stored in, but for the last."""

FIELD: Final = "heliographRelayed"

_MARK: Final = b'"heliographRelayed":'

_KEPT: Final = frozenset({"content-type", "soapaction", "x-authorization-digest"})
_KEPT_PREFIX: Final = "x-docusign-"


class Came(msgspec.Struct, rename="camel"):
    """A message as it came: the id of its bytes in the store, how many, and headers to send on."""

    message_id: str
    size: int
    headers: list[tuple[str, str]]


class _Noted(msgspec.Struct):
    heliographRelayed: Came  # noqa: N815 (the field's name)


def kept_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those that say what a message is and that DocuSign has signed it, in their order."""
    return [
        (name, value)
        for name, value in headers
        if name.lower() in _KEPT or name.lower().startswith(_KEPT_PREFIX)
    ]


def noted(document: bytes, came: Came) -> bytes:
    """The document of an event with the note in it."""
    return b"%b,%b%b}" % (document[:-1], _MARK, msgspec.json.encode(came))


def of(event: Event) -> Came | None:
    """What came, if the event came through a relay."""
    if _MARK not in event.document:
        return None
    try:
        return msgspec.json.decode(event.document, type=_Noted).heliographRelayed
    except msgspec.ValidationError:  # the words are in a text of somebody's
        return None
