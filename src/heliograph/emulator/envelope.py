"""An envelope of the emulator: what is kept of it, and who its recipients are.

Pure. Its summary is DocuSign's own document (EnvelopeSummary of docusign-esign 6.1.0, and the
published sample of a JSON SIM message), every value a text.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from heliograph.wire import dates

ACTING: Final = (
    "signers",
    "inPersonSigners",
    "agents",
    "editors",
    "intermediaries",
    "certifiedDeliveries",
    "witnesses",
    "notaries",
    "participants",
)
"""Recipients whom an envelope waits for."""

RECEIVING: Final = ("carbonCopies", "seals")
"""Recipients who have done what they must once it is their turn."""

KINDS: Final = (*ACTING, *RECEIVING)

ENDED: Final = frozenset({"completed", "declined", "voided", "deleted"})
"""Statuses that an envelope never leaves."""

UNDER_WAY: Final = frozenset({"sent", "delivered"})


class Envelope(msgspec.Struct):
    """What is kept of an envelope, or of a template.

    `summary` is what calls and messages show; `notifications` are those that its events name;
    `folder` is where its sender has it; `reminded` tells when reminders were sent (UTC).
    """

    account_id: str
    envelope_id: str
    user_id: str
    summary: dict[str, Any]
    notifications: list[dict[str, Any]] = []
    folder: str = ""
    reminded: list[datetime] = []

    @property
    def status(self) -> str:
        """DocuSign's word, in small letters."""
        return str(self.summary["status"])

    def recipients(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every recipient with its kind, in the order of their kinds."""
        for kind in KINDS:
            for recipient in self.summary["recipients"].get(kind, ()):
                yield kind, recipient

    def recipient(self, recipient_id: str) -> dict[str, Any] | None:
        """The one of this id or GUID."""
        for _, recipient in self.recipients():
            if recipient_id in (recipient["recipientId"], recipient["recipientIdGuid"]):
                return recipient
        return None

    def ends_at(self) -> datetime | None:
        """When it expires; None where it does not, or is not under way."""
        found = self.summary.get("expireDateTime")
        return dates.parse(found) if found and self.status in UNDER_WAY else None

    def reminds_at(self) -> datetime | None:
        """When the next reminder is due (DocuSign: delay and frequency are days)."""
        wanted = self.summary["notification"]["reminders"]
        if self.status not in UNDER_WAY or wanted["reminderEnabled"] != "true":
            return None
        if not self.reminded:
            sent = dates.parse(self.summary["sentDateTime"])
            return sent + timedelta(days=_days(wanted["reminderDelay"]))
        frequency = _days(wanted["reminderFrequency"])
        return self.reminded[-1] + timedelta(days=frequency) if frequency else None

    def due_at(self) -> datetime | None:
        """When something happens to it by itself."""
        return min(filter(None, (self.ends_at(), self.reminds_at())), default=None)


def _days(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0
