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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from lxml import etree

from heliograph.model.events import Event
from heliograph.wire import dates
from heliograph.wire.messages import json_sim
from heliograph.wire.messages.summary import CERTIFICATE

NAMESPACE: Final = "http://www.docusign.net/API/3.0"

_SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"

_WSS: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"

_CERTIFICATE: Final = re.compile(
    "-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\\s]+)-----END CERTIFICATE-----"
)

# lxml writes this with single quotes; recorded messages, and who reads them as text, have double.
_DECLARATION: Final = b'<?xml version="1.0" encoding="utf-8"?>\n'

# XML 1.0, 2.2: what no document can hold, escaped or not; lone surrogates among them.
_UNWRITABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_RECIPIENT_TYPES: Final[Mapping[str, str]] = {
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

_SPECIAL_TABS: Final[Mapping[str, str]] = {
    "initialHereTabs": "InitialHere",
    "signHereTabs": "SignHere",
    "fullNameTabs": "FullName",
    "firstNameTabs": "FirstName",
    "lastNameTabs": "LastName",
    "emailAddressTabs": "EmailAddress",
    "envelopeIdTabs": "EnvelopeID",
    "dateSignedTabs": "DateSigned",
    "titleTabs": "Title",
    "companyTabs": "Company",
    "signerAttachmentTabs": "SignerAttachment",
    "approveTabs": "Approve",
    "declineTabs": "Decline",
}
"""Tabs with a type of their own (TabTypeCode of the schema); the others are of type Custom."""

_CUSTOM_TABS: Final[Mapping[str, str]] = {
    "textTabs": "Text",
    "checkboxTabs": "Checkbox",
    "radioGroupTabs": "Radio",
    "listTabs": "List",
    "dateTabs": "Date",
    "numberTabs": "Number",
    "numericalTabs": "Number",
    "ssnTabs": "SSN",
    "zipTabs": "ZIP5",
    "emailTabs": "Email",
    "noteTabs": "Note",
    "formulaTabs": "Formula",
}
"""The schema's CustomTabType; a kind it has no word for goes out without, since readers that are
generated from the schema refuse words they do not know."""

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LegacyOptions:
    """A configuration's switches (connectCustomConfiguration's `include*` fields).

    `soap_namespace` is what `DocuSignConnectUpdate` stands in, any text, as it was configured;
    None where no SOAP is asked for. `certificate` (PEM, the first counts) stands in its header.
    """

    include_documents: bool = False
    include_document_fields: bool = False
    include_certificate_of_completion: bool = False
    include_void_reason: bool = False
    include_sender_account: bool = False
    include_time_zone: bool = False
    soap_namespace: str | None = None
    certificate: str | None = None


def render(event: Event, options: LegacyOptions) -> bytes:
    """The XML message of an event, in UTF-8 with its declaration.

    Args:
        event: As stored. Nothing of its `data` needs to be there, or to have its type.
        options: The configuration's switches.

    Raises:
        msgspec.DecodeError: the stored document is no JSON; publishing lets none such in.
    """
    data = _object(_object(msgspec.json.decode(event.document)).get("data"))
    summary = _object(data.get("envelopeSummary"))
    root = etree.Element(_name("DocuSignEnvelopeInformation"), nsmap=_default(NAMESPACE))
    status = _child(root, "EnvelopeStatus")
    _recipients(_child(status, "RecipientStatuses"), _object(summary.get("recipients")))
    _envelope(status, event, summary, options)
    documents = [_object(document) for document in _list(summary.get("envelopeDocuments"))]
    account_id = _text(data.get("accountId")) or event.account_id
    _custom_fields(
        _child(status, "CustomFields"),
        _object(summary.get("customFields")),
        account_id if options.include_sender_account else None,
    )
    _texts(
        status,
        ("AutoNavigation", summary.get("autoNavigation")),
        ("EnvelopeIdStamping", summary.get("envelopeIdStamping")),
        ("AuthoritativeCopy", summary.get("authoritativeCopy")),
    )
    _document_statuses(_child(status, "DocumentStatuses"), documents, options)
    _document_pdfs(root, documents, options)
    if options.include_time_zone:
        # All times of a message are UTC, whatever zone the sender is in.
        _texts(root, ("TimeZone", "UTC"), ("TimeZoneOffset", "0"))
    message: bytes = etree.tostring(root, xml_declaration=False, encoding="utf-8")
    if options.soap_namespace is not None:
        message = _in_soap(message, options.soap_namespace, options.certificate)
    return _DECLARATION + message


def _envelope(
    status: etree._Element, event: Event, summary: Fields, options: LegacyOptions
) -> None:
    sender = _object(summary.get("sender"))
    void_reason = summary.get("voidedReason") if options.include_void_reason else None
    created, completed = (
        _date(summary.get("createdDateTime")),
        _date(summary.get("completedDateTime")),
    )
    changed = _date(summary.get("statusChangedDateTime"))
    _texts(
        status,
        ("TimeGenerated", _instant(event.generated_at)),
        ("EnvelopeID", event.envelope_id),
        ("Subject", summary.get("emailSubject")),
        ("UserName", sender.get("userName")),
        ("Email", sender.get("email")),
        ("Status", json_sim.status_word(_text(summary.get("status")), event.name)),
        ("Created", created),
        ("Deleted", _date(summary.get("deletedDateTime"))),
        ("Sent", _date(summary.get("sentDateTime"))),
        ("Delivered", _date(summary.get("deliveredDateTime"))),
        # Every signer has signed: DocuSign writes the same time twice.
        ("Signed", completed),
        ("Completed", completed),
        ("Declined", _date(summary.get("declinedDateTime"))),
        ("Voided", _date(summary.get("voidedDateTime"))),
        ("VoidReason", void_reason),
        ("ACStatus", "Original"),
        # The copy is the original from the start: recorded messages repeat Created.
        ("ACStatusDate", created or changed),
        ("ACHolder", sender.get("userName")),
        ("ACHolderEmail", sender.get("email")),
        ("ACHolderLocation", "Heliograph"),
        ("SigningLocation", _capital(_text(summary.get("signingLocation")) or "online")),
        ("SenderIPAddress", sender.get("ipAddress")),
    )
    _child(status, "EnvelopePDFHash")


def _recipients(statuses: etree._Element, recipients: Fields) -> None:
    for kind, type_name in _RECIPIENT_TYPES.items():
        for recipient in _list(recipients.get(kind)):
            _recipient(_child(statuses, "RecipientStatus"), type_name, _object(recipient))


def _recipient(status: etree._Element, type_name: str, recipient: Fields) -> None:
    _texts(
        status,
        ("Type", type_name),
        ("Email", recipient.get("email")),
        ("UserName", recipient.get("name") or recipient.get("signerName")),
        ("RoutingOrder", recipient.get("routingOrder")),
        ("Sent", _date(recipient.get("sentDateTime"))),
        ("Delivered", _date(recipient.get("deliveredDateTime"))),
        ("Signed", _date(recipient.get("signedDateTime"))),
        ("Declined", _date(recipient.get("declinedDateTime"))),
        ("DeclineReason", recipient.get("declinedReason")),
        ("Status", _capital(_text(recipient.get("status")))),
        ("RecipientIPAddress", recipient.get("recipientIPAddress")),
        ("ClientUserId", recipient.get("clientUserId")),
    )
    fields = _child(status, "CustomFields")
    for text in _list(recipient.get("customFields")):
        _texts(fields, ("CustomField", text))
    tabs = _object(recipient.get("tabs"))
    if tabs:
        statuses = _child(status, "TabStatuses")
        for kind, of_kind in tabs.items():
            for tab in map(_object, _list(of_kind)):
                for single in _radios(tab) if kind == "radioGroupTabs" else (tab,):
                    _tab(_child(statuses, "TabStatus"), kind, single)
    _texts(
        status,
        ("AccountStatus", "Active"),
        ("RecipientId", recipient.get("recipientIdGuid") or recipient.get("recipientId")),
    )


def _radios(group: Fields) -> Iterable[Fields]:
    """The buttons of a group as tabs of their own, as DocuSign writes them: the group's name is
    the label, the button's value its name."""
    for radio in map(_object, _list(group.get("radios"))):
        yield {
            "documentId": group.get("documentId"),
            **radio,
            "tabLabel": group.get("groupName"),
            "name": radio.get("value"),
            "value": None,
            "selected": radio.get("selected", False),
        }


def _tab(status: etree._Element, kind: str, tab: Fields) -> None:
    special = _SPECIAL_TABS.get(kind)
    custom = _CUSTOM_TABS.get(kind)
    if kind == "zipTabs" and _is_true(tab.get("useDash4")):
        custom = "ZIP5DASH4"
    value = tab.get("value")
    if value is None and "selected" in tab:
        value = "X" if _is_true(tab["selected"]) else ""
    items = [_text(_object(item).get("value")) for item in _list(tab.get("listItems"))]
    _texts(
        status,
        ("TabType", special or "Custom"),
        ("Status", _capital(_text(tab.get("status")) or "active")),
        ("XPosition", tab.get("xPosition")),
        ("YPosition", tab.get("yPosition")),
        ("TabLabel", tab.get("tabLabel")),
        # A list's choices stand where others have their name.
        ("TabName", ";".join(filter(None, items)) or tab.get("name") or tab.get("tabLabel")),
        ("TabValue", value),
        ("DocumentID", tab.get("documentId")),
        ("PageNumber", tab.get("pageNumber")),
        ("OriginalValue", tab.get("originalValue")),
        ("ValidationPattern", tab.get("validationPattern")),
        ("ListSelectedValue", value if custom == "List" else None),
        ("CustomTabType", custom),
    )


def _custom_fields(fields: etree._Element, known: Fields, account_id: str | None) -> None:
    for kind, type_name in (("textCustomFields", "Text"), ("listCustomFields", "List")):
        for custom_field in _list(known.get(kind)):
            _custom_field(fields, type_name, _object(custom_field))
    if account_id is not None:
        account = {"name": "AccountId", "show": "false", "required": "false"}
        _custom_field(fields, "Text", {**account, "value": account_id})


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
        if _text(document.get("documentId")) == CERTIFICATE:
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
            for field in map(_object, _list(document.get("documentFields"))):
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
        document_id = _text(document.get("documentId"))
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
    certificate = _text(document.get("documentId")) == CERTIFICATE
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


def _default(namespace: str) -> dict[Any, str]:
    """A map that makes a namespace the one of names without a prefix."""
    return {None: namespace}


def _texts(parent: etree._Element, *named: tuple[str, object]) -> None:
    """An element for each value that is there, in the order given."""
    for name, value in named:
        text = _text(value)
        if text is not None:
            _child(parent, name).text = _writable(text)


def _writable(text: str) -> str:
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _child(parent: etree._Element, name: str) -> etree._Element:
    return etree.SubElement(parent, _name(name))


def _name(local: str) -> str:
    return f"{{{NAMESPACE}}}{local}"


def _text(value: object) -> str | None:
    """A scalar as the wire writes it; None of anything else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | str):
        return str(value)
    return None


def _is_true(value: object) -> bool:
    return (_text(value) or "").lower() == "true"


def _date(value: object) -> str | None:
    """A published date-time as legacy XML has it; None of what is none."""
    if not isinstance(value, str):
        return None
    try:
        return _instant(dates.parse(value))
    except ValueError:
        return None


def _instant(when: datetime) -> str:
    """`2026-11-23T09:00:00.12`: recorded messages name no offset and end no fraction in 0. Where
    theirs are in the account's time zone, ours are in UTC."""
    text = when.astimezone(UTC).replace(tzinfo=None).isoformat()
    return text.rstrip("0") if "." in text else text


def _object(value: object) -> Fields:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> Iterable[Any]:
    return value if isinstance(value, list) else ()


def _capital(word: str | None) -> str | None:
    """`autoresponded` as DocuSign's XML writes words: with a capital."""
    known = None if word is None else _WORDS.get(word.lower())
    return known or (word and word[:1].upper() + word[1:])


_WORDS: Final[Mapping[str, str]] = {
    word.lower(): word
    for word in ("AutoResponded", "AuthenticationFailed", "InPerson", "TimedOut", "FaxPending")
}
