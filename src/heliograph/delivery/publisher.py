"""Publish: match each event with each configuration, and commit what follows from it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from heliograph.aside import RECORD, aside
from heliograph.bounded import Bounded
from heliograph.delivery.matching import match_all
from heliograph.delivery.signals import Signals
from heliograph.errors import ConfigurationsChanged, InvalidBody, StorageBroken
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.events import Accepted, NewEvent, Skip, Verdict, Wanted
from heliograph.model.people import Memberships
from heliograph.store import Configurations, Store, undisturbed
from heliograph.wire import notifications

_NAMESPACE: Final = uuid.UUID("8c1f6a4e-5a0b-4a57-9f0b-6b8f0f0c7a11")

MOST_DELIVERIES: Final = 30_000
"""Deliveries of one call: others wait while its transaction is written (S17)."""

MOST_VERDICTS: Final = 500_000
"""Of one call: its events times the configurations, each of which is answered for."""

_MOST_ACCOUNTS: Final = 20_000
"""Of as many accounts the configurations are kept: those that published last."""

_MOST_BYTES: Final = 64 * 2**20
"""What all those configurations may take."""

_LARGEST: Final = 8 * 2**20
"""What those of one account may."""


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
        self._known = Bounded[str, Configurations](_MOST_ACCOUNTS, _MOST_BYTES, _LARGEST)

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
            InvalidBody: more configurations are asked, or want something, than one call may have.
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
        events = [
            replace(event, notified=tuple(of_envelope))
            for event, of_envelope in zip(events, own, strict=True)
        ]
        questions = [(*configurations.all, *of_envelope.values()) for of_envelope in own]
        asked = sum(map(len, questions))
        if asked > MOST_VERDICTS:
            raise _too_many(f"asks {asked} times whether a configuration wants an event")
        matched = await aside(
            RECORD * asked, lambda: _matched(events, questions, configurations.groups)
        )
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
        ids = dict.fromkeys(filter(None, (event.envelope.envelope_id for event in events)))
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


def _matched(
    events: Sequence[NewEvent],
    questions: Sequence[Sequence[ConnectConfiguration]],
    groups: Memberships,
) -> Sequence[tuple[NewEvent, Sequence[Verdict]]]:
    """Each event with what the configurations that are asked about it say.

    Raises:
        InvalidBody: more of them want it than one transaction can hold.
    """
    matched = [
        (event, match_all(configurations, event, groups))
        for event, configurations in zip(events, questions, strict=True)
    ]
    wanted = sum(isinstance(verdict, Wanted) for _, verdicts in matched for verdict in verdicts)
    if wanted > MOST_DELIVERIES:
        raise _too_many(f"makes {wanted} deliveries")
    return matched


def _too_many(what: str) -> InvalidBody:
    return InvalidBody(
        f"This call {what}, and all of it is one transaction: {MOST_DELIVERIES} deliveries and "
        f"{MOST_VERDICTS} questions are the most. Send fewer events in a call."
    )


def _with_id(account_id: str, event: NewEvent, key: str | None, position: int) -> NewEvent:
    if event.event_id:
        return event
    event_id = (
        uuid.uuid4() if key is None else uuid.uuid5(_NAMESPACE, f"{account_id}\n{position}\n{key}")
    )
    return replace(event, event_id=str(event_id))
