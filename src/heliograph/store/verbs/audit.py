"""The audit (see store/audit.py), and how a verb notes in it what it does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import astuple
from datetime import datetime
from typing import Any, Final

from heliograph.model.audit import (
    MASKED,
    Action,
    Actor,
    AuditEntry,
    AuditQuery,
    Change,
    Detail,
    differing,
    given,
)
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.logs import Cursor
from heliograph.store import BATCH_MOST
from heliograph.store.audit import actor
from heliograph.store.pages import Page, page_of
from heliograph.store.rows import storable
from heliograph.store.times import from_microseconds, to_microseconds
from heliograph.store.verbs import LISTING_PATIENCE, Engine, Step, Verb, verb_of
from heliograph.wire.configurations import DOCUMENTS_OF, INTEGRATOR

_NEVER_SHOWN: Final = frozenset({DOCUMENTS_OF, INTEGRATOR})

_MASKED_TOO: Final = "oAuthConfiguration.customParameters"
"""They may be secret, as the parameters of the account's OAuth client."""


def note(account_id: str, now: int, action: Action, *changes: Change) -> Verb[None]:
    """Note in the verb's transaction what it does; `now` is microseconds UTC."""
    if not changes:
        return
    who = actor()
    rows = [
        {
            "what": storable(change.what),
            "details": json.dumps(
                [[storable(text) for text in astuple(detail)] for detail in change.details]
            ),
        }
        for change in changes
    ]
    values = {
        "account_id": account_id,
        "now": now,
        "actor": storable(who.name),
        "address": storable(who.address),
        "token_id": who.token_id,
        "user_id": who.user_id,
        "action": action.value,
        "changes": json.dumps(rows),
    }
    yield Step("audit_add", values)


def note_changed(account_id: str, now: int, action: Action, *changes: Change) -> Verb[None]:
    """As `note`, of what has changed something: who saves what was there has done nothing."""
    yield from note(account_id, now, action, *(change for change in changes if change.details))


def configuration_changed(
    before: ConnectConfiguration | None, after: ConnectConfiguration
) -> tuple[Action, Change]:
    """What an update of a configuration, or making one, is noted as."""
    details = differing({} if before is None else _shown(before), _shown(after))
    had, has = {} if before is None else _masked(before), _masked(after)
    details += tuple(
        Detail(name, *(MASKED if name in known else None for known in (had, has)))
        for name in sorted({*had, *has})
        if had.get(name) != has.get(name)
    )
    return _action(before, after), Change(f"configuration {after.connect_id}", details)


def of_deliveries(delivery_ids: Iterable[int], done: int | None = None) -> list[Change]:
    """One change for all of some deliveries, or for those of them that it was `done` to; none
    where there is none."""
    ids = sorted(delivery_ids)
    count = len(ids) if done is None else done
    if not count:
        return []
    if len(ids) == 1:
        return [Change(f"delivery {ids[0]}")]
    which = ids if count == len(ids) else None
    return [Change("deliveries", given(count=count, deliveries=which))]


def _shown(configuration: ConnectConfiguration) -> Mapping[str, Any]:
    """What its document has, but for what no answer of the API shows either (S8)."""
    parts = _parts(configuration)
    return {name: value for name, value in parts.items() if name != _MASKED_TOO}


def _masked(configuration: ConnectConfiguration) -> Mapping[str, Any]:
    """What is secret of it, or may be."""
    parts = _parts(configuration)
    return {
        **configuration.secrets,
        **{name: parts[name] for name in parts if name == _MASKED_TOO},
    }


def _parts(configuration: ConnectConfiguration) -> Mapping[str, Any]:
    """What its document has; what is within an object by both names, so that each is told of."""
    parts: dict[str, Any] = {}
    for name, value in json.loads(configuration.document).items():
        if name in _NEVER_SHOWN:
            continue
        within = value.items() if isinstance(value, dict) else None
        parts |= {name: value} if within is None else {f"{name}.{one}": of for one, of in within}
    return parts


def _action(before: ConnectConfiguration | None, after: ConnectConfiguration) -> Action:
    if before is None:
        return Action.CONFIGURATION_CREATED
    if before.publishing != after.publishing:
        on = after.publishing
        return Action.CONFIGURATION_SWITCHED_ON if on else Action.CONFIGURATION_SWITCHED_OFF
    if before.paused != after.paused:
        return Action.CONFIGURATION_PAUSED if after.paused else Action.CONFIGURATION_RESUMED
    return Action.CONFIGURATION_CHANGED


class AuditVerbs:
    """The Audit port."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def entries(
        self, account_id: str, query: AuditQuery, limit: int, after: Cursor | None = None
    ) -> Page[AuditEntry]:
        step = listing(account_id, query, limit, after)
        found = await self._engine.read(lambda: verb_of(step), LISTING_PATIENCE)
        return page_of(found, limit, _entry)

    async def retire(self, before: datetime) -> int:
        limit = to_microseconds(before)

        def verb() -> Verb[int]:
            yield Step("audit_kept_from", {"before": limit})
            return (yield Step("audit_retire", {"before": limit, "most": BATCH_MOST})).changed

        return await self._engine.write(verb, patience=None)


def listing(account_id: str, query: AuditQuery, limit: int, after: Cursor | None) -> Step:
    """The step of a page; one more is asked for, to know whether others follow."""
    wanted = {
        "from_us": query.from_date and to_microseconds(query.from_date),
        "to_us": query.to_date and to_microseconds(query.to_date),
        "actor": query.actor,
        "action": query.action,
        "what": query.what,
    }
    chosen = {name: value for name, value in wanted.items() if value is not None}
    filters = [f"audit_{name}" for name in chosen]
    values: dict[str, Any] = {"account_id": account_id, "limit": limit + 1, **chosen}
    order = query.order.name.lower()
    if after is not None:
        filters.append(f"audit_after_{order}")
        values |= {"after_us": after.created_us, "after_id": after.row_id}
    return Step("audit", values, filters, f"audit_{order}")


def _entry(row: Any) -> AuditEntry:
    return AuditEntry(
        cursor=Cursor(row.created_us, row.entry_id),
        created_at=from_microseconds(row.created_us),
        actor=Actor(row.actor, row.address, row.token_id, row.user_id),
        action=row.action,
        change=Change(row.what, tuple(Detail(*texts) for texts in json.loads(row.details))),
    )
