"""Entries of the audit on the wire. Extensions: DocuSign has no such call."""

from __future__ import annotations

from typing import ClassVar

from heliograph.model.audit import AuditEntry
from heliograph.wire import dates
from heliograph.wire.codec import Wire
from heliograph.wire.rest import DateTime


class AuditDetail(Wire):
    """A value that was changed; `before` is missing where there was none, `after` where there is
    none any more. Of a secret `********` stands for both."""

    ours: ClassVar[bool] = True

    name: str
    before: str | None = None
    after: str | None = None


class AuditRecord(Wire):
    """Who did what to what, when and from where. `address` is missing where no call was made,
    and for viewers, as are the `details` of what they may not read; `userId` where the token stands
    for the account."""

    ours: ClassVar[bool] = True

    entry_id: str
    created: DateTime
    action: str
    what: str
    actor: str
    address: str | None = None
    token_id: str | None = None
    user_id: str | None = None
    details: list[AuditDetail] | None = None


class AuditRecords(Wire):
    """A page of the audit. `totalRecords` counts the records in this answer."""

    ours: ClassVar[bool] = True

    audit: list[AuditRecord]
    total_records: str


def entry_to_wire(entry: AuditEntry) -> AuditRecord:
    """One entry."""
    who = entry.actor
    return AuditRecord(
        entry_id=str(entry.cursor.row_id),
        created=dates.render(entry.created_at),
        action=entry.action,
        what=entry.change.what,
        actor=who.name,
        address=who.address or None,
        token_id=who.token_id or None,
        user_id=who.user_id,
        details=[
            AuditDetail(detail.name, detail.before, detail.after) for detail in entry.change.details
        ]
        or None,
    )
