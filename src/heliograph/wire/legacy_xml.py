"""The legacy message: `DocuSignEnvelopeInformation` as XML, also within a SOAP envelope.

Names, order and values are those of DocuSign's Connect XML (docs/reference/legacy-xml.md says
where each comes from). It shows the envelope of the event; publishers may leave out anything,
and what is not there is left out here too. The same event and options give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from lxml import etree

from heliograph.model import Event
from heliograph.wire import dates, json_sim
from heliograph.wire.summary import CERTIFICATE

NAMESPACE: Final = "http://www.docusign.net/API/3.0"

_SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"

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
    "dateSignedTabs": "DateSigned",
    "titleTabs": "Title",
    "companyTabs": "Company",
    "signerAttachmentTabs": "SignerAttachment",
    "approveTabs": "Approve",
    "declineTabs": "Decline",
}
"""Tabs with a type of their own; the others are of type Custom, with a CustomTabType."""

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LegacyOptions:
    """A configuration's switches. `soap_namespace` is None where no SOAP is asked for."""

    include_documents: bool = False
    include_document_fields: bool = False
    include_certificate_of_completion: bool = False
    include_void_reason: bool = False
    include_sender_account: bool = False
    include_time_zone: bool = False
    soap_namespace: str | None = None


def render(event: Event, options: LegacyOptions) -> bytes:
    """The XML message of an event, in UTF-8."""
    data = _object(msgspec.json.decode(event.document).get("data"))
    summary = _object(data.get("envelopeSummary"))
    root = etree.Element(_name("DocuSignEnvelopeInformation"), nsmap=_default(NAMESPACE))
    status = _child(root, "EnvelopeStatus")
    _recipients(_child(status, "RecipientStatuses"), _object(summary.get("recipients")))
    _envelope(status, event, summary, options)
    documents = [_object(one) for one in _list(summary.get("envelopeDocuments"))]
    _custom_fields(_child(status, "CustomFields"), event, summary, options)
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
    if options.soap_namespace is not None:
        root = _in_soap(root, options.soap_namespace)
    written: bytes = etree.tostring(root, xml_declaration=True, encoding="utf-8")
    return written


def _envelope(
    status: etree._Element, event: Event, summary: Fields, options: LegacyOptions
) -> None:
    sender = _object(summary.get("sender"))
    void_reason = summary.get("voidedReason") if options.include_void_reason else None
    _texts(
        status,
        ("TimeGenerated", dates.render(event.generated_at)),
        ("EnvelopeID", event.envelope_id),
        ("Subject", summary.get("emailSubject")),
        ("UserName", sender.get("userName")),
        ("Email", sender.get("email")),
        ("Status", json_sim.status_word(_text(summary.get("status")), event.name)),
        ("Created", summary.get("createdDateTime")),
        ("Sent", summary.get("sentDateTime")),
        ("Delivered", summary.get("deliveredDateTime")),
        # Every signer has signed: DocuSign writes the same time twice.
        ("Signed", summary.get("completedDateTime")),
        ("Completed", summary.get("completedDateTime")),
        ("Declined", summary.get("declinedDateTime")),
        ("Deleted", summary.get("deletedDateTime")),
        ("Voided", summary.get("voidedDateTime")),
        ("VoidReason", void_reason),
        ("ACStatus", "Original"),
        ("ACStatusDate", summary.get("statusChangedDateTime") or summary.get("createdDateTime")),
        ("ACHolder", sender.get("userName")),
        ("ACHolderEmail", sender.get("email")),
        ("ACHolderLocation", "Heliograph"),
        ("SigningLocation", _capital(_text(summary.get("signingLocation")) or "online")),
        ("SenderIPAddress", sender.get("ipAddress")),
    )
    _child(status, "EnvelopePDFHash")


def _recipients(statuses: etree._Element, recipients: Fields) -> None:
    for kind, type_name in _RECIPIENT_TYPES.items():
        for one in _list(recipients.get(kind)):
            _recipient(_child(statuses, "RecipientStatus"), type_name, _object(one))


