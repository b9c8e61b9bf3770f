"""The message that a listener gets: the format its configuration asks for.

DocuSign's four data models: JSON SIM, JSON aggregate, XML SIM and XML aggregate (both XML
models have one shape). All are rendered from the stored event, so that history can be
republished in another format.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import msgspec

from heliograph.model.configurations import ConnectConfiguration, Format, Switches
from heliograph.model.events import Event
from heliograph.wire.messages import json_sim, legacy_xml
from heliograph.wire.messages.summary import select

_JSON: Final = (("Content-Type", "application/json; charset=utf-8"),)
_XML: Final = (("Content-Type", "text/xml; charset=utf-8"),)
# SOAP 1.1, 6.1.1: the header must be there; empty means that the URL says what is meant.
_SOAP: Final = (*_XML, ("SOAPAction", '""'))

_raw_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted: the exact bytes, and the headers that say what they are."""

    headers: tuple[tuple[str, str], ...]
    body: bytes


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
    rendering = configuration.rendering
    switches = rendering.switches_for(event.name)
    if rendering.format is Format.JSON_SIM:
        body = json_sim.render(event, configuration.connect_id, retry_count, switches)
        return Message(_JSON, body)
    if rendering.format is Format.JSON_AGGREGATE:
        return Message(_JSON, json_sim.render_envelope(event, switches))
    include = switches.include or frozenset()
    options = legacy_xml.LegacyOptions(
        include_documents=switches.documents is True
        or (switches.documents is None and "documents" in include),
        include_document_fields=switches.document_fields is True,
        include_certificate_of_completion=switches.certificate is True,
        include_void_reason=switches.void_reason is True,
        include_sender_account=switches.sender_account,
        include_time_zone=rendering.time_zone,
        soap_namespace=rendering.soap_namespace,
        certificate=certificate if rendering.certificate_header else None,
    )
    body = legacy_xml.render(_picked(event, switches) if include else event, options)
    return Message(_XML if rendering.soap_namespace is None else _SOAP, body)


def _picked(event: Event, switches: Switches) -> Event:
    """The event with the parts that `includeData` names; its XML then shows those.

    An empty list picks nothing out of XML: the message is the envelope.
    """
    document = _raw_object.decode(event.document)
    # Legacy XML adds the sender account by itself.
    document["data"] = select(document["data"], replace(switches, sender_account=False))
    return replace(event, document=msgspec.json.encode(document))
