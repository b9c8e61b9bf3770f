"""The events of a bench, as text that is cut where an event's number belongs. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

DIGITS: Final = 12
"""Of an event's number: as many as the last part of a GUID has."""

USUAL: Final = 2_300
"""Bytes of an event with the summary of an envelope of a few recipients."""

_GUID: Final = "00000000-0000-4000-8000-"
_MARK: Final = "#" * DIGITS
_DOCUMENT: Final = 100_000
"""Bytes from which an event brings a document, rather than more recipients."""

ENVELOPE: Final = b'"envelopeId":"'
NUMBER_AT: Final = len(ENVELOPE) + len(_GUID)
"""Where the number begins, from the beginning of `ENVELOPE`."""

NAME: Final = "envelope-sent"
RARE_STATUS: Final = "declined"
"""Of a few envelopes, where statuses matter."""


def envelope_id(number: int) -> str:
    """Whose event has this number."""
    return f"{_GUID}{number:0{DIGITS}}"


def template(
    user: str, size: int = USUAL, *, status: str = "sent", notify: str | None = None
) -> Sequence[str]:
    """The pieces of an event of about so many bytes, between which its number belongs.

    `notify` is a URL, which the number is added to, that the envelope's events shall go to as well.
    """
    event: dict[str, Any] = {
        "event": NAME,
        "generatedDateTime": "2026-11-23T08:59:00.1234567Z",
        "data": {"userId": user, "envelopeId": f"{_GUID}{_MARK}"},
    }
    summary: dict[str, Any] = {
        "status": status,
        "emailSubject": "Lease of 12 Harbour Street",
        "sender": {"userName": "Ada Lovelace", "userId": user, "email": "ada@example.com"},
        "recipients": {"signers": []},
    }
    event["data"]["envelopeSummary"] = summary
    if notify is not None:
        event["eventNotification"] = {"url": f"{notify}{_MARK}", "events": [NAME]}
    if size >= _DOCUMENT:
        pages = "JVBERi0xLjcK" * ((size - len(_text(event))) // 12)
        summary["envelopeDocuments"] = [{"documentId": "1", "name": "Lease", "PDFBytes": pages}]
    else:
        signers = summary["recipients"]["signers"]
        while len(_text(event)) < size - 150:
            signers.append(_signer(len(signers) + 1))
    return _text(event).split(_MARK)


def _signer(number: int) -> dict[str, Any]:
    return {
        "recipientId": str(number),
        "recipientIdGuid": envelope_id(number),
        "name": "Charles Babbage",
        "email": f"signer-{number}@example.com",
        "routingOrder": str(number),
        "status": "sent",
        "sentDateTime": "2026-11-23T08:58:59.9870000Z",
        "deliveryMethod": "email",
        "recipientType": "signer",
    }


def _text(event: Any) -> str:
    return json.dumps(event, separators=(",", ":"))
