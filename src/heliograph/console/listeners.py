"""Listeners: the list, one of them with its last posts, a test send, pausing, and the form."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from heliograph.console.calls import ProblemOfCall, segment
from heliograph.console.visits import GoTo, Page, Place, Same, Visit
from heliograph.errors import InvalidBody
from heliograph.wire import docusign

_SHOWN: Final = 20
"""Posts and failures that are shown of one listener."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the form, by the API's name; a choice has its words, a flag none of both."""

    name: str
    label: str
    about: str
    choices: Sequence[str] = ()
    flag: bool = False


FIELDS: Final = (
    Field("name", "Name", "Shown in lists and logs."),
    Field("urlToPublishTo", "Address", "Where messages are posted, http or https."),
    Field("allowEnvelopePublish", "Switched on", "Off: new events skip it, and what waits is held "
          "until it is on again.", flag=True),
    Field("pausePublish", "Paused", "Events are kept, and go out when it is resumed.",
          flag=True),
    Field("allUsers", "Events of all users", "Else name users below.", flag=True),
    Field("userIds", "Users", "Ids, parted by commas; only where not all users are meant."),
    Field("enableLog", "Log every post", "Failures are always listed.", flag=True),
    Field("includeHMAC", "Signed", "With every HMAC key of the account.", flag=True),
    Field("requiresAcknowledgement", "Tried again", "Off: each event is tried once.", flag=True),
    Field("deliveryMode", "Message", "SIM: one for each event. aggregate: the newest state of the "
          "envelope, one for all events within 5 s.", ("SIM", "aggregate")),
    Field("deliveryOrder", "Kept in order", "What waits while an earlier event is not delivered.",
          ("envelope", "configuration", "none")),
    Field("maxPerSecond", "At most a second", "Messages from each server; empty: no bound."),
    Field("retrySchedule", "Retries", "standard, docusign, or seconds before each try, parted by "
          "commas."),
    Field("requireMutualTls", "Shows our certificate", "The account's client certificate.",
          flag=True),
)  # fmt: skip
"""What the form asks for; everything else of a configuration stays as it is."""


def places() -> Sequence[Place]:
    """The pages of this module."""
    return [
        Place("listeners", _listing),
        Place("listeners/new", _form, _save),
        Place("listeners/{connectId}", _listener),
        Place("listeners/{connectId}/edit", _form, _save),
        Place("listeners/{connectId}/switch", post=_switch),
        Place("listeners/{connectId}/test", post=_test),
        Place("listeners/{connectId}/delete", _ask_delete, _delete),
    ]


def state_of(listener: Mapping[str, Any]) -> tuple[str, str]:
    """Whether a listener gets its events, in a word, and how that looks."""
    if listener.get("allowEnvelopePublish") != "true":
        by = listener.get("disabledBy")
        return (f"off, by {by}" if by else "off"), "bad"
    if listener.get("pausePublish") == "true":
        return "paused", "warn"
    return "on", "good"


async def _listing(visit: Visit) -> Page:
    found = (await visit.get(""))["configurations"]
    shown = [(one, *state_of(one)) for one in found]
    same = [Same.of(visit, "", "heliograph configurations list")]
    return Page("listeners.html", "Listeners", {"listeners": shown}, same)


async def _found(visit: Visit) -> Mapping[str, Any]:
    path = segment(visit.path["connectId"])
    found: Mapping[str, Any] = (await visit.get(path))["configurations"][0]
    return found


async def _listener(visit: Visit) -> Page:
    return await _shown(visit, None)


async def _shown(visit: Visit, exchange: Mapping[str, Any] | None) -> Page:
    """One listener; `exchange` is a test message's."""
    listener = await _found(visit)
    connect_id = listener["connectId"]
    query = {"connect_id": connect_id, "count": str(_SHOWN)}
    logs = (await visit.get("logs", query))["logs"]
    failures = (await visit.get("failures", query))["failures"]
    pace = await visit.get("throughput", {"connect_id": connect_id})
    state, look = state_of(listener)
    return Page(
        "listener.html",
        listener.get("name") or f"Listener {connect_id}",
        {
            "listener": listener,
            "state": state,
            "look": look,
            "fields": FIELDS,
            "logs": logs,
            "failures": failures,
            "most": _SHOWN,
            "pace": pace,
            "exchange": exchange,
        },
        [
            Same.of(visit, connect_id, f"heliograph configurations show {connect_id}"),
            Same.of(
                *(visit, f"{connect_id}/test", f"heliograph configurations test {connect_id}"),
                method="POST",
            ),
        ],
    )


