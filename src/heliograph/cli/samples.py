"""Events made up, to see something with."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any, Final

from heliograph.wire import dates
from heliograph.wire.messages.json_sim import STATUS_WORDS

_STATUSES: Final = {word.lower() for word in STATUS_WORDS.values()}


def event(name: str, envelope_id: str, subject: str, sender: str, when: datetime) -> dict[str, Any]:
    """An event in the form of a publish call; its envelope is as the name says, or sent."""
    status = name.removeprefix("envelope-")
    return {
        "event": name,
        "generatedDateTime": dates.render(when),
        "data": {
            "envelopeId": envelope_id,
            "envelopeSummary": {
                "status": status if status in _STATUSES else "sent",
                "emailSubject": subject,
                "sender": {
                    "userName": sender,
                    "email": f"{sender.partition(' ')[0].lower()}@example.com",
                },
            },
        },
    }


def sample(name: str) -> dict[str, Any]:
    """An event of this name, about an envelope that there is nowhere else."""
    subject, sender = "A sample agreement", "Ada Lovelace"
    return event(name, str(uuid.uuid4()), subject, sender, datetime.now(UTC))
