"""The legacy message: valid element by element, the same bytes each time, nothing lost.

After a change that is meant, with HELIOGRAPH_WRITE_GOLDEN=1 in the environment, these tests write
the golden files anew; read their diff.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from heliograph.model.accounts import Account
from heliograph.model.events import Event
from heliograph.wire import dates
from heliograph.wire.messages import message
from heliograph.wire.messages.legacy_times import Times
from heliograph.wire.messages.legacy_xml import NAMESPACE, LegacyOptions, render
from tests.support import ACCOUNT, START, published, wanted_configuration

GOLDEN = Path(__file__).parents[3] / "golden"
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
    # No envelope has all of these; the order of the elements is shown by having them.
    "deletedDateTime": f"{DAY}08:59:30.0000000Z",
    "declinedDateTime": f"{DAY}08:59:40.1230000Z",
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
                    "listTabs": [
                        {
                            "tabLabel": "floor",
                            "value": "2",
                            "listItems": [{"text": "one", "value": "1"}, {"value": "2"}],
                        }
                    ],
                    "radioGroupTabs": [
                        {
                            "groupName": "term",
                            "documentId": "1",
                            "radios": [
                                {"value": "year", "pageNumber": "2", "selected": "true"},
                                {"value": "month", "pageNumber": "2"},
                            ],
                        }
                    ],
                    "zipTabs": [{"tabLabel": "zip", "value": "12345-6789", "useDash4": "true"}],
                    "viewTabs": [{"tabLabel": "terms"}],
                },
            }
        ],
        "carbonCopies": [
            {
                "name": "Bob",
                "email": "bob@example.com",
                "recipientId": "2",
                "status": "autoresponded",
                "declinedDateTime": f"{DAY}08:59:40.1230000Z",
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
    """The message, which must be valid; with SOAP what is in its body."""
    root = etree.fromstring(body)
    found = next(root.iter(f"{{{NAMESPACE}}}DocuSignEnvelopeInformation"))
    SCHEMA.assertValid(etree.fromstring(etree.tostring(found)))
    return found


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
    if os.environ.get("HELIOGRAPH_WRITE_GOLDEN"):
        file.write_bytes(body)
    assert file.read_bytes() == body
    assert render(*CASES[name]) == body


def test_each_message_begins_with_its_declaration() -> None:
    for case in CASES.values():
        assert render(*case).startswith(b'<?xml version="1.0" encoding="utf-8"?>\n<')


def test_what_the_event_says_is_read_back() -> None:
    root = read(render(stored(), EVERYTHING))
    assert texts(root, "EnvelopeStatus/Subject") == [SUMMARY["emailSubject"]]
    assert texts(root, "EnvelopeStatus/Status") == ["Completed"]
    assert texts(root, "EnvelopeStatus/EnvelopeID") == ["env-1"]
    assert texts(root, "RecipientStatus/UserName") == ["Grace Hopper", "Bob"]
    assert texts(root, "RecipientStatus/Status") == ["Completed", "AutoResponded"]
    assert texts(root, "RecipientStatus/RecipientId") == ["5f8c", "2"]
    assert texts(root, "EnvelopeStatus/Completed") == ["2026-11-23T08:59:00"]
    assert texts(root, "RecipientStatus/Signed") == ["2026-11-23T08:58:00"]
    assert texts(root, "DocumentPDF/DocumentID") == ["1"]
    documents = texts(root, "DocumentPDF/PDFBytes")
    assert [base64.b64decode(text or "") for text in documents] == [b"%PDF-1.7 a lease"] * 2


def test_each_tab_is_named_with_the_words_of_the_schema() -> None:
    root = read(render(stored(), LegacyOptions()))
    assert texts(root, "TabStatus/TabType") == ["SignHere"] + ["Custom"] * 7
    # A view has no word there.
    custom = ["Text", "Checkbox", "List", "Radio", "Radio", "ZIP5DASH4"]
    assert texts(root, "TabStatus/CustomTabType") == custom
    values = [None, "900", "X", "2", "X", None, "12345-6789", None]
    assert texts(root, "TabStatus/TabValue") == values
    assert texts(root, "TabStatus/ListSelectedValue") == ["2"]
    names = texts(root, "TabStatus/TabName")
    assert names == ["sign", "rent", "pets", "1;2", "year", "month", "zip", "terms"]
    labels = ["sign", "rent", "pets", "floor", "term", "term", "zip", "terms"]
    assert texts(root, "TabStatus/TabLabel") == labels


def test_fidelity_time_generated_has_seven_digits() -> None:
    for published_time, written in (
        ("2026-11-23T09:00:00.1234567Z", "2026-11-23T09:00:00.1234567"),
        ("2026-11-23T10:00:00,12345678+01:00", "2026-11-23T09:00:00.1234567"),
        ("2026-11-23T09:00:00.12Z", "2026-11-23T09:00:00.1200000"),
        ("2026-11-23T09:00:00Z", "2026-11-23T09:00:00.0000000"),
        ("", "2026-11-23T09:00:00.5000000"),
        (None, "2026-11-23T09:00:00.5000000"),
    ):
        body: dict[str, Any] = {"generatedDateTime": published_time, "data": {}}
        when = dates.parse(published_time or "2026-11-23T09:00:00.5Z")
        event = Event(ACCOUNT, "event-1", "envelope-sent", "e", when, json.dumps(body).encode())
        assert texts(read(render(event, LegacyOptions())), "TimeGenerated") == [written]


def test_fidelity_elements_that_are_always_there() -> None:
    signer = {"name": "Grace", "tabs": {"signHereTabs": [{}], "textTabs": [{"tabLabel": "rent"}]}}
    root = read(render(stored({"recipients": {"signers": [signer]}}), LegacyOptions()))
    (reason,) = root.iter(f"{{{NAMESPACE}}}DeclineReason")
    assert reason.attrib == {"{http://www.w3.org/2001/XMLSchema-instance}nil": "true"}
    assert texts(root, "RecipientStatus/RecipientIPAddress") == [None]
    assert texts(root, "TabStatus/TabValue") == [None, None]
    assert texts(root, "EnvelopeStatus/AuthoritativeCopy") == ["false"]


def test_what_is_declared_stands_as_in_recorded_posts() -> None:
    # Some listeners find the message by this text.
    assert (
        b'<DocuSignEnvelopeInformation xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
        b'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        b'xmlns="http://www.docusign.net/API/3.0"><EnvelopeStatus>'
    ) in render(stored({}), LegacyOptions())


@pytest.mark.parametrize(
    ("published_date", "written"),
    [
        ("2026-11-23T08:00:00.1200000Z", ["2026-11-23T08:00:00.12"]),
        ("2026-11-23T08:00:10Z", ["2026-11-23T08:00:10"]),
        ("2026-11-23T10:00:00.5+02:00", ["2026-11-23T08:00:00.5"]),
        ("2026-11-23", ["2026-11-23T00:00:00"]),
        ("0001-01-01T00:00:00+14:00", []),
        ("yesterday", []),
        ("", []),
        (1700000000, []),
    ],
)
def test_dates_are_in_utc_without_an_offset_and_what_is_no_date_is_left_out(
    published_date: Any, written: list[str]
) -> None:
    root = read(render(stored({"createdDateTime": published_date}), LegacyOptions()))
    assert texts(root, "EnvelopeStatus/Created") == written
    assert texts(root, "EnvelopeStatus/ACStatusDate") == written


@pytest.mark.parametrize(
    ("zone", "published_date", "written", "name", "offset"),
    [
        ("UTC", "2026-07-01T12:00:00Z", "2026-07-01T12:00:00", "UTC", "0"),
        *(
            ("America/Los_Angeles", given, written, "Pacific Standard Time", offset)
            for given, written, offset in (
                ("2026-07-01T12:00:00.5Z", "2026-07-01T05:00:00.5", "-7"),
                ("2026-12-01T04:00:00Z", "2026-11-30T20:00:00", "-8"),
                # Summer time ends: an hour comes twice, which the offset alone tells apart.
                ("2026-11-01T08:30:00Z", "2026-11-01T01:30:00", "-7"),
                ("2026-11-01T09:30:00Z", "2026-11-01T01:30:00", "-8"),
            )
        ),
        ("Asia/Kolkata", "2026-07-01T12:00:00Z", "2026-07-01T17:30:00", "India Standard Time", "5"),
        ("America/St_Johns", "2026-12-01T12:00:00Z", "2026-12-01T08:30:00", None, "-3"),
        # No local time can be told at either end of all dates.
        ("America/New_York", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00", None, "0"),
        ("Asia/Tokyo", "9999-12-31T23:00:00Z", "9999-12-31T23:00:00", None, "0"),
    ],
)
def test_fidelity_times_in_the_zone_of_the_account(
    zone: str, published_date: str, written: str, name: str | None, offset: str
) -> None:
    summary = {"createdDateTime": published_date, "recipients": {"signers": [{}]}}
    summary["recipients"] = {"signers": [{"sentDateTime": published_date}]}
    body = published("envelope-sent", data={"envelopeSummary": summary})
    when = dates.parse(published_date)
    event = Event(ACCOUNT, "event-1", "envelope-sent", "e", when, json.dumps(body).encode())
    root = read(render(event, LegacyOptions(include_time_zone=True, zone=ZoneInfo(zone))))
    assert texts(root, "EnvelopeStatus/Created") == [written]
    assert texts(root, "RecipientStatus/Sent") == [written]
    assert str(texts(root, "TimeGenerated")[0]).startswith(written[:19])
    assert texts(root, "TimeZone") == [name or texts(root, "TimeZone")[0]]
    assert texts(root, "TimeZoneOffset") == [offset]


def test_fidelity_time_zone_and_its_offset_has_windows_name_or_else_the_zones_own() -> None:
    for zone, name in (("Europe/Berlin", "W. Europe Standard Time"), ("Etc/UTC", "UTC")):
        assert Times(ZoneInfo(zone)).zone_name == name
    with resources.files("tzdata.zoneinfo").joinpath("UTC").open("rb") as file:
        assert Times(ZoneInfo.from_file(file, key="Mars/Olympus")).zone_name == "Mars/Olympus"


@pytest.mark.parametrize(
    ("published_bytes", "written"),
    [
        (PDF, [PDF]),
        (f"{PDF[:8]}\r\n{PDF[8:]}", [PDF]),
        ("no base64!", []),
        (PDF[:-1], []),
        ({"data": PDF}, []),
        (None, []),
    ],
)
def test_a_document_goes_out_only_as_whole_base64(published_bytes: Any, written: list[str]) -> None:
    summary = {"envelopeDocuments": [{"documentId": "1", "PDFBytes": published_bytes}]}
    root = read(render(stored(summary), LegacyOptions(include_documents=True)))
    assert texts(root, "DocumentPDF/PDFBytes") == written


@pytest.mark.parametrize("account_id", [None, ACCOUNT, "1001"])
def test_fidelity_sender_account_as_custom_fields(account_id: str | None) -> None:
    given_id = {} if account_id is None else {"accountId": account_id}
    body = published("envelope-sent", data={**given_id, "envelopeId": "env-1"})
    event = Event(ACCOUNT, "event-1", "envelope-sent", "env-1", START, json.dumps(body).encode())
    account = Account(ACCOUNT, 1001, "Navy & Co")
    root = read(render(event, LegacyOptions(include_sender_account=True, account=account)))
    assert texts(root, "CustomField/Name") == ["AccountId", "AccountName", "AccountSite"]
    assert texts(root, "CustomField/Value") == ["1001", "Navy & Co", "demo"]
    assert texts(root, "CustomField/CustomFieldType") == ["Text"] * 3


@pytest.mark.parametrize("account", [None, Account(ACCOUNT, 1001, "Navy")])
def test_the_sender_account_of_a_relayed_event_is_the_one_that_was_published(
    account: Account | None,
) -> None:
    body = published("envelope-sent", data={"accountId": "docusign-7", "envelopeId": "env-1"})
    event = Event(ACCOUNT, "event-1", "envelope-sent", "env-1", START, json.dumps(body).encode())
    root = read(render(event, LegacyOptions(include_sender_account=True, account=account)))
    assert texts(root, "CustomField/Name") == ["AccountId"]
    assert texts(root, "CustomField/Value") == ["docusign-7"]


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


@pytest.mark.parametrize("namespace", ["urn:a", "", "two words", "http://é/%%?a=1&b=<>\"'"])
def test_any_namespace_that_was_configured_arrives(namespace: str) -> None:
    body = render(stored(), LegacyOptions(soap_namespace=namespace))
    # Namespaces that are no URI are well-formed; parsers may warn of them.
    root = etree.fromstring(body, etree.XMLParser(recover=True))
    assert etree.QName(root[0][0]).namespace == (namespace or None)
    assert etree.QName(root[0][0][0]).namespace == NAMESPACE


def test_a_namespace_that_xml_cannot_hold_is_replaced() -> None:
    body = render(stored(), LegacyOptions(soap_namespace="urn:\0\ud800"))
    assert '<DocuSignConnectUpdate xmlns="urn:\ufffd\ufffd">' in body.decode()


@pytest.mark.parametrize("document", [b"[]", b"{}", b"null", b'{"data":7}', b'{"data":[{}]}'])
def test_a_document_of_another_shape_is_a_message_that_says_little(document: bytes) -> None:
    event = Event(ACCOUNT, "event-1", "envelope-sent", "env-\ud800", START, document)
    root = read(render(event, EVERYTHING))
    assert texts(root, "EnvelopeStatus/EnvelopeID") == ["env-\ufffd"]


def test_text_that_xml_cannot_hold_is_replaced() -> None:
    root = read(render(stored({"emailSubject": "a\x00b\x1bc\ufffe\t"}), LegacyOptions()))
    assert texts(root, "EnvelopeStatus/Subject") == ["a\ufffdb\ufffdc\ufffd\t"]


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(list(SUMMARY)) | st.text(), inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def damaged(draw: st.DrawFn, whole: Any) -> Any:
    """What a publisher might make of it: pieces gone, pieces of another type."""
    fate = draw(st.integers(0, 11))
    if fate == 0:
        return draw(anything)
    if isinstance(whole, dict):
        kept = {key: value for key, value in whole.items() if draw(st.integers(0, 7))}
        return {key: draw(damaged(value)) for key, value in kept.items()}
    if isinstance(whole, list):
        return [draw(damaged(one)) for one in whole]
    return whole


@given(
    summary=damaged(SUMMARY) | anything,
    switches=st.lists(st.booleans(), min_size=len(SWITCHES), max_size=len(SWITCHES)),
    soap=st.sampled_from([None, "urn:listener"]),
)
@settings(max_examples=200)
def test_whatever_a_publisher_sends_is_a_valid_message(
    summary: Any, switches: list[bool], soap: str | None
) -> None:
    chosen = options(**dict(zip(SWITCHES, switches, strict=True)), soap_namespace=soap)
    body = render(stored(summary), chosen)
    read(body)
    assert render(stored(summary), chosen) == body


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
    soap: dict[str, Any] = {"useSoapInterface": "true", "soapNamespace": "urn:listener"}
    body = message.render(stored(), wanted_configuration(connect_id=7, **soap), 3).body
    assert body == render(stored(), LegacyOptions(soap_namespace="urn:listener"))


PEM = "-----BEGIN CERTIFICATE-----\nMIIB\nAQ==\n-----END CERTIFICATE-----\n"


def test_the_certificate_stands_in_the_soap_header_when_it_is_asked_for() -> None:
    soap: dict[str, Any] = {"useSoapInterface": "true", "soapNamespace": "urn:listener"}
    asked = wanted_configuration(**soap, includeCertSoapHeader="true")
    root = etree.fromstring(message.render(stored(), asked, 0, PEM * 2).body)
    assert [etree.QName(part).localname for part in root] == ["Header", "Body"]
    (token,) = root[0].iter("{*}BinarySecurityToken")
    assert token.text == "MIIBAQ=="
    assert str(token.get("ValueType")).endswith("#X509v3")
    for body in (
        message.render(stored(), asked, 0).body,
        message.render(stored(), wanted_configuration(**soap), 0, PEM).body,
    ):
        assert b"BinarySecurityToken" not in body


@pytest.mark.parametrize(
    ("fields", "has_form"),
    [
        ({"status": "completed"}, True),
        ({"status": "Signed"}, True),
        ({"status": "delivered", "signedDateTime": f"{DAY}08:58:00Z"}, True),
        ({"status": "delivered"}, False),
        ({"status": "sent", "signedDateTime": "never"}, False),
    ],
)
def test_fidelity_form_data_comes_when_its_recipient_has_signed(
    fields: dict[str, str], has_form: bool
) -> None:
    signer = {**fields, "tabs": {"textTabs": [{"tabLabel": 'a "b"', "value": "900 & 1"}]}}
    root = read(render(stored({"recipients": {"signers": [signer]}}), LegacyOptions()))
    found = list(root.iter(f"{{{NAMESPACE}}}field"))
    assert [field.get("name") for field in found] == ['a "b"'] * has_form
    assert texts(root, "FormData/xfdf/fields/field/value") == ["900 & 1"] * has_form
    assert texts(root, "TabStatus/Status") == ["Signed" if has_form else "Active"]


def test_fidelity_holder_of_the_copy_is_heliograph() -> None:
    root = read(render(stored(), LegacyOptions()))
    assert texts(root, "EnvelopeStatus/ACHolderLocation") == ["Heliograph"]
