"""The query parameters of listings: which log entries or failures a caller means.

`from_date` and `to_date` are the page's; the others are extensions, and without them the
answer is what the SDK expects.
"""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from heliograph.api.contract import parameters
from heliograph.api.contract.parameters import LARGEST_ID, Parameter
from heliograph.errors import InvalidParameter
from heliograph.model.causes import CAUSES, PHASES, Cause
from heliograph.model.deliveries import DeliveryState
from heliograph.model.logs import Cursor, LogQuery, Order
from heliograph.store import RequeuePage
from heliograph.wire import logs
from heliograph.wire.messages.json_sim import LONGEST_ID, STATUS_WORDS

MOST_RECORDS: Final = 10_000
"""Records in one answer, and how many come when the caller does not say (ConnectLogs has no
place to tell an SDK's user that there are more)."""

_LONGEST_TEXT: Final = 1_000
"""Characters; no id of an envelope is as long."""


def _status(text: str) -> str | None:
    if text.lower() == "any":
        return None
    word = STATUS_WORDS.get(text.lower())
    if word is None:
        raise InvalidParameter(f"status must be one of {', '.join(STATUS_WORDS.values())}.")
    return word


def _order(text: str) -> Order:
    try:
        return Order(text.lower())
    except ValueError:
        raise InvalidParameter("order must be asc or desc.") from None


def _cursor(text: str) -> Cursor:
    try:
        plain = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        created, row = plain.decode("ascii").split(".")
        cursor = Cursor(int(created), int(row))
        if max(abs(cursor.created_us), abs(cursor.row_id)) > LARGEST_ID:
            raise ValueError
    except (binascii.Error, ValueError):
        raise InvalidParameter(
            "cursor is not one that Heliograph gave: take it from the Link header."
        ) from None
    return cursor


def _phase(text: str) -> str:
    if text.lower() not in PHASES:
        raise InvalidParameter(f"phase must be one of {', '.join(PHASES)}.")
    return text.lower()


def _cause(text: str) -> Cause:
    cause = Cause.named(text)
    if cause not in CAUSES:
        raise InvalidParameter(
            "cause must be one that a failure has, such as tls: certificate expired."
        )
    return cause


FROM_DATE: Final = parameters.date("from_date", "Created at this time or later; UTC.")
TO_DATE: Final = parameters.date("to_date", "Created at this time or earlier; UTC.")
CONNECT_ID: Final = parameters.row("connect_id", "Of this configuration.", extension=True)
ENVELOPE_ID: Final = parameters.text(
    "envelope_id", "Of this envelope.", _LONGEST_TEXT, extension=True
)
STATUS: Final = parameters.one_of(
    name="status",
    about="Of this envelope status; Any is no filter.",
    choices=STATUS_WORDS.values(),
    parse=_status,
    absent=None,
    extension=True,
)
ERROR: Final = parameters.text(
    "error", "Whose error text holds this, whatever its case.", LONGEST_ID, extension=True
)
COUNT: Final = parameters.number(
    "count", "How many in one answer.", 1, MOST_RECORDS, None, extension=True
)
CURSOR: Final[Parameter[Cursor | None]] = Parameter(
    name="cursor",
    about="Where the answer before ended: from its Link header, or nextCursor.",
    schema={"type": "string"},
    parse=_cursor,
    absent=None,
    extension=True,
)
ORDER: Final = parameters.one_of(
    name="order",
    about="Newest first (desc) or oldest first (asc).",
    choices=[order.value for order in Order],
    parse=_order,
    absent=Order.NEWEST_FIRST,
    extension=True,
)

PHASE: Final = parameters.one_of(
    name="phase",
    about="That failed in this phase.",
    choices=PHASES,
    parse=_phase,
    absent=None,
    extension=True,
)
CAUSE: Final[Parameter[Cause | None]] = Parameter(
    name="cause",
    about="That have this cause, as in tls: certificate expired.",
    schema={"type": "string"},
    parse=_cause,
    absent=None,
    extension=True,
)
INCIDENT_ID: Final = parameters.row("incident_id", "Of this incident.", extension=True)

FILTERS: Final = (FROM_DATE, TO_DATE, CONNECT_ID, ENVELOPE_ID, STATUS, ERROR)
"""What selects records, in listings and in calls that change all that are selected."""

