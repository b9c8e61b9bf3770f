"""The listener: writes down each request before it answers, and fails as it is told."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from tests.busy import hang
from tests.chaos.ledger import Ledger

PATHS = ("/a", "/b")
"""One configuration each."""


class Sink:
    """What it answers: `broken` of all answers are 500, each comes `delay` seconds late.

    `taken` counts the messages that a path took, `most` the requests that it had at once.
    `stamped` is the newest message's webhook-timestamp. Answers of the paths in `closing` end
    their connections, so that the next message needs a new one.
    """

    def __init__(self, path: Path, seed: int, broken: float = 0.02) -> None:
        self._ledger = Ledger(path)
        self._chance = random.Random(seed)
        self.broken = broken
        self.delay = 0.0
        self.keys: list[str] = []
        self.base = ""
        self.requests = 0
        self.taken: Counter[str] = Counter()
        self.now = 0
        self.last_took = 0.0
        self.stamped = 0
        self.dead: set[str] = set()
        self.closing: set[str] = set()
        self.most: Counter[str] = Counter()
        self._at_once: Counter[str] = Counter()
        self._asked: Counter[str] = Counter()

    async def until_asked(self, path: str, times: int = 1) -> None:
        """Wait until a path was posted to at least so many times."""
        async with hang(120):
            while self._asked[path] < times:
                await asyncio.sleep(0.02)

    def asked(self, path: str) -> int:
        """How often a path was posted to."""
        return self._asked[path]

    async def receive(self, request: web.BaseRequest) -> web.Response:
        """One message: noted and flushed, then answered."""
        body = await request.content.read()  # of any size
        if request.path == "/xml":  # taken, and nothing that the checker reads
            return web.Response()
        message = json.loads(body)
        self.requests += 1
        self.now += 1
        self._asked[request.path] += 1
        self.stamped = int(request.headers.get("webhook-timestamp", 0))
        self._at_once[request.path] += 1
        self.most[request.path] = max(self.most[request.path], self._at_once[request.path])
        try:
            if self.delay:
                await asyncio.sleep(self.delay)
            failing = request.path in self.dead or self._chance.random() < self.broken
            status = 500 if failing else 200
            self._ledger.write(
                ns=time.time_ns(),
                path=request.path,
                event=message["chaosEvent"],
                envelope=message["data"]["envelopeId"],
                sequence=message["chaosSequence"],
                configuration=str(message["configurationId"]),
                retry=message["retryCount"],
                status=status,
                signature=self._signed(body, request.headers.get("X-DocuSign-Signature-1", "")),
                digest=hashlib.sha256(re.sub(rb'"retryCount":\d+', b"", body)).hexdigest(),
            )
            if status == 200:
                self.taken[request.path] += 1
                self.last_took = time.monotonic()
            answer = web.Response(status=status)
            if request.path in self.closing:
                answer.force_close()
            return answer
        finally:
            self.now -= 1
            self._at_once[request.path] -= 1

    def _signed(self, body: bytes, given: str) -> bool:
        macs = (hmac.digest(key.encode(), body, "sha256") for key in self.keys)
        return any(hmac.compare_digest(base64.b64encode(mac).decode(), given) for mac in macs)

    def close(self) -> None:
        self._ledger.close()


@asynccontextmanager
async def listening(path: Path, seed: int, host: str = "127.0.0.1") -> AsyncIterator[Sink]:
    """A sink that writes to `path`."""
    sink = Sink(path, seed)
    runner = web.ServerRunner(web.Server(sink.receive), shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, host, 0).start()
    sink.base = f"http://{host}:{runner.addresses[0][1]}"
    try:
        yield sink
    finally:
        await runner.cleanup()
        sink.close()
