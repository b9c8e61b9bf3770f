"""The log: every post of listeners that keep one, and one of them with its exchange."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Final

from heliograph.console import tickets
from heliograph.console.calls import ProblemOfCall, segment
from heliograph.console.failures import (
    FILTERS,
    attempts_of,
    command_of,
    filters_of,
    listeners_of,
)
from heliograph.console.visits import Page, Place, Same, Visit
from heliograph.wire.messages.json_sim import STATUS_WORDS

_PAGE_ROWS: Final = 100

_SEARCHED: Final = ("envelope_id", "subject", "sender")
"""What a text is looked for in, one after the other until there is something."""

_WHOLE: Final = 20
"""Events of one envelope that are shown with their deliveries."""


def places() -> Sequence[Place]:
    """The pages of this module."""
    return [
        Place("log", _listing),
        Place("log/{logId}", _post),
        Place("envelopes", _envelope),
    ]


async def _listing(visit: Visit) -> Page:
    filters, query = filters_of(visit.query, FILTERS), {"count": str(_PAGE_ROWS)}
    if "cursor" in visit.query:
        query["cursor"] = visit.query["cursor"]
    problem, rows, cursor = "", [], None
    try:
        answer = await visit.call("GET", "logs", {**filters, **query})
        rows, cursor = answer.value["logs"], answer.cursor
    except ProblemOfCall as refused:
        if refused.status != 400:
            raise
        problem = refused.message
    return Page(
        "log.html",
        "Log",
        {
            "rows": rows,
            "filters": filters,
            "problem": problem,
            "listeners": await listeners_of(visit),
            "statuses": [*STATUS_WORDS.values()][1:],
            "further": {**visit.query, "cursor": cursor or ""} if cursor else None,
        },
        [Same.of(visit, "logs", command_of("logs list", filters), {**filters, **query})],
    )


async def _post(visit: Visit) -> Page:
    log_id = visit.path["logId"]
    path, query = f"logs/{segment(log_id)}", {"additional_info": "true"}
    post = await visit.get(path, query)
    attempts = attempts_of(post)
    names = await listeners_of(visit)
    return Page(
        "post.html",
        f"Post {log_id}",
        {
            "post": post,
            "attempt": attempts[-1],
            "listener": names.get(post["connectId"]),
            "curl": tickets.curl(post, attempts, None),
        },
        [Same.of(visit, path, f"heliograph logs show {shlex.quote(log_id)}", query)],
    )


async def _envelope(visit: Visit) -> Page:
    """An envelope's events, to whom each went or why not; or events of a subject or a sender."""
    wanted, found, same = visit.query.get("q", ""), [], []
    for name in _SEARCHED if wanted else ():
        query = {name: wanted, "count": str(_PAGE_ROWS)}
        found = (await visit.get("events", query))["events"]
        if found:
            same = [Same.of(visit, "events", command_of("events list", {name: wanted}), query)]
            break
    envelopes = {event.get("envelopeId") for event in found}
    if len(envelopes) == 1:
        found = [await visit.get(f"events/{segment(event['eventId'])}") for event in found[:_WHOLE]]
        if envelope := found[0].get("envelopeId"):
            command = f"heliograph envelopes show {shlex.quote(envelope)}"
            same = [Same.of(visit, "events", command, {"envelope_id": envelope})]
    values = {"wanted": wanted, "events": found, "alone": len(envelopes) == 1}
    return Page("envelope.html", "Envelope", values, same)
