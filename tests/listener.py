"""A real listener on loopback for tests: answers as told, keeps every request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from tests.busy import hang


@dataclass
class Received:
    """One request as it came."""

    path: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def message(self) -> Any:
        return msgspec.json.decode(self.body)

    def header(self, name: str) -> str | None:
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)


@dataclass
class LoopbackListener:
    """What the listener answers (by path, else `status`), and what it received.

    Below `/token` it is an authorization server, and keeps nothing.
    """

    base: str = ""
    status: int = 200
    by_path: dict[str, int] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(
        self, holds: Callable[[list[Received]], bool], seconds: float | None = 20
    ) -> None:
        """Wait until the received requests fulfil a condition; None: as long as it takes."""
        async with hang(seconds), self._changed:
            await self._changed.wait_for(lambda: holds(self.received))

    async def handle(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        if request.path.endswith("/token"):
            return web.json_response({"access_token": "a-token", "token_type": "Bearer"})
        async with self._changed:
            self.received.append(Received(request.path, list(request.headers.items()), body))
            self._changed.notify_all()
        status = self.by_path.get(request.path, self.status)
        return web.Response(status=status, text="ok" if status < 300 else "listener is broken")


@asynccontextmanager
async def listening() -> AsyncIterator[LoopbackListener]:
    """A listener on a free port of 127.0.0.1."""
    listener = LoopbackListener()
    server = web.Server(listener.handle)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    listener.base = f"http://127.0.0.1:{port}"
    try:
        yield listener
    finally:
        await runner.cleanup()
