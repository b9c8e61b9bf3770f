"""What a call takes, counted: so that what makes it dear cannot come back unseen."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from heliograph.store.sqlite.connection import Readers
from heliograph.watch import logs
from tests.server import Client, serving
from tests.support import published


@pytest.fixture
def handed_over(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is given to other threads, by its name."""
    given: list[str] = []
    submit = ThreadPoolExecutor.submit

    def counted(self: ThreadPoolExecutor, work: Any, /, *args: Any, **named: Any) -> Any:
        given.append(getattr(work, "__qualname__", str(work)))
        return submit(self, work, *args, **named)

    read = Readers.read

    async def counted_read(self: Readers, run: Any) -> Any:
        given.append("a read")
        return await read(self, run)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", counted)
    monkeypatch.setattr(Readers, "read", counted_read)
    return given


async def test_a_known_token_and_its_account_are_looked_up_in_no_thread(
    api: Client, handed_over: list[str]
) -> None:
    await api.call("GET", "mobile_notifiers")
    handed_over.clear()
    for _ in range(3):
        assert (await api.call("GET", "mobile_notifiers")).status == 200
    assert handed_over == []
    await api.call("GET", "")
    assert handed_over == ["a read"]  # the listing itself


async def test_a_call_leaves_no_line_of_log_and_a_publish_one(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with logs.writing("json", "info", stream):
        async with serving(tmp_path) as client:
            for _ in range(3):
                await client.call("GET", "")
            await client.call("POST", "events", published())
            await client.call("GET", "x")
    found = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert found.count("event_accepted") == 1
    assert [one for one in found if one.startswith("call")] == ["call_refused"]
