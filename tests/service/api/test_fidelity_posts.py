"""What every post has, whoever asked for it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lxml import etree

from heliograph.wire.messages.legacy_xml import NAMESPACE
from tests.busy import hang
from tests.listener import LoopbackListener
from tests.server import Client, serving
from tests.support import published


async def test_fidelity_account_id_header_comes_with_events_test_sends_and_the_past(
    api: Client, listener: LoopbackListener
) -> None:
    connect_id = await api.configure(listener.base)
    assert (await api.call("POST", f"{connect_id}/test")).json["success"] == "true"
    await api.call("POST", "events", published("envelope-completed", "env-1"))
    await listener.until(lambda received: len(received) == 2)
    config = {"urlToPublishTo": listener.base + "/old", "deliveryMode": "SIM"}
    past = {"envelopes": ["env-1"], "config": config}
    await api.call("POST", "envelopes/publish/historical", past)
    await listener.until(lambda received: len(received) == 3)
    sent = [one.header("X-DocuSign-AccountId") for one in listener.received]
    assert sent == [api.credentials.account_id] * 3


async def test_fidelity_times_in_the_zone_of_the_account_and_its_name_wherever_xml_is_made(
    tmp_path: Path, listener: LoopbackListener
) -> None:
    def texts(body: bytes, name: str) -> list[str | None]:
        return [one.text for one in etree.fromstring(body).iter(f"{{{NAMESPACE}}}{name}")]

    async with serving(tmp_path, time_zone="Asia/Tokyo") as api:
        switches = {
            "includeTimeZoneInformation": "true",
            "includeSenderAccountasCustomField": "true",
        }
        xml = {"events": [], "envelopeEvents": ["Completed"], **switches}
        connect_id = await api.configure(listener.base, **xml)
        assert (await api.call("POST", f"{connect_id}/test")).json["success"] == "true"
        generated, data = "2026-06-30T20:00:00.1234567Z", {"envelopeId": "env-1"}
        event = published("envelope-completed", generatedDateTime=generated, data=data)
        await api.call("POST", "events", event)
        await listener.until(lambda received: len(received) == 2)
        bodies = [one.body for one in listener.received]
        for body in bodies:
            assert texts(body, "TimeZone") == ["Tokyo Standard Time"]
            assert texts(body, "TimeZoneOffset") == ["9"]
            names = texts(body, "Name")
            assert names[-3:] == ["AccountId", "AccountName", "AccountSite"]
        assert texts(bodies[1], "TimeGenerated") == ["2026-07-01T05:00:00.1234567"]
        async with hang(20):
            while not (logs := (await api.call("GET", "logs")).json["logs"]):
                await asyncio.sleep(0.01)
        (log,) = logs
        shown = await api.call("GET", f"logs/{log['logId']}?additional_info=true")
        assert shown.json["connectDebugLog"][0]["payload"].encode() == bodies[1]


async def test_fidelity_message_for_each_recipient_and_user_of_a_recipients_message(
    api: Client, listener: LoopbackListener
) -> None:
    await api.configure(listener.base, configurationType="customrecipient", allUsers="true")
    signers = [{"recipientId": n, "userId": f"USER-{n}"} for n in ("1", "2")]
    summary = {"status": "sent", "recipients": {"signers": signers}}
    data = {"userId": "sender", "envelopeId": "env-1", "envelopeSummary": summary}
    answer = await api.call("POST", "events", published("envelope-sent", data=data))
    assert answer.json["events"][0]["deliveries"] == "2"
    await listener.until(lambda received: len(received) == 2)
    messages = [one.message for one in listener.received]
    assert [one["data"].pop("userId") for one in messages] == ["user-1", "user-2"]
    assert messages[0] == messages[1]
    async with hang(20):
        while len(logs := (await api.call("GET", "logs")).json["logs"]) < 2:
            await asyncio.sleep(0.01)
    shown = [
        (await api.call("GET", f"logs/{log['logId']}?additional_info=true")).json for log in logs
    ]
    posted = {one.body.decode() for one in listener.received}
    assert {one["connectDebugLog"][0]["payload"] for one in shown} == posted
