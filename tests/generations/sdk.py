"""An SDK in a process of its own, asked by lines of JSON (bridge.py, bridge.cjs, Bridge.java)."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.generations.catalogue import Generation

_SECONDS: Final = 60
"""For one call."""


class NotAsExpected(Exception):
    """The SDK raised, or did not understand the answer."""


@dataclass
class Sdk:
    """One SDK, started."""

    process: asyncio.subprocess.Process

    async def ask(self, **request: Any) -> Any:
        """One request, one answer. Raises NotAsExpected."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(request).encode() + b"\n")
        async with asyncio.timeout(_SECONDS):
            await stdin.drain()
            line = await stdout.readline()
        if not line:
            raise NotAsExpected("the process ended")
        answer = json.loads(line)
        if "status" in answer:
            raise NotAsExpected(f"refused with {answer['status']}: {answer['body']}")
        if "broke" in answer:
            raise NotAsExpected(f"the SDK broke: {answer['broke']}")
        return answer

    async def call(
        self, operation: str, *path: str, body: tuple[str, Mapping[str, Any]] | None, **query: str
    ) -> Any:
        """One call of ConnectApi; `body` is the SDK's class and its fields as on the wire."""
        sent = None if body is None else {"model": body[0], "value": body[1]}
        request = {"api": "ConnectApi", "operation": operation, "path": path}
        return (await self.ask(**request, body=sent, query=query)).get("value")


@asynccontextmanager
async def started(one: Generation, base: str, authority: Path) -> AsyncIterator[Sdk]:
    """The SDK of a generation, for a server. Raises Missing."""
    command = await asyncio.to_thread(one.command)
    environment = {
        **os.environ,
        "BASE": base,
        **await asyncio.to_thread(one.environment, authority),
    }
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=2**24,
        env=environment,
    )
    try:
        yield Sdk(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
