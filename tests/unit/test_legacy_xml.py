"""The legacy message: valid element by element, the same bytes each time, nothing lost.

After a change that is meant, with HELIOGRAPH_WRITE_GOLDEN=1 in the environment, these tests write
the golden files anew; read their diff.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from heliograph.model import Event
from heliograph.wire import message
from heliograph.wire.legacy_xml import NAMESPACE, LegacyOptions, render
from tests.support import ACCOUNT, START, published, wanted_configuration

GOLDEN = Path(__file__).parents[1] / "golden"
SCHEMA = etree.XMLSchema(etree.parse(GOLDEN / "envelope-information.xsd"))
PDF = base64.b64encode(b"%PDF-1.7 a lease").decode()
DAY = "2026-11-23T"

SUMMARY: dict[str, Any] = {
    "status": "completed",
    "emailSubject": "Lease & keys of <12 Harbour Street>",
    "createdDateTime": f"{DAY}08:00:00.0000000Z",
    "sentDateTime": f"{DAY}08:01:00.0000000Z",
    "deliveredDateTime": f"{DAY}08:30:00.0000000Z",
    "completedDateTime": f"{DAY}08:59:00.0000000Z",
    "voidedDateTime": f"{DAY}09:00:00.0000000Z",
    "voidedReason": "the flat is gone",
    "signingLocation": "online",
    "autoNavigation": "true",
    "envelopeIdStamping": True,
    "authoritativeCopy": "false",
    "sender": {"userName": "Ada Lovelace", "email": "ada@example.com", "ipAddress": "192.0.2.1"},
    "customFields": {
        "textCustomFields": [{"name": "case", "value": "7", "show": "true", "required": "false"}],
        "listCustomFields": [{"name": "kind", "value": "lease"}],
    },
    "recipients": {
        "signers": [
            {
                "name": "Grace Hopper",
                "email": "grace@example.com",
                "recipientId": "1",
                "recipientIdGuid": "5f8c",
                "routingOrder": "1",
                "status": "completed",
                "sentDateTime": f"{DAY}08:01:00.0000000Z",
                "deliveredDateTime": f"{DAY}08:30:00.0000000Z",
                "signedDateTime": f"{DAY}08:58:00.0000000Z",
                "recipientIPAddress": "192.0.2.7",
                "clientUserId": "u-7",
                "customFields": ["vip"],
                "tabs": {
                    "signHereTabs": [
                        {
                            "tabLabel": "sign",
                            "xPosition": "10",
                            "yPosition": "20",
                            "documentId": "1",
                            "pageNumber": "1",
                            "status": "signed",
                        }
                    ],
                    "textTabs": [{"tabLabel": "rent", "value": "900", "originalValue": "850"}],
                    "checkboxTabs": [{"tabLabel": "pets", "selected": "true"}],
                },
            }
        ],
        "carbonCopies": [
            {
                "name": "Bob",
                "email": "bob@example.com",
                "recipientId": "2",
                "status": "autoresponded",
                "declinedReason": "no",
            }
        ],
        "recipientCount": "2",
    },
    "envelopeDocuments": [
        {
            "documentId": "1",
            "name": "lease.pdf",
            "order": "1",
            "PDFBytes": PDF,
            "documentFields": [{"name": "kind", "value": "lease"}],
        },
        {"documentId": "certificate", "name": "Summary", "PDFBytes": PDF},
    ],
}

SWITCHES = [one.name for one in fields(LegacyOptions) if one.name.startswith("include_")]


def options(**switches: Any) -> LegacyOptions:
    return LegacyOptions(**switches)


EVERYTHING = options(**dict.fromkeys(SWITCHES, True))


def stored(summary: Any = SUMMARY, name: str = "envelope-completed") -> Event:
    body = published(name, data={"envelopeId": "env-1", "envelopeSummary": summary})
    return Event(ACCOUNT, "event-1", name, "env-1", START, json.dumps(body).encode())


def read(body: bytes) -> Any:
    """The message, which must be valid."""
    root = etree.fromstring(body)
    SCHEMA.assertValid(root)
    return root


def texts(root: Any, path: str) -> list[str | None]:
    steps = "/".join(f"{{{NAMESPACE}}}{step}" for step in path.split("/"))
    return [found.text for found in root.iterfind(f".//{steps}")]


CASES = {
    "plain": (stored(), LegacyOptions()),
    "every-switch": (stored(), EVERYTHING),
    "soap": (stored(), LegacyOptions(soap_namespace="https://listener.example.com/ns")),
    "minimal": (stored({}, "envelope-sent"), LegacyOptions()),
}


@pytest.mark.parametrize("name", CASES)
def test_each_golden_file_is_what_is_rendered(name: str) -> None:
    file = GOLDEN / f"legacy-{name}.xml"
    body = render(*CASES[name])
    shown = etree.tostring(
        etree.fromstring(body), pretty_print=True, xml_declaration=True, encoding="utf-8"
    )
    if os.environ.get("HELIOGRAPH_WRITE_GOLDEN"):
        file.write_bytes(shown)
    assert file.read_bytes() == shown
    assert render(*CASES[name]) == body


def test_what_the_event_says_is_read_back() -> None:
    root = read(render(stored(), EVERYTHING))
    assert texts(root, "EnvelopeStatus/Subject") == [SUMMARY["emailSubject"]]
    assert texts(root, "EnvelopeStatus/Status") == ["Completed"]
    assert texts(root, "EnvelopeStatus/EnvelopeID") == ["env-1"]
    assert texts(root, "RecipientStatus/UserName") == ["Grace Hopper", "Bob"]
    assert texts(root, "RecipientStatus/Status") == ["Completed", "AutoResponded"]
    assert texts(root, "RecipientStatus/RecipientId") == ["5f8c", "2"]
    assert texts(root, "TabStatus/TabType") == ["SignHere", "Custom", "Custom"]
    assert texts(root, "TabStatus/CustomTabType") == ["Text", "Checkbox"]
    assert texts(root, "TabStatus/TabValue") == ["900", "X"]
    documents = texts(root, "DocumentPDF/PDFBytes")
    assert [base64.b64decode(text or "") for text in documents] == [b"%PDF-1.7 a lease"] * 2


@pytest.mark.parametrize(
    ("switch", "path", "without", "with_it"),
    [
        ("include_documents", "DocumentPDF/DocumentType", [], ["CONTENT"]),
        ("include_certificate_of_completion", "DocumentPDF/DocumentType", [], ["SUMMARY"]),
        ("include_document_fields", "DocumentField/Value", [], ["lease"]),
        ("include_void_reason", "EnvelopeStatus/VoidReason", [], ["the flat is gone"]),
        ("include_sender_account", "CustomField/Value", ["7", "lease"], ["7", "lease", ACCOUNT]),
        ("include_time_zone", "TimeZone", [], ["UTC"]),
    ],
)
def test_each_switch_has_its_effect(
    switch: str, path: str, without: list[str], with_it: list[str]
) -> None:
    assert texts(read(render(stored(), LegacyOptions())), path) == without
    assert texts(read(render(stored(), options(**{switch: True}))), path) == with_it


def test_soap_wraps_the_message_in_the_namespace_that_was_asked_for() -> None:
    root = etree.fromstring(render(*CASES["soap"]))
    assert root.tag == "{http://schemas.xmlsoap.org/soap/envelope/}Envelope"
    ((update,),) = root
    assert update.tag == "{https://listener.example.com/ns}DocuSignConnectUpdate"
    (inner,) = update
    SCHEMA.assertValid(etree.fromstring(etree.tostring(inner)))


def test_text_that_xml_cannot_hold_is_replaced() -> None:
    root = read(render(stored({"emailSubject": "a\x00b\x1bc\ufffe\t"}), LegacyOptions()))
    assert texts(root, "EnvelopeStatus/Subject") == ["a\ufffdb\ufffdc\ufffd\t"]


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*SUMMARY, *SUMMARY["recipients"], "tabs", "textTabs"]), inner
        )
    ),
    max_leaves=25,
)


@given(summary=anything, switches=st.lists(st.booleans(), min_size=6, max_size=6))
def test_whatever_a_publisher_sends_is_a_valid_message(summary: Any, switches: list[bool]) -> None:
    read(render(stored(summary), options(**dict(zip(SWITCHES, switches, strict=True)))))


JSON, XML = "application/json; charset=utf-8", "text/xml; charset=utf-8"
LEGACY = {"events": [], "envelopeEvents": ["Completed"]}


@pytest.mark.parametrize(
    ("given_fields", "content_type", "soap_action"),
    [
        ({}, JSON, None),
        ({"eventData": {"format": "xml"}}, XML, None),
        ({"useSoapInterface": "true"}, XML, '""'),
        (LEGACY, XML, None),
        ({**LEGACY, "eventData": {"format": "json"}}, JSON, None),
    ],
)
def test_a_configuration_asks_for_xml_as_on_docusign(
    given_fields: dict[str, Any], content_type: str, soap_action: str | None
) -> None:
    wanted = wanted_configuration(connect_id=7, **given_fields)
    headers = dict(message.render(stored(), wanted, 0).headers)
    assert (headers["Content-Type"], headers.get("SOAPAction")) == (content_type, soap_action)


def test_a_configurations_switches_reach_the_xml() -> None:
    names = (
        *("includeDocuments", "includeCertificateOfCompletion", "includeDocumentFields"),
        *("includeEnvelopeVoidReason", "includeSenderAccountasCustomField"),
        "includeTimeZoneInformation",
    )
    on = dict.fromkeys(names, "true")
    wanted = wanted_configuration(connect_id=7, eventData={"format": "xml"}, **on)
    assert message.render(stored(), wanted, 0).body == render(stored(), EVERYTHING)
    soap = {"useSoapInterface": "true", "soapNamespace": "urn:listener"}
    body = message.render(stored(), wanted_configuration(connect_id=7, **soap), 3).body
    assert body == render(stored(), LegacyOptions(soap_namespace="urn:listener"))
