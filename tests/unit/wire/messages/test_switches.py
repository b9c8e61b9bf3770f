"""Each switch of a configuration changes what its listener gets, in each format."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

import msgspec
import pytest

from heliograph.delivery.matching import match
from heliograph.errors import InvalidBody
from heliograph.model.events import Event, NewEvent, Skip, Wanted
from heliograph.wire.messages import json_sim, message
from heliograph.wire.messages.summary import INCLUDE_DATA
from heliograph.wire.rest import ConnectCustomConfiguration
from tests.support import ACCOUNT, START, wanted_configuration

PDF = base64.b64encode(b"%PDF-1.7").decode()
SUMMARY: Final = {
    "envelopeId": "env-1",
    "status": "voided",
    "emailSubject": "Lease",
    "voidedReason": "the flat is gone",
    "customFields": {"textCustomFields": [{"name": "case", "value": "7"}]},
    "powerForm": {"powerFormId": "p"},
    "folders": [{"name": "Sent"}],
    "extensions": [{"id": "x"}],
    "envelopeAttachments": [{"attachmentId": "a"}],
    "recipients": {
        "signers": [
            {
                "name": "Grace Hopper",
                "recipientId": "1",
                "tabs": {
                    "textTabs": [{"tabLabel": "rent", "value": "900"}],
                    "formulaTabs": [{"tabLabel": "fee", "paymentDetails": {"total": 1}}],
                },
            }
        ]
    },
    "envelopeDocuments": [
        {
            "documentId": "1",
            "name": "lease.pdf",
            "PDFBytes": PDF,
            "documentFields": [{"name": "kind", "value": "lease"}],
            "tabs": {"textTabs": [{"tabLabel": "prefilled"}]},
        },
        {"documentId": "certificate", "name": "Summary", "PDFBytes": PDF},
    ],
}
DOCUMENT: Final = json.dumps(
    {
        "event": "envelope-voided",
        "data": {"accountId": ACCOUNT, "envelopeId": "env-1", "envelopeSummary": SUMMARY},
    }
).encode()
EVENT: Final = Event(ACCOUNT, "event-1", "envelope-voided", "env-1", START, DOCUMENT)

FORMATS: Final[dict[str, dict[str, Any]]] = {
    "JSON SIM": {},
    "JSON aggregate": {"deliveryMode": "aggregate"},
    "XML": {"useSoapInterface": "true"},
}
SWITCHES: Final = (
    "includeDocuments",
    "includeCertificateOfCompletion",
    "includeDocumentFields",
    "includeEnvelopeVoidReason",
    "includeSenderAccountasCustomField",
    "includeTimeZoneInformation",
    "includeCertSoapHeader",
)
NOT_OF_THE_MESSAGE: Final = {"includeHMAC", "includeOAuth"}
"""They decide about headers: test_credentials, test_listener_credentials, test_oauth."""

WITHOUT_A_PLACE: Final = {
    # Every date of a JSON message names UTC, and it has no SOAP header.
    *((format_name, "includeTimeZoneInformation") for format_name in FORMATS if "J" in format_name),
    *((format_name, "includeCertSoapHeader") for format_name in FORMATS if "J" in format_name),
    *(("XML", part) for part in ("powerform", "folders", "extensions", "attachments")),
}
"""What the format has no place for, which docs/reference/ says."""

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\nAQ==\n-----END CERTIFICATE-----\n"


def body(format_name: str, **fields: Any) -> bytes:
    wanted = wanted_configuration(connect_id=7, **FORMATS[format_name], **fields)
    return message.render(EVENT, wanted, 0, PEM).body


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("switch", SWITCHES)
def test_each_include_switch_has_an_effect(format_name: str, switch: str) -> None:
    on, off = (body(format_name, **{switch: value}) for value in ("true", "false"))
    assert (on == off) == ((format_name, switch) in WITHOUT_A_PLACE)


def test_every_include_switch_is_tried() -> None:
    names = {field.encode_name for field in msgspec.structs.fields(ConnectCustomConfiguration)}
    switches = {name for name in names if name.startswith("include")}
    assert switches == {*SWITCHES, *NOT_OF_THE_MESSAGE}


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("part", sorted(INCLUDE_DATA))
def test_each_value_of_include_data_has_an_effect(format_name: str, part: str) -> None:
    with_it, without = (
        body(format_name, eventData={"version": "restv2.1", "includeData": [value]})
        for value in (part, "nothing")
    )
    assert (with_it == without) == ((format_name, part) in WITHOUT_A_PLACE)


@pytest.mark.parametrize("format_name", FORMATS)
def test_documents_go_out_as_the_base64_that_was_published(format_name: str) -> None:
    for fields in (
        {"includeDocuments": "true"},
        {"eventData": {"includeData": ["documents"]}},
        {"eventData": {"includeData": ["recipients"]}, "includeDocuments": "true"},
    ):
        assert PDF.encode() in body(format_name, **fields)
    neither: dict[str, Any] = {"eventData": {"includeData": ["documents"]}}
    assert PDF.encode() not in body(format_name, **neither, includeDocuments="false")


def test_xml_with_an_empty_include_data_is_still_the_envelope() -> None:
    assert body("XML", eventData={"includeData": []}) == body("XML")


def test_the_sender_account_stands_once_in_xml_of_picked_parts() -> None:
    picked: dict[str, Any] = {"eventData": {"includeData": ["custom_fields"]}}
    found = body("XML", **picked, includeSenderAccountasCustomField="true")
    assert found.count(b"<Name>AccountId</Name>") == 1


EVENTS: Final = (
    *(
        f"envelope-{one}"
        for one in (
            *("created", "sent", "resent", "delivered", "completed", "declined", "voided"),
            *("corrected", "purge", "deleted", "discard", "reminder-sent"),
        )
    ),
    *(
        f"recipient-{one}"
        for one in (
            *("sent", "resent", "autoresponded", "delivered", "completed", "declined"),
            *("authenticationfailed", "finish-later", "reassign", "delegate"),
        )
    ),
    *(f"template-{one}" for one in ("created", "modified", "deleted")),
)
"""DocuSign's event triggers for envelopes, recipients and templates."""


