"""Looking after incidents: closing what is empty, and telling what has opened, grown or closed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from heliograph.clock import Clock
from heliograph.delivery.disabling import Tell
from heliograph.errors import StorageUnavailable
from heliograph.model.alerts import Alert
from heliograph.model.incidents import News, Turn
from heliograph.store import Store
from heliograph.wire import dates

LOOK_SECONDS: Final = 5.0
"""Between two looks: an incident that flickers within this time is told of once."""

_log = structlog.get_logger()


async def watch_incidents(store: Store, tell: Tell, clock: Clock, stop: asyncio.Event) -> None:
    """Look after incidents until `stop` is set.

    Failures of an older version are given their causes first: what they are counted as until then
    is nobody's business.
    """
    while not stop.is_set():
        try:
            while not stop.is_set() and await store.incidents.name_causes():
                pass
            await _tell_until(stop, tell, [_alert(news) for news in await store.incidents.tend()])
        except StorageUnavailable as trouble:
            _log.warning("incidents_not_watched", reason=str(trouble))
        await clock.wait(stop, LOOK_SECONDS)


async def _tell_until(stop: asyncio.Event, tell: Tell, alerts: Sequence[Alert]) -> None:
    """Tell of all at once; who takes long keeps no node from stopping (R15): the log has them."""
    if not alerts:
        return
    async with asyncio.TaskGroup() as parts:
        telling = [parts.create_task(tell(alert)) for alert in alerts]

        async def cut_off() -> None:
            await stop.wait()
            for one in telling:
                one.cancel()

        stopped = parts.create_task(cut_off())
        await asyncio.wait(telling)
        stopped.cancel()


def _alert(news: News) -> Alert:
    """What is told of an incident; the log is told first."""
    incident = news.incident
    since = dates.render(incident.opened_at)
    if news.turn is Turn.CLOSED:
        reason = f"{incident.cause}: no failure is left of those since {since}"
    else:
        number = "1 failure" if incident.failures == 1 else f"{incident.failures} failures"
        reason = f"{incident.cause}: {number} since {since}"
    _log.warning(
        news.turn.value,
        account_id=incident.account_id,
        configuration_id=incident.connect_id,
        incident_id=incident.incident_id,
        cause=str(incident.cause),
        failures=incident.failures,
    )
    return Alert(
        news.turn.value,
        incident.account_id,
        incident.connect_id,
        incident.config_name,
        reason,
        incident.opened_at,
        incident_id=incident.incident_id,
        failures=incident.failures,
    )
