"""The load: publishers that write down what they are going to do, and what came of it."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.busy import hang, hang_times
from tests.chaos.installation import Installation, Node
from tests.chaos.ledger import Ledger
from tests.support import published

PUBLISHERS = 8
EVENTS_OF_AN_ENVELOPE = 3
CALL_SECONDS = 6.0
_ANSWERED = 20.0 * hang_times()
"""Seconds until a call that a test makes for itself counts as hung."""

UNREACHABLE = (aiohttp.ClientError, TimeoutError, ConnectionError)


class Client:
    """Calls the API of any node."""

    def __init__(self, installation: Installation, session: aiohttp.ClientSession) -> None:
        self.installation = installation
        self._session = session

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        node: Node | None = None,
        seconds: float = _ANSWERED,
    ) -> tuple[int, Any]:
        """One call below `connect`; its status and what the body says."""
        credentials = self.installation.credentials
        base = (node or self.installation.first).base_uri
        account = f"{base}/restapi/v2.1/accounts/{credentials.account_id}"
        headers = {"Authorization": f"Bearer {credentials.access_token.reveal()}"}
        async with self._session.request(
            method,
            f"{account}/connect/{path}".rstrip("/"),
            json=body,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=seconds),
        ) as answer:
            text = await answer.read()
        # Whoever asks looks at the status; an error's body may be anything.
        return answer.status, json.loads(text) if text[:1] in (b"{", b"[") else text

    async def publish(self, body: bytes) -> int:
        """A publish whose body is sent as it is; the status of the answer."""
        credentials = self.installation.credentials
        path = f"/restapi/v2.1/accounts/{credentials.account_id}/connect/events"
        headers = {
            "Authorization": f"Bearer {credentials.access_token.reveal()}",
            "Content-Type": "application/json",
            "Expect": "100-continue",
        }
        timeout = aiohttp.ClientTimeout(total=3 * _ANSWERED)
        url = self.installation.first.base_uri + path
        stream = io.BytesIO(body)
        async with self._session.post(url, data=stream, headers=headers, timeout=timeout) as answer:
            return answer.status

    async def done(self, method: str, path: str, body: Any = None) -> Any:
        """A call that must succeed, at any node, by when any call would be."""
        deadline = time.monotonic() + _ANSWERED
        while True:
            try:
                for node in self.installation.answering()[:1]:
                    status, answer = await self.call(method, path, body, node=node)
                    if status < 300:
                        return answer
                    if status not in (429, 503):
                        raise AssertionError((method, path, status, answer))
            except UNREACHABLE:
                pass
            if time.monotonic() > deadline:
                raise TimeoutError(f"{method} {path} was not answered")
            await asyncio.sleep(0.1)


class Load:
    """Publishers that go on until they are told to stop."""

    def __init__(self, client: Client, ledger: Path, pace: float = 0.0) -> None:
        """`pace`: seconds that a publisher rests after each event."""
        self.client = client
        self.pace = pace
        self.over = asyncio.Event()
        self.resting = asyncio.Event()
        self.accepted = 0
        self.refused = 0
        self.slowest_refusal = 0.0
        self.seconds: list[float] = []
        self._ledger = Ledger(ledger)
        self._turn = 0
        self._progress = asyncio.Condition()

    async def run(self, number: int, prefix: str = "e") -> None:
        """Publish envelope after envelope, its events one after the other (R6)."""
        envelope = 0
        while not self.over.is_set():
            envelope += 1
            name = f"{prefix}-{number}-{envelope}"
            for sequence in range(EVENTS_OF_AN_ENVELOPE):
                if self.over.is_set():
                    return
                while self.resting.is_set():
                    await asyncio.sleep(0.02)
                await self.publish(name, sequence)
                await asyncio.sleep(self.pace)

    async def publish_body(self, event: str, body: bytes) -> int:
        """One event in its own body, again as long as the answer is to come again (R2, R11): that
        says nothing of the event; the status of the first other answer."""
        self._ledger.write(
            kind="intent", ns=time.time_ns(), event=event, envelope=event, sequence=0
        )
        while (status := await self.client.publish(body)) == 503:
            await asyncio.sleep(2.0)  # as Retry-After says
        if status == 202:
            self._ledger.write(kind="ok", ns=time.time_ns(), event=event)
        return status

    async def publish(self, envelope: str, sequence: int, *, giving_up: bool = False) -> bool:
        """One event until it is accepted; with `giving_up`, at most once."""
        event = f"{envelope}.{sequence}"
        self._ledger.write(
            kind="intent", ns=time.time_ns(), event=event, envelope=envelope, sequence=sequence
        )
        body = published(
            envelope_id=envelope, eventId=event, chaosEvent=event, chaosSequence=sequence
        )
        while True:
            status = await self._once(event, body)
            if status == 202:
                self._ledger.write(kind="ok", ns=time.time_ns(), event=event)
                self.accepted += 1
                async with self._progress:
                    self._progress.notify_all()
                return True
            if giving_up:
                return False
            await asyncio.sleep(0.01 if status == 0 else 0.05)

    async def _once(self, event: str, body: dict[str, Any]) -> int:
        """One call; 0 stands for an unknown outcome, which is repeated with the same id (R2)."""
        nodes = self.client.installation.answering()
        if not nodes:
            await asyncio.sleep(0.02)
            return 0
        self._turn += 1  # a repeat goes to another node
        node = nodes[self._turn % len(nodes)]
        began = time.monotonic()
        try:
            status, answer = await self.client.call(
                "POST", "events", body, node=node, seconds=CALL_SECONDS
            )
        except UNREACHABLE as error:
            self._ledger.write(kind="unknown", ns=time.time_ns(), event=event, why=repr(error))
            return 0
        took = time.monotonic() - began
        if status != 202:
            self.refused += 1
            self.slowest_refusal = max(self.slowest_refusal, took)
            self._ledger.write(kind="no", ns=time.time_ns(), event=event, status=status)
            # 500: what a bug, or a failpoint that raises, answers; it may have been kept.
            assert status in (429, 500, 503), (status, answer)
        else:
            self.seconds.append(took)
        return status

    async def accepts(self, count: int = 1, seconds: float = 30.0) -> float:
        """Wait until `count` more are accepted; how many seconds that took."""
        began, goal = time.monotonic(), self.accepted + count
        async with hang(seconds), self._progress:
            await self._progress.wait_for(lambda: self.accepted >= goal)
        return time.monotonic() - began

    def close(self) -> None:
        self._ledger.close()


@asynccontextmanager
async def publishing(
    client: Client,
    ledger: Path,
    publishers: int = PUBLISHERS,
    pace: float = 0.0,
    prefix: str = "e",
) -> AsyncIterator[Load]:
    """Load for the time of the block; then every publisher has finished its event.

    `prefix` begins the names of the envelopes: each load of a run has one of its own.
    """
    load = Load(client, ledger, pace)
    tasks = [asyncio.create_task(load.run(number, prefix)) for number in range(publishers)]
    try:
        yield load
        load.over.set()
        load.resting.clear()
        async with hang(60):
            await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        load.close()
