"""What a listener is sent of a message made up: the event, and a configuration that asks for it."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from heliograph.errors import InvalidBody
from heliograph.model.configurations import ConnectConfiguration, Format
from heliograph.model.events import Event
from heliograph.wire import configurations, docusign
from heliograph.wire.messages import json_sim
from heliograph.wire.messages.message import Message, render
from heliograph.wire.messages.summary import INCLUDE_DATA
from heliograph.wire.rest import ConnectCustomConfiguration

ACCOUNT: Final = "5ca1ab1e-0000-4000-8000-000000000001"
"""The account of samples that no server publishes."""

NUMBERS: Final[Mapping[str, int]] = {"retryCount": 0, "configurationId": 1}
"""What a message says of its delivery, which no published event says."""

_FORMATS: Final[Mapping[str, Mapping[str, Any]]] = {
    "json": {"deliveryMode": "SIM", "eventData": {"version": docusign.VERSION, "format": "json"}},
    "aggregate": {"deliveryMode": "aggregate", "eventData": {"format": "json"}},
    "xml": {"eventData": {"format": "xml"}},
    "soap": {"useSoapInterface": "true"},
}
FORMATS: Final = tuple(_FORMATS)
"""The formats, as `--format` names them."""


class NoMessage(ValueError):
    """There is no such message; the text says why."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Where samples go, in which format, and whether with documents.

    `include` has the values of `includeData`; None asks for all there is, but for documents that
    are not asked for.
    """

    url: str
    format: str
    documents: bool
    include: Collection[str] | None = None


def delivery(message: Mapping[str, Any], wish: Wish) -> tuple[Event, ConnectConfiguration]:
    """The event that a message tells of, and a configuration that it is sent to.

    Raises:
        NoMessage: it is none, or has no such format.
    """
    configuration = _configuration(message, wish)
    event = _event(message, configuration.account_id)
    if configuration.rendering.format is Format.XML and not event.envelope_id:
        raise NoMessage(f"There is no {event.name} in XML, which tells of envelopes alone.")
    return event, configuration


def written(message: Mapping[str, Any], wish: Wish) -> Message:
    """The bytes of a message, and the headers that say what they are.

    Raises:
        NoMessage: it is none, or has no such format.
    """
    event, configuration = delivery(message, wish)
    return render(event, configuration, message["retryCount"])


def _event(message: Mapping[str, Any], account_id: str) -> Event:
    body = msgspec.json.encode(message)
    try:
        (new,) = json_sim.parse_events(body, "application/json", account_id)
    except InvalidBody as error:
        raise NoMessage(str(error)) from None
    return Event(
        account_id,
        str(uuid.uuid4()),
        new.name,
        new.envelope.envelope_id,
        new.generated_at or datetime.now(UTC),
        new.document,
    )


def _configuration(message: Mapping[str, Any], wish: Wish) -> ConnectConfiguration:
    documents = "true" if wish.documents else "false"
    fields: dict[str, Any] = {
        "name": "sample",
        configurations.URL_FIELD: wish.url,
        "includeEnvelopeVoidReason": "true",
        "includeTimeZoneInformation": "true",
        "includeDocuments": documents,
        "includeCertificateOfCompletion": documents,
        **_FORMATS[wish.format],
    }
    if "version" in fields.get("eventData", {}):
        fields["eventData"] = {**fields["eventData"], "includeData": _included(wish)}
    wanted = msgspec.convert(fields, ConnectCustomConfiguration)
    document, secrets = configurations.merge(wanted, None)
    account_id = str(message["data"].get("accountId") or ACCOUNT)
    if not (account_id.isascii() and account_id.isprintable()):  # it goes into a header
        raise NoMessage("data.accountId must be printable ASCII.")
    return configurations.read(account_id, message["configurationId"], document, secrets)


def _included(wish: Wish) -> list[str]:
    if wish.include is not None:
        return sorted(wish.include)
    left_out = {"prefill_tabs"} if wish.documents else {"prefill_tabs", "documents"}
    return sorted(INCLUDE_DATA - left_out)
