"""Every event, and every delivery in any state, to be looked at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from heliograph.api.contract import parameters, selection
from heliograph.api.contract.following import LAST_EVENT_ID, PAGE, Followers
from heliograph.api.contract.lines import lines
from heliograph.api.contract.operation import FOLLOWED, LINES, Call, Operation, Reply
from heliograph.api.contract.parameters import row_id
from heliograph.api.contract.response import Response
from heliograph.api.messages import messages_of
from heliograph.aside import RECORD, aside
from heliograph.delivery.publisher import FEW, Publisher
from heliograph.delivery.skipping import explained, without
from heliograph.errors import NotFound, TooManyFollowers
from heliograph.model.accounts import Role
from heliograph.model.deliveries import DeliveryState
from heliograph.model.logs import Order
from heliograph.model.published import DeliveryQuery, EventDetail, EventQuery
from heliograph.store import Store
from heliograph.store.pages import Listing, every_page
from heliograph.wire import published
from heliograph.wire.media_types import JSON
from heliograph.wire.messages.json_sim import LONGEST_ID, parse_events

Q = TypeVar("Q")
R = TypeVar("R")
W = TypeVar("W", bound=msgspec.Struct)

_EVENTS: Final = "/accounts/{accountId}/connect/events"
_DELIVERIES: Final = "/accounts/{accountId}/connect/deliveries"

MOST_COUNTED: Final = 10_000
"""What `total` counts up to."""

_USUAL: Final = 100
"""Records in one answer when the caller does not say."""

_LINES_PAGE: Final = 500
_MOST_OF_EVENT: Final = 1_000
_LONGEST_TEXT: Final = 1_000

EVENT: Final = parameters.text("event", "Of this name.", LONGEST_ID, extension=True)
EVENT_ID: Final = parameters.text("event_id", "Of this event.", LONGEST_ID, extension=True)
SENDER: Final = parameters.text(
    "sender", "Of envelopes whose sender has this e-mail.", _LONGEST_TEXT, extension=True
)
SUBJECT: Final = parameters.text(
    "subject", "Of envelopes with this subject, the whole of it.", _LONGEST_TEXT, extension=True
)
STATE: Final = parameters.member_of("state", "In this state.", DeliveryState, None, extension=True)
ADDITIONAL_INFO: Final = parameters.flag(
    "additional_info", "Also show what was published, or sent, and what came back."
)
EXPLAIN: Final = parameters.flag(
    "explain",
    f"Whether all configurations that have no delivery say why, and not the first {FEW} alone.",
    extension=True,
)

_OF_EVENTS: Final = (
    selection.FROM_DATE,
    selection.TO_DATE,
    selection.ENVELOPE_ID,
    EVENT,
    SENDER,
    SUBJECT,
)
_OF_DELIVERIES: Final = (*_OF_EVENTS, EVENT_ID, selection.CONNECT_ID, STATE)
_PAGES: Final = (selection.COUNT, selection.CURSOR, selection.ORDER)


class Published:
    """Operations that DocuSign does not have."""

    def __init__(
        self, store: Store, publisher: Publisher, followers: Followers, zone: ZoneInfo
    ) -> None:
        """`zone` is what messages that are shown tell times in."""
        self._store = store
        self._publisher = publisher
        self._followers = followers
        self._zone = zone

    def operations(self) -> Sequence[Operation]:
        """The operations of this module."""
        return [
            Operation(
                operation_id="list_events",
                method="GET",
                path=_EVENTS,
                handler=self._list_events,
                lines=True,
                followed=True,
                role=Role.VIEWER,
                summary="Lists what was published, newest first, or follows it.",
                answer=published.ConnectEvents,
                query=(*_OF_EVENTS, *_PAGES),
                headers=(LAST_EVENT_ID,),
                errors=(TooManyFollowers,),
                extension=True,
            ),
            Operation(
                operation_id="get_event",
                method="GET",
                path=f"{_EVENTS}/{{eventId:path}}",
                handler=self._get_event,
                role=Role.VIEWER,
                summary="Shows an event, its deliveries, and why other configurations have none.",
                answer=published.ConnectEvent,
                query=(ADDITIONAL_INFO, EXPLAIN),
                extension=True,
            ),
            Operation(
                operation_id="list_deliveries",
                method="GET",
                path=_DELIVERIES,
                handler=self._list_deliveries,
                lines=True,
                role=Role.VIEWER,
                summary="Lists deliveries in any state, newest first.",
                answer=published.ConnectDeliveries,
                query=(*_OF_DELIVERIES, *_PAGES),
                extension=True,
            ),
            Operation(
                operation_id="get_delivery",
                method="GET",
                path=f"{_DELIVERIES}/{{deliveryId}}",
                handler=self._get_delivery,
                role=Role.VIEWER,
                summary="Shows a delivery, whatever its state, with its attempts.",
                answer=published.ConnectDelivery,
                query=(ADDITIONAL_INFO,),
                extension=True,
            ),
        ]

    async def _list_events(self, call: Call) -> Reply | Response:
        listed, query = self._store.published, EventQuery(**self._of_events(call.query))
        shown = partial(published.event_to_wire, call.account_id)
        if call.accept == FOLLOWED:
            follow, account_id = self._store.tails.events, call.account_id
            return self._followers.follow(
                call, lambda place: follow(account_id, query, place, PAGE), shown
            )
        return await self._list(
            call,
            query,
            *(listed.events, listed.count_events),
            shown,
            published.ConnectEvents,
        )

    async def _list_deliveries(self, call: Call) -> Reply | Response:
        listed = self._store.published
        query = DeliveryQuery(
            **self._of_events(call.query),
            event_id=EVENT_ID.read(call.query),
            connect_id=selection.CONNECT_ID.read(call.query),
            state=STATE.read(call.query),
        )
        return await self._list(
            call,
            query,
            *(listed.deliveries, listed.count_deliveries),
            partial(published.delivery_to_wire, call.account_id),
            published.ConnectDeliveries,
        )

    async def _list(
        self,
        call: Call,
        query: Q,
        listing: Listing[Q, R],
        counting: Callable[[str, Q, int], Awaitable[int]],
        shown: Callable[[R], W],
        answer: Callable[[list[W], str, str | None, str | None], msgspec.Struct],
    ) -> Reply | Response:
        """A page as its `answer`, or all of it line by line; the first page is `counting` too."""
        count, cursor = selection.COUNT.read(call.query), selection.CURSOR.read(call.query)
        if call.accept == LINES:
            pages = every_page(listing, call.account_id, query, _LINES_PAGE, cursor)
            return Response(lines(pages, count, shown), media_type=LINES)
        page = await listing(call.account_id, query, count or _USUAL, cursor)
        total = capped = None
        if cursor is None:
            counted = await counting(call.account_id, query, MOST_COUNTED + 1)
            total = str(min(counted, MOST_COUNTED))
            capped = "true" if counted > MOST_COUNTED else "false"
        records = await aside(RECORD * len(page.entries), lambda: [*map(shown, page.entries)])
        return Reply(
            answer(records, str(len(records)), total, capped),
            selection.next_page(call.url_path, call.query, page.next_cursor),
        )

    def _of_events(self, query: Mapping[str, str]) -> dict[str, Any]:
        """The filters that both listings have, as fields of their queries."""
        return {
            "from_date": selection.FROM_DATE.read(query),
            "to_date": selection.until(selection.TO_DATE.read(query), self._store.clock.differs()),
            "envelope_id": selection.ENVELOPE_ID.read(query),
            "name": EVENT.read(query),
            "sender": SENDER.read(query),
            "subject": SUBJECT.read(query),
            "order": selection.ORDER.read(query),
        }

    async def _get_event(self, call: Call) -> published.ConnectEvent:
        account_id, event_id = call.account_id, call.path["eventId"]
        found = await self._store.published.event(account_id, event_id)
        if found is None:
            raise NotFound(f"There is no event {event_id[:LONGEST_ID]}.")
        of_event = DeliveryQuery(event_id=event_id, order=Order.OLDEST_FIRST)
        page = await self._store.published.deliveries(account_id, of_event, _MOST_OF_EVENT)
        event = published.event_to_wire(account_id, found.entry)
        event.deliveries = [published.delivery_to_wire(account_id, one) for one in page.entries]
        getting = {one.connect_id for one in page.entries}
        explain = EXPLAIN.read(call.query)
        await self._explain(event, account_id, found, getting, None if explain else FEW)
        if ADDITIONAL_INFO.read(call.query):
            event.document = found.document.decode()
        return event

    async def _explain(
        self,
        event: published.ConnectEvent,
        account_id: str,
        found: EventDetail,
        getting: set[int],
        most: int | None,
    ) -> None:
        """Say of configurations that have no delivery of an event why; at most of so many."""
        entry = found.entry
        known = await self._publisher.now(account_id)
        envelope_ids = [entry.envelope_id] if entry.envelope_id else []
        own = await self._store.notified(account_id, envelope_ids)
        others = without([*known.all, *own.get(entry.envelope_id, ())], getting)
        asked = list(islice(others, most))
        changes = await self._store.changes(account_id, [one.connect_id for one in asked])

        def explain() -> list[published.SkipNow]:
            (parsed,) = parse_events(found.document, JSON)
            return [
                published.SkipNow(
                    connect_id=str(skip.connect_id),
                    name=skip.name,
                    reason=skip.reason,
                    changed_since="true" if skip.changed_since else "false",
                )
                for skip in explained(asked, changes, parsed, entry.created_at, known.groups)
            ]

        event.skipped = await aside(len(found.document) + RECORD * len(asked), explain)
        event.skipped_count = str(len(others))

    async def _get_delivery(self, call: Call) -> published.ConnectDelivery:
        account_id = call.account_id
        delivery_id = row_id(call.path["deliveryId"], "deliveryId")
        found = await self._store.published.delivery(account_id, delivery_id)
        if found is None:
            raise NotFound(f"There is no delivery {delivery_id}.")
        details = await self._store.published.attempts(account_id, delivery_id)
        shown = published.delivery_to_wire(account_id, found)
        shown.attempts = [published.attempt_to_wire(detail) for detail in details]
        if ADDITIONAL_INFO.read(call.query):
            sent = await messages_of(self._store, self._zone, call.principal.account, details)
            for attempt, detail, message in zip(shown.attempts, details, sent, strict=True):
                published.with_exchange(attempt, detail, message)
        return shown
