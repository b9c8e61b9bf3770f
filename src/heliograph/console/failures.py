"""What did not arrive: the list, one of them, and sending again or deleting some or all."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from heliograph.console import tickets
from heliograph.console.calls import ProblemOfCall, segment
from heliograph.console.visits import GoTo, Page, Place, Same, Visit
from heliograph.errors import InvalidBody
from heliograph.model.causes import CAUSES, PHASES
from heliograph.model.deliveries import Phase
from heliograph.wire.messages.json_sim import STATUS_WORDS

FILTERS: Final = ("from_date", "to_date", "connect_id", "envelope_id", "status", "error")
"""Of failures and of the log."""

_FILTERS: Final = (*FILTERS, "incident_id", "cause", "phase")

_GROUPS: Final = {
    "listener": ("connectId",),
    "error": ("connectId", "error"),
    "envelope": ("envelopeId",),
}
"""How rows can be put together, and the fields that are then alike."""

_PAGE_ROWS: Final = 100

_CAUSES: Final = sorted(map(str, CAUSES))

_TYPED_ABOVE: Final = 1_000
"""Of more the number is typed before it is done."""

_CARE: Final = ("rate", "ramp", "canary", "stop_percent")
"""How carefully a republish job asks: the parameters of the call that starts one."""

_PHASES: Final = (
    *(Phase.DNS, Phase.CONNECT, Phase.TLS, Phase.WRITE),
    *(Phase.HEADERS, Phase.BODY, Phase.STATUS),
)
"""In the order in which an attempt goes through them."""


def places() -> Sequence[Place]:
    """The pages of this module."""
    return [
        Place("failures", _listing),
        Place("failures/act", post=_preview),
        Place("failures/do", post=_act),
        Place("failures/{failureId}", _failure),
    ]


def filters_of(values: Mapping[str, str], names: Sequence[str] = _FILTERS) -> dict[str, str]:
    """The filters of a listing among the parameters of a page, or the fields of its form."""
    return {name: values[name] for name in names if name in values}


def command_of(command: str, filters: Mapping[str, str]) -> str:
    """A line of the CLI with the same filters."""
    options = [
        part
        for name, value in filters.items()
        for part in (f"--{name.removesuffix('_date').replace('_', '-')}", value)
    ]
    return shlex.join(["heliograph", *command.split(), *options])


async def listeners_of(visit: Visit) -> dict[str, str]:
    """The names of the account's listeners by their id."""
    found = (await visit.get(""))["configurations"]
    return {one["connectId"]: one.get("name") or one["connectId"] for one in found}