def publish(name: str) -> NewEvent:
    key = "templateId" if name.startswith("template-") else "envelopeId"
    summary = {"status": "sent", "emailSubject": "Lease"}
    given = {"event": name, "data": {key: "e-1", "envelopeSummary": summary}}
    (made,) = json_sim.parse_events(json.dumps(given).encode(), "application/json", ACCOUNT)
    return made


@pytest.mark.parametrize("name", EVENTS)
def test_each_event_of_docusign_is_accepted_matched_and_rendered(name: str) -> None:
    event = publish(name)
    asked = wanted_configuration(connect_id=7, events=[name.upper()])
    assert isinstance(match(asked, event), Wanted)
    for other in EVENTS:
        if other != name:
            assert isinstance(match(wanted_configuration(events=[other]), event), Skip)
    stored = Event(ACCOUNT, "event-1", name, "e-1", START, event.document)
    sim = json.loads(message.render(stored, asked, 0).body)
    assert (sim["event"], sim["data"]["envelopeSummary"]["emailSubject"]) == (name, "Lease")
    for fields in FORMATS.values():
        assert b"Lease" in message.render(stored, wanted_configuration(**fields), 0).body


@pytest.mark.parametrize(
    ("field", "legacy", "name"),
    [
        *(
            ("envelopeEvents", word, f"envelope-{word.lower()}")
            for word in ("Sent", "Delivered", "Completed", "Declined", "Voided", "Created")
        ),
        ("envelopeEvents", "Draft", "envelope-created"),
        ("envelopeEvents", "Deleted", "envelope-deleted"),
        *(
            ("recipientEvents", word, f"recipient-{word.lower()}")
            for word in ("Sent", "Delivered", "Completed", "Declined", "AutoResponded")
        ),
        ("recipientEvents", "AuthenticationFailed", "recipient-authenticationfailed"),
    ],
)
def test_each_legacy_name_means_its_event(field: str, legacy: str, name: str) -> None:
    assert name in EVENTS
    fields: dict[str, Any] = {"events": [], field: [legacy]}
    asked = wanted_configuration(**fields)
    assert isinstance(match(asked, publish(name)), Wanted)


@pytest.mark.parametrize("named", ["pdf", "json2", "xml;", "{}"])
def test_a_format_that_does_not_exist_is_refused(named: str) -> None:
    with pytest.raises(InvalidBody, match=r"eventData\.format"):
        wanted_configuration(eventData={"format": named})


@pytest.mark.parametrize("named", [None, "", "json", "JSON", " Json "])
@pytest.mark.parametrize("version", [None, "", "restv2.1", "restv2", "7"])
def test_json_is_json_whatever_its_version_is_called(
    named: str | None, version: str | None
) -> None:
    event_data = {"format": named, "version": version}
    assert body("JSON SIM", eventData=event_data) == body("JSON SIM")
