"""Events that an installation is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

ADA = "1aaaaaaa-0000-4000-8000-000000000000"
BOB = "2bbbbbbb-0000-4000-8000-000000000000"
CAROL = "3ccccccc-0000-4000-8000-000000000000"
DAN = "4ddddddd-0000-4000-8000-000000000000"
"""In no group, and nobody's user."""

Event = dict[str, Any]


def event(name: str, envelope: str, user: str = ADA, mark: str = "", **over: Any) -> Event:
    """One event with something in each part of an envelope that a message may show."""
    status = name.partition("-")[2]
    return {
        "event": name,
        "eventId": f"{name}:{envelope}{mark}",
        "generatedDateTime": "2026-01-02T03:04:05.1234567Z",
        "data": {
            "userId": user,
            "envelopeId": envelope,
            "envelopeSummary": {
                "status": status,
                "emailSubject": f"Lease of {envelope}, <Straße> & Söhne",
                "createdDateTime": "2026-01-01T03:04:05.12Z",
                "sender": {"userName": "Ada Lovelace", "email": "ada@example.com", "userId": user},
                "recipients": {
                    "signers": [
                        {
                            "recipientId": "1",
                            "userId": BOB,
                            "name": "Bob",
                            "email": "bob@example.com",
                            "status": "completed",
                            "tabs": {"textTabs": [{"tabLabel": "rent", "value": "900"}]},
                        }
                    ]
                },
                "customFields": {"textCustomFields": [{"name": "case", "value": "7"}]},
                "envelopeDocuments": [
                    {"documentId": "1", "name": "lease.pdf", "PDFBytes": "JVBERi0="},
                    {"documentId": "certificate", "name": "Summary", "PDFBytes": "JVBERi0="},
                ],
                "voidedReason": "a mistake",
            },
        },
        **over,
    }


KEYED = {name: text for name, text in event("envelope-sent", "env-0").items() if name != "eventId"}
"""An event that its call's Idempotency-Key names."""


def notification(url: str, **over: Any) -> dict[str, Any]:
    """What a publisher asks for with an event of an envelope."""
    return {"url": url, "events": ["envelope-sent"], "loggingEnabled": "true", **over}


def new_events() -> Sequence[Event]:
    """What is published to the old installation: every configuration meets one that it wants."""
    return [
        *(event("envelope-sent", f"new-{user[0]}", user) for user in (ADA, BOB, CAROL, DAN)),
        event("envelope-completed", "new-1", ADA.upper()),
        event("envelope-delivered", "new-1"),
        event("envelope-declined", "new-1"),
        event("envelope-voided", "new-2"),
        event("recipient-completed", "new-1", DAN),
        event("recipient-sent", "new-1"),
        event("template-created", "new-3"),
        event("envelope-sent", "env-9", DAN, "-again"),  # of an envelope with its own listeners
    ]
