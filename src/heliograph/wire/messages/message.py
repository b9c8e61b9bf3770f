"""The message that a listener gets: the format its configuration asks for.

DocuSign's four data models: JSON SIM, JSON aggregate, XML SIM and XML aggregate (both XML
models have one shape). All are rendered from the stored event, so that history can be
republished in another format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import lru_cache
from typing import Any, Final

import msgspec

from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.events import Event
from heliograph.wire.configurations import DOCUMENTS_OF, receives
from heliograph.wire.messages import json_sim, legacy_xml
from heliograph.wire.messages.summary import Switches, select

_JSON: Final = (("Content-Type", "application/json; charset=utf-8"),)
_XML: Final = (("Content-Type", "text/xml; charset=utf-8"),)
# SOAP 1.1, 6.1.1: the header must be there; empty means that the URL says what is meant.
_SOAP: Final = (*_XML, ("SOAPAction", '""'))

_raw_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])

DEFAULT_SOAP_NAMESPACE: Final = "http://www.docusign.net/API/3.0"


class Format(Enum):
    """How a message is written."""

    JSON_SIM = "json_sim"
    JSON_AGGREGATE = "json_aggregate"
    XML = "xml"


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted: the exact bytes, and the headers that say what they are."""

    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Choice:
    """What a configuration says about its messages."""

    format: Format
    switches: Switches
    time_zone: bool = False
    soap_namespace: str | None = None
    certificate_header: bool = False
    documents_of: Mapping[str, bool] = field(default_factory=dict)

    def switches_for(self, event_name: str) -> Switches:
        """The switches for an event: a notification may want documents with some alone."""
        wanted = self.documents_of.get(event_name.lower())
        return self.switches if wanted is None else replace(self.switches, documents=wanted)


def render(
    event: Event,
    configuration: ConnectConfiguration,
    retry_count: int,
    certificate: str | None = None,
) -> Message:
    """The message of an event for a configuration.

    Between the attempts of a delivery at most the retry count differs (R3). `certificate` is
    the account's client certificate (PEM), for SOAP messages that shall have it.
    """
    chosen = choice(configuration.document)
    switches = chosen.switches_for(event.name)
    if chosen.format is Format.JSON_SIM:
        body = json_sim.render(event, configuration.connect_id, retry_count, switches)
        return Message(_JSON, body)
    if chosen.format is Format.JSON_AGGREGATE:
        return Message(_JSON, json_sim.render_envelope(event, switches))
    include = switches.include or frozenset()
    options = legacy_xml.LegacyOptions(
        include_documents=switches.documents is True
        or (switches.documents is None and "documents" in include),
        include_document_fields=switches.document_fields is True,
        include_certificate_of_completion=switches.certificate is True,
        include_void_reason=switches.void_reason is True,
        include_sender_account=switches.sender_account,
        include_time_zone=chosen.time_zone,
        soap_namespace=chosen.soap_namespace,
        certificate=certificate if chosen.certificate_header else None,
    )
    body = legacy_xml.render(_picked(event, switches) if include else event, options)
    return Message(_XML if chosen.soap_namespace is None else _SOAP, body)


def _picked(event: Event, switches: Switches) -> Event:
    """The event with the parts that `includeData` names; its XML then shows those.

    An empty list picks nothing out of XML: the message is the envelope.
    """
    document = _raw_object.decode(event.document)
    # Legacy XML adds the sender account by itself.
    document["data"] = select(document["data"], replace(switches, sender_account=False))
    return replace(event, document=msgspec.json.encode(document))


@lru_cache(maxsize=4096)
def choice(document: bytes) -> Choice:
    """Read a configuration's document.

    JSON unless `eventData.format` says xml, SOAP is asked for, or nothing but the legacy
    events is given, as DocuSign tells its models apart. Recipient Connect has JSON alone.
    """
    fields = msgspec.json.decode(document)
    event_data = fields.get("eventData") or {}
    soap = _flag(fields, "useSoapInterface") is True
    include = event_data.get("includeData")
    switches = Switches(
        include=None if include is None else frozenset(one.strip().lower() for one in include),
        documents=_flag(fields, "includeDocuments"),
        certificate=_flag(fields, "includeCertificateOfCompletion"),
        document_fields=_flag(fields, "includeDocumentFields"),
        void_reason=_flag(fields, "includeEnvelopeVoidReason"),
        sender_account=_flag(fields, "includeSenderAccountasCustomField") is True,
    )
    return Choice(
        format=_format(fields, str(event_data.get("format") or "").strip().lower(), soap=soap),
        switches=switches,
        time_zone=_flag(fields, "includeTimeZoneInformation") is True,
        soap_namespace=(fields.get("soapNamespace") or DEFAULT_SOAP_NAMESPACE) if soap else None,
        certificate_header=_flag(fields, "includeCertSoapHeader") is True,
        documents_of=fields.get(DOCUMENTS_OF) or {},
    )


def _format(fields: Mapping[str, Any], named: str, *, soap: bool) -> Format:
    legacy = bool(fields.get("envelopeEvents") or fields.get("recipientEvents"))
    xml = soap or named == "xml" or (legacy and not fields.get("events") and not named)
    if xml and not receives(fields):
        return Format.XML
    aggregate = str(fields.get("deliveryMode") or "").strip().lower() == "aggregate"
    return Format.JSON_AGGREGATE if aggregate else Format.JSON_SIM


def _flag(fields: Mapping[str, Any], name: str) -> bool | None:
    given = str(fields.get(name) or "").strip().lower()
    return None if given not in ("true", "false") else given == "true"
