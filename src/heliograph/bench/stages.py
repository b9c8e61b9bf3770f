"""What each stage of an event takes of the processor, one stage at a time, in one process.

They are the stages of docs/architecture.md's story; each works on what the one before has left.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import islice
from typing import Final, Self
from uuid import uuid4

from heliograph.bench import events
from heliograph.bench.listeners import Listeners
from heliograph.delivery.attempt import Post, compose
from heliograph.delivery.index import Index
from heliograph.delivery.matching import match_all
from heliograph.model.deliveries import Answer, Claim, Delivered, Settlement
from heliograph.model.events import NewEvent, Verdict
from heliograph.outbound.authorizer import Authorizer
from heliograph.outbound.transport import Budget, Transport
from heliograph.service import guard_from
from heliograph.settings import Settings
from heliograph.store import Configurations, Store
from heliograph.wire.messages.json_sim import parse_events

TOGETHER: Final = 64
"""Calls, claims and posts that are under way at once, as many as a publisher has connections."""

_TAKEN: Final = Answer(200, "OK", (), b"ok")


class Stages:
    """What the stages leave to one another."""

    def __init__(self, settings: Settings, store: Store, account_id: str) -> None:
        self._settings = settings
        self._store = store
        self._account_id = account_id
        self._stack = AsyncExitStack()
        self._sender: Authorizer
        self._known: Configurations
        self._index = Index()
        self._bodies: Sequence[bytes] = ()
        self._events: Sequence[NewEvent] = ()
        self._matched: Sequence[tuple[NewEvent, Sequence[Verdict]]] = ()
        self._claims: list[Claim] = []
        self._posts: Sequence[Post] = ()

    async def __aenter__(self) -> Self:
        total = self._settings.attempt_timeout
        transport = Transport(guard_from(self._settings), Budget(total=total))
        await self._stack.enter_async_context(transport)
        self._sender = Authorizer(transport, self._store.clock, total=total)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def measure(self, name: str, number: int) -> float:
        """The seconds of the processor that one stage takes, all threads together."""
        if not self._bodies:
            templates = Listeners().templates()
            self._known = await self._store.configurations(self._account_id)
            self._index = self._index.changed_to(self._known.all)
            self._bodies = [
                f"{one:0{events.DIGITS}}".join(templates[one % len(templates)]).encode()
                for one in range(number)
            ]
        stage = getattr(self, f"_{name}")
        began = time.process_time()
        await stage()
        return time.process_time() - began

    async def _parse(self) -> None:
        self._events = [
            replace(event, event_id=str(uuid4()))
            for body in self._bodies
            for event in parse_events(body, "application/json", self._account_id)
        ]

    async def _match(self) -> None:
        groups = self._known.groups
        self._matched = [
            (event, match_all(self._index.candidates(event, groups), event, groups))
            for event in self._events
        ]

    async def _accept(self) -> None:
        matched = iter(self._matched)
        while some := list(islice(matched, TOGETHER)):
            await asyncio.gather(
                *(
                    self._store.accept(self._account_id, self._known.version, [one], notifies=False)
                    for one in some
                )
            )

    async def _settle(self) -> None:
        while claims := (await self._store.claim(TOGETHER, TOGETHER)).claims:
            self._claims += claims
            now = self._store.clock.now()
            await self._store.settle(
                [Settlement(claim, Delivered(), _TAKEN, now, 0.001) for claim in claims]
            )

    async def _compose(self) -> None:
        at = self._store.clock.machine()
        self._posts = [
            compose(
                claim.shown,
                claim.configuration,
                claim.proofs,
                number=claim.number,
                attempt_id=claim.attempt_id,
                at=at,
            )
            for claim in self._claims
        ]

    async def _post(self) -> None:
        waiting = iter(zip(self._claims, self._posts, strict=True))
        while some := list(islice(waiting, TOGETHER)):
            await asyncio.gather(
                *(
                    self._sender.post(
                        claim.configuration, post.headers, post.message, claim.proofs, last=False
                    )
                    for claim, post in some
                )
            )
