"""Whether somebody looks for what is due (R21): pure; for metrics and doctor."""

from __future__ import annotations

from typing import Final

from heliograph.model.checks import Check

MOST_UNATTENDED: Final = 120.0
"""Seconds after which something is wrong: a node looks each 30 s, or when an attempt ends."""

_SECOND: Final = 1_000_000


def unattended(due_us: int | None, looked_us: int | None, now: int) -> float:
    """Seconds for which something has been due and no node has looked; 0: nothing is overdue.

    `due_us` is when the oldest waiting delivery was due, `looked_us` when any node looked last.
    """
    if due_us is None:
        return 0.0
    return max(0.0, (now - max(due_us, looked_us or 0)) / _SECOND)


def attendance_check(due_us: int | None, looked_us: int | None, now: int) -> Check:
    """What doctor says; `looked_us` None: no node runs, which is no fault."""
    late = unattended(due_us, None, now)
    if not late:
        return Check("due", True, "nothing is overdue")
    found = f"the oldest delivery has been due for {late:.0f} s"
    if looked_us is None:
        return Check("due", True, f"{found}; no server runs")
    since = unattended(due_us, looked_us, now)
    found += f", and no node has looked for it for {since:.0f} s"
    if since <= MOST_UNATTENDED:
        return Check("due", True, found)
    mend = (
        "start a node that sends, if all that run have --no-dispatch; else restart those that do, "
        "and report it with their logs: it is a bug of Heliograph"
    )
    return Check("due", False, found, mend)
