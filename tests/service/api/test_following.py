"""Events and the log, followed over HTTP: server-sent events, by any number of processes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from heliograph.api.contract.following import MOST_OF_ACCOUNT
from heliograph.store.keyring import KeyRing
from heliograph.store.postgres.store import PostgresStore
from tests.busy import hang
from tests.contract.traffic import Traffic
from tests.listener import LoopbackListener
from tests.server import Client, serving
from tests.support import ManualClock, published, rounds

EVENTS = "text/event-stream"


@dataclass
class Followed:
    """What a follower is sent."""

    answer: aiohttp.ClientResponse
    last_id: str = ""

    async def line(self) -> str:
        async with hang(20):
            return (await self.answer.content.readline()).decode()

    async def next(self) -> Any:
        """The next row; what comes between counts for nothing."""
        while not (line := await self.line()).startswith("data: "):
            if line.startswith("id: "):
                self.last_id = line[4:].strip()
            assert line, "it ended"
        return json.loads(line[6:])

    async def ends(self) -> bool:
        """Whether it ends as an answer should, after whatever still comes."""
        while await self.line():
            pass
        return self.answer.content.exception() is None


@asynccontextmanager
async def following(api: Client, path: str, **headers: str) -> AsyncIterator[Followed]:
    """Follow a listing from now on, or from a `Last-Event-ID`."""
    token = headers.pop("token", api.credentials.access_token.reveal())
    sent = {"Accept": "text/event-stream", "Authorization": f"Bearer {token}", **headers}
    url = f"{api.server.base_uri}{api.connect}/{path}"
    async with api.session.get(url, headers=sent) as answer:
        assert answer.status == 200, await answer.read()
        assert answer.content_type == "text/event-stream"
        followed = Followed(answer)
        assert await followed.line() == "retry: 1000\n"
        yield followed


async def test_events_come_as_they_are_published_and_go_on_after_a_cut(api: Client) -> None:
    from_date = "events?from_date=2020-01-01"
    async with following(api, from_date) as followed:
        await api.call("POST", "events", published(envelope_id="env-1"))
        assert (await followed.next())["envelopeId"] == "env-1"
        last = followed.last_id
        await api.call("POST", "events", published(envelope_id="env-2"))
        second = await followed.next()
    listed = (await api.call("GET", "events")).json["events"]
    assert second == listed[0]
    await api.call("POST", "events", published(envelope_id="env-3"))
    async with following(api, from_date, **{"Last-Event-ID": last}) as followed:
        assert (await followed.next())["envelopeId"] == "env-2"
        assert (await followed.next())["envelopeId"] == "env-3"
    only = f"{from_date}&event=envelope-voided"
    async with following(api, only) as followed:
        await api.call("POST", "events", published(envelope_id="env-4"))
        await api.call("POST", "events", published("envelope-voided", "env-5"))
        assert (await followed.next())["envelopeId"] == "env-5"


async def test_the_log_comes_with_what_each_post_came_to(
    api: Client, listener: LoopbackListener
) -> None:
    await api.configure(f"{listener.base}/crm")
    since = "logs?from_date=2020-01-01"
    async with following(api, since) as followed:
        await api.call("POST", "events", published(envelope_id="env-1"))
        entry = await followed.next()
        assert (entry["envelopeId"], "error" in entry) == ("env-1", False)
        listener.status = 500
        await api.call("POST", "events", published(envelope_id="env-2"))
        failed = await followed.next()
        assert failed["error"].startswith("status: 500")
    (listed, _) = (await api.call("GET", "logs")).json["logs"]
    assert {**listed, "nextTry": ""} == {**failed, "nextTry": ""}
    async with following(api, f"{since}&error=500") as followed:
        assert (await followed.next())["envelopeId"] == "env-2"
    # The same in version 2.
    url = f"{api.connect.replace('v2.1', 'v2')}/{since}"
    async with api.session.get(
        api.server.base_uri + url,
        headers={
            "Accept": "text/event-stream",
            "Authorization": f"Bearer {api.credentials.access_token.reveal()}",
        },
    ) as answer:
        followed = Followed(answer)
        assert (await followed.next())["envelopeId"] == "env-1"


async def test_what_has_no_end_takes_nothing_that_is_about_one(api: Client) -> None:

    for given in ("to_date=2020-01-01", "count=1", "cursor=MS4x", "order=asc"):
        refused = await api.call("GET", f"logs?{given}", Accept=EVENTS)
        assert (refused.status, refused.error) == (400, "INVALID_REQUEST_PARAMETER")
        assert f"Leave {given.partition('=')[0]} out" in refused.json["message"]
    for place in ("yesterday", "1", "1.2.", "-1.2", "g.1", "f" * 16 + ".1", "1.2" + ".1" * 1001):
        refused = await api.call("GET", "events", Accept=EVENTS, Last_Event_ID=place)
        assert (refused.status, refused.error) == (400, "INVALID_REQUEST_PARAMETER"), place
    assert (await api.call("GET", "failures", Accept=EVENTS)).status == 406
    assert (await api.call("HEAD", "events", Accept=EVENTS)).body == b""


async def test_so_many_of_an_account_follow_and_no_more(api: Client) -> None:

    async with asynccontextmanager(_crowd)(api, MOST_OF_ACCOUNT) as last:
        refused = await api.call("GET", "logs", Accept=EVENTS)
        assert (refused.status, refused.error) == (429, "FOLLOWER_LIMIT_EXCEEDED")
        assert refused.headers["Retry-After"] == "15"
        assert "end one of them" in refused.json["message"]
        last.answer.close()
        async with hang(20):  # it is missed when it would be sent something
            while (await _status(api)) == 429:
                await api.call("POST", "events", published())


async def _crowd(api: Client, number: int) -> AsyncIterator[Followed]:
    if number == 1:
        async with following(api, "events") as followed:
            yield followed
    else:
        async with following(api, "events"):
            async for followed in _crowd(api, number - 1):
                yield followed


async def _status(api: Client) -> int:
    url = f"{api.server.base_uri}{api.connect}/events"
    token = api.credentials.access_token.reveal()
    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {token}"}
    async with api.session.get(url, headers=headers) as answer:
        return answer.status


async def test_a_viewer_follows_until_the_token_is_revoked(api: Client) -> None:
    made = await api.call("POST", f"{api.account}/tokens", {"name": "night", "role": "viewer"})
    async with following(api, "events", token=made.json["accessToken"]) as followed:
        await api.call("DELETE", f"{api.account}/tokens/{made.json['tokenId']}")
        assert await followed.ends()


async def test_silence_is_broken_by_a_comment(tmp_path: Path) -> None:
    clock = ManualClock()
    async with serving(tmp_path, clock) as api, following(api, "events") as followed:
        assert await followed.line() == "\n"
        for _ in range(3):
            reading = asyncio.create_task(followed.line())
            while not reading.done():
                clock.move(0.5)
                await rounds()
            assert await reading == ": alive\n"
            place = (await followed.line()).removeprefix("id: ").strip()
            assert await followed.line() == "\n"
        await api.call("POST", "events", published(envelope_id="env-1"))
    async with (
        serving(tmp_path) as api,
        following(api, "events", **{"Last-Event-ID": place}) as followed,
    ):
        # What came while nobody followed, although nothing had come before.
        assert (await followed.next())["envelopeId"] == "env-1"


async def test_a_stop_does_not_wait_for_followers(tmp_path: Path) -> None:
    async with hang(20), serving(tmp_path, grace=600) as api, following(api, "logs") as followed:
        api.server.stop()
        assert await followed.ends()


async def test_what_another_node_has_written_comes_too(tmp_path: Path, database_url: str) -> None:
    async with serving(tmp_path, database_url=database_url) as api:
        other = await PostgresStore.open(
            database_url,
            KeyRing.load(tmp_path / "data" / "master.key"),
            instance="other",
            accept_data_loss=True,
        )
        async with following(api, "events?from_date=2020-01-01") as followed:
            await Traffic(other, api.credentials.account_id).publish(envelope_id="env-7")
            assert (await followed.next())["envelopeId"] == "env-7"
        await other.close()


@pytest.mark.parametrize("accept", ["text/event-stream, */*", "*/*", "text/*", ""])
async def test_who_does_not_ask_for_events_gets_the_listing(api: Client, accept: str) -> None:
    if accept.startswith("text/event-stream"):
        async with following(api, "events", Accept=accept):
            return
    assert (await api.call("GET", "events", Accept=accept)).status == 200
