"""Lets things happen to envelopes: reads one, has its course decided, keeps it, and publishes.

Each envelope's steps follow one another. What happens is written before it is published, with the
ids that its events will have, so that a kill between loses none and doubles none (R1).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec
import structlog

from heliograph.api import saving
from heliograph.delivery.publisher import Publisher
from heliograph.egress import Guard
from heliograph.emulator.cabinet import Cabinet
from heliograph.emulator.course import Course
from heliograph.emulator.definition import Draft
from heliograph.emulator.envelope import Envelope
from heliograph.emulator.scenario import NOBODY, Scenario
from heliograph.errors import (
    ApiError,
    EnvelopeNotFound,
    EnvelopeStatusRefused,
    NoSuchTemplate,
    StorageUnavailable,
)
from heliograph.model.accounts import Principal
from heliograph.model.event_ids import new_event_id
from heliograph.model.fidelity import Fidelity
from heliograph.store import Store
from heliograph.wire import dates, notifications
from heliograph.wire.media_types import JSON
from heliograph.wire.messages.json_sim import parse_events

T = TypeVar("T")

_LONGEST_WAIT: Final = 3600.0
"""Seconds after which it is looked again for what is due."""

_AGAIN: Final = 1.0
"""Seconds after which it is tried again what could not be done."""

_log = structlog.get_logger()


class Desk:
    """Envelopes of all accounts, and what happens to them."""

    def __init__(
        self,
        store: Store,
        cabinet: Cabinet,
        publisher: Publisher,
        guard: Guard,
        fidelity: Fidelity,
        scenario: Scenario = NOBODY,
    ) -> None:
        self._store = store
        self._scenario = scenario
        self.cabinet = cabinet
        self._publisher = publisher
        self._guard = guard
        self._fidelity = fidelity
        self._locks = defaultdict[str, asyncio.Lock](asyncio.Lock)
        self._changed = asyncio.Event()

    async def sender(self, principal: Principal) -> dict[str, str]:
        """Who sends what a token's holder makes; a token of no user sends in its own name."""
        if principal.user_id is not None:
            user = await self._store.people.user(principal.account.account_id, principal.user_id)
            if user is not None:
                return {"userName": user.name, "userId": user.user_id, "email": user.email}
        return {
            "userName": principal.name or "Emulator",
            "userId": principal.account.account_id,
            "email": "sender@example.com",
        }

    async def create(
        self, principal: Principal, definition: Mapping[str, Any], files: Mapping[str, bytes]
    ) -> Envelope:
        """Make an envelope, and send it where its status says so; `files` are contents of
        documents by their ids.

        Raises:
            ApiError: what DocuSign refuses; nothing was made.
        """
        account_id = principal.account.account_id
        draft = Draft(account_id, await self.sender(principal), self._store.clock.now())
        draft.take(definition, lambda template_id: self.template(account_id, template_id))
        draft.documents.update(
            {name: body for name, body in files.items() if name in draft.documents}
        )
        envelope = draft.envelope
        course = Course(envelope, self._store.clock.now())
        course.create()
        status = str(definition.get("status") or "created").lower()
        if status == "sent":
            course.send()
        elif status != "created":
            raise EnvelopeStatusRefused(
                f"Invalid envelope status: a new one is created or sent, not {status[:40]!r}."
            )
        self._check(envelope, course.happened[0])
        await self._settle(course, draft.documents)
        return envelope

    async def create_template(
        self, principal: Principal, definition: Mapping[str, Any], files: Mapping[str, bytes]
    ) -> Envelope:
        """Make a template. Raises as `create`."""
        account_id, now = principal.account.account_id, self._store.clock.now()
        draft = Draft(account_id, await self.sender(principal), now, template=True)
        draft.take(definition, lambda template_id: self.template(account_id, template_id))
        draft.documents.update(
            {name: body for name, body in files.items() if name in draft.documents}
        )
        template = draft.envelope
        template_id = template.envelope_id
        template.summary |= {
            "templateId": template_id,
            "name": str(definition.get("name") or "Template"),
            "description": str(definition.get("description") or ""),
            "shared": str(definition.get("shared") or "false"),
            "uri": f"/templates/{template_id}",
            "documents": template.summary["envelopeDocuments"],
            "owner": template.summary["sender"],
        }
        template.notifications = []
        self.cabinet.save(template, (), draft.documents, "template")
        happened = {
            "event": "template-created",
            "eventId": new_event_id(),
            "generatedDateTime": dates.render(now),
            "data": {
                "accountId": account_id,
                "userId": template.user_id,
                "templateId": template_id,
            },
        }
        await self._publish(account_id, template_id, [happened])
        return template

    async def act(
        self, account_id: str, envelope_id: str, decide: Callable[[Course], T]
    ) -> tuple[Envelope, T]:
        """Let something happen to an envelope, and publish what followed.

        Raises:
            EnvelopeNotFound: the account has no such envelope.
            ApiError: as `decide` does; nothing happened.
        """
        async with self._locks[envelope_id.lower()]:
            envelope = self.envelope(account_id, envelope_id)
            course = Course(envelope, self._store.clock.now())
            decided = decide(course)
            await self._settle(course)
        return envelope, decided

    def envelope(self, account_id: str, envelope_id: str) -> Envelope:
        """One of an account. Raises EnvelopeNotFound."""
        found = self.cabinet.find(account_id, envelope_id)
        if found is None:
            raise EnvelopeNotFound(
                "The envelope specified does not exist, or the account has none of that id."
            )
        return found

    def template(self, account_id: str, template_id: str) -> tuple[Envelope, Mapping[str, bytes]]:
        """One of an account, with the contents of its documents. Raises NoSuchTemplate."""
        found = self.cabinet.find(account_id, template_id, "template")
        if found is None:
            raise NoSuchTemplate(f"Invalid template ID: {template_id[:60]!r}.")
        return found, self.cabinet.contents(account_id, template_id)

    async def _settle(self, course: Course, contents: Mapping[str, bytes] | None = None) -> None:
        envelope = course.envelope
        for one in course.happened:
            one["eventId"] = new_event_id()
        if course.happened and envelope.notifications:
            # Named each time: the server forgets those of envelopes that had no event for long.
            course.happened[0]["eventNotifications"] = envelope.notifications
        # What a publish that failed has left goes first.
        left = self.cabinet.pending(envelope.account_id, envelope.envelope_id)
        happened = [*left, *course.happened]
        self.cabinet.save(envelope, happened, contents)
        await self._publish(envelope.account_id, envelope.envelope_id, happened)
        self._changed.set()

    def _check(self, envelope: Envelope, happened: dict[str, Any]) -> None:
        """See that notifications can be used, before anything is kept. Raises ApiError."""
        if not envelope.notifications:
            return
        account_id = envelope.account_id
        naming = {**happened, "eventNotifications": envelope.notifications}
        (event,) = self._events(account_id, [naming])
        for document in event.notifications:
            wanted = notifications.wanted(account_id, document)
            saving.check(self._guard, wanted, "The url of a notification")

    def _events(self, account_id: str, happened: Sequence[dict[str, Any]]) -> Any:
        body = msgspec.json.encode(happened)
        return parse_events(body, JSON, account_id, 0, self._fidelity)

    async def _publish(
        self, account_id: str, envelope_id: str, happened: Sequence[dict[str, Any]]
    ) -> None:
        if happened:
            await self._publisher.publish(account_id, self._events(account_id, happened))
            self.cabinet.published(account_id, envelope_id)

    async def run(self, stopped: asyncio.Event) -> None:
        """Publish what was left, and let happen what is due, until the stop."""
        waiting = asyncio.ensure_future(stopped.wait())
        waiting.add_done_callback(lambda _: self._changed.set())
        while not stopped.is_set():
            self._changed.clear()
            soonest = await self.pass_time()
            if not stopped.is_set():
                await self._store.clock.wait(self._changed, soonest)

    def _go_on(self, course: Course) -> None:
        self._scenario.go_on(course, self._store.clock.now())

    async def pass_time(self) -> float:
        """Publish what a kill or a full disk has left, and let happen what is due; the seconds
        until it must be looked again."""
        soonest = _LONGEST_WAIT
        for account_id, envelope_id, happened in self.cabinet.unpublished():
            try:
                await self._publish(account_id, envelope_id, happened)
            except (ApiError, StorageUnavailable) as problem:
                _log.warning("not_published", reason=str(problem))
                soonest = _AGAIN
        for one in list(self.cabinet.every()):
            envelope, due = one, self._scenario.due_at(one)
            while due is not None and due <= self._store.clock.now():
                try:
                    envelope, _ = await self.act(
                        envelope.account_id, envelope.envelope_id, self._go_on
                    )
                except (ApiError, StorageUnavailable) as problem:  # it was reset, or has ended
                    _log.info("not_due", reason=str(problem))
                    soonest, due = _AGAIN, None
                    break
                due = self._scenario.due_at(envelope)
            if due is not None:
                left = (due - self._store.clock.now()).total_seconds()
                soonest = min(soonest, max(left, 0.0))
        return soonest
