"""The message that a listener gets: the format its configuration asks for.

Of DocuSign's data models: JSON SIM and JSON aggregate. Both are rendered from the stored
event, so that history can be republished in another format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Final

import msgspec

from heliograph.model import ConnectConfiguration, Event
from heliograph.wire import json_sim
from heliograph.wire.summary import Switches

_JSON: Final = (("Content-Type", "application/json; charset=utf-8"),)


class Format(Enum):
    """How a message is written."""

    JSON_SIM = "json_sim"
    JSON_AGGREGATE = "json_aggregate"


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


def render(event: Event, configuration: ConnectConfiguration, retry_count: int) -> Message:
    """The message of an event for a configuration.

    Between the attempts of a delivery at most the retry count differs (R3).
    """
    chosen = choice(configuration.document)
    switches = chosen.switches
    if chosen.format is Format.JSON_SIM:
        body = json_sim.render(event, configuration.connect_id, retry_count, switches)
        return Message(_JSON, body)
    return Message(_JSON, json_sim.render_envelope(event, switches))


@lru_cache(maxsize=4096)
def choice(document: bytes) -> Choice:
    """Read a configuration's document."""
    fields = msgspec.json.decode(document)
    event_data = fields.get("eventData") or {}
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
        format=_format(fields),
        switches=switches,
    )


def _format(fields: Mapping[str, Any]) -> Format:
    aggregate = str(fields.get("deliveryMode") or "").strip().lower() == "aggregate"
    return Format.JSON_AGGREGATE if aggregate else Format.JSON_SIM


def _flag(fields: Mapping[str, Any], name: str) -> bool | None:
    given = str(fields.get(name) or "").strip().lower()
    return None if given not in ("true", "false") else given == "true"
