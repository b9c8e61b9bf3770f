"""`DocuSignEnvelopeInformation`, alone or within SOAP, read into what is published of an envelope.

The reverse of `messages/legacy_xml.py`, whose sources hold here too. The XML says less than the
JSON of the same event: what of it cannot be told is listed in docs/reference/relays.md.

It is fed in pieces, so that documents of 100 MB need not be held; nothing of it is resolved or
fetched, and it may be as deep and have as many elements as a body of the API (S11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from mmap import mmap
from typing import Any, Final

from lxml import etree

from heliograph.errors import InvalidBody
from heliograph.wire import dates
from heliograph.wire.codec import MOST_ATTRIBUTES, MOST_DEPTH, MOST_NODES
from heliograph.wire.messages.legacy_tabs import KINDS
from heliograph.wire.messages.legacy_xml import RECIPIENT_TYPES
from heliograph.wire.messages.summary import CERTIFICATE

_PIECE: Final = 256 * 1024

_ROOT: Final = "DocuSignEnvelopeInformation"

_PDF: Final = "PDFBytes"

_KIND_OF_RECIPIENT: Final = {word: kind for kind, word in RECIPIENT_TYPES.items()}

_ENVELOPE: Final = {
    "Subject": "emailSubject",
    "VoidReason": "voidedReason",
    "AutoNavigation": "autoNavigation",
    "EnvelopeIdStamping": "envelopeIdStamping",
    "AuthoritativeCopy": "authoritativeCopy",
}
_SENDER: Final = {"UserName": "userName", "Email": "email", "SenderIPAddress": "ipAddress"}
_TIMES: Final = ("Created", "Deleted", "Sent", "Delivered", "Completed", "Declined", "Voided")
_RECIPIENT: Final = {
    "Email": "email",
    "UserName": "name",
    "RoutingOrder": "routingOrder",
    "DeclineReason": "declinedReason",
    "RecipientIPAddress": "recipientIPAddress",
    "ClientUserId": "clientUserId",
    "RecipientId": "recipientIdGuid",
}
_RECIPIENT_TIMES: Final = ("Sent", "Delivered", "Signed", "Declined")
_TAB: Final = {
    "XPosition": "xPosition",
    "YPosition": "yPosition",
    "TabLabel": "tabLabel",
    "TabName": "name",
    "TabValue": "value",
    "DocumentID": "documentId",
    "PageNumber": "pageNumber",
    "OriginalValue": "originalValue",
    "ValidationPattern": "validationPattern",
    "Status": "status",
}
_FIELD: Final = {"Name": "name", "Show": "show", "Required": "required", "Value": "value"}
_DOCUMENT: Final = {
    "ID": "documentId",
    "Name": "name",
    "TemplateName": "templateName",
    "Sequence": "order",
}


_TICKS: Final = re.compile(r"[.,](\d{7})", re.ASCII)

_HAS_OFFSET: Final = re.compile(r"(?:[Zz]|[+-]\d{2}:?\d{2})$")


class _Node:
    """An element by its name without the namespace; `text` is its own."""

    __slots__ = ("children", "name", "text")

    def __init__(self, name: str) -> None:
        self.name = name
        self.text: list[str] = []
        self.children: list[_Node] = []

    def all(self, *path: str) -> list[_Node]:
        """Those at the end of a path of names."""
        found = [self]
        for name in path:
            found = [child for node in found for child in node.children if child.name == name]
        return found

    def first(self, name: str) -> _Node:
        """The first of a name, or an empty one."""
        return next((child for child in self.children if child.name == name), _NOTHING)

    def of(self, name: str) -> str | None:
        """The text of the first of a name; None of none, or an empty one."""
        return "".join(self.first(name).text).strip() or None


_NOTHING: Final = _Node("")


class _Target:
    """Builds nodes of what lxml reads, within bounds."""

    def __init__(self, *, documents: bool) -> None:
        self._documents = documents
        self._open = [_Node("")]
        self._count = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._count += 1
        if self._count > MOST_NODES:
            raise InvalidBody(f"The message has more than {MOST_NODES} elements.")
        if len(self._open) > MOST_DEPTH:
            raise InvalidBody(f"The message is more than {MOST_DEPTH} levels deep.")
        if len(attributes) > MOST_ATTRIBUTES:
            raise InvalidBody(f"An element has more than {MOST_ATTRIBUTES} attributes.")
        node = _Node(tag.rpartition("}")[2])
        self._open[-1].children.append(node)
        self._open.append(node)

    def data(self, text: str) -> None:
        if self._documents or self._open[-1].name != _PDF:
            self._open[-1].text.append(text)

    def end(self, _tag: str) -> None:
        self._open.pop()

    def doctype(self, _name: str, _public: str | None, _system: str | None) -> None:
        raise InvalidBody("The message must not have a document type (DOCTYPE).")

    def comment(self, _text: str) -> None:
        pass

    def pi(self, _target: str, _data: str | None) -> None:
        pass

    def close(self) -> _Node:
        return self._open[0]


def read(content: bytes | mmap, *, documents: bool) -> dict[str, Any]:
    """What is published of a message, and under `told` the time of it as it is written there.

    Args:
        content: As it came.
        documents: Whether the bytes of documents are kept.

    Raises:
        InvalidBody: not well-formed, refused for safety, or no message of Connect.
    """
    root = _found(_parsed(content, documents=documents))
    if root is None:
        raise InvalidBody(f"The message has no {_ROOT}.")
    status = root.first("EnvelopeStatus")
    envelope_id, word = status.of("EnvelopeID"), status.of("Status")
    if envelope_id is None or word is None:
        raise InvalidBody("The message has no EnvelopeStatus with EnvelopeID and Status.")
    ahead = _offset(root.of("TimeZoneOffset"))
    told = status.of("TimeGenerated")
    event: dict[str, Any] = {
        "event": f"envelope-{word.lower()}",
        "data": {"envelopeId": envelope_id, "envelopeSummary": _summary(root, status, ahead)},
        "told": told,
    }
    generated = _time(told, ahead)
    return event if generated is None else {**event, "generatedDateTime": generated}


def _parsed(content: bytes | mmap, *, documents: bool) -> _Node:
    target: Any = _Target(documents=documents)
    parser = etree.XMLParser(
        target=target,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=True,  # documents are longer than libxml2's bound; ours are those of _Target
        remove_comments=True,
        remove_pis=True,
    )
    view = memoryview(content)
    try:
        for start in range(0, len(view), _PIECE):
            parser.feed(bytes(view[start : start + _PIECE]))
        node: Any = parser.close()
    except etree.XMLSyntaxError as error:
        line, column = error.position
        raise InvalidBody(
            f"The message is not well-formed XML: see line {line}, column {column}."
        ) from None
    except ValueError as error:
        raise InvalidBody(f"The message is not well-formed XML: {error}") from None
    built: _Node = node
    return built


def _found(node: _Node) -> _Node | None:
    """The message, wherever SOAP has put it."""
    level = [node]
    while level:
        for one in level:
            if one.name == _ROOT:
                return one
        level = [child for one in level for child in one.children]
    return None


def _summary(root: _Node, status: _Node, ahead: timedelta) -> dict[str, Any]:
    times = {
        f"{name[0].lower()}{name[1:]}DateTime": _time(status.of(name), ahead) for name in _TIMES
    }
    word = (status.of("Status") or "").lower()
    location = status.of("SigningLocation")
    recipients: dict[str, list[dict[str, Any]]] = {}
    for one in status.all("RecipientStatuses", "RecipientStatus"):
        kind = _KIND_OF_RECIPIENT.get(one.of("Type") or "", "signers")
        recipients.setdefault(kind, []).append(_recipient(one, ahead))
    fields: dict[str, list[dict[str, Any]]] = {}
    for one in status.all("CustomFields", "CustomField"):
        kind = "listCustomFields" if one.of("CustomFieldType") == "List" else "textCustomFields"
        fields.setdefault(kind, []).append(_texts(one, _FIELD))
    return _without_nothing(
        {
            "envelopeId": status.of("EnvelopeID"),
            "status": word,
            **_texts(status, _ENVELOPE),
            **times,
            "statusChangedDateTime": times.get(f"{word}DateTime"),
            "signingLocation": location and location.lower(),
            "sender": _texts(status, _SENDER),
            "recipients": recipients,
            "customFields": fields,
            _DOCUMENTS: _documents(root, status),
        }
    )


_DOCUMENTS: Final = "envelopeDocuments"


def _recipient(one: _Node, ahead: timedelta) -> dict[str, Any]:
    times = {f"{name.lower()}DateTime": _time(one.of(name), ahead) for name in _RECIPIENT_TIMES}
    word = one.of("Status")
    fields = ["".join(field.text) for field in one.all("CustomFields", "CustomField")]
    tabs: dict[str, list[dict[str, Any]]] = {}
    for tab in one.all("TabStatuses", "TabStatus"):
        kind = KINDS.get((tab.of("TabType") or "", tab.of("CustomTabType")), "textTabs")
        tabs.setdefault(kind, []).append(_texts(tab, _TAB))
    return _without_nothing(
        {
            **_texts(one, _RECIPIENT),
            "status": word and word.lower(),
            **times,
            "customFields": fields,
            "tabs": tabs,
        }
    )


def _documents(root: _Node, status: _Node) -> list[dict[str, Any]]:
    known: dict[str | None, dict[str, Any]] = {}
    for one in status.all("DocumentStatuses", "DocumentStatus"):
        document = _texts(one, _DOCUMENT)
        fields = [_texts(field, _FIELD) for field in one.all("DocumentFields", "DocumentField")]
        known[document.get("documentId")] = _without_nothing({**document, "documentFields": fields})
    for one in root.all("DocumentPDFs", "DocumentPDF"):
        is_certificate = one.of("DocumentType") == "SUMMARY"
        document_id = CERTIFICATE if is_certificate else one.of("DocumentID")
        name, pdf = one.of("Name"), one.of(_PDF)
        document = known.setdefault(document_id, {"documentId": document_id})
        document |= _without_nothing({"name": document.get("name") or name, _PDF: pdf})
    return [_without_nothing(document) for document in known.values()]


def _texts(node: _Node, names: Mapping[str, str]) -> dict[str, Any]:
    return _without_nothing({field: node.of(name) for name, field in names.items()})


def _without_nothing(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, {}, [])}


def _offset(hours: str | None) -> timedelta:
    """How far the times of a message are ahead of UTC; they are UTC where it does not say."""
    try:
        whole = int(hours or "0")
    except ValueError:
        return timedelta()
    return timedelta(hours=whole) if abs(whole) <= 24 else timedelta()


def _time(text: str | None, ahead: timedelta) -> str | None:
    """A time as JSON tells it; None of none that can be read."""
    if text is None:
        return None
    try:
        when = dates.parse(text)
        rendered = dates.render(when if _HAS_OFFSET.search(text) else when - ahead)
    except (ValueError, OverflowError):
        return None
    ticks = _TICKS.search(text)  # of which a datetime keeps six
    return rendered if ticks is None else f"{rendered[:19]}.{ticks[1]}Z"
