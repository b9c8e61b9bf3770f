"""Taking listeners out of service that fail for long, or that say they are gone.

Nothing is lost by it (R4): what waits, and what comes meanwhile, is held, and goes out when a
person switches the configuration on again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from heliograph.clock import Clock
from heliograph.errors import StorageUnavailable, Unavailable
from heliograph.model.configurations import ConnectConfiguration
from heliograph.store import Failing, Store, undisturbed
from heliograph.wire import configurations, dates

GONE: Final = "Heliograph: the listener answered 410 Gone"

_LOOK_SECONDS: Final = 600.0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Alert:
    """What an operator is told of: `kind` is `configuration_failing` or `_disabled`."""

    kind: str
    account_id: str
    connect_id: int
    name: str
    reason: str
    since: datetime

    def to_wire(self) -> dict[str, str]:
        """The alert as a JSON object of texts."""
        return {
            "alert": self.kind,
            "accountId": self.account_id,
            "connectId": str(self.connect_id),
            "name": self.name,
            "reason": self.reason,
            "failingSince": dates.render(self.since),
        }


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
    place = (configuration.account_id, configuration.connect_id)
    if not await disable(store, *place, GONE):
        return None
    reason = GONE.removeprefix("Heliograph: ")
    return Alert("configuration_disabled", *place, configuration.name, reason, at)


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
    age = now - failing.since
    place = (failing.account_id, failing.connect_id)
    said = f"it has taken nothing since {dates.render(failing.since)}"
    if age >= most:
        if await disable(store, *place, f"Heliograph: {said}"):
            await tell(Alert("configuration_disabled", *place, failing.name, said, failing.since))
    elif age >= most - warning_time(most) and not failing.warned:
        reason = f"{said}, and is disabled at {dates.render(failing.since + most)}"
        _log.error(
            "configuration_failing",
            account_id=failing.account_id,
            configuration_id=failing.connect_id,
            reason=reason,
        )
        await tell(Alert("configuration_failing", *place, failing.name, reason, failing.since))
        await store.failing_warned(failing.connect_id)


def warning_time(most: timedelta) -> timedelta:
    """How long before a listener is disabled somebody is told: three days, or a half."""
    return min(timedelta(days=3), most / 2)
