"""The message that a listener gets: the format its configuration asks for.

DocuSign's four data models: JSON SIM, JSON aggregate, XML SIM and XML aggregate (both XML
models have one shape). All are rendered from the stored event, so that history can be
republished in another format.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from heliograph.model.accounts import Account
from heliograph.model.configurations import ConnectConfiguration, Format, Switches
from heliograph.model.events import Event
from heliograph.wire.messages import json_sim, legacy_xml
from heliograph.wire.messages.legacy_times import UTC_ZONE
from heliograph.wire.messages.summary import select

_JSON: Final = (("Content-Type", "application/json; charset=utf-8"),)
_XML: Final = (("Content-Type", "text/xml; charset=utf-8"),)
# SOAP 1.1, 6.1.1: the header must be there; empty means that the URL says what is meant.
_SOAP: Final = (*_XML, ("SOAPAction", '""'))

_raw_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a message is made by beside its event: messages of one recipe are alike but for a head.

    `legacy` is set for XML, whose `switches` pick the parts of the envelope. `account` is the
    sender's, where it is to be named, `recipient` the user whom the message is for.
    """

    format: Format
    switches: Switches
    legacy: legacy_xml.LegacyOptions | None = None
    account: Account | None = None
    recipient: str | None = None


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Rendering:
    """A message but for what differs between its deliveries and their attempts.

    JSON SIM has its retry count and configuration between `opening` and `closing`; the others have
    neither. `rest` follows, which may have megabytes.
    """

    headers: tuple[tuple[str, str], ...]
    rest: bytes
    opening: bytes = b""
    closing: bytes = b""

    def head(self, connect_id: int, retry_count: int) -> bytes:
        """What comes before `rest`."""
        if not self.opening:
            return b""
        return json_sim.head(self.opening, self.closing, connect_id, retry_count)


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted: the exact bytes, and the headers that say what they are."""

    headers: tuple[tuple[str, str], ...]
    body: bytes


def recipe(
    event_name: str,
    configuration: ConnectConfiguration,
    certificate: str | None = None,
    *,
    account: Account | None = None,
    zone: ZoneInfo = UTC_ZONE,
    recipient: str | None = None,
) -> Recipe:
    """How a configuration has messages of an event made.

    `certificate` is the account's client certificate (PEM), for SOAP messages that shall have it,
    `account` the sender's, for those that name it, and `zone` what legacy XML tells times in.
    `recipient` is the user whom the message is for, where each recipient gets one.
    """
    rendering = configuration.rendering
    switches = rendering.switches_for(event_name)
    if rendering.format is not Format.XML:
        return Recipe(rendering.format, switches, account=account, recipient=recipient)
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
        account=account,
        zone=zone,
    )
    return Recipe(rendering.format, switches, options)


def rendered(event: Event, by: Recipe) -> Rendering:
    """The message of an event as far as all who get it by this recipe get the same."""
    if by.legacy is not None:
        picked = _picked(event, by.switches) if by.switches.include else event
        body = legacy_xml.render(picked, by.legacy)
        return Rendering(_XML if by.legacy.soap_namespace is None else _SOAP, body)
    if by.format is Format.JSON_AGGREGATE:
        return Rendering(_JSON, json_sim.render_envelope(event, by.switches, by.account))
    opening, closing, rest = json_sim.parts(event, by.switches, by.account, by.recipient)
    return Rendering(_JSON, rest, opening, closing)


def render(
    event: Event,
    configuration: ConnectConfiguration,
    retry_count: int,
    certificate: str | None = None,
    *,
    account: Account | None = None,
    zone: ZoneInfo = UTC_ZONE,
    recipient: str | None = None,
) -> Message:
    """The message of an event for a configuration; what comes after its count is as in `recipe`.

    Between the attempts of a delivery at most the retry count differs (R3).
    """
    by = recipe(
        *(event.name, configuration, certificate), account=account, zone=zone, recipient=recipient
    )
    rendering = rendered(event, by)
    head = rendering.head(configuration.connect_id, retry_count)
    return Message(rendering.headers, head + rendering.rest)


def _picked(event: Event, switches: Switches) -> Event:
    """The event with the parts that `includeData` names; its XML then shows those.

    An empty list picks nothing out of XML: the message is the envelope.
    """
    document = _raw_object.decode(event.document)
    # Legacy XML adds the sender account by itself.
    document["data"] = select(document["data"], replace(switches, sender_account=False))
    return replace(event, document=msgspec.json.encode(document))