OF_FAILURES: Final = (PHASE, CAUSE, INCIDENT_ID)
"""What selects failures beside that, and nothing else."""

LISTING: Final = (*FILTERS, COUNT, CURSOR, ORDER)

ALL: Final = parameters.flag(
    "all", "All of the account are meant: in place of a filter.", extension=True
)
DRY_RUN: Final = parameters.flag(
    "dry_run", "Change nothing, and tell what would be changed.", extension=True
)
BULK: Final = (*FILTERS, ALL, DRY_RUN)
"""What a call in bulk takes, beside a cursor."""


@dataclass(frozen=True, slots=True)
class Selection:
    """A listing's filters, how many records of it, and where it begins.

    `incident_id` stands for filters that only the store knows: see `api.selecting`.
    """

    query: LogQuery
    count: int | None
    cursor: Cursor | None
    incident_id: int | None = None

    @property
    def narrows(self) -> bool:
        """Whether anything is a filter."""
        return self.query.narrows or self.incident_id is not None

    def until(self, ahead: timedelta) -> Selection:
        """The same where records are dated by a clock that is `ahead` of the caller's.

        A `to_date` of now then hides nothing; where it is of before that clock was ahead, some
        more records are selected.
        """
        return replace(self, query=replace(self.query, to_date=until(self.query.to_date, ahead)))


def until(to_date: datetime | None, ahead: timedelta) -> datetime | None:
    """The end of a listing; see `Selection.until`."""
    return to_date if to_date is None or ahead <= timedelta() else to_date + ahead


def read(query: Mapping[str, str]) -> Selection:
    """Read a query string; empty values count as not given.

    Raises:
        InvalidParameter: naming the parameter and what it takes.
    """
    return Selection(
        LogQuery(
            from_date=FROM_DATE.read(query),
            to_date=TO_DATE.read(query),
            connect_id=CONNECT_ID.read(query),
            envelope_id=ENVELOPE_ID.read(query),
            status=STATUS.read(query),
            error=ERROR.read(query),
            order=ORDER.read(query),
            phase=PHASE.read(query),
            cause=CAUSE.read(query),
        ),
        count=COUNT.read(query),
        cursor=CURSOR.read(query),
        incident_id=INCIDENT_ID.read(query),
    )


@dataclass(frozen=True, slots=True)
class Bulk:
    """What a call in bulk is about, and whether it shall only tell."""

    selection: Selection
    dry_run: bool


def read_bulk(query: Mapping[str, str]) -> Bulk:
    """Read the query string of a call that changes all that it selects.

    Raises:
        InvalidParameter: it neither has a filter nor says that all are meant, or does both.
    """
    selection, everything = read(query), ALL.read(query)
    if everything == selection.narrows:
        raise InvalidParameter(
            "Nothing was changed: all=true and a filter are there."
            if everything
            else "Nothing was changed: give a filter, or all=true if all are meant."
        )
    return Bulk(selection, DRY_RUN.read(query))


def results(page: RequeuePage, goes_out: Collection[DeliveryState]) -> logs.BulkResults:
    """What one batch changed: whatever is in one of these states now."""
    reasons = Counter(one.note for one in page.requeued if one.state not in goes_out)
    return logs.BulkResults(
        changed=str(len(page.requeued) - reasons.total()),
        unchanged=str(reasons.total()),
        unchanged_reasons=[
            logs.BulkReason(reason=reason, count=str(count))
            for reason, count in reasons.most_common()
        ]
        or None,
        next_cursor=None if page.next_cursor is None else write_cursor(page.next_cursor),
    )


def write_cursor(cursor: Cursor) -> str:
    """A cursor as text that callers hand back and do not read."""
    plain = f"{cursor.created_us}.{cursor.row_id}".encode()
    return base64.urlsafe_b64encode(plain).decode().rstrip("=")


def next_link(path: str, query: Mapping[str, str], cursor: Cursor) -> str:
    """The Link header (RFC 8288) of the next page of a query that an operation has listed."""
    kept = {name: text for name, text in query.items() if name != "cursor"}
    return f'<{path}?{urlencode({**kept, "cursor": write_cursor(cursor)})}>; rel="next"'


def next_page(path: str, query: Mapping[str, str], cursor: Cursor | None) -> Mapping[str, str]:
    """The headers that lead to the next page, where there is one."""
    return {} if cursor is None else {"Link": next_link(path, query, cursor)}
