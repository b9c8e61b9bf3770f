"""Incidents as steps; what counts them is a trigger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from heliograph.model.audit import Action, Change, given
from heliograph.model.causes import Cause, cause_of
from heliograph.model.incidents import (
    Acknowledged,
    Envelopes,
    Incident,
    IncidentQuery,
    IncidentState,
    News,
    Turn,
)
from heliograph.model.logs import Cursor
from heliograph.store import BATCH
from heliograph.store.pages import Page, page_of
from heliograph.store.times import from_microseconds
from heliograph.store.verbs import Engine, Step, Verb, audit

MOST_TOLD: Final = 100
"""Incidents of which one look tells."""

MOST_COUNTED: Final = 10_000
"""Failures of an incident, the newest, whose envelopes are counted."""

_CAUSE: Final = ("phase", "what")
_MINUTE: Final = 60_000_000
_MINUTES_KEPT: Final = 60

_OF_STATE: Final = {
    IncidentState.OPEN: "incidents_open",
    IncidentState.CLOSED: "incidents_closed",
}


class IncidentVerbs:
    """The Incidents port, written once."""

    def __init__(self, engine: Engine, now: Callable[[], int]) -> None:
        """`now` gives microseconds UTC."""
        self._engine = engine
        self._now = now

    async def page(
        self, account_id: str, query: IncidentQuery, limit: int, after: Cursor | None = None
    ) -> Page[Incident]:
        filters: list[str] = []
        values: dict[str, Any] = {"account_id": account_id, "limit": limit + 1}
        if query.state is not None:
            filters.append(_OF_STATE[query.state])
        if query.connect_id is not None:
            filters.append("incidents_connect_id")
            values["connect_id"] = query.connect_id
        if after is not None:
            filters.append("incidents_after")
            values |= {"after_us": after.created_us, "after_id": after.row_id}
        found = await self._engine.read(lambda: _with_minutes(Step("incidents", values, filters)))
        return page_of(found, limit, lambda one: _incident(*one))

    async def one(self, account_id: str, incident_id: int) -> Incident | None:
        values = {"account_id": account_id, "incident_id": incident_id, "limit": 1}
        step = Step("incidents", values, ["only_incident"])

        def verb() -> Verb[Incident | None]:
            found = yield from _with_minutes(step)
            if not found:
                return None
            (row, minutes) = found[0]
            which = {name: getattr(row, name) for name in ("account_id", "connect_id", *_CAUSE)}
            (of,) = yield Step("incident_envelopes", {**which, "most": MOST_COUNTED + 1})
            envelopes = Envelopes(of.envelopes, capped=of.failures > MOST_COUNTED)
            return replace(_incident(row, minutes), envelopes=envelopes)

        return await self._engine.read(verb)

    async def acknowledge(
        self, account_id: str, incident_id: int, who: str | None, note: str | None
    ) -> bool:
        values = {"account_id": account_id, "incident_id": incident_id, "who": who, "note": note}
        at = None if who is None else self._now()

        def verb() -> Verb[bool]:
            if not (yield Step("incident_acknowledge", {**values, "at": at})).changed:
                return False
            action = Action.INCIDENT_UNACKNOWLEDGED if who is None else Action.INCIDENT_ACKNOWLEDGED
            done = Change(f"incident {incident_id}", given(note=note))
            yield from audit.note(account_id, self._now(), action, done)
            return True

        return await self._engine.write(verb)

    async def tend(self) -> Sequence[News]:
        # What is noted as told must come to whoever tells it, however long that takes.
        return await self._engine.write(lambda: _tend(self._now()), patience=None)

    async def name_causes(self) -> int:
        return await self._engine.write(_name_causes, patience=None)


def _with_minutes(step: Step) -> Verb[list[tuple[Any, list[Any]]]]:
    """Rows of `incidents`, each with its rows of `incident_minutes`."""
    found = yield step
    minutes: dict[int, list[Any]] = defaultdict(list)
    if ids := [row.incident_id for row in found]:
        for row in (yield Step("incident_minutes", {"incident_ids": ids})):
            minutes[row.incident_id].append(row)
    return [(row, minutes[row.incident_id]) for row in found]


def _tend(now: int) -> Verb[Sequence[News]]:
    (turn,) = yield Step("incidents_turn")
    if not turn.mine:
        return ()
    yield Step("incidents_fold")
    yield Step("incidents_close", {"now": now})
    minute = now // _MINUTE
    yield Step("incidents_sample", {"minute": minute})
    yield Step("incidents_forget_minutes", {"oldest": minute - _MINUTES_KEPT})
    found = yield Step("incidents_untold", {"most": MOST_TOLD})
    if not found:
        return ()
    yield Step("incidents_told", {"incident_ids": [row.incident_id for row in found]})
    return [News(_turn(row), _incident(row, ())) for row in found]


def _turn(row: Any) -> Turn:
    """What has become of a row of `incidents_untold`."""
    if row.closed_us is not None:
        return Turn.CLOSED
    return Turn.GREW if row.told else Turn.OPENED


def _name_causes() -> Verb[int]:
    found = yield Step("failures_unnamed", {"most": BATCH})
    named: dict[Cause, list[int]] = defaultdict(list)
    for row in found:
        named[cause_of(row.error)].append(row.delivery_id)
    for cause, delivery_ids in sorted(named.items()):
        values = {"delivery_ids": delivery_ids, "phase": cause.phase, "what": cause.what}
        yield Step("failures_name", values)
    return len(found)


def _incident(row: Any, minutes: Iterable[Any]) -> Incident:
    """A row of `incidents` or `incidents_untold`."""
    return Incident(
        incident_id=row.incident_id,
        account_id=row.account_id,
        connect_id=row.connect_id,
        config_name=row.config_name or "",
        cause=Cause(row.phase, row.what),
        failures=row.failures,
        opened_at=from_microseconds(row.opened_us),
        changed_at=from_microseconds(row.changed_us),
        cursor=Cursor(row.opened_us, row.incident_id),
        closed_at=None if row.closed_us is None else from_microseconds(row.closed_us),
        acknowledged=None
        if row.acknowledged_us is None
        else Acknowledged(row.acknowledged_by, from_microseconds(row.acknowledged_us), row.note),
        sample=row.sample_id,
        minutes=tuple((from_microseconds(one.minute * _MINUTE), one.failures) for one in minutes),
    )
