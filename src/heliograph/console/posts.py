"""The log: every post of listeners that keep one, and one of them with its exchange."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Final

from heliograph.console import tickets
from heliograph.console.calls import ProblemOfCall, segment
from heliograph.console.failures import attempts_of, command_of, filters_of, listeners_of
from heliograph.console.visits import Page, Place, Same, Visit
from heliograph.wire.messages.json_sim import STATUS_WORDS

_PAGE_ROWS: Final = 100


def places() -> Sequence[Place]:
    """The pages of this module."""
    return [
        Place("log", _listing),
        Place("log/{logId}", _post),
        Place("envelopes", _envelope),
    ]


async def _listing(visit: Visit) -> Page:
    filters, query = filters_of(visit.query), {"count": str(_PAGE_ROWS)}
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
    """What is known of an envelope: its open failures, and the posts that the log kept."""
    wanted = visit.query.get("q", "")
    query = {"envelope_id": wanted, "count": str(_PAGE_ROWS)}
    failures, logs = [], []
    if wanted:
        failures = (await visit.get("failures", query))["failures"]
        logs = (await visit.get("logs", query))["logs"]
    same = [
        Same.of(visit, kind, command_of(f"{kind} list", {"envelope_id": wanted}), query)
        for kind in ("failures", "logs")
        if wanted
    ]
    return Page(
        "envelope.html",
        "Envelope",
        {
            "wanted": wanted,
            "failures": failures,
            "logs": logs,
            "listeners": await listeners_of(visit) if wanted else {},
        },
        same,
    )
