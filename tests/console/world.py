"""What the console is shown with: listeners that take, fail and rest, events, and a viewer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from tests.busy import hang
from tests.chromium import Chromium
from tests.integration import ADA, PASSWORD
from tests.listener import LoopbackListener
from tests.server import Client
from tests.support import published

VIEWER = "vera@example.com"
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{7*7}} ${7*7} <%= 7*7 %>",
    "a\u202egnp.exe",
    "' onmouseover='alert(1)",
)


@dataclass
class World:
    """A furnished account; `listeners` are the ids of its configurations by name."""

    api: Client
    listener: LoopbackListener
    listeners: dict[str, str]
    at: str = ""
    """Where the console is found; empty: at the server itself."""

    @property
    def root(self) -> str:
        return f"{self.at or f'{self.api.server.base_uri}/console'}/"

    async def job(self) -> str:
        """The id of a republish job that is paused before it asks for much; made once."""
        listed = (await self.api.call("GET", "republish_jobs")).json.get("republishJobs")
        if listed:
            return str(listed[-1]["jobId"])
        query = f"connect_id={self.listeners['billing']}&rate=1&canary=1"
        made = (await self.api.call("POST", f"republish_jobs?{query}")).json["jobId"]
        await self.api.call("PUT", f"republish_jobs/{made}", {"state": "paused"})
        return str(made)

    async def incident(self) -> str:
        """The id of the incident of `orders`; seen by somebody who says what listeners may say."""
        query = f"incidents?connect_id={self.listeners['orders']}"
        (one,) = (await self.api.call("GET", query)).json["incidents"]
        if "acknowledgedBy" not in one:
            note = {"note": HOSTILE[0]}
            assert (await self.api.call("PUT", one["incidentUri"], note)).status == 200
        return str(one["incidentId"])

    async def failures_now(self) -> list[dict[str, Any]]:
        """The open failures."""
        found: list[dict[str, Any]] = (await self.api.call("GET", "failures")).json["failures"]
        return found

    async def failures(self, count: int) -> list[dict[str, Any]]:
        """The open failures, once there are so many and none is being sent."""
        async with hang(20):
            while True:
                found = await self.failures_now()
                done = all(one["deliveryState"] != "in_flight" for one in found)
                if len(found) == count and done:
                    return found
                await asyncio.sleep(0.02)


def event(envelope_id: str, subject: str, sender: str = "Ada Lovelace") -> dict[str, Any]:
    """An event to publish, of an envelope with this subject."""
    body = published(envelope_id=envelope_id)
    summary = body["data"]["envelopeSummary"]
    summary |= {"emailSubject": subject, "sender": {"userName": sender, "email": VIEWER}}
    return body


async def furnish(api: Client, listener: LoopbackListener, *, hostile: bool = False) -> World:
    """Three listeners: `orders` answers 500, `crm` takes everything, `billing` is paused; three
    failures of each but `crm`."""
    texts = (
        HOSTILE if hostile else ("Lease of 12 Harbour Street", "Offer 2041", "Employment contract")
    )
    mark = f" {HOSTILE[0]}" if hostile else ""
    listener.by_path = {"/orders": 500}
    made = {}
    for name, fields in (
        ("orders", {"retrySchedule": ["3600"]}),
        ("crm", {}),
        ("billing", {"pausePublish": "true"}),
    ):
        url = f"{listener.base}/{name}"
        made[name] = await api.configure(url, name=f"{name}{mark}", **fields)
    await _viewer(api)
    world = World(api, listener, made)
    events = [event(f"envelope-{n}{mark}", text, text) for n, text in enumerate(texts)]
    answer = await api.call("POST", "events", events)
    assert answer.status == 202, answer.body
    await world.failures(2 * len(texts))
    return world


async def _viewer(api: Client) -> None:
    user = {"userName": "Vera", "email": VIEWER, "userId": ADA}
    made = await api.call("POST", f"{api.account}/users", {"newUsers": [user]})
    assert made.status == 201, made.body
    body = {"newPassword": PASSWORD}
    done = await api.call("PUT", f"{api.account}/users/{ADA}/password", body)
    assert done.status == 200, done.body


async def sign_in(
    browser: Chromium, world: World, *, viewer: bool = False, here: bool = False
) -> None:
    """As the administrator with the first token, or as the viewer with her password; `here` where
    the form is shown already."""
    if not here:
        await browser.open(f"{world.root}sign-in")
    if viewer:
        await browser.type("#name", VIEWER)
        await browser.type("#password", PASSWORD)
        await browser.click("form:not(details form) button")
    else:
        await browser.click("summary")
        await browser.type("#token", world.api.credentials.access_token.reveal())
        await browser.click("details button")
    await browser.find("header nav")
