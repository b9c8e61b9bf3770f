"""Publish: match each event with each configuration, and commit what follows from it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from types import MappingProxyType
from typing import Final

from heliograph.aside import RECORD, aside
from heliograph.bounded import Bounded, size_of
from heliograph.delivery.index import Index
from heliograph.delivery.matching import match, match_all
from heliograph.delivery.signals import Signals
from heliograph.errors import ConfigurationsChanged, InvalidBody, StorageBroken
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.event_ids import new_event_id
from heliograph.model.events import Accepted, NewEvent, Skip, Wanted
from heliograph.sharing import Shared
from heliograph.store import Configurations, Store, undisturbed
from heliograph.wire import notifications

_NAMESPACE: Final = uuid.UUID("8c1f6a4e-5a0b-4a57-9f0b-6b8f0f0c7a11")

MOST_DELIVERIES: Final = 30_000
"""Deliveries of one call: others wait while its transaction is written (S17)."""

MOST_VERDICTS: Final = 500_000
"""Of one call: how often a configuration is asked whether it wants an event, or why not."""

FEW: Final = 10
"""Of an event, the configurations that are asked why they do not get it, unless all shall be."""

_MOST_ACCOUNTS: Final = 20_000
"""Of as many accounts the configurations are kept: those that published last."""

_MOST_BYTES: Final = 64 * 2**20
"""What all those configurations may take."""

_LARGEST: Final = 32 * 2**20
"""What those of one account may."""

_NONE: Final[Mapping[int, ConnectConfiguration]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer for one event: the store's receipt, and who does not get it.

    `skipped` configurations do not; `skips` say of the first of them why.
    """

    event: NewEvent
    accepted: Accepted
    skipped: int
    skips: Sequence[Skip]


@dataclass(frozen=True, slots=True)
class _Known:
    """An account's configurations, and how those that may want an event are found."""

    configurations: Configurations
    index: Index


@dataclass(frozen=True, slots=True)
class _Question:
    """Who wants an event: `candidates` may, and of those who do not some are asked why.

    `own` are the configurations of its envelope alone, by id.
    """

    event: NewEvent
    candidates: Sequence[ConnectConfiguration]
    own: Mapping[int, ConnectConfiguration]
    reasons: int

    @property
    def asked(self) -> int:
        """How often a configuration is asked."""
        return len(self.candidates) + self.reasons


@dataclass(frozen=True, slots=True)
class _Answer:
    """Who wants an event, how many do not, and what the first of those say."""

    event: NewEvent
    wanted: Sequence[Wanted]
    skipped: int
    skips: Sequence[Skip]


class Publisher:
    """Takes events of an account; holds its configurations between calls."""

    def __init__(self, store: Store, signals: Signals) -> None:
        self._store = store
        self._signals = signals
        self._known = Bounded[str, _Known](_MOST_ACCOUNTS, _MOST_BYTES, _LARGEST)
        self._reading = Shared[str, _Known]()

    async def publish(
        self,
        account_id: str,
        events: Sequence[NewEvent],
        idempotency_key: str | None = None,
        *,
        explain: bool = False,
    ) -> Sequence[Receipt]:
        """Accept events, all or none; they are durable when this returns (R1).

        Args:
            account_id: Whose events.
            events: In the order in which they happened.
            idempotency_key: Stands for the whole call: an event without an id of its own
                gets one made from it and its position, so that a repeated call adds nothing.
            explain: Whether each configuration that does not get an event shall say why, and not
                the first `FEW` alone.

        Raises:
            EventConflict: an event id was used before for something else.
            InvalidBody: configurations are asked more often, or want more, than one call may have.
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
            lambda: self._accept(account_id, named, digests, wanted, explain=explain), "publish"
        )

    async def _accept(
        self,
        account_id: str,
        events: Sequence[NewEvent],
        digests: Mapping[bytes, bytes],
        wanted: Mapping[bytes, ConnectConfiguration],
        *,
        explain: bool,
    ) -> Sequence[Receipt]:
        """`digests` are those of the notifications' documents, `wanted` what they ask for."""
        known = await self._configurations(account_id)
        notifies = known.configurations.notifies or bool(wanted)
        ad_hoc = await self._store.ad_hoc(account_id, wanted) if wanted else {}
        own: Sequence[Mapping[int, ConnectConfiguration]] = [_NONE] * len(events)
        if notifies:
            before = await self._notified(account_id, events)
            own = _own(events, before, {one: ad_hoc[digest] for one, digest in digests.items()})
            events = [
                replace(event, notified=tuple(of_envelope)) if of_envelope else event
                for event, of_envelope in zip(events, own, strict=True)
            ]
        questions = await aside(
            RECORD * len(events), lambda: _questions(known, events, own, explain=explain)
        )
        asked = sum(question.asked for question in questions)
        answers = await aside(RECORD * asked, lambda: _answers(known, questions))
        try:
            accepted = await self._store.accept(
                account_id,
                known.configurations.version,
                [(answer.event, answer.wanted) for answer in answers],
                notifies=notifies,
            )
        except ConfigurationsChanged:
            if self._known.get(account_id) is known:  # else another publish has read anew
                await self._read(account_id, known)
            raise
        except StorageBroken:
            # The dispatcher's next claim will fail too, and end the process at once (F12).
            self._signals.work.set()
            raise
        self._signals.announce_new()
        return [
            Receipt(answer.event, receipt, answer.skipped, answer.skips)
            for answer, receipt in zip(answers, accepted, strict=True)
        ]

    async def _notified(
        self, account_id: str, events: Sequence[NewEvent]
    ) -> Mapping[str, Sequence[ConnectConfiguration]]:
        """What earlier events of these envelopes named, by envelope."""
        ids = dict.fromkeys(filter(None, (event.envelope.envelope_id for event in events)))
        return await self._store.notified(account_id, list(ids))

    async def configurations(self, account_id: str) -> Sequence[ConnectConfiguration]:
        """All that an account has now, but for ad hoc ones, by id.

        What publishes know of them is not read again. It is no answer that is shared: one that was
        on its way might not have what the caller has just changed.
        """
        return (await self.now(account_id)).all

    async def now(self, account_id: str) -> Configurations:
        """The same, and who is in the groups that they name."""
        known = self._known.get(account_id)
        before = None if known is None else known.configurations
        return await self._store.configurations(account_id, before)

    async def _configurations(self, account_id: str) -> _Known:
        return self._known.get(account_id) or await self._read(account_id, None)

    async def _read(self, account_id: str, before: _Known | None) -> _Known:
        """Read what has changed since `before`, or all; who asks meanwhile shares the answer."""

        async def read() -> _Known:
            if before is None:
                index, now = Index(), await self._store.configurations(account_id)
            else:
                index = before.index
                now = await self._store.configurations(account_id, before.configurations)
            index = await aside(RECORD * len(now.all), lambda: index.changed_to(now.all))
            known = _Known(now, index)
            self._known.keep(account_id, known, index.size + size_of(now.groups))
            return known

        return await self._reading.ask(account_id, read)


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