async def _listing(visit: Visit) -> Page:
    filters, query = filters_of(visit.query), {"count": str(_PAGE_ROWS)}
    if "cursor" in visit.query:
        query["cursor"] = visit.query["cursor"]
    # A date of a form without seconds, or whatever else is mistaken, is told where it was typed.
    problem, rows, cursor = "", [], None
    try:
        answer = await visit.call("GET", "failures", {**filters, **query})
        rows, cursor = answer.value["failures"], answer.cursor
    except ProblemOfCall as refused:
        if refused.status != 400:
            raise
        problem = refused.message
    return Page(
        "failures.html",
        "Failures",
        {
            "groups": _grouped(rows, visit.query.get("group", "")),
            "group": visit.query.get("group", ""),
            "group_names": list(_GROUPS),
            "rows": len(rows),
            "cursor": cursor,
            "filters": filters,
            "problem": problem,
            "listeners": await listeners_of(visit),
            "statuses": [*STATUS_WORDS.values()][1:],
            "causes": _CAUSES,
            "phases": PHASES,
            "further": {**visit.query, "cursor": cursor or ""},
        },
        [Same.of(visit, "failures", command_of("failures list", filters), {**filters, **query})],
    )


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that are alike in some fields; `like` is empty where they are not put together."""

    like: Sequence[str]
    rows: Sequence[Mapping[str, str]]


def _grouped(rows: Sequence[Mapping[str, str]], by: str) -> Sequence[Group]:
    fields = _GROUPS.get(by)
    if fields is None:
        return [Group((), rows)] if rows else []

    def like(row: Mapping[str, str]) -> list[str]:
        return [row.get(name, "") for name in fields]

    groups = [Group(key, list(some)) for key, some in groupby(sorted(rows, key=like), like)]
    return sorted(groups, key=lambda group: -len(group.rows))


async def _failure(visit: Visit) -> Page:
    failure_id = visit.path["failureId"]
    path, query = f"failures/{segment(failure_id)}", {"additional_info": "true"}
    failure = await visit.get(path, query)
    attempts = attempts_of(failure)
    listener = await _listener(visit, failure["connectId"])
    address = f"/restapi/v2.1/accounts/{visit.principal.account.account_id}/connect/{path}"
    return Page(
        "failure.html",
        f"Failure {failure_id}",
        {
            "failure": failure,
            "attempts": attempts,
            "phases": [phase.value for phase in _PHASES],
            "listener": listener,
            "why_waiting": why_waiting(failure),
            "curl": tickets.curl(failure, attempts, listener),
            "ticket": tickets.markdown(failure, attempts, address),
            "filters": _only(failure),
        },
        [
            Same.of(visit, path, f"heliograph failures show {shlex.quote(failure_id)}", query),
            Same.of(
                visit,
                "failures/retry_queue",
                command_of("failures republish", _of_envelope(failure)),
                _of_envelope(failure),
                "PUT",
            ),
        ],
    )


async def _listener(visit: Visit, connect_id: str) -> Mapping[str, Any] | None:
    """The configuration of a failure; None where it was deleted."""
    try:
        found: Mapping[str, Any] = (await visit.get(connect_id))["configurations"][0]
    except ProblemOfCall as refused:
        if refused.status != 404:
            raise
        return None
    return found


@dataclass(frozen=True, slots=True)
class Attempt:
    """Both halves of one exchange; `phase` is how far it came before it failed, or empty."""

    number: int
    sent: Mapping[str, Any]
    came_back: Mapping[str, Any]
    phase: str

    @property
    def at_phase(self) -> int:
        """The place of its phase among those that are drawn; behind them all where it came through.
        One that is not drawn failed before the first."""
        drawn = [phase.value for phase in _PHASES]
        if not self.phase:
            return len(drawn)
        return drawn.index(self.phase) if self.phase in drawn else -1


def attempts_of(record: Mapping[str, Any]) -> Sequence[Attempt]:
    """The attempts of a record that was asked for with additional_info, oldest first."""
    halves: Sequence[Mapping[str, Any]] = record.get("connectDebugLog") or ()
    return [
        Attempt(
            at // 2 + 1,
            halves[at],
            halves[at + 1],
            (halves[at + 1].get("errorDetails") or {})
            .get("errorCode", "")
            .lower()
            .replace("_", " "),
        )
        for at in range(0, len(halves), 2)
    ]


_HELD: Final = {
    "paused": "Its listener is paused. It goes out, in its order, when the listener is resumed.",
    "disabled": "Its listener is switched off. It goes out when the listener is switched on.",
    "order": "An earlier event of the same envelope is not delivered yet, and order is kept: "
    "put that one right, or delete it, and this one follows.",
}


def why_waiting(failure: Mapping[str, str]) -> str:
    """What must happen before it is tried again."""
    match failure.get("deliveryState"):
        case "held":
            return _HELD.get(failure.get("heldReason", ""), "It is held.")
        case "waiting":
            return "It is tried again by itself. Sending it again now does not wait for that."
        case "in_flight":
            return "It is being sent now: load the page again."
        case "failed":
            return "Its retries have ended: nothing more happens until somebody sends it again."
        case _:
            return ""


def _of_envelope(failure: Mapping[str, str]) -> dict[str, str]:
    """Filters that mean a failure, with others of its envelope at the same listener."""
    named = {"connect_id": failure["connectId"]}
    return named | {"envelope_id": failure["envelopeId"]} if failure.get("envelopeId") else named


def _only(failure: Mapping[str, str]) -> dict[str, str]:
    """Filters that mean one failure: nothing else of its envelope was created at that time."""
    at = failure["created"]
    return {**_of_envelope(failure), "from_date": at, "to_date": at}


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a form is about: some rows by their ids, or all that filters select."""

    republish: bool
    ids: Sequence[str]
    filters: Mapping[str, str]

    @property
    def query(self) -> dict[str, str]:
        return dict(self.filters) or {"all": "true"}


