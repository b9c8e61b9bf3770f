"""Messages of a real Connect configuration, read into events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from heliograph.errors import InvalidBody
from heliograph.model.configurations import Format, Rendering
from heliograph.model.events import Event, NewEvent
from heliograph.wire import dates
from heliograph.wire.messages import json_sim, legacy_xml, message
from heliograph.wire.messages.legacy_xml import LegacyOptions
from heliograph.wire.relayed import came, reading
from heliograph.wire.relayed.came import Came
from heliograph.wire.relayed.reading import Origin
from tests.support import ACCOUNT, START, published

CAME = Came("m", 7, [("Content-Type", "application/json")])
ORIGIN = Origin("relay-1", ACCOUNT)
EVERYTHING = LegacyOptions(
    include_documents=True,
    include_document_fields=True,
    include_certificate_of_completion=True,
    include_void_reason=True,
    include_time_zone=True,
)
PDF = "JVBERi0xLjQK"
SUMMARY: dict[str, Any] = {
    "envelopeId": "env-1",
    "status": "completed",
    "emailSubject": "Lease — of <12> & Harbour Street",
    "createdDateTime": "2026-11-23T08:00:00.0000000Z",
    "sentDateTime": "2026-11-23T08:00:01.5000000Z",
    "deliveredDateTime": "2026-11-23T08:20:00.0000000Z",
    "completedDateTime": "2026-11-23T08:58:59.2500000Z",
    "statusChangedDateTime": "2026-11-23T08:58:59.2500000Z",
    "signingLocation": "online",
    "autoNavigation": "true",
    "envelopeIdStamping": "true",
    "authoritativeCopy": "false",
    "sender": {"userName": "Ada", "email": "ada@example.com", "ipAddress": "203.0.113.7"},
    "recipients": {
        "signers": [
            {
                "email": "grace@example.com",
                "name": "Grace",
                "routingOrder": "1",
                "sentDateTime": "2026-11-23T08:00:01.5000000Z",
                "signedDateTime": "2026-11-23T08:58:59.2500000Z",
                "status": "completed",
                "recipientIPAddress": "203.0.113.8",
                "clientUserId": "17",
                "customFields": ["a", "b"],
                "recipientIdGuid": "22222222-0000-4000-8000-000000000000",
                "tabs": {
                    "signHereTabs": [{"tabLabel": "here", "documentId": "1", "pageNumber": "1"}],
                    "textTabs": [{"tabLabel": "city", "value": "London", "originalValue": "Rome"}],
                    "numberTabs": [{"tabLabel": "age", "value": "36"}],
                },
            }
        ],
        "carbonCopies": [{"email": "cc@example.com", "name": "C", "status": "sent"}],
    },
    "customFields": {
        "textCustomFields": [{"name": "po", "show": "true", "required": "false", "value": "7"}],
        "listCustomFields": [{"name": "kind", "show": "false", "value": "lease"}],
    },
    "envelopeDocuments": [
        {
            "documentId": "1",
            "name": "Lease.pdf",
            "order": "1",
            "documentFields": [{"name": "n", "value": "v"}],
            "PDFBytes": PDF,
        },
        {"documentId": "certificate", "name": "Summary", "PDFBytes": PDF},
    ],
}


def read(content: bytes, origin: Origin = ORIGIN, digest: bytes = b"d" * 32) -> NewEvent:
    return reading.read(content, digest, origin, CAME)


def stored(event: NewEvent) -> Event:
    return Event(
        *(ACCOUNT, event.event_id, event.name, event.envelope.envelope_id),
        event.generated_at or START,
        event.document,
    )


def sim(**over: Any) -> dict[str, Any]:
    body = published("envelope-completed", retryCount=0, configurationId=10_000_001)
    body["data"]["envelopeSummary"] = SUMMARY
    return {**body, "apiVersion": "v2.1", **over}


def written(event: Mapping[str, Any]) -> bytes:
    return json.dumps(event).encode()


def of(event: NewEvent) -> Any:
    return json.loads(event.document)


def test_json_sim_is_read_as_what_is_published() -> None:
    event = read(written(sim(eventId="theirs", eventNotification={"url": "https://x"})))
    assert (event.name, event.envelope.envelope_id) == ("envelope-completed", "env-1")
    assert dates.render(event.generated_at or START) == "2026-11-23T08:59:00.1234560Z"
    assert of(event)["data"]["envelopeSummary"] == SUMMARY
    assert of(event).keys() == {"event", "apiVersion", "generatedDateTime", "data", came.FIELD}
    assert event.notifications == ()
    assert came.of(stored(event)) == CAME


def test_what_came_is_in_no_message_and_nobody_can_publish_it() -> None:
    event = stored(read(written(sim())))
    for format_ in Format:
        made = message.Recipe(
            format_,
            Rendering().switches,
            LegacyOptions() if format_ is Format.XML else None,
        )
        rendered = message.rendered(event, made)
        assert b"heliograph" not in rendered.head(1, 0) + rendered.rest
    (forged,) = json_sim.parse_events(written(sim(heliographRelayed={"messageId": "x"})), "")
    assert came.of(stored(forged)) is None


def test_r25_a_repeat_is_the_same_event_whatever_its_retry_count_says() -> None:
    first = read(written(sim()))
    again = read(written(sim(retryCount=3)))
    later = sim(retryCount=4)
    later["data"]["envelopeSummary"] = SUMMARY | {"emailSubject": "Corrected since"}
    assert {again.event_id, read(written(later)).event_id} == {first.event_id}
    assert read(written(later), digest=b"e" * 32).digest == again.digest == first.digest
    assert again.meaning is None


@pytest.mark.parametrize(
    "other",
    [
        {"event": "envelope-sent"},
        {"generatedDateTime": "2026-11-23T08:59:00.1234568Z"},
        {"data": {"envelopeId": "env-2"}},
        {"data": {"envelopeId": "env-1", "recipientId": "2"}},
        {"data": {"envelopeId": "env-1", "userId": "somebody"}},
    ],
)
def test_r25_another_event_is_another_event(other: dict[str, Any]) -> None:
    assert read(written(sim())).event_id != read(written(sim(**other))).event_id


def test_r25_two_relays_of_an_account_take_an_event_each() -> None:
    body = written(sim())
    assert read(body).event_id != read(body, replace(ORIGIN, relay_id="relay-2")).event_id


def test_aggregate_json_is_read_as_the_event_of_its_status() -> None:
    event = read(written(SUMMARY))
    assert (event.name, event.envelope.envelope_id) == ("envelope-completed", "env-1")
    assert of(event)["data"]["envelopeSummary"] == SUMMARY
    assert of(event)["generatedDateTime"] == SUMMARY["statusChangedDateTime"]
    assert read(written(SUMMARY)).event_id == event.event_id
    # It tells no time of its own: other bytes may tell something else.
    assert read(written(SUMMARY), digest=b"e" * 32).event_id != event.event_id


@pytest.mark.parametrize("soap", [None, "http://www.docusign.net/API/3.0"])
def test_xml_is_read_and_goes_out_as_it_came(soap: str | None) -> None:
    options = replace(EVERYTHING, soap_namespace=soap)
    sent = legacy_xml.render(stored(read(written(sim()))), options)
    event = read(sent)
    assert (event.name, event.envelope.envelope_id) == ("envelope-completed", "env-1")
    assert event.envelope.subject == SUMMARY["emailSubject"]
    assert legacy_xml.render(stored(event), options) == sent


def test_json_of_xml_says_what_the_xml_says() -> None:
    event = read(legacy_xml.render(stored(read(written(sim()))), EVERYTHING))
    summary = of(event)["data"]["envelopeSummary"]
    for name in ("emailSubject", "status", "sender", "customFields"):
        assert summary[name] == SUMMARY[name]
    assert summary["completedDateTime"] == SUMMARY["completedDateTime"]
    signer = summary["recipients"]["signers"][0]
    assert signer["tabs"]["textTabs"][0]["value"] == "London"
    assert signer["tabs"].keys() == {"signHereTabs", "textTabs", "numberTabs"}
    assert [one["PDFBytes"] for one in summary["envelopeDocuments"]] == [PDF, PDF]


def test_times_of_xml_are_moved_by_the_offset_that_it_names() -> None:
    xml = (
        '<DocuSignEnvelopeInformation xmlns="http://www.docusign.net/API/3.0"><EnvelopeStatus>'
        "<TimeGenerated>2026-11-23T00:59:00.1234567</TimeGenerated><EnvelopeID>e</EnvelopeID>"
        "<Status>Sent</Status><Sent>2026-11-23T00:58:00</Sent></EnvelopeStatus>"
        "<TimeZone>Pacific Standard Time</TimeZone><TimeZoneOffset>{}</TimeZoneOffset>"
        "</DocuSignEnvelopeInformation>"
    )
    event = read(xml.format("-8").encode())
    assert dates.render(event.generated_at or START) == "2026-11-23T08:59:00.1234560Z"
    assert of(event)["data"]["envelopeSummary"]["sentDateTime"] == "2026-11-23T08:58:00.0000000Z"
    unsaid = read(xml.format("").encode())
    assert dates.render(unsaid.generated_at or START) == "2026-11-23T00:59:00.1234560Z"


def test_r25_the_retry_of_an_xml_message_is_the_same_event() -> None:
    sent = legacy_xml.render(stored(read(written(sim()))), EVERYTHING)
    other = sent.replace(b"08:59:00.1234567", b"08:59:00.1234568")
    assert read(sent).event_id == read(sent, digest=b"e" * 32).event_id
    assert read(sent).event_id != read(other).event_id


def test_the_event_of_a_large_message_has_no_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LARGEST", 100)
    xml = legacy_xml.render(stored(read(written(sim()))), EVERYTHING)
    for body in (written(sim()), written(SUMMARY)):
        assert "envelopeDocuments" not in of(read(body))["data"]["envelopeSummary"]
    assert PDF.encode() not in read(xml).document
    assert PDF.encode() not in read(written(sim())).document


BOMB = b'<!DOCTYPE a [<!ENTITY b "x">]><a>&b;</a>'


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", "neither JSON nor XML"),
        (b"hello", "neither JSON nor XML"),
        (b"[]", "neither JSON nor XML"),
        (b"{", "not valid JSON"),
        (b"{}", "neither `event` and `data`"),
        (b'{"event": "envelope-sent", "data": 1}', "`data`"),
        (b'{"event": "envelope-sent", "data": {}}', "envelopeId"),
        (b'{"envelopeId": "e", "status": 7}', "no text"),
        (b"<a>", "not well-formed XML"),
        (b"<a/>", "no DocuSignEnvelopeInformation"),
        (b"<DocuSignEnvelopeInformation/>", "EnvelopeID and Status"),
        (BOMB, "DOCTYPE"),
        (b"<a>" * 70 + b"</a>" * 70, "64 levels"),
        (b"<a>" + b"<b/>" * 50_001 + b"</a>", "50000 elements"),
    ],
)
def test_s11_what_is_no_message_is_refused(body: bytes, named: str) -> None:
    with pytest.raises(InvalidBody, match=named):
        read(body)
