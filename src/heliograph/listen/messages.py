"""What a message is about, told from its body alone: its Content-Type is only shown.

JSON SIM and JSON aggregate messages are those of DocuSign's connect.schema-v2.json; the legacy
XML message has the root element DocuSignEnvelopeInformation (DocuSign API 3.0 schema), which
stands inside an Envelope and its Body with SOAP. Anything else is shown as size and type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from lxml import etree

from heliograph.listen.requests import Request

_LONGEST: Final = 500
"""Characters kept of any text."""

_PIECE: Final = 64 * 1024
_ROOT: Final = "DocuSignEnvelopeInformation"


@dataclass(frozen=True, slots=True)
class Summary:
    """What is shown of a message; texts are as they came, cut, and None where there is none.

    `format` is `json`, `json aggregate`, `xml`, `soap`, or `other`.
    """

    format: str
    event: str | None = None
    envelope_id: str | None = None
    subject: str | None = None
    retry_count: str | None = None
    configuration_id: str | None = None


_OTHER: Final = Summary("other")


def summarise(request: Request) -> Summary:
    """Look into the body, whatever it is; never raises."""
    start = request.body[:256].removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start == b"{":
        return _json(request.body.removeprefix(b"\xef\xbb\xbf"))
    if start == b"<":
        return _xml(request.body)
    return _OTHER


def _json(body: bytes) -> Summary:
    try:
        document = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _OTHER
    if "event" in document:
        data = _object(document.get("data"))
        envelope = _object(data.get("envelopeSummary"))
        return Summary(
            "json",
            event=_text(document["event"]),
            envelope_id=_text(data.get("envelopeId") or envelope.get("envelopeId")),
            subject=_text(envelope.get("emailSubject")),
            retry_count=_text(document.get("retryCount")),
            configuration_id=_text(document.get("configurationId")),
        )
    if "envelopeId" in document:
        return Summary(
            "json aggregate",
            event=_event_of(_text(document.get("status"))),
            envelope_id=_text(document["envelopeId"]),
            subject=_text(document.get("emailSubject")),
        )
    return _OTHER


def _xml(body: bytes) -> Summary:
    # Fed in pieces, so that the documents of a message, which come last, are never parsed.
    parser = etree.XMLPullParser(
        events=("start", "end"),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
    )
    path: list[str] = []
    texts: dict[str, str] = {}
    try:
        for at in range(0, len(body), _PIECE):
            parser.feed(body[at : at + _PIECE])
            for happened, element in parser.read_events():
                if _step(path, texts, happened, element):
                    return _of_xml(path, texts)
    except etree.XMLSyntaxError:  # also above libxml2's own limits: 256 levels, 10 MB of text
        return _OTHER
    return _OTHER


def _step(path: list[str], texts: dict[str, str], happened: str, element: Any) -> bool:
    """Note one start or end of an element; True when all that is shown has been seen."""
    if not isinstance(element.tag, str):
        return False
    name = etree.QName(element).localname
    if happened == "start":
        path.append(name)
        return False
    if path[-3:-1] == [_ROOT, "EnvelopeStatus"]:
        texts[name] = (element.text or "")[:_LONGEST]
        element.clear()
    if path[-2:] == [_ROOT, "EnvelopeStatus"]:
        return True
    path.pop()
    return False


def _of_xml(path: list[str], texts: Mapping[str, str]) -> Summary:
    return Summary(
        "soap" if path[0] == "Envelope" else "xml",
        event=_event_of(texts.get("Status")),
        envelope_id=texts.get("EnvelopeID"),
        subject=texts.get("Subject"),
    )


def _event_of(status: str | None) -> str | None:
    """The event's name where a message only has the envelope's status."""
    return f"envelope-{status.lower()}" if status else None


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)[:_LONGEST]
    return None