def _asked(visit: Visit) -> _Asked | GoTo:
    """What a form is about; where no row is, it never means all."""
    all_that_match = visit.form.get("which") == "all"
    if not all_that_match and not visit.chosen:
        return GoTo("failures", "Nothing was selected: mark rows first, or choose all that match.")
    return _Asked(
        visit.form.get("action") != "delete",
        () if all_that_match else visit.chosen,
        filters_of(visit.form),
    )


async def _preview(visit: Visit) -> Page | GoTo:
    """What would be sent again or deleted; nothing is changed."""
    asked = _asked(visit)
    if isinstance(asked, GoTo):
        return asked
    method, path = ("POST", "republish_jobs") if asked.republish else ("DELETE", "failures")
    query = {**asked.query, "dry_run": "true"}
    if asked.ids:
        found = await asyncio.gather(*(visit.get(f"failures/{segment(one)}") for one in asked.ids))
        result = tickets.summed(found)
        same: Sequence[Same] = ()
    else:
        result = (await visit.call(method, path, query)).value
        command = command_of(
            "republish start --dry-run" if asked.republish else "failures delete --dry-run",
            asked.filters,
        )
        same = [
            Same.of(*(visit, path, command if asked.filters else f"{command} --all"), query, method)
        ]
    names = await listeners_of(visit)
    count = result.get("total") or result["count"]
    return Page(
        "act.html",
        "Send again" if asked.republish else "Delete",
        {
            "asked": asked,
            "result": result,
            "names": names,
            "count": count,
            "typed": int(count) > _TYPED_ABOVE,
            "filters": asked.filters,
        },
        same,
    )


async def _act(visit: Visit) -> Page | GoTo:
    asked, count = _asked(visit), visit.form.get("count", "")
    if isinstance(asked, GoTo):
        return asked
    try:
        many = int(count) > _TYPED_ABOVE
    except ValueError:
        raise InvalidBody("count is not the number of the preview.") from None
    if many and visit.form.get("typed", "").replace(",", "") != count:
        return GoTo("failures", "Nothing was changed: the number that was typed is another one.")
    if asked.republish and not asked.ids:
        care = {name: visit.form[name] for name in _CARE if name in visit.form}
        job = (await visit.call("POST", "republish_jobs", {**asked.query, **care})).value
        return GoTo(f"republish/{job['jobId']}", "Started.")
    if asked.republish:
        changed, left = 0, 0
        for one in asked.ids:
            query = _only(await visit.get(f"failures/{segment(one)}"))
            done = (await visit.call("PUT", "failures/retry_queue", query)).value
            changed, left = changed + int(done["changed"]), left + int(done["unchanged"])
        note = f"{changed:,} queued to be sent now."
        if left:
            note += (
                f" {left:,} were left as they are: their listener is paused, off or deleted, or "
                "they are being sent."
            )
        return GoTo("failures", note)
    if asked.ids:
        for one in asked.ids:
            await visit.call("DELETE", f"failures/{segment(one)}")
        return GoTo("failures", f"{len(asked.ids):,} deleted: none of them is tried again.")
    changed = 0
    while True:  # the same call finds what is left
        done = (await visit.call("DELETE", "failures", asked.query)).value
        changed += int(done["changed"])
        if not done.get("nextCursor"):
            return GoTo("failures", f"{changed:,} deleted: none of them is tried again.")
