"""Envelope-level notifications over real sockets: what a publisher asks for with an event."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lxml import etree

from heliograph.model.accounts import Secret
from heliograph.wire.messages.signing import signature
from tests.listener import LoopbackListener
from tests.server import Client
from tests.service.api.test_api import records
from tests.support import published


async def test_an_events_notification_is_posted_signed_and_without_itself_in_the_message(
    api: Client, listener: LoopbackListener
) -> None:
    secret = Secret((await api.call("POST", "secret")).json["secret"])
    hook = {"url": listener.base + "/hook", "events": ["envelope-sent"], "loggingEnabled": "true"}
    answer = await api.call("POST", "events", published(eventNotification=hook))
    assert answer.status == 202
    await listener.until(lambda got: len(got) == 1)

    (got,) = listener.received
    assert got.header("X-DocuSign-Signature-1") == signature(secret, got.body)
    assert set(got.message) == {
        *("event", "uri", "retryCount", "configurationId", "apiVersion"),
        *("generatedDateTime", "data"),
    }
    (log,) = await records(api, "logs", 1)
    assert log["connectId"] == str(got.message["configurationId"])


async def test_each_field_of_docusigns_notification_has_its_effect(
    api: Client, listener: LoopbackListener
) -> None:
    hook = {
        "url": listener.base,
        "loggingEnabled": True,
        "requireAcknowledgment": "false",
        "useSoapInterface": "true",
        "soapNameSpace": "urn:listener",
        "includeEnvelopeVoidReason": "true",
        "includeSenderAccountAsCustomField": "true",
        "includeTimeZone": "true",
        "includeHMAC": "false",
        "maxPerSecond": 50,
        "retrySchedule": [600, 601.5, None],
        "envelopeEvents": [{"envelopeEventStatusCode": "Voided", "includeDocuments": "false"}],
        "recipientEvents": [{"recipientEventStatusCode": "Declined"}],
    }
    await api.call("POST", "secret")
    listener.status = 500
    body = published("envelope-voided", eventNotifications=[hook])
    body["data"]["envelopeSummary"]["voidedReason"] = "the flat is gone"
    answer = await api.call("POST", "events", body)
    assert answer.json["events"][0]["deliveries"] == "1"
    again = await api.call("POST", "events", published("recipient-declined"))
    assert again.json["events"][0]["deliveries"] == "1"
    await listener.until(lambda got: len(got) == 2)

    got = listener.received[0]
    root = etree.fromstring(got.body)
    names = {etree.QName(element).localname: element.text for element in root.iter()}
    assert etree.QName(root[0][0]).namespace == "urn:listener"
    assert (names["VoidReason"], names["TimeZone"]) == ("the flat is gone", "UTC")
    assert names["Name"] == "AccountId"
    assert got.header("SOAPAction") == '""'
    assert got.header("X-DocuSign-Signature-1") is None
    failed = await records(api, "failures", 2)
    assert {one["deliveryState"] for one in failed} == {"failed"}  # one try was all


@pytest.mark.parametrize("otherwise", [True, False])
@pytest.mark.parametrize(
    "form", [{}, {"useSoapInterface": "true"}, {"eventData": {"format": "json"}}]
)
async def test_an_event_says_by_itself_whether_documents_come_with_it(
    api: Client, listener: LoopbackListener, form: dict[str, Any], otherwise: bool
) -> None:
    hook = {
        **form,
        "url": listener.base,
        "loggingEnabled": True,
        "includeDocuments": otherwise,
        "envelopeEvents": [
            {"envelopeEventStatusCode": "Sent", "includeDocuments": " "},
            {"envelopeEventStatusCode": "Delivered", "includeDocuments": "false"},
            {"envelopeEventStatusCode": "Completed", "includeDocuments": True},
        ],
        "recipientEvents": [{"recipientEventStatusCode": "Declined", "includeDocuments": "true"}],
    }
    with_documents = {}
    names = ("envelope-sent", "envelope-delivered", "Envelope-Completed", "recipient-declined")
    for count, name in enumerate(names, 1):
        await publish_with_documents(api, name, eventNotification=hook)
        await listener.until(lambda got, count=count: len(got) == count)  # type: ignore[misc]
        with_documents[name] = PDF in listener.received[-1].body
    assert with_documents == dict(zip(names, (otherwise, False, True, True), strict=True))

    connect_id = (await records(api, "logs", 4))[0]["connectId"]
    changed = {"connectId": connect_id, "includeDocuments": "false"}
    assert (await api.call("PUT", api.connect, changed)).status == 200
    await publish_with_documents(api, "envelope-completed")
    await listener.until(lambda got: len(got) == 5)
    assert PDF not in listener.received[-1].body, "an update says it for all events"


PDF = b"JVBERi0x"


async def publish_with_documents(api: Client, name: str, **over: Any) -> None:
    body = published(name, **over)
    document = {"documentId": "1", "name": "Lease", "PDFBytes": PDF.decode()}
    body["data"]["envelopeSummary"]["envelopeDocuments"] = [document]
    assert (await api.call("POST", "events", body)).status == 202


async def test_whether_documents_come_with_an_event_is_true_or_false(api: Client) -> None:
    events = [{"envelopeEventStatusCode": "Sent", "includeDocuments": "maybe"}]
    hook = {"url": "http://127.0.0.1:9/", "envelopeEvents": events}
    refused = await api.call("POST", "events", published(eventNotification=hook))
    assert (refused.status, refused.error) == (400, "INVALID_REQUEST_BODY")
    assert 'includeDocuments must be "true" or "false"' in refused.json["message"]


async def test_a_notification_that_fails_is_listed_and_republished_like_any_other(
    api: Client, listener: LoopbackListener
) -> None:
    listener.status = 500
    hook = {"url": listener.base, "events": "envelope-sent", "retrySchedule": ["3600"]}
    await api.call("POST", "events", published(eventNotification=hook))
    (failure,) = await records(api, "failures", 1)
    assert failure["configUrl"] == listener.base

    found = (await api.call("GET", failure["connectId"])).json["configurations"]
    assert [one["name"] for one in found] == ["Envelope notification"]
    assert (await api.call("GET", api.connect)).json["totalRecords"] == "0"
    assert (await api.call("POST", f"{failure['connectId']}/test")).json["success"] == "false"
    paused = {"connectId": failure["connectId"], "pausePublish": "true"}
    assert (await api.call("PUT", api.connect, paused)).json["pausePublish"] == "true"
    await api.call("PUT", api.connect, {**paused, "pausePublish": "false"})
    listener.status = 200
    await api.call("PUT", "envelopes/env-1/retry_queue")
    await records(api, "failures", 0)


HOOK = {"url": "http://127.0.0.1:9/", "events": ["envelope-sent"]}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"eventNotification": "http://127.0.0.1/"}, "a notification must be an object"),
        ({"eventNotifications": HOOK}, "`eventNotifications` must be a list"),
        ({"eventNotification": {"events": ["envelope-sent"]}}, "a notification needs a `url`"),
        ({"eventNotification": {"url": HOOK["url"]}}, "a notification needs `events`"),
        ({"eventNotification": {**HOOK, "includeHMAC": "perhaps"}}, "includeHMAC must be"),
        ({"eventNotification": {**HOOK, "events": [{}]}}, "the notification cannot be used"),
        ({"eventNotification": {**HOOK, "envelopeEvents": [{}]}}, "must be objects with"),
        ({"eventNotification": {**HOOK, "url": {"a": 1}}}, "the notification cannot be used"),
        ({"eventNotifications": [HOOK] * 21}, "20 are the most"),
    ],
)
async def test_a_notification_that_cannot_be_read_is_refused_with_its_field(
    api: Client, fields: dict[str, Any], says: str
) -> None:
    answer = await api.call("POST", "events", published(**fields))
    assert (answer.status, answer.error) == (400, "INVALID_REQUEST_BODY")
    assert says in answer.json["message"]
    assert (await api.call("GET", "logs")).json["totalRecords"] == "0"


@pytest.mark.parametrize("url", ["http://169.254.169.254/", "ftp://example.com/", "http://a b/"])
async def test_s1_the_guard_looks_at_a_notifications_url(api: Client, url: str) -> None:
    body = [published(), published("envelope-completed", eventNotification={**HOOK, "url": url})]
    answer = await api.call("POST", "events", body)
    assert (answer.status, answer.error) == (400, "INVALID_REQUEST_PARAMETER")
    assert "notification is refused" in answer.json["message"]
    again = await api.call("POST", "events", json.loads(json.dumps(body[:1])))
    assert again.json["events"][0]["repeated"] == "false"
