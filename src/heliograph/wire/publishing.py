"""What is published, as a schema, and what a publish answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from heliograph.wire import notifications
from heliograph.wire.codec import OURS, Wire
from heliograph.wire.messages.json_sim import LONGEST_ID
from heliograph.wire.rest import ConnectCustomConfiguration
from heliograph.wire.schemas import Schema, properties


class SkippedConfiguration(Wire):
    """A configuration that did not get the event, and why not."""

    ours: ClassVar[bool] = True

    connect_id: str
    name: str
    reason: str


class PublishedEvent(Wire, kw_only=True):
    """What became of one published event.

    `skipped_count` configurations do not get it; `skipped` lists the first of them, or all.
    """

    ours: ClassVar[bool] = True

    event_id: str
    event: str
    envelope_id: str | None = None
    deliveries: str
    repeated: str
    skipped: list[SkippedConfiguration]
    skipped_count: str
    warnings: list[str] | None = None


class PublishResults(Wire):
    """The answer of publish, one item for each event, in the order given."""

    ours: ClassVar[bool] = True

    events: list[PublishedEvent]
    total_records: str


_ID: Final = {"type": "string", "minLength": 1, "maxLength": LONGEST_ID}
_FLAG: Final = {"type": "string", "enum": ["true", "false"]}


def _notification() -> Schema:
    """A notification: the switches are described as a configuration's, whose they become."""
    of_configuration = properties(ConnectCustomConfiguration)
    switches = {
        name: of_configuration[in_configuration]
        for name, in_configuration in notifications.SWITCHES.items()
    }
    switches["requireMutualTls"] |= {OURS: True}  # DocuSign has it of configurations alone
    events: Mapping[str, Schema] = {
        name: {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {code: {"type": "string"}, "includeDocuments": _FLAG},
                "required": [code],
            },
        }
        for name, code in notifications.EVENTS.items()
    }
    return {
        "type": "object",
        "description": "A listener of this envelope alone, as DocuSign's eventNotification; it "
        f"names an event, and an envelope {notifications.MOST} listeners at most.",
        "properties": {**switches, **events},
        "required": ["url"],
        "anyOf": [{"required": [name]} for name in ("events", *events)],
    }


_NOTIFICATION: Final = _notification()
_EVENT: Final = {
    "type": "object",
    "description": "An event; what is not listed here is kept and goes to listeners as it is.",
    "properties": {
        "event": {**_ID, "examples": ["envelope-completed"]},
        "eventId": {**_ID, "description": "Published again with this id, it adds nothing."},
        "generatedDateTime": {"type": "string", "format": "date-time"},
        "data": {
            "type": "object",
            "properties": {
                "envelopeId": _ID,
                "templateId": _ID,
                "userId": {"type": "string"},
                "recipientId": {"type": "string"},
                "envelopeSummary": {"type": "object"},
            },
            "description": "`envelope-`, `recipient-` and `template-` events need an envelopeId.",
        },
        "eventNotification": _NOTIFICATION,
        "eventNotifications": {
            "type": "array",
            "items": _NOTIFICATION,
            "maxItems": notifications.MOST,
        },
    },
    "required": ["event", "data"],
}
BODY_SCHEMA: Final[Schema] = {"anyOf": [_EVENT, {"type": "array", "items": _EVENT, "minItems": 1}]}
"""The JSON Schema of what is published: one event, or a list of them."""
