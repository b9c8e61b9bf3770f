"""The legacy message: `DocuSignEnvelopeInformation` as XML, also within a SOAP envelope.

Names, order and values are those of DocuSign's API 3.0 schema and of recorded Connect messages
(docs/reference/legacy-xml.md says where each comes from). It shows the envelope of the event;
publishers may leave out anything, and what is not there, or is of another type, is left out here
too. A character that XML 1.0 cannot hold becomes U+FFFD. The same event and options give the
same bytes.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from lxml import etree

from heliograph.model.accounts import Account
from heliograph.model.events import Event
from heliograph.wire.messages import json_sim, legacy_tabs
from heliograph.wire.messages.legacy_times import UTC_ZONE, Times
from heliograph.wire.messages.loose import Fields, list_of, object_of, text_of
from heliograph.wire.messages.summary import CERTIFICATE, account_fields

NAMESPACE: Final = "http://www.docusign.net/API/3.0"

_XSD: Final = "http://www.w3.org/2001/XMLSchema"
_XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"

_SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"

_WSS: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"

_CERTIFICATE: Final = re.compile(
    "-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\\s]+)-----END CERTIFICATE-----"
)

# lxml writes this with single quotes; recorded messages, and who reads them as text, have double.
_DECLARATION: Final = b'<?xml version="1.0" encoding="utf-8"?>\n'

# XML 1.0, 2.2: what no document can hold, escaped or not; lone surrogates among them.
_UNWRITABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

RECIPIENT_TYPES: Final[Mapping[str, str]] = {
    "signers": "Signer",
    "agents": "Agent",
    "editors": "Editor",
    "intermediaries": "Intermediary",
    "carbonCopies": "CarbonCopy",
    "certifiedDeliveries": "CertifiedDelivery",
    "inPersonSigners": "InPersonSigner",
    "notaries": "NotaryRecipient",
    "seals": "Seal",
    "witnesses": "Witness",
}

_SIGNED: Final = frozenset({"signed", "completed"})
"""States of a recipient who has passed all tabs."""


@dataclass(frozen=True, slots=True)
class LegacyOptions:
    """A configuration's switches (connectCustomConfiguration's `include*` fields).

    `soap_namespace` is what `DocuSignConnectUpdate` stands in, any text, as it was configured;
    None where no SOAP is asked for. `certificate` (PEM, the first counts) stands in its header.
    `account` is the sender's, for who wants it named; `zone` is what all times are told in.
    """

    include_documents: bool = False
    include_document_fields: bool = False
    include_certificate_of_completion: bool = False
    include_void_reason: bool = False
    include_sender_account: bool = False
    include_time_zone: bool = False
    soap_namespace: str | None = None
    certificate: str | None = None
    account: Account | None = None
    zone: ZoneInfo = UTC_ZONE


def render(event: Event, options: LegacyOptions) -> bytes:
    """The XML message of an event, in UTF-8 with its declaration.

    Args:
        event: As stored. Nothing of its `data` needs to be there, or to have its type.
        options: The configuration's switches.

    Raises:
        msgspec.DecodeError: the stored document is no JSON; publishing lets none such in.
    """
    document = object_of(msgspec.json.decode(event.document))
    data = object_of(document.get("data"))
    summary = object_of(data.get("envelopeSummary"))
    root = etree.Element(_name("DocuSignEnvelopeInformation"), nsmap=_PREFIXES)
    status = _child(root, "EnvelopeStatus")
    times = Times(options.zone)
    _recipients(_child(status, "RecipientStatuses"), object_of(summary.get("recipients")), times)
    generated = times.with_ticks(event.generated_at, text_of(document.get("generatedDateTime")))
    _envelope(status, event, summary, options, times, generated)
    documents = [object_of(document) for document in list_of(summary.get("envelopeDocuments"))]
    fields = _child(status, "CustomFields")
    _custom_fields(fields, object_of(summary.get("customFields")))
    if options.include_sender_account:
        account_id = text_of(data.get("accountId")) or event.account_id
        for field in account_fields(account_id, options.account):
            _custom_field(fields, "Text", field)
    _texts(
        status,
        ("AutoNavigation", summary.get("autoNavigation")),
        ("EnvelopeIdStamping", summary.get("envelopeIdStamping")),
        ("AuthoritativeCopy", text_of(summary.get("authoritativeCopy")) or "false"),
    )
    _document_statuses(_child(status, "DocumentStatuses"), documents, options)
    _document_pdfs(root, documents, options)
    if options.include_time_zone:
        offset = times.offset_hours(event.generated_at)
        _texts(root, ("TimeZone", times.zone_name), ("TimeZoneOffset", offset))
    message: bytes = etree.tostring(root, xml_declaration=False, encoding="utf-8")
    if options.soap_namespace is not None:
        message = _in_soap(message, options.soap_namespace, options.certificate)
    return _DECLARATION + message


def _envelope(
    status: etree._Element,
    event: Event,
    summary: Fields,
    options: LegacyOptions,
    times: Times,
    generated: str,
) -> None:
    sender = object_of(summary.get("sender"))
    void_reason = summary.get("voidedReason") if options.include_void_reason else None
    created, completed = (
        times.published(summary.get("createdDateTime")),
        times.published(summary.get("completedDateTime")),
    )
    changed = times.published(summary.get("statusChangedDateTime"))
    _texts(
        status,
        ("TimeGenerated", generated),
        ("EnvelopeID", event.envelope_id),
        ("Subject", summary.get("emailSubject")),
        ("UserName", sender.get("userName")),
        ("Email", sender.get("email")),
        ("Status", json_sim.status_word(text_of(summary.get("status")), event.name)),
        ("Created", created),
        ("Deleted", times.published(summary.get("deletedDateTime"))),
        ("Sent", times.published(summary.get("sentDateTime"))),
        ("Delivered", times.published(summary.get("deliveredDateTime"))),
        # Every signer has signed: DocuSign writes the same time twice.
        ("Signed", completed),
        ("Completed", completed),
        ("Declined", times.published(summary.get("declinedDateTime"))),
        ("Voided", times.published(summary.get("voidedDateTime"))),
        ("VoidReason", void_reason),
        ("ACStatus", "Original"),
        # The copy is the original from the start: recorded messages repeat Created.
        ("ACStatusDate", created or changed),
        ("ACHolder", sender.get("userName")),
        ("ACHolderEmail", sender.get("email")),
        ("ACHolderLocation", "Heliograph"),
        ("SigningLocation", _capital(text_of(summary.get("signingLocation")) or "online")),
        ("SenderIPAddress", sender.get("ipAddress")),
    )
    _child(status, "EnvelopePDFHash")


def _recipients(statuses: etree._Element, recipients: Fields, times: Times) -> None:
    for kind, type_name in RECIPIENT_TYPES.items():
        for recipient in list_of(recipients.get(kind)):
            _recipient(_child(statuses, "RecipientStatus"), type_name, object_of(recipient), times)


def _recipient(status: etree._Element, type_name: str, recipient: Fields, times: Times) -> None:
    _texts(
        status,
        ("Type", type_name),
        ("Email", recipient.get("email")),
        ("UserName", recipient.get("name") or recipient.get("signerName")),
        ("RoutingOrder", recipient.get("routingOrder")),
        ("Sent", times.published(recipient.get("sentDateTime"))),
        ("Delivered", times.published(recipient.get("deliveredDateTime"))),
        ("Signed", times.published(recipient.get("signedDateTime"))),
        ("Declined", times.published(recipient.get("declinedDateTime"))),
    )
    _nilled(status, "DeclineReason", recipient.get("declinedReason"))
    _texts(
        status,
        ("Status", _capital(text_of(recipient.get("status")))),
        ("RecipientIPAddress", text_of(recipient.get("recipientIPAddress")) or ""),
        ("ClientUserId", recipient.get("clientUserId")),
    )
    fields = _child(status, "CustomFields")
    for text in list_of(recipient.get("customFields")):
        _texts(fields, ("CustomField", text))
    signed_at = times.published(recipient.get("signedDateTime"))
    word = (text_of(recipient.get("status")) or "").lower()
    signed = word in _SIGNED or signed_at is not None
    tabs = legacy_tabs.tabs(recipient.get("tabs"), signed=signed)
    if tabs:
        statuses = _child(status, "TabStatuses")
        for tab in tabs:
            _texts(_child(statuses, "TabStatus"), *tab.elements)
    _texts(status, ("AccountStatus", "Active"))
    if signed:
        _form_data(status, legacy_tabs.form_fields(tabs))
    named = recipient.get("recipientIdGuid") or recipient.get("recipientId")
    _texts(status, ("RecipientId", named))


def _form_data(status: etree._Element, filled_in: Sequence[tuple[str, str]]) -> None:
    """What the recipient has filled in, as XFDF without its namespace (recorded posts)."""
    if not filled_in:
        return
    fields = _child(_child(_child(status, "FormData"), "xfdf"), "fields")
    for name, value in filled_in:
        field = _child(fields, "field")
        field.set("name", _writable(name))
        _texts(field, ("value", value))


def _custom_fields(fields: etree._Element, known: Fields) -> None:
    for kind, type_name in (("textCustomFields", "Text"), ("listCustomFields", "List")):
        for custom_field in list_of(known.get(kind)):
            _custom_field(fields, type_name, object_of(custom_field))


def _custom_field(fields: etree._Element, type_name: str, field: Fields) -> None:
    _texts(
        _child(fields, "CustomField"),
        ("Name", field.get("name")),
        ("Show", field.get("show")),
        ("Required", field.get("required")),
        ("Value", field.get("value")),
        ("CustomFieldType", type_name),
    )


def _document_statuses(
    statuses: etree._Element, documents: Sequence[Fields], options: LegacyOptions
) -> None:
    for document in documents:
        if text_of(document.get("documentId")) == CERTIFICATE:
            continue
        status = _child(statuses, "DocumentStatus")
        _texts(
            status,
            ("ID", document.get("documentId")),
            ("Name", document.get("name")),
            ("TemplateName", document.get("templateName") or ""),
            ("Sequence", document.get("order")),
        )
        if options.include_document_fields:
            fields = _child(status, "DocumentFields")
            for field in map(object_of, list_of(document.get("documentFields"))):
                _texts(
                    _child(fields, "DocumentField"),
                    ("Name", field.get("name")),
                    ("Value", field.get("value")),
                )


def _document_pdfs(
    root: etree._Element, documents: Sequence[Fields], options: LegacyOptions
) -> None:
    wanted = [
        (document, pdf) for document in documents if (pdf := _pdf(document, options)) is not None
    ]
    if not wanted:
        return
    pdfs = _child(root, "DocumentPDFs")
    for document, pdf in wanted:
        document_id = text_of(document.get("documentId"))
        certificate = document_id == CERTIFICATE
        _texts(
            _child(pdfs, "DocumentPDF"),
            ("Name", document.get("name")),
            ("PDFBytes", pdf),
            # A number in the schema, so DocuSign leaves it out of the certificate.
            ("DocumentID", None if certificate else document_id),
            ("DocumentType", "SUMMARY" if certificate else "CONTENT"),
        )


def _pdf(document: Fields, options: LegacyOptions) -> str | None:
    """The base64 of a document that goes out; None where it is not wanted or is no base64."""
    certificate = text_of(document.get("documentId")) == CERTIFICATE
    wanted = options.include_certificate_of_completion if certificate else options.include_documents
    published = document.get("PDFBytes")
    if not wanted or not isinstance(published, str):
        return None
    try:
        content = base64.b64decode("".join(published.split()), validate=True)
    except ValueError:
        return None
    return base64.b64encode(content).decode()


def _in_soap(message: bytes, namespace: str, certificate: str | None) -> bytes:
    """The message in the body of a SOAP 1.1 envelope.

    Written as text because lxml takes only URIs, while a namespace is compared as the text that
    it is: whatever was configured must arrive.
    """
    start = (
        f'<soap:Envelope xmlns:soap="{_SOAP}">{_header(certificate)}<soap:Body>'
        f'<DocuSignConnectUpdate xmlns="{html.escape(_writable(namespace))}">'
    )
    return start.encode() + message + b"</DocuSignConnectUpdate></soap:Body></soap:Envelope>"


def _header(certificate: str | None) -> str:
    """The certificate as WS-Security 1.0 has one (X.509 token profile), or nothing."""
    match = _CERTIFICATE.search(certificate or "")
    if match is None:
        return ""
    token = "".join(match[1].split())
    return (
        f'<soap:Header><wsse:Security xmlns:wsse="{_WSS}wssecurity-secext-1.0.xsd">'
        f'<wsse:BinarySecurityToken ValueType="{_WSS}x509-token-profile-1.0#X509v3" '
        f'EncodingType="{_WSS}soap-message-security-1.0#Base64Binary">{token}'
        "</wsse:BinarySecurityToken></wsse:Security></soap:Header>"
    )


# The namespace of names without a prefix comes last, and the others are declared whether or not
# anything has them: so recorded posts begin.
_PREFIXES: Final[dict[Any, str]] = {"xsd": _XSD, "xsi": _XSI, None: NAMESPACE}


def _texts(parent: etree._Element, *named: tuple[str, object]) -> None:
    """An element for each value that is there, in the order given."""
    for name, value in named:
        text = text_of(value)
        if text is not None:
            _child(parent, name).text = _writable(text)


def _nilled(parent: etree._Element, name: str, value: object) -> None:
    """An element in any case: nil where there is no value."""
    text = text_of(value)
    element = _child(parent, name)
    if text:
        element.text = _writable(text)
    else:
        element.set(f"{{{_XSI}}}nil", "true")


def _writable(text: str) -> str:
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _child(parent: etree._Element, name: str) -> etree._Element:
    return etree.SubElement(parent, _name(name))


def _name(local: str) -> str:
    return f"{{{NAMESPACE}}}{local}"


def _capital(word: str | None) -> str | None:
    """`autoresponded` as DocuSign's XML writes words: with a capital."""
    known = None if word is None else _WORDS.get(word.lower())
    return known or (word and word[:1].upper() + word[1:])


_WORDS: Final[Mapping[str, str]] = {
    word.lower(): word
    for word in ("AutoResponded", "AuthenticationFailed", "InPerson", "TimedOut", "FaxPending")
}
