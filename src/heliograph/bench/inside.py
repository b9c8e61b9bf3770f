"""A process that works on a database with no server: seeds it, or measures stage after stage.

It does what a server does, through the store's port; nothing here writes SQL.
"""

from __future__ import annotations

import logging
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import structlog
import uvloop

from heliograph.access.credentials_file import Credentials
from heliograph.bench import events
from heliograph.bench.orders import Open, Seed, Seeded, Stage, Staged, obeying
from heliograph.bench.stages import Stages
from heliograph.delivery.index import Index
from heliograph.delivery.matching import match_all
from heliograph.model.deliveries import (
    Answer,
    Claim,
    Delivered,
    GaveUp,
    Outcome,
    Phase,
    Settlement,
    Why,
)
from heliograph.model.events import NewEvent
from heliograph.settings import from_environment
from heliograph.store import Store
from heliograph.store.opening import open_store
from heliograph.wire.messages.json_sim import parse_events

_AT_ONCE: Final = 500
"""Events of one accept."""

_CLAIMED: Final = 2_000
"""Deliveries of one claim, and of one settle."""

_RARELY: Final = 100
"""One event in so many has another status, and fails for another reason."""

_TAKEN: Final = Answer(200, "OK", (), b"")
_BROKEN: Final = Answer(500, "Internal Server Error", (), b"broken")
USUAL_ERROR: Final = Why(Phase.STATUS, "500 Internal Server Error: must answer 200 to 299")
RARE_ERROR: Final = Why(Phase.CONNECT, "the listener refused the connection")


class Inside:
    """An open database, and the account whose events are seeded."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._store: Store
        self._account_id = ""
        self._stages: Stages

    async def handle(self, order: Open | Seed | Stage) -> Any:
        """Carry out an order."""
        match order:
            case Open(data_dir, database_url):
                settings = from_environment(
                    {},
                    data_dir=Path(data_dir),
                    database_url=database_url,
                    egress="emulator",
                    i_accept_data_loss=True,  # whoever started the server decides
                )
                self._store = await self._stack.enter_async_context(open_store(settings))
                self._account_id = Credentials.read(settings.data_dir).account_id
                stages = Stages(settings, self._store, self._account_id)
                self._stages = await self._stack.enter_async_context(stages)
                return None
            case Seed():
                began = time.monotonic()
                return Seeded(await self._seed(order), time.monotonic() - began)
            case Stage(name, number):
                return Staged(await self._stages.measure(name, number))

    async def _seed(self, order: Seed) -> int:
        known, deliveries = await self._store.configurations(self._account_id), 0
        index = Index().changed_to(known.all)
        for first in range(order.first, order.first + order.events, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, order.first + order.events))
            matched = [
                (event, match_all(index.candidates(event, known.groups), event, known.groups))
                for event in _made(numbers, self._account_id)
            ]
            await self._store.accept(self._account_id, known.version, matched, notifies=False)
            while claims := (await self._store.claim(_CLAIMED, _CLAIMED)).claims:
                await self._store.settle([self._settled(claim, order.failed) for claim in claims])
                deliveries += len(claims)
        return deliveries

    def _settled(self, claim: Claim, failed: bool) -> Settlement:
        outcome: Outcome = Delivered()
        if failed:
            rare = int(claim.event.envelope_id[-events.DIGITS :]) % _RARELY == 0
            outcome = GaveUp(RARE_ERROR if rare else USUAL_ERROR)
        answer = _BROKEN if failed else _TAKEN
        return Settlement(claim, outcome, answer, self._store.clock.now(), 0.01)


def _made(numbers: range, account_id: str) -> list[NewEvent]:
    """Small events of the first user, with ids of their own."""
    usual, rare = (
        events.template("user-0", 0, status=status) for status in ("sent", events.RARE_STATUS)
    )
    bodies = [
        f"{number:0{events.DIGITS}}".join(usual if number % _RARELY else rare) for number in numbers
    ]
    parsed = parse_events(f"[{','.join(bodies)}]".encode(), "application/json", account_id)
    return [
        replace(event, event_id=f"seed-{number}")
        for event, number in zip(parsed, numbers, strict=True)
    ]


async def _main() -> None:
    # Standard output is for answers.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    async with AsyncExitStack() as stack:
        await obeying(Open | Seed | Stage, Inside(stack).handle)


if __name__ == "__main__":
    uvloop.run(_main())
