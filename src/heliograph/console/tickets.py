"""Texts of a failure to take elsewhere: a curl line, Markdown for a ticket, the sums of some."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Exchange(Protocol):
    """Both halves of one attempt."""

    @property
    def sent(self) -> Mapping[str, Any]: ...
    @property
    def came_back(self) -> Mapping[str, Any]: ...


def curl(
    record: Mapping[str, str],
    attempts: Sequence[Exchange],
    listener: Mapping[str, Any] | None,
) -> str:
    """A command that posts the last message as it was rendered; signatures and credentials are
    left out, and said to be."""
    if not attempts:
        return ""
    body = attempts[-1].sent.get("payload") or ""
    kind = "application/json" if body.lstrip().startswith(("{", "[")) else "text/xml"
    lines = [
        "# Without signatures and credentials, which are masked wherever they are shown.",
        f"curl -i {shlex.quote(record['configUrl'])} \\",
        f"  -H {shlex.quote(f'Content-Type: {kind}; charset=utf-8')} \\",
        f"  --data-binary {shlex.quote(body)}",
    ]
    if listener is not None and listener.get("requireMutualTls") == "true":
        lines.insert(1, "# The listener asks for the account's client certificate: add --cert.")
    return "\n".join(lines)


def markdown(failure: Mapping[str, str], attempts: Sequence[Exchange], address: str) -> str:
    """A failure as a ticket has it."""
    rows = [
        ("Failure", failure.get("failureId")),
        ("Listener", f"{failure.get('configUrl')} (configuration {failure.get('connectId')})"),
        ("Envelope", failure.get("envelopeId")),
        ("Event", failure.get("event")),
        ("Subject", failure.get("subject")),
        ("Created", failure.get("created")),
        ("Last try", failure.get("lastTry")),
        ("Tries", str(int(failure.get("retryCount", "0")) + 1)),
        ("Next try", failure.get("nextTry")),
        ("Error", failure.get("error")),
        ("API", f"GET {address}"),
    ]
    lines = [f"- **{name}**: {_code(text)}" for name, text in rows if text]
    for number, attempt in enumerate(attempts, 1):
        came_back = attempt.came_back
        why = (came_back.get("errorDetails") or {}).get("message", "")
        text = ": ".join(filter(None, (came_back.get("eventDescription"), why)))
        lines.append(f"{number}. {came_back.get('eventDateTime', '')} {_code(text)}")
    return "\n".join(lines)


def _code(text: str) -> str:
    """Text that Markdown shows as it is."""
    line = " ".join(text.split())
    fence = "`" * (max((len(run) for run in _runs(line)), default=0) + 1)
    return f"{fence} {line} {fence}" if "`" in line else f"`{line}`"


def _runs(text: str) -> list[str]:
    """The runs of backticks in a text."""
    return [run for run in "".join(c if c == "`" else " " for c in text).split() if run]


def summed(found: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """What a bulk call's dry run says, of failures that were looked up one by one."""
    by_listener = Counter((one["connectId"], one["configUrl"]) for one in found)
    created = sorted(one["created"] for one in found)
    return {
        "count": str(len(found)),
        "oldest": created[0],
        "newest": created[-1],
        "configurations": [
            {"connectId": connect_id, "name": "", "urlToPublishTo": url, "count": str(count)}
            for (connect_id, url), count in by_listener.items()
        ],
    }
