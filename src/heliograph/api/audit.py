"""The audit of an account. An extension: DocuSign has no such call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from heliograph.api.contract import parameters, selection
from heliograph.api.contract.lines import lines
from heliograph.api.contract.operation import LINES, Call, Operation, Reply
from heliograph.api.contract.response import Response
from heliograph.aside import RECORD, aside
from heliograph.model.accounts import Role
from heliograph.model.audit import Action, AuditEntry, AuditQuery, for_viewers
from heliograph.store import Store
from heliograph.store.pages import every_page
from heliograph.wire import audit as wire

_LINES_PAGE: Final = 500
_LONGEST_TEXT: Final = 1_000


ACTOR: Final = parameters.text(
    "actor", "Done by a token or a person of this name.", _LONGEST_TEXT, extension=True
)
ACTION: Final = parameters.member_of("action", "What was done.", Action, None, extension=True)
WHAT: Final = parameters.text(
    "what",
    "Done to this, as the entries name it.",
    _LONGEST_TEXT,
    extension=True,
    example="configuration 7",
)
_LISTING: Final = (
    selection.FROM_DATE,
    selection.TO_DATE,
    ACTOR,
    ACTION,
    WHAT,
    selection.COUNT,
    selection.CURSOR,
    selection.ORDER,
)


class Audit:
    """The operation that lists it; whatever else is called adds to it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def operations(self) -> Sequence[Operation]:
        """The operations of this module."""
        return [
            Operation(
                operation_id="list_audit",
                method="GET",
                path="/accounts/{accountId}/connect/audit",
                handler=self._list,
                lines=True,
                role=Role.VIEWER,
                summary="Lists who did what to what, when and from where.",
                answer=wire.AuditRecords,
                query=_LISTING,
                extension=True,
            )
        ]

    async def _list(self, call: Call) -> Reply | Response:
        query, listing = self._read(call.query), self._store.audit.entries
        count, cursor = selection.COUNT.read(call.query), selection.CURSOR.read(call.query)
        whole = call.principal.role is Role.ADMINISTRATOR

        def shown(entry: AuditEntry) -> wire.AuditRecord:
            return wire.entry_to_wire(entry if whole else for_viewers(entry))

        if call.accept == LINES:
            pages = every_page(listing, call.account_id, query, _LINES_PAGE, cursor)
            return Response(lines(pages, count, shown), media_type=LINES)
        page = await listing(call.account_id, query, count or selection.MOST_RECORDS, cursor)
        records = await aside(RECORD * len(page.entries), lambda: [*map(shown, page.entries)])
        return Reply(
            wire.AuditRecords(records, str(len(records))),
            selection.next_page(call.url_path, call.query, page.next_cursor),
        )

    def _read(self, query: Mapping[str, str]) -> AuditQuery:
        return AuditQuery(
            from_date=selection.FROM_DATE.read(query),
            to_date=selection.until(selection.TO_DATE.read(query), self._store.clock.differs()),
            actor=ACTOR.read(query),
            action=ACTION.read(query),
            what=WHAT.read(query),
            order=selection.ORDER.read(query),
        )
