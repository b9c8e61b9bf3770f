"""Publish: match each event with each configuration, and commit what follows from it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
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
        asked for may be there already, for the next try to find, or for retention.
        """
        named = [
            _with_id(account_id, event, idempotency_key, position)
            for position, event in enumerate(events)
        ]
        # Of documents that are the same there is one here.
        digests = {
            document: notifications.digest(document)
            for event in named
            for document in event.notifications
        }
        wanted = {
            digest: notifications.wanted(account_id, document)
            for document, digest in digests.items()
        }
        return await undisturbed(
            lambda: self._accept(account_id, named, digests, wanted), "publish"
        )

    async def _accept(
        self,
        account_id: str,
        events: Sequence[NewEvent],
        digests: Mapping[bytes, bytes],
        wanted: Mapping[bytes, ConnectConfiguration],
    ) -> Sequence[Receipt]:
        """`digests` are those of the notifications' documents, `wanted` what they ask for."""
        configurations = await self._configurations(account_id)
        notifies = configurations.notifies or bool(wanted)
        ad_hoc = await self._store.ad_hoc(account_id, wanted) if wanted else {}
        before = await self._notified(account_id, events) if notifies else {}
        own = _own(events, before, {document: ad_hoc[digests[document]] for document in digests})
        matched = [
            (
                replace(event, notified=tuple(of_envelope)),
                match_all(
                    (*configurations.all, *of_envelope.values()), event, configurations.groups
                ),
            )
            for event, of_envelope in zip(events, own, strict=True)
        ]
        try:
            accepted = await self._store.accept(
                account_id, configurations.version, matched, notifies=notifies
            )
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

    async def _notified(
        self, account_id: str, events: Sequence[NewEvent]
    ) -> Mapping[str, Sequence[ConnectConfiguration]]:
        """What earlier events of these envelopes named, by envelope."""
        ids = dict.fromkeys(event.envelope.envelope_id for event in events)
        return await self._store.notified(account_id, list(ids))

    async def _configurations(self, account_id: str) -> Configurations:
        known = self._known.get(account_id)
        if known is None:
            known = await self._store.configurations(account_id)
            self._known[account_id] = known
        return known


def _own(
    events: Sequence[NewEvent],
    before: Mapping[str, Sequence[ConnectConfiguration]],
    named: Mapping[bytes, ConnectConfiguration],
) -> Sequence[Mapping[int, ConnectConfiguration]]:
    """For each event, the configurations of its envelope alone, by id.

    They are those that earlier events named (`before`, by envelope), and those that it and the ones
    before it in this call name now (`named`, by document).
    """
    by_envelope: dict[str, dict[int, ConnectConfiguration]] = {}
    own = []
    for event in events:
        envelope_id = event.envelope.envelope_id
        if envelope_id not in by_envelope:
            known = before.get(envelope_id, ())
            by_envelope[envelope_id] = {one.connect_id: one for one in known}
        if event.notifications:
            new = {named[document].connect_id: named[document] for document in event.notifications}
            # Those before it do not get what it names.
            by_envelope[envelope_id] = by_envelope[envelope_id] | new
        own.append(by_envelope[envelope_id])
    return own


def _with_id(account_id: str, event: NewEvent, key: str | None, position: int) -> NewEvent:
    if event.event_id:
        return event
    event_id = (
        uuid.uuid4() if key is None else uuid.uuid5(_NAMESPACE, f"{account_id}\n{position}\n{key}")
    )
    return replace(event, event_id=str(event_id))