def _recipient(status: etree._Element, type_name: str, recipient: Fields) -> None:
    _texts(
        status,
        ("Type", type_name),
        ("Email", recipient.get("email")),
        ("UserName", recipient.get("name") or recipient.get("signerName")),
        ("RoutingOrder", recipient.get("routingOrder")),
        ("Sent", recipient.get("sentDateTime")),
        ("Delivered", recipient.get("deliveredDateTime")),
        ("Signed", recipient.get("signedDateTime")),
        ("Declined", recipient.get("declinedDateTime")),
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
            for tab in _list(of_kind):
                _tab(_child(statuses, "TabStatus"), kind, _object(tab))
    _texts(
        status,
        ("AccountStatus", "Active"),
        ("RecipientId", recipient.get("recipientIdGuid") or recipient.get("recipientId")),
    )


def _tab(status: etree._Element, kind: str, tab: Fields) -> None:
    special = _SPECIAL_TABS.get(kind)
    custom = None if special else _capital(kind.removesuffix("Tabs"))
    value = tab.get("value")
    if value is None and "selected" in tab:
        value = "X" if _text(tab["selected"]) == "true" else ""
    _texts(
        status,
        ("TabType", special or "Custom"),
        ("Status", _capital(_text(tab.get("status")) or "active")),
        ("XPosition", tab.get("xPosition")),
        ("YPosition", tab.get("yPosition")),
        ("TabLabel", tab.get("tabLabel")),
        ("TabName", tab.get("name") or tab.get("tabLabel")),
        ("TabValue", value),
        ("DocumentID", tab.get("documentId")),
        ("PageNumber", tab.get("pageNumber")),
        ("OriginalValue", tab.get("originalValue")),
        ("ValidationPattern", tab.get("validationPattern")),
        ("CustomTabType", custom),
    )


def _custom_fields(
    fields: etree._Element, event: Event, summary: Fields, options: LegacyOptions
) -> None:
    known = _object(summary.get("customFields"))
    for kind, type_name in (("textCustomFields", "Text"), ("listCustomFields", "List")):
        for one in _list(known.get(kind)):
            _custom_field(fields, type_name, _object(one))
    if options.include_sender_account:
        account = {"name": "AccountId", "show": "false", "required": "false"}
        _custom_field(fields, "Text", {**account, "value": event.account_id})


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
    for one in documents:
        if _text(one.get("documentId")) == CERTIFICATE:
            continue
        status = _child(statuses, "DocumentStatus")
        _texts(
            status,
            ("ID", one.get("documentId")),
            ("Name", one.get("name")),
            ("TemplateName", one.get("templateName") or ""),
            ("Sequence", one.get("order")),
        )
        if options.include_document_fields:
            fields = _child(status, "DocumentFields")
            for field in map(_object, _list(one.get("documentFields"))):
                _texts(
                    _child(fields, "DocumentField"),
                    ("Name", field.get("name")),
                    ("Value", field.get("value")),
                )


def _document_pdfs(
    root: etree._Element, documents: Sequence[Fields], options: LegacyOptions
) -> None:
    wanted = [one for one in documents if _goes_out(one, options)]
    if not wanted:
        return
    pdfs = _child(root, "DocumentPDFs")
    for one in wanted:
        document_id = _text(one.get("documentId"))
        _texts(
            _child(pdfs, "DocumentPDF"),
            ("Name", one.get("name")),
            ("PDFBytes", one.get("PDFBytes")),
            ("DocumentID", document_id),
            ("DocumentType", "SUMMARY" if document_id == CERTIFICATE else "CONTENT"),
        )


def _goes_out(document: Fields, options: LegacyOptions) -> bool:
    if not isinstance(document.get("PDFBytes"), str):
        return False
    if _text(document.get("documentId")) == CERTIFICATE:
        return options.include_certificate_of_completion
    return options.include_documents


def _in_soap(root: etree._Element, namespace: str) -> etree._Element:
    envelope = etree.Element(f"{{{_SOAP}}}Envelope", nsmap={"soap": _SOAP})
    body = etree.SubElement(envelope, f"{{{_SOAP}}}Body")
    update = etree.SubElement(
        body, f"{{{namespace}}}DocuSignConnectUpdate", nsmap=_default(namespace)
    )
    update.append(root)
    return envelope


def _default(namespace: str) -> dict[Any, str]:
    """A map that makes a namespace the one of names without a prefix."""
    return {None: namespace}


def _texts(parent: etree._Element, *named: tuple[str, object]) -> None:
    """An element for each value that is there, in the order given."""
    for name, value in named:
        text = _text(value)
        if text is not None:
            _child(parent, name).text = _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)


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
