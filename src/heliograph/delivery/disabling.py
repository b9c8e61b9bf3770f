"""Taking listeners out of service that fail for long, or that say they are gone.

Nothing is lost by it (R4): what waits, and what comes meanwhile, is held, and goes out when a
person switches the configuration on again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Final

import structlog

from heliograph.clock import Clock
from heliograph.errors import StorageUnavailable, Unavailable
from heliograph.model.alerts import Alert
from heliograph.model.audit import Actor
from heliograph.model.configurations import ConnectConfiguration
from heliograph.store import Failing, Store, undisturbed
from heliograph.store.audit import acting
from heliograph.wire import configurations, dates

GONE: Final = "Heliograph: the listener answered 410 Gone"

_LOOK_SECONDS: Final = 600.0

_log = structlog.get_logger()


Tell = Callable[[Alert], Coroutine[None, None, None]]


async def tell_nobody(_alert: Alert) -> None:
    """For where nobody wants to be told: the log has each alert anyway."""


async def disable(store: Store, account_id: str, connect_id: int, by: str) -> bool:
    """Switch a configuration off, and say by whom; False when it publishes nothing anyway.

    Raises:
        StorageUnavailable: nothing was changed.
    """

    async def switch_off() -> bool:
        version = await store.configurations_version(account_id)
        before = await store.configuration(account_id, connect_id)
        if before is None or not before.publishing:
            return False
        document, secrets = configurations.disabled(before, by)
        wanted = configurations.read(account_id, connect_id, document, secrets)
        return await store.update_configuration(wanted, version)

    try:
        with acting(Actor(by)):
            done = await undisturbed(switch_off, "disable it")
    except Unavailable:
        return False  # whoever found it failing finds it so again
    if done:
        _log.error(
            "configuration_disabled", account_id=account_id, configuration_id=connect_id, by=by
        )
    return done


async def disable_gone(
    store: Store, configuration: ConnectConfiguration, at: datetime
) -> Alert | None:
    """Switch off who answered 410 at a time; what to tell, or None when it was off before.

    Raises:
        StorageUnavailable: nothing was changed.
    """
    account_id, connect_id = configuration.account_id, configuration.connect_id
    if not await disable(store, account_id, connect_id, GONE):
        return None
    return Alert(
        "configuration_disabled",
        account_id,
        connect_id,
        configuration.name,
        reason=GONE.removeprefix("Heliograph: "),
        since=at,
    )


async def watch_listeners(
    store: Store, tell: Tell, clock: Clock, stop: asyncio.Event, days: float
) -> None:
    """Warn of listeners that fail, and disable them after `days`, until `stop` is set."""
    while days and not stop.is_set():
        try:
            for failing in await store.failing():
                await _look(store, tell, clock.now(), failing, timedelta(days=days))
        except StorageUnavailable as trouble:
            _log.warning("listeners_not_watched", reason=str(trouble))
        await clock.wait(stop, _LOOK_SECONDS)


async def _look(store: Store, tell: Tell, now: datetime, failing: Failing, most: timedelta) -> None:
    account_id, connect_id, since = failing.account_id, failing.connect_id, failing.since
    age = now - since
    reason = f"it has taken nothing since {dates.render(since)}"
    if age >= most:
        if await disable(store, account_id, connect_id, f"Heliograph: {reason}"):
            kind = "configuration_disabled"
            await tell(Alert(kind, account_id, connect_id, failing.name, reason, since))
    elif age >= most - warning_time(most) and not failing.warned:
        reason = f"{reason}, and is disabled at {dates.render(since + most)}"
        kind = "configuration_failing"
        _log.error(kind, account_id=account_id, configuration_id=connect_id, reason=reason)
        await tell(Alert(kind, account_id, connect_id, failing.name, reason, since))
        await store.failing_warned(connect_id)


def warning_time(most: timedelta) -> timedelta:
    """How long before a listener is disabled somebody is told: three days, or a half."""
    return min(timedelta(days=3), most / 2)