def _questions(
    known: _Known,
    events: Sequence[NewEvent],
    own: Sequence[Mapping[int, ConnectConfiguration]],
    *,
    explain: bool,
) -> Sequence[_Question]:
    """What is asked about each event; `own` are those of its envelope alone.

    Raises:
        InvalidBody: it is too much for one call.
    """
    questions, asked = list[_Question](), 0
    for event, of_envelope in zip(events, own, strict=True):
        found = known.index.candidates(event, known.configurations.groups)
        everyone = len(known.configurations.all) + len(of_envelope)
        reasons = everyone if explain else min(FEW, everyone)
        question = _Question(event, (*found, *of_envelope.values()), of_envelope, reasons)
        questions.append(question)
        asked += question.asked
        if asked > MOST_VERDICTS:
            raise _too_many(f"asks more than {MOST_VERDICTS} times who wants an event, or why not")
    return questions


def _answers(known: _Known, questions: Sequence[_Question]) -> Sequence[_Answer]:
    """Raises InvalidBody where more is wanted than one transaction can hold."""
    answers = [_answer(known.configurations, question) for question in questions]
    wanted = sum(len(answer.wanted) for answer in answers)
    if wanted > MOST_DELIVERIES:
        raise _too_many(f"makes {wanted} deliveries")
    return answers


def _answer(configurations: Configurations, question: _Question) -> _Answer:
    event, groups = question.event, configurations.groups
    verdicts = match_all(question.candidates, event, groups)
    wanted = [verdict for verdict in verdicts if isinstance(verdict, Wanted)]
    getting = {verdict.connect_id for verdict in wanted}
    others = (
        configuration
        for configuration in chain(configurations.all, question.own.values())
        if configuration.connect_id not in getting
    )
    asked_why = (match(one, event, groups) for one in islice(others, question.reasons))
    return _Answer(
        event,
        wanted,
        len(configurations.all) + len(question.own) - len(getting),
        [verdict for verdict in asked_why if isinstance(verdict, Skip)],
    )


def _too_many(what: str) -> InvalidBody:
    return InvalidBody(
        f"This call {what}, and all of it is one transaction: {MOST_DELIVERIES} deliveries and "
        f"{MOST_VERDICTS} questions are the most. Send fewer events in a call."
    )


def _with_id(account_id: str, event: NewEvent, key: str | None, position: int) -> NewEvent:
    if event.event_id:
        return event
    if key is None:
        return replace(event, event_id=new_event_id())
    event_id = uuid.uuid5(_NAMESPACE, f"{account_id}\n{position}\n{key}")
    return replace(event, event_id=str(event_id))
