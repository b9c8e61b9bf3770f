"""The audit: who did what to what, when and from where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from heliograph.console.calls import ProblemOfCall
from heliograph.console.failures import command_of
from heliograph.console.visits import Page, Place, Same, Visit
from heliograph.model.audit import Action

_FILTERS: Final = ("from_date", "to_date", "actor", "action", "what")
_PAGE_ROWS: Final = 100


def places() -> Sequence[Place]:
    """The pages of this module."""
    return [Place("audit", _listing)]


async def _listing(visit: Visit) -> Page:
    filters = {name: visit.query[name] for name in _FILTERS if name in visit.query}
    query = {**filters, "count": str(_PAGE_ROWS)}
    if "cursor" in visit.query:
        query["cursor"] = visit.query["cursor"]
    problem, rows, cursor = "", [], None
    try:
        answer = await visit.call("GET", "audit", query)
        rows, cursor = answer.value["audit"], answer.cursor
    except ProblemOfCall as refused:
        if refused.status != 400:
            raise
        problem = refused.message
    return Page(
        "audit.html",
        "Audit",
        {
            "rows": rows,
            "filters": filters,
            "problem": problem,
            "actions": [action.value for action in Action],
            "further": {**visit.query, "cursor": cursor} if cursor else None,
        },
        [Same.of(visit, "audit", command_of("audit list", filters), query)],
    )
