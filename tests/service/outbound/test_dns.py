"""F17: what the system's resolver makes of odd DNS servers, and what we make of that (S1, R9)."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.busy import hang
from tests.name_server import BEHAVIOURS, METADATA, NameServer, asking_it, name_server, no_names
from tests.scripted import Listener, keep_answering, listening

pytestmark = pytest.mark.skipif(bool(no_names()), reason=no_names())


@pytest.fixture
async def names() -> AsyncIterator[NameServer]:
    """Every behaviour under a name like it."""
    async with name_server() as server:
        server.behaviours = {f"{one}.example.org": one for one in BEHAVIOURS}
        yield server


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    async with listening(keep_answering) as made:
        yield made


async def posted(
    folder: Path, listener: Listener, *names: str, connect: float = 5.0, patience: int = 1
) -> list[dict[str, Any]]:
    """What came of a post to each name, in a process that asks our server."""
    urls = [f"http://{name}.example.org:{listener.port}/" for name in names]
    words = (sys.executable, "-m", "tests.service.outbound.dns_posts", str(connect), *urls)
    process = await asyncio.create_subprocess_exec(
        *asking_it(folder, patience=patience), *words, stdout=PIPE, stderr=PIPE
    )
    async with hang(60):
        told, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    return [json.loads(line) for line in told.splitlines()]


RIGHT = ("good", "truncated", "many", "cname", "ttl-0")
FORBIDDEN = ("bad", "many-one-bad")
OF_THE_NAME = ("nxdomain", "empty", "cname-loop")
OF_THE_SERVER = ("servfail", "refused", "dead", "slow", "garbage")


async def test_s1_r9_f17_each_odd_answer_has_its_meaning(
    tmp_path: Path, names: NameServer, listener: Listener
) -> None:
    wanted = (*RIGHT, *FORBIDDEN, *OF_THE_NAME, *OF_THE_SERVER)
    assert set(wanted) == set(BEHAVIOURS) - {"dead-first"}  # the chaos suite's
    found = dict(zip(wanted, await posted(tmp_path, listener, *wanted), strict=True))
    for name in RIGHT:  # they lead to the listener
        assert found[name].get("status") == 200, found[name]
    for name in FORBIDDEN:  # one bad address, of 300 too, refuses the name
        assert found[name]["phase"] == "refused address", found[name]
        assert METADATA not in found[name]["what"]
    for name in OF_THE_NAME:
        assert (found[name]["phase"], found[name]["ours"]) == ("dns", False), found[name]
        assert found[name]["what"].endswith("does not exist or has no address")
    for name in OF_THE_SERVER:  # it costs the listener no try
        assert (found[name]["phase"], found[name]["ours"]) == ("dns", True), found[name]
        assert found[name]["what"].endswith("no DNS server answered")
    assert listener.connections == len(RIGHT)


async def test_r9_f17_a_resolver_more_patient_than_we_are_is_not_waited_for(
    tmp_path: Path, names: NameServer, listener: Listener
) -> None:
    for found in await posted(tmp_path, listener, "dead", "slow", connect=0.5, patience=3):
        assert (found["phase"], found["ours"]) == ("dns", True)
        assert found["what"] == "the host name was not resolved within 0.5 s"
        assert found["took"] < 2.5


async def test_s1_f17_an_answer_that_changes_is_looked_at_anew_by_each_attempt(
    tmp_path: Path, names: NameServer, listener: Listener
) -> None:
    first, second = await posted(tmp_path, listener, "good", "good")
    assert (first["status"], second["status"]) == (200, 200)
    names.behaviours["good.example.org"] = "bad"
    (third,) = await posted(tmp_path, listener, "good")
    assert third["phase"] == "refused address"
    # A kept connection needs no name; each new one asks.
    assert names.asked["good.example.org"] == listener.connections + 1
