"""What tests share: a clock moved by hand, short ways to make events and configurations."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from heliograph.delivery.matching import match_all
from heliograph.errors import StorageUnavailable
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.deliveries import (
    Answer,
    Claim,
    Delivered,
    GaveUp,
    Outcome,
    Phase,
    RetryAt,
    Settlement,
    Why,
)
from heliograph.model.events import Accepted, NewEvent
from heliograph.store import Store
from heliograph.wire import configurations, rest
from heliograph.wire.codec import decode_json
from heliograph.wire.messages import json_sim
from tests.busy import hang

ACCOUNT = "11111111-2222-4333-8444-555555555555"
OTHER_ACCOUNT = "99999999-2222-4333-8444-555555555555"
START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


class ManualClock:
    """Time stands still until a test moves it; waiters whose time has come wake up."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._passed = 0.0
        self._waiting: list[tuple[float, asyncio.Event, asyncio.Event]] = []
        self._began_to_wait = asyncio.Event()

    def now(self) -> datetime:
        return self._now

    def machine(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._passed

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self._passed += seconds
        self.jump(seconds)
        due = [expired for when, expired, _ in self._waiting if when <= self._passed]
        self._waiting = [one for one in self._waiting if one[0] > self._passed]
        for expired in due:
            expired.set()

    def jump(self, seconds: float) -> None:
        """Set the wall clock; no time passes."""
        self._now += timedelta(seconds=seconds)

    async def wait(self, event: asyncio.Event, seconds: float | None) -> None:
        if seconds is None:
            await event.wait()
            return
        if seconds <= 0:
            return
        expired = asyncio.Event()
        waiting = (self._passed + seconds, expired, event)
        self._waiting.append(waiting)
        self._began_to_wait.set()
        waits = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(expired.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def until_waited_for(self) -> None:
        """Return once somebody waits for a time to come: only then does moving wake them."""
        async with hang(10):
            while all(event.is_set() for *_, event in self._waiting):
                self._began_to_wait.clear()
                await self._began_to_wait.wait()


def published(
    name: str = "envelope-sent", envelope_id: str = "env-1", **over: Any
) -> dict[str, Any]:
    """A publish body of one event; `over` replaces or adds top-level fields."""
    return {
        "event": name,
        "generatedDateTime": "2026-11-23T08:59:00.1234567Z",
        "data": {
            "accountId": ACCOUNT,
            "userId": "user-1",
            "envelopeId": envelope_id,
            "envelopeSummary": {
                "status": name.partition("-")[2],
                "emailSubject": "Lease of 12 Harbour Street",
                "sender": {"userName": "Ada Lovelace", "email": "ada@example.com"},
            },
        },
        **over,
    }


def new_event(
    name: str = "envelope-sent", envelope_id: str = "env-1", event_id: str = "", **over: Any
) -> NewEvent:
    """A checked event, with the id that the publisher would have given it."""
    body = published(name, envelope_id, **over)
    body["eventId"] = event_id or f"{name}:{envelope_id}"
    (event,) = json_sim.parse_events(json.dumps(body).encode(), "application/json")
    return event


def wanted_configuration(
    account_id: str = ACCOUNT, connect_id: int = 0, **fields: Any
) -> ConnectConfiguration:
    """A configuration as the API would hand it to the store; id 0 stands for a new one."""
    given = {
        "name": "crm",
        "urlToPublishTo": "https://listener.example.com/connect",
        "allowEnvelopePublish": "true",
        "allUsers": "true",
        "enableLog": "true",
        "events": ["envelope-sent", "envelope-completed"],
        **fields,
    }
    wire = decode_json(json.dumps(given).encode(), rest.ConnectCustomConfiguration)
    document, secrets = configurations.merge(wire, None)
    return configurations.read(account_id, connect_id, document, secrets)


_TRIES = 5


async def accept(store: Store, *events: NewEvent, account_id: str = ACCOUNT) -> list[Accepted]:
    """Match and accept, as the publisher does.

    What was not answered in time is published again, as whoever publishes must: who else has the
    machine is no matter of what a test begins with.
    """
    known = await store.configurations(account_id)
    matched = [(event, match_all(known.all, event, known.groups)) for event in events]
    tries = 0
    while True:
        try:
            return list(await store.accept(account_id, known.version, matched))
        except StorageUnavailable as trouble:
            tries += 1
            if tries == _TRIES or "did not answer in time" not in str(trouble):
                raise


async def claim_all(store: Store, room: int = 100, per_configuration: int = 100) -> list[Claim]:
    """Everything that is due now."""
    return list((await store.claim(room, per_configuration)).claims)


WHY = Why(Phase.STATUS, "500 Internal Server Error: the listener must answer 200 to 299")
ANSWER = Answer(500, "Internal Server Error", (("Content-Type", "text/plain"),), b"broken")


def settled(claim: Claim, outcome: Outcome, at: datetime = START) -> Settlement:
    """An attempt that came to `outcome`."""
    answer = Answer(200, "OK", (), b"") if isinstance(outcome, Delivered) else ANSWER
    return Settlement(claim, outcome, answer, at, 0.25)


def retry_in(seconds: float, at: datetime = START) -> RetryAt:
    return RetryAt(at + timedelta(seconds=seconds), WHY)


async def deliver(store: Store, claims: Sequence[Claim]) -> list[bool]:
    return list(await store.settle([settled(claim, Delivered()) for claim in claims]))


async def give_up(store: Store, claims: Sequence[Claim]) -> list[bool]:
    return list(await store.settle([settled(claim, GaveUp(WHY)) for claim in claims]))


class LoopTime:
    """The running loop's own time, which a test moves ahead: timers fire, and nobody sleeps."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        real, self._ahead = loop.time, 0.0
        vars(loop)["time"] = lambda: real() + self._ahead

    async def move(self, seconds: float) -> None:
        """Let whoever can go on do so, time pass, and whoever waited for it go on."""
        await rounds()
        self._ahead += seconds
        await rounds()


async def rounds(count: int = 20) -> None:
    """Let the loop go round so often."""
    for _ in range(count):
        await asyncio.sleep(0)