_CHANGES: Final = {
    "pausePublish=true": "Paused: its events are kept until it is resumed.",
    "pausePublish=false": "Resumed: what was kept goes out now, in its order.",
    "allowEnvelopePublish=true": "Switched on: what was held goes out now.",
}
"""What buttons of a listener's page set, and what is then said."""


async def _switch(visit: Visit) -> GoTo:
    """Pause, resume, or switch on."""
    change = visit.form.get("change", "")
    if change not in _CHANGES:
        raise InvalidBody("change is none that a button makes.")
    name, value = change.split("=")
    await visit.call("PUT", "", body={"connectId": visit.path["connectId"], name: value})
    return GoTo(f"listeners/{segment(visit.path['connectId'])}", _CHANGES[change])


async def _test(visit: Visit) -> Page:
    path = f"{segment(visit.path['connectId'])}/test"
    return await _shown(visit, (await visit.call("POST", path)).value)


async def _form(visit: Visit) -> Page:
    listener = await _found(visit) if "connectId" in visit.path else _NEW
    return _form_page(visit, listener)


_NEW: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("allowEnvelopePublish", "allUsers", "enableLog", "includeHMAC"), "true"),
    **dict.fromkeys(("requiresAcknowledgement",), "true"),
    "deliveryMode": "SIM",
    "deliveryOrder": "envelope",
    "events": ["envelope-sent", "envelope-completed"],
}


def _form_page(visit: Visit, listener: Mapping[str, Any], problem: str = "") -> Page:
    connect_id = visit.path.get("connectId", "")
    known = sorted(docusign.EVENTS)
    chosen = listener.get("events") or []
    command = f"configurations update {connect_id}" if connect_id else "configurations create"
    return Page(
        "listener_form.html",
        f"Edit {listener.get('name') or connect_id}" if connect_id else "New listener",
        {
            "listener": listener,
            "fields": FIELDS,
            "events": known,
            "others": [one for one in chosen if one not in known],
            "problem": problem,
            "connect_id": connect_id,
        },
        [
            Same.of(
                *(visit, "", f"heliograph {command} --help"),
                method="PUT" if connect_id else "POST",
            )
        ],
        400 if problem else 200,
    )


async def _save(visit: Visit) -> Page | GoTo:
    form = visit.form
    body: dict[str, Any] = {
        field.name: form.get(field.name, "")
        for field in FIELDS
        if field.name in form or not field.flag
    }
    body["retrySchedule"] = [one.strip() for one in body["retrySchedule"].split(",") if one.strip()]
    body["userIds"] = [one.strip() for one in body["userIds"].split(",") if one.strip()]
    more = form.get("others", "").replace(",", " ").split()
    body["events"] = [*visit.chosen, *more]
    connect_id = visit.path.get("connectId")
    if connect_id is not None:
        body["connectId"] = connect_id
    try:
        made = (await visit.call("POST" if connect_id is None else "PUT", "", body=body)).value
    except ProblemOfCall as refused:
        if refused.status != 400:
            raise
        return _form_page(visit, body, refused.message)
    return GoTo(f"listeners/{made['connectId']}", "Saved.")


async def _ask_delete(visit: Visit) -> Page:
    listener = await _found(visit)
    command = f"heliograph configurations delete {shlex.quote(listener['connectId'])}"
    same = [Same.of(visit, listener["connectId"], command, method="DELETE")]
    title = f"Delete {listener.get('name')}?"
    return Page("listener_delete.html", title, {"listener": listener}, same)


async def _delete(visit: Visit) -> GoTo:
    await visit.call("DELETE", segment(visit.path["connectId"]))
    return GoTo("listeners", "Deleted.")
