"""A message of DocuSign's Connect, read into the event that it tells of.

JSON SIM, aggregate JSON, XML and XML within SOAP are told apart by what they are, not by what a
header says. A message above `LARGEST` keeps no documents in its event: who gets it re-rendered gets
none. Source of the shapes: docs/reference/messages.md and docs/reference/legacy-xml.md.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from mmap import mmap
from typing import Any, Final

import msgspec

from heliograph.errors import InvalidBody
from heliograph.model.events import NewEvent
from heliograph.wire import dates, notifications
from heliograph.wire.codec import uncollected
from heliograph.wire.messages import json_sim
from heliograph.wire.relayed import xml
from heliograph.wire.relayed.came import Came, noted

LARGEST: Final = 25 * 2**20
"""Bytes up to which a message is read whole, as what is published may have."""

_NAMESPACE: Final = uuid.UUID("5b3c0d58-9c1e-4a5e-8f0a-2a7a5d6a4f10")

_XML_STARTS: Final = (b"<", b"\xff\xfe", b"\xfe\xff")

_BOM: Final = b"\xef\xbb\xbf"

_DOCUMENTS: Final = "envelopeDocuments"
_CHANGED: Final = "statusChangedDateTime"

_DROPPED: Final = frozenset({"eventId", "retryCount", "configurationId", "heliographHops"})
"""Said by us, or by us alone."""

_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message came in: the relay, its account, and how often it was a message of ours."""

    relay_id: str
    account_id: str
    hops: int = 0


def read(content: bytes | mmap, digest: bytes, origin: Origin, came: Came) -> NewEvent:
    """The event of a message, with what came noted in it.

    Its id follows from the relay, the envelope, the event, whom it is about and
    `generatedDateTime`: DocuSign's retries and republishes of it bring the same. Aggregate JSON has
    no such time; there only the same bytes, by their `digest`, are the same message.

    Raises:
        InvalidBody: it is none of the four, or says of no envelope what has happened.
    """
    start = bytes(content[:64]).removeprefix(_BOM).lstrip()
    if start[:1] == b"{":
        fields, told = _json(content)
    elif start.startswith(_XML_STARTS):
        fields = xml.read(content, documents=len(content) <= LARGEST)
        told = fields.pop("told")
    else:
        raise InvalidBody("The message is neither JSON nor XML.")
    (event,) = json_sim.parse_events(
        msgspec.json.encode(fields), "application/json", origin.account_id, origin.hops
    )
    marks = [origin.relay_id, event.envelope.envelope_id, event.name, event.recipient_id or ""]
    marks += [event.user_id or "", told or digest.hex()]
    event_id = str(uuid.uuid5(_NAMESPACE, "\n".join(marks)))
    return replace(
        event,
        event_id=event_id,
        # A repeat tells of the envelope as it is by then: what it is about makes it one.
        digest=hashlib.sha256(event_id.encode()).digest(),
        meaning=None,
        document=noted(event.document, came),
    )


def _json(content: bytes | mmap) -> tuple[dict[str, Any], str | None]:
    """What is published for a JSON message, and the time that it tells, if it does."""
    fields = _objects(content, content[:3] == _BOM)
    if "event" in fields and "data" in fields:
        return _sim(fields, len(content) > LARGEST)
    if "envelopeId" not in fields or "status" not in fields:
        raise InvalidBody("The message has neither `event` and `data`, nor an envelope's `status`.")
    return _aggregate(fields, len(content) > LARGEST), None


def _sim(fields: dict[str, msgspec.Raw], large: bool) -> tuple[dict[str, Any], str | None]:
    kept: dict[str, Any] = {
        name: raw
        for name, raw in fields.items()
        if name not in _DROPPED and not notifications.is_notification(name)
    }
    if large:
        data = _objects(fields["data"])
        if "envelopeSummary" in data:
            summary = _objects(data["envelopeSummary"])
            summary.pop(_DOCUMENTS, None)
            data["envelopeSummary"] = _encoded(summary)
        kept["data"] = _encoded(data)
    told = _text(kept.pop("generatedDateTime", None))
    return kept | _generated(told), told


def _aggregate(fields: dict[str, msgspec.Raw], large: bool) -> dict[str, Any]:
    """The envelope as the summary of an event that its status names."""
    if large:
        fields.pop(_DOCUMENTS, None)
    status, envelope_id = _text(fields["status"]), _text(fields["envelopeId"])
    if status is None:
        raise InvalidBody("The message's `status` is no text.")
    changed = (_text(fields.get(name)) for name in ("lastModifiedDateTime", _CHANGED))
    return {
        "event": f"envelope-{status.strip().lower()}",
        "data": {"envelopeId": envelope_id, "envelopeSummary": _encoded(fields)},
        **_generated(*changed),
    }


def _generated(*told: str | None) -> dict[str, str]:
    """The time of an event: the first that can be read."""
    for text in filter(None, told):
        with suppress(ValueError):
            dates.parse(text)
            return {"generatedDateTime": text}
    return {}


def _objects(content: bytes | mmap | msgspec.Raw, has_bom: bool = False) -> dict[str, msgspec.Raw]:
    try:
        with uncollected():
            return _object.decode(memoryview(content)[3:] if has_bom else content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidBody(f"The message is not valid JSON: {error}") from None


def _encoded(fields: Mapping[str, Any]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(fields))


def _text(raw: msgspec.Raw | None) -> str | None:
    """A text of JSON; None of what is none, or is empty."""
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=str) or None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
