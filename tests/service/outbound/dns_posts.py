"""`python -m tests.service.outbound.dns_posts CONNECT URL...`: a post to each, a JSON line each."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence

from heliograph.egress import Guard, Profile
from heliograph.model.deliveries import Fault
from heliograph.outbound.transport import Budget, Transport


async def post(connect: float, urls: Sequence[str]) -> None:
    """One after the other, over one transport; `connect` is the budget in seconds."""
    async with Transport(Guard(Profile.EMULATOR), Budget(total=20.0, connect=connect)) as transport:
        for url in urls:
            began = time.monotonic()
            found = await transport.post(url, (("Content-Type", "application/json"),), b"{}")
            took = time.monotonic() - began
            line: dict[str, object]
            if isinstance(found, Fault):
                line = {"phase": found.phase.value, "ours": found.ours, "what": found.what}
            else:
                line = {"status": found.status}
            print(json.dumps({**line, "took": took}), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(post(float(sys.argv[1]), sys.argv[2:]))
