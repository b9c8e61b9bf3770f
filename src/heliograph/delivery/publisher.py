"""Publish: match each event with each configuration, and commit what follows from it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from heliograph.bounded import Bounded
from heliograph.delivery.matching import match_all
from heliograph.delivery.signals import Signals
from heliograph.errors import ConfigurationsChanged, StorageBroken
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.events import Accepted, NewEvent, Skip
from heliograph.store import Configurations, Store, undisturbed
from heliograph.wire import notifications

_NAMESPACE: Final = uuid.UUID("8c1f6a4e-5a0b-4a57-9f0b-6b8f0f0c7a11")

_MOST_ACCOUNTS: Final = 20_000
"""Of as many accounts the configurations are kept: those that published last."""

_MOST_BYTES: Final = 64 * 2**20
"""What all those configurations may take."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer for one event: the store's receipt, and who does not get it and why."""

    event: NewEvent
    accepted: Accepted
    skips: tuple[Skip, ...]


class Publisher:
    """Takes events of an account; holds its configurations between calls."""

    def __init__(self, store: Store, signals: Signals) -> None:
        self._store = store
        self._signals = signals
        self._known = Bounded[str, Configurations](_MOST_ACCOUNTS, _MOST_BYTES)

    async def publish(
        self, account_id: str, events: Sequence[NewEvent], idempotency_key: str | None = None
    ) -> Sequence[Receipt]:
        """Accept events, all or none; they are durable when this returns (R1).

        Args:
            account_id: Whose events.
            events: In the order in which they happened.
            idempotency_key: Stands for the whole call: an event without an id of its own
                gets one made from it and its position, so that a repeated call adds nothing.

        Raises:
            EventConflict: an event id was used before for something else.
            Unavailable: the account's configurations kept changing meanwhile.
            StorageUnavailable, StorageBroken: nothing was accepted.

        Where it raises, no event is accepted; configurations that an envelope's notifications
        asked for may be there already, for the next try to find.
        """
        named = [
            _with_id(account_id, event, idempotency_key, position)
            for position, event in enumerate(events)
        ]
        return await undisturbed(lambda: self._accept(account_id, named), "publish")

    async def _accept(self, account_id: str, named: Sequence[NewEvent]) -> Sequence[Receipt]:
        named = [await self._with_notified(account_id, event) for event in named]
        configurations = await self._configurations(account_id)
        own = await self._own(account_id, configurations, named)
        groups = configurations.groups
        matched = [
            (event, match_all((*configurations.all, *of_envelope), event, groups))
            for event, of_envelope in zip(named, own, strict=True)
        ]
        try:
            accepted = await self._store.accept(account_id, configurations.version, matched)
        except ConfigurationsChanged:
            # Another publish may have dropped it already.
            self._known.pop(account_id)
            raise
        except StorageBroken:
            # The dispatcher's next claim will fail too, and end the process at once (F12).
            self._signals.work.set()
            raise
        return [
            Receipt(event, receipt, tuple(v for v in verdicts if isinstance(v, Skip)))
            for (event, verdicts), receipt in zip(matched, accepted, strict=True)
        ]

    async def _with_notified(self, account_id: str, event: NewEvent) -> NewEvent:
        """The event with the ids of the configurations that it asks for."""
        if not event.notifications:
            return event
        created = [
            await self._store.create_configuration(
                notifications.wanted(account_id, document), notifications.digest(document)
            )
            for document in event.notifications
        ]
        return replace(event, notified=tuple(configuration.connect_id for configuration in created))

    async def _own(
        self, account_id: str, configurations: Configurations, events: Sequence[NewEvent]
    ) -> Sequence[Sequence[ConnectConfiguration]]:
        """For each event, the configurations of its envelope alone.

        They are those that earlier events named, and those that it and the ones before it in
        this call name now.
        """
        if not configurations.notifies:
            return [()] * len(events)
        ids = list(dict.fromkeys(event.envelope.envelope_id for event in events))
        by_envelope = {
            envelope_id: {configuration.connect_id: configuration for configuration in notified}
            for envelope_id, notified in (await self._store.notified(account_id, ids)).items()
        }
        own = []
        for event in events:
            of_envelope = by_envelope.setdefault(event.envelope.envelope_id, {})
            for connect_id in event.notified:
                if connect_id not in of_envelope:
                    configuration = await self._store.configuration(account_id, connect_id)
                    if configuration is not None:
                        of_envelope[connect_id] = configuration
            own.append(tuple(of_envelope.values()))
        return own

    async def _configurations(self, account_id: str) -> Configurations:
        known = self._known.get(account_id)
        if known is None:
            known = await self._store.configurations(account_id)
            self._known[account_id] = known
        return known


def _with_id(account_id: str, event: NewEvent, key: str | None, position: int) -> NewEvent:
    if event.event_id:
        return event
    event_id = (
        uuid.uuid4() if key is None else uuid.uuid5(_NAMESPACE, f"{account_id}\n{position}\n{key}")
    )
    return replace(event, event_id=str(event_id))
