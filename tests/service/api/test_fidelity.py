"""Configurations over the API in both profiles: refused, or taken and warned about."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.busy import hang
from tests.listener import LoopbackListener
from tests.server import Client, serving
from tests.support import published

GOOD: dict[str, Any] = {
    "name": "crm",
    "configurationType": "custom",
    "urlToPublishTo": "http://127.0.0.1:4999/",
    "allowEnvelopePublish": "true",
    "allUsers": "true",
    "deliveryMode": "SIM",
    "eventData": {"version": "restv2.1"},
    "events": ["envelope-sent"],
}


@pytest.fixture
async def strict(tmp_path: Path) -> AsyncIterator[Client]:
    """A server as the emulator starts."""
    async with serving(tmp_path / "strict", fidelity="auto") as client:
        yield client


async def test_fidelity_refused_as_docusign_does_by_the_emulator_and_warned_about_elsewhere(
    strict: Client, api: Client
) -> None:
    for over, warned in (
        ({"allUsers": "false"}, "neither userIds nor groupIds"),
        ({"events": ["envelope-complete"]}, "DocuSign does not have: envelope-complete."),
        ({"events": []}, "names no events"),
        ({"configurationType": "webhook"}, "of type webhook"),
        ({"eventData": None}, None),
        ({"name": ""}, None),
    ):
        refused = await strict.call("POST", strict.connect, GOOD | over)
        assert (refused.status, refused.error) == (400, "INVALID_REQUEST_PARAMETER"), over
        taken = await api.call("POST", api.connect, GOOD | over)
        assert taken.status == 201
        warnings = taken.json.get("warnings", [""])
        assert len(warnings) == 1
        assert (warned or "") in warnings[0], over
        listed = (await api.call("GET", taken.json["connectId"])).json["configurations"][0]
        assert listed.get("warnings") == taken.json.get("warnings")
    assert (await strict.call("GET", strict.connect)).json["totalRecords"] == "0"


async def test_fidelity_refused_as_docusign_does_is_an_update_for_what_it_makes_wrong(
    strict: Client,
) -> None:
    made = (await strict.call("POST", strict.connect, GOOD)).json
    change = {"connectId": made["connectId"], "events": ["Envelope-Sent"]}
    refused = await strict.call("PUT", strict.connect, change)
    assert (refused.status, refused.error) == (400, "INVALID_REQUEST_PARAMETER")
    off = {"connectId": made["connectId"], "allowEnvelopePublish": "false"}
    (warning,) = (await strict.call("PUT", strict.connect, off)).json["warnings"]
    assert "allowEnvelopePublish is false" in warning


async def test_fidelity_events_that_docusign_does_not_have_are_refused_in_its_profile(
    strict: Client, api: Client
) -> None:
    own = published("order.shipped")
    refused = await strict.call("POST", "events", [published(), own])
    assert (refused.status, refused.error) == (400, "INVALID_REQUEST_BODY")
    assert "Event 2: DocuSign has no event 'order.shipped'" in refused.json["message"]
    assert (await strict.call("POST", "events", published("click-agreed"))).status == 202
    await api.configure("http://127.0.0.1:4999/", events=["order.shipped"])
    (event,) = (await api.call("POST", "events", own)).json["events"]
    assert event["deliveries"] == "1"


async def _until(listener: LoopbackListener, count: int) -> None:
    await listener.until(lambda received: len(received) == count)


async def test_fidelity_what_goes_out_by_default_and_signed_only_where_asked(
    strict: Client, api: Client, listener: LoopbackListener
) -> None:
    for number, (client, told) in enumerate(((strict, False), (api, True)), start=1):
        await client.call("POST", "secret")
        made = await client.call("POST", client.connect, GOOD | {"urlToPublishTo": listener.base})
        assert made.status == 201
        await client.call("POST", "events", published())
        await _until(listener, number)
        request = listener.received[-1]
        assert ("envelopeSummary" in request.message["data"]) is told
        assert (request.header("X-DocuSign-Signature-1") is not None) is told


async def test_fidelity_signed_only_where_asked_but_what_was_made_before_keeps_what_it_sends(
    api: Client, listener: LoopbackListener, tmp_path: Path
) -> None:
    """Made relaxed, and then under the docusign profile."""
    folder = tmp_path / "moved"
    async with serving(folder) as relaxed:
        await relaxed.call("POST", "secret")
        connect_id = await relaxed.configure(listener.base)
    async with serving(folder, fidelity="docusign") as strict:
        paused = {"connectId": connect_id, "pausePublish": "false"}
        assert (await strict.call("PUT", strict.connect, paused)).json["includeHMAC"] == "true"
        await strict.call("POST", "events", published())
        await listener.until(bool)
    assert "envelopeSummary" in listener.received[0].message["data"]
    assert listener.received[0].header("X-DocuSign-Signature-1")


async def test_fidelity_what_goes_out_by_default_of_notifications_and_of_the_past(
    strict: Client, api: Client, listener: LoopbackListener
) -> None:
    hook = {"url": listener.base, "events": ["envelope-sent"]}
    config = {"urlToPublishTo": listener.base}
    for number, (client, told) in enumerate(((strict, False), (api, True))):
        await client.call("POST", "secret")
        await client.call("POST", "events", published(eventNotification=hook))
        await _until(listener, number * 2 + 1)
        past = {"envelopes": ["env-1"], "config": config}
        answer = await client.call("POST", "envelopes/publish/historical", past)
        assert answer.status == 201
        await _until(listener, number * 2 + 2)
        for request in listener.received[-2:]:
            assert ("envelopeSummary" in request.message["data"]) is told
            assert (request.header("X-DocuSign-Signature-1") is not None) is told
    wrong = hook | {"events": ["envelope-sended"]}
    refused = await strict.call("POST", "events", published(eventNotification=wrong))
    assert (refused.status, refused.error) == (400, "INVALID_REQUEST_PARAMETER")


async def test_fidelity_events_without_an_envelope_arrive_and_are_logged_in_json_and_in_xml(
    strict: Client, api: Client, listener: LoopbackListener
) -> None:
    listener.status = 500
    for client, name in ((strict, "sms-opt-in"), (api, "order.shipped")):
        over = {"urlToPublishTo": listener.base, "events": [name], "enableLog": "true"}
        assert (await client.call("POST", client.connect, GOOD | over)).status == 201
        event = {"event": name, "data": {"order": 7}}
        (receipt,) = (await client.call("POST", "events", event)).json["events"]
        assert (receipt["deliveries"], "envelopeId" in receipt) == ("1", False)
        await _failed(client)
        (failure,) = (await client.call("GET", "failures")).json["failures"]
        assert failure["event"] == name
        assert {"envelopeId", "retryUri", "subject"}.isdisjoint(failure)
        in_xml = await client.call("GET", "failures", Accept="application/xml")
        assert b"<error>status: 500" in in_xml.body
        assert b"<envelopeId" not in in_xml.body
        (logged,) = (await client.call("GET", "logs")).json["logs"]
        shown = await client.call("GET", f"logs/{logged['logId']}?additional_info=true")
        assert shown.json["event"] == name
    listener.status = 200
    for client in (strict, api):
        before = len(listener.received)
        again = await client.call("PUT", "failures/retry_queue?connect_id=1")
        assert again.json["changed"] == "1"
        await listener.until(lambda received: len(received) > before)  # noqa: B023
        message = listener.received[-1].message
        assert message["data"]["order"] == 7
        assert message["uri"].endswith(client.credentials.account_id)


async def _failed(client: Client) -> None:
    """Until the one failure is listed."""
    async with hang(20):
        while True:
            settled = client.server.signals.next_settled()
            if (await client.call("GET", "failures")).json["totalRecords"] == "1":
                return
            await settled.wait()


async def test_fidelity_no_configuration_is_silent_nor_an_envelopes_own(api: Client) -> None:
    hook = {"url": "http://127.0.0.1:4999/", "events": ["envelope-sent", "envelope-complete"]}
    answer = await api.call("POST", "events", [published(), published(eventNotification=hook)])
    plain, noticed = answer.json["events"]
    assert "warnings" not in plain
    (warning,) = noticed["warnings"]
    assert "DocuSign does not have: envelope-complete." in warning
