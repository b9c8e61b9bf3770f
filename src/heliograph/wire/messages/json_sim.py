"""The JSON SIM message (Connect 2.0): published events in, messages to listeners out.

The shape is DocuSign's published sample (connect.schema-v2.json of its OpenAPI
specifications): `event`, `uri`, `retryCount`, `configurationId`, `apiVersion`,
`generatedDateTime`, `data`. What a publisher gave under `data`, and any field beside those,
goes out byte for byte as it was stored: numbers keep their text and objects their order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from heliograph.errors import InvalidBody
from heliograph.model.accounts import Account
from heliograph.model.configurations import AS_PUBLISHED, Switches
from heliograph.model.events import Envelope, Event, NewEvent
from heliograph.model.fidelity import Fidelity
from heliograph.wire import dates, docusign, meaning, notifications
from heliograph.wire.codec import MOST_DEPTH, check_json
from heliograph.wire.messages.summary import select

API_VERSION: Final = "v2.1"

LONGEST_ID: Final = 200
"""Characters: the longest id, and event name, that is taken."""

MOST_EVENTS: Final = 10_000
"""Events of one publish call: they are one transaction."""

MOST_VALUES: Final = 1_000_000
"""Commas of one publish body: its largest, of 25 MiB, has some 30 bytes to each. A body of
nothing but small values would take 30 times its size of memory."""

MOST_VALUES_OF_ONE: Final = 410_000
"""Commas of one event: its values are read at once, and nobody else has a turn meanwhile."""

_LONGEST_SHOWN: Final = 500
"""Characters of a subject or name that logs show; messages carry the whole."""

# Written by us in each message, or read by us at publish and not part of a message.
_OURS: Final = frozenset(
    {
        "event",
        "uri",
        "retryCount",
        "configurationId",
        "apiVersion",
        "generatedDateTime",
        "data",
        "eventId",
        "heliographHops",
        "heliographRelayed",
    }
)

_SAID_BY_US: Final = frozenset({"heliographHops", "heliographRelayed"})

HOPS_HEADER: Final = "X-Heliograph-Hops"
"""How often what a message says has been a message: an event that comes in with it is one
that a listener publishes anew."""

MOST_HOPS: Final = 5
"""Hops after which an event is refused: somebody's listener is wired to our own publish (S15)."""

_HOPS: Final = b'"heliographHops":'

STATUS_WORDS: Final[Mapping[str, str]] = {
    word.lower(): word
    for word in (
        "Any",
        "Voided",
        "Created",
        "Deleted",
        "Sent",
        "Delivered",
        "Signed",
        "Completed",
        "Declined",
        "TimedOut",
        "Template",
        "Processing",
    )
}
"""The page's status values of a log entry, by their lower-case form."""

_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_raw_list = msgspec.json.Decoder(list[msgspec.Raw])
_text = msgspec.json.Decoder(str)
_lines_types = ("application/x-ndjson", "application/ndjson", "application/jsonl")


def parse_events(
    body: bytes,
    content_type: str,
    account_id: str | None = None,
    hops: int = 0,
    fidelity: Fidelity = Fidelity.RELAXED,
    integrator: str | None = None,
) -> list[NewEvent]:
    """Read a publish body: one event, an array of them, or one to a line (NDJSON).

    Args:
        body: As it came.
        content_type: JSON, or one of the names of NDJSON.
        account_id: Put under `data.accountId` where the publisher gave none, since listeners
            of Connect expect it; None leaves that out.
        hops: How often the events have been messages of ours.
        fidelity: As DocuSign, which has no events but its own, or relaxed.
        integrator: The account whose keys sign for notifications that it manages.

    Raises:
        InvalidBody: with the position (from 1) of the event, or of the line, and the field.
        InvalidParameter: so, of a notification that DocuSign would not take.
    """
    if max(body.count(b","), body.count(b"\n")) > MOST_VALUES:
        raise InvalidBody(f"The body has more than {MOST_VALUES} values or lines: split it.")
    if content_type in _lines_types:
        pieces, unit = body.split(b"\n"), "Line"
    else:
        text = body.strip()
        pieces = _elements(text) if text[:1] == b"[" else [text]
        unit = "Event"
    # Blank lines hold no event, and count: an editor counts them too.
    numbered = [(number, piece) for number, piece in enumerate(pieces, start=1) if piece.strip()]
    if not numbered:
        raise InvalidBody("The body holds no event: send one object, an array, or NDJSON.")
    if len(numbered) > MOST_EVENTS:
        raise InvalidBody(
            f"A call takes at most {MOST_EVENTS} events, not {len(numbered)}: split it."
        )
    only = len(numbered) == 1
    notified = notifications.Parser(fidelity, integrator)
    events = [
        _parse_event(piece, "The event" if only else f"{unit} {number}", account_id, hops, notified)
        for number, piece in numbered
    ]
    if fidelity is Fidelity.DOCUSIGN:
        for (number, _), event in zip(numbered, events, strict=True):
            if event.name not in docusign.PUBLISHED:
                where = "The event" if only else f"{unit} {number}"
                raise InvalidBody(
                    f"{where}: DocuSign has no event {event.name!r}. To publish events of your "
                    "own, start the server with --fidelity relaxed."
                )
    return events


def render(
    event: Event, connect_id: int, retry_count: int, switches: Switches = AS_PUBLISHED
) -> bytes:
    """The message of an event to one configuration.

    Only `retry_count` differs between the attempts of a delivery; every other byte is the
    same each time (R3: listeners can tell repeats).
    """
    opening, closing, rest = parts(event, switches)
    return head(opening, closing, connect_id, retry_count) + rest


def parts(
    event: Event,
    switches: Switches = AS_PUBLISHED,
    account: Account | None = None,
    recipient: str | None = None,
) -> tuple[bytes, bytes, bytes]:
    """What its messages to all configurations share: what opens and closes the head, and the rest.

    The rest begins with the data, which alone may be large. `account` is the sender's,
    `recipient` the user whom the message is for: its `userId` is that one's (Recipient Connect).
    """
    document = _raw_object.decode(event.document)
    opening = {
        "event": event.name,
        "uri": _written(document, "uri") or _uri(event, document["data"]),
    }
    closing = {
        "apiVersion": _written(document, "apiVersion") or API_VERSION,
        "generatedDateTime": _written(document, "generatedDateTime")
        or dates.render(event.generated_at),
    }
    others = {key: value for key, value in document.items() if key not in _OURS}
    selected = select(document["data"], switches, account)
    data = {"data": selected if recipient is None else _for(recipient, selected), **others}
    return (
        msgspec.json.encode(opening)[:-1],
        b"," + msgspec.json.encode(closing)[1:-1] + b",",
        msgspec.json.encode(data)[1:],
    )


def _for(recipient: str, data: msgspec.Raw) -> msgspec.Raw:
    fields = _raw_object.decode(data)
    fields["userId"] = msgspec.Raw(msgspec.json.encode(recipient))
    return msgspec.Raw(msgspec.json.encode(fields))


def _uri(event: Event, data: msgspec.Raw) -> str:
    """What the event is about, as a path of the API: an envelope, or a template (DocuSign); the
    account where it is about neither."""
    account = f"/restapi/v2.1/accounts/{event.account_id}"
    if not event.envelope_id:
        return account
    if not event.name.lower().startswith("template-"):
        return f"{account}/envelopes/{event.envelope_id}"
    template_id = msgspec.json.decode(data, type=_Template).template_id
    # Who publishes may have named the template where others name the envelope.
    named = template_id if _is_id(template_id) else event.envelope_id
    return f"{account}/templates/{named}"


class _Template(msgspec.Struct, rename="camel"):
    template_id: Any = None


def head(opening: bytes, closing: bytes, connect_id: int, retry_count: int) -> bytes:
    """The head of one message: what `parts` gave, with what is its own between."""
    return b'%b,"retryCount":%d,"configurationId":%d%b' % (
        opening,
        retry_count,
        connect_id,
        closing,
    )


def hops(event: Event) -> int:
    """How often an event had been a message of ours when it was published."""
    if _HOPS not in event.document:
        return 0
    return msgspec.json.decode(event.document, type=_Hops).heliograph_hops


class _Hops(msgspec.Struct, rename="camel"):
    heliograph_hops: int = 0


def render_envelope(event: Event, switches: Switches, account: Account | None = None) -> bytes:
    """The aggregate message: the envelope itself, without the SIM message around it.

    DocuSign: legacy message formats, JSON aggregate. An event of no envelope has its data there.
    """
    published = _raw_object.decode(event.document)["data"]
    selected = select(published, switches, account)
    if not event.envelope_id:
        return bytes(selected)
    data = _raw_object.decode(selected)
    summary = data.get("envelopeSummary")
    known = {} if summary is None or bytes(summary) == b"null" else _raw_object.decode(summary)
    # Who reads it must know which envelope it is, whatever was published.
    envelope: dict[str, Any] = {"envelopeId": event.envelope_id, **known}
    envelope.setdefault("status", status_word(None, event.name).lower())
    return msgspec.json.encode(envelope)


def _written(document: Mapping[str, msgspec.Raw], key: str) -> msgspec.Raw | None:
    """A text as the publisher wrote it; null and empty text say nothing, as in the sample."""
    raw = document.get(key)
    return None if raw is None or bytes(raw) in (b"null", b'""') else raw


def _elements(text: bytes) -> list[bytes]:
    try:
        return [bytes(piece) for piece in _raw_list.decode(text)]
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidBody(f"The body is not valid JSON: {error}") from None


def _parse_event(
    piece: bytes, where: str, account_id: str | None, hops: int, notified: notifications.Parser
) -> NewEvent:
    if piece.count(b",") > MOST_VALUES_OF_ONE:
        raise InvalidBody(f"{where} has more than {MOST_VALUES_OF_ONE} values.")
    try:
        # Decoding every value proves that the piece is JSON throughout; Raw alone would not
        # look inside strings. format() then only takes white space away.
        whole = meaning.decode(piece)
        if piece.count(b"{") + piece.count(b"[") > MOST_DEPTH:
            check_json(whole, MOST_VALUES)
        document = msgspec.json.format(piece, indent=-1)
        fields = _raw_object.decode(document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidBody(f"{where} is not a valid JSON object: {error}") from None
    if not isinstance(whole, dict):
        raise InvalidBody(f"{where} is not a JSON object.")
    data = whole.get("data")
    if not isinstance(data, dict):
        raise InvalidBody(f"{where} has no object `data`.")
    name = _required_text(whole, "event", where)
    envelope_id = _envelope_id(name, data, where)
    summary = _optional_object(data, "envelopeSummary", f"{where}: `data")
    generated = _optional_date(whole, "generatedDateTime", where)
    _optional_text(whole, "uri", where)
    _optional_text(whole, "apiVersion", where)
    user_id = _optional_text(data, "userId", f"{where}: data") or _sender_text(summary, "userId")
    digest = hashlib.sha256(name.encode() + b"\0" + fields["data"]).digest()
    named_in_it = notified.parse(whole, where)
    if named_in_it and not envelope_id:
        raise InvalidBody(f"{where} has notifications, and no `data.envelopeId` that they are of.")
    if account_id is not None and "accountId" not in data:
        named = b'{"accountId":' + msgspec.json.encode(account_id) + b","
        fields["data"] = msgspec.Raw(named + bytes(fields["data"])[1:])
        document = msgspec.json.encode(fields)
    # Whom a message goes to is not part of it.
    if any(map(notifications.is_notification, fields)):
        fields = {key: raw for key, raw in fields.items() if not notifications.is_notification(key)}
        document = msgspec.json.encode(fields)
    # Ours to say, whatever came.
    if hops or not _SAID_BY_US.isdisjoint(fields):
        fields = {name: raw for name, raw in fields.items() if name not in _SAID_BY_US}
        fields["heliographHops"] = msgspec.Raw(b"%d" % hops)
        document = msgspec.json.encode(fields)
    return NewEvent(
        event_id=_optional_text(whole, "eventId", where) or "",
        name=name,
        user_id=user_id,
        recipient_id=_optional_text(data, "recipientId", f"{where}: data"),
        envelope=Envelope(
            envelope_id=envelope_id,
            subject=_plain_text(summary, "emailSubject"),
            sender_name=_sender_text(summary, "userName"),
            sender_email=_sender_text(summary, "email"),
            status=status_word(_plain_text(summary, "status"), name),
        ),
        generated_at=generated,
        document=document,
        digest=digest,
        meaning=meaning.of_event(name, data, named_in_it),
        notifications=named_in_it,
        recipients=_recipients(summary),
    )


def _envelope_id(name: str, data: Mapping[str, Any], where: str) -> str:
    """What an event is about, empty for nothing that has an id.

    DocuSign's events of clickwraps, text messages and so on name no envelope; nor need one's own.
    """
    value = data.get("envelopeId") or (
        data.get("templateId") if name.startswith("template-") else None
    )
    if value is None or value == "":
        if not name.lower().startswith(docusign.ABOUT_ENVELOPES):
            return ""
    elif isinstance(value, str) and _is_id(value):
        return value
    raise InvalidBody(f"{where} has no `data.envelopeId` (text of 1 to {LONGEST_ID} characters).")


def status_word(status: str | None, event_name: str) -> str:
    """The page's word for an envelope's status, from its summary or else the event's name."""
    known = STATUS_WORDS.get((status or "").lower())
    if known is not None:
        return known
    kind, _, happened = event_name.partition("-")
    if kind == "template":
        return "Template"
    # A recipient's "completed" says nothing of the envelope, which goes on.
    return STATUS_WORDS.get(happened, "Any") if kind == "envelope" else "Any"


def _is_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_ID and value.isprintable()


def _required_text(fields: Mapping[str, Any], key: str, where: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or not _is_id(value):
        raise InvalidBody(f"{where} has no `{key}` (text of 1 to {LONGEST_ID} characters).")
    return value


def _optional_text(fields: Mapping[str, Any], key: str, where: str) -> str | None:
    value = fields.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > LONGEST_ID * 10 or not value.isprintable():
        raise InvalidBody(f"{where}: `{key}` must be text.")
    if key.endswith("Id") and len(value) > LONGEST_ID:
        raise InvalidBody(f"{where}: `{key}` must have at most {LONGEST_ID} characters.")
    return value


def _optional_object(fields: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    value = fields.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidBody(f"{where}.{key}` must be an object.")
    return value


def _optional_date(fields: Mapping[str, Any], key: str, where: str) -> datetime | None:
    value = fields.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            return dates.parse(value)
        except ValueError:
            pass
    raise InvalidBody(f"{where}: `{key}` must be an ISO 8601 date-time in UTC.")


def _plain_text(fields: Mapping[str, Any], key: str) -> str | None:
    """A text that logs show; the summary is the publisher's, so another type is no error."""
    value = fields.get(key)
    if not isinstance(value, str) or not value:
        return None
    # PostgreSQL's text has no NUL; both engines show the same.
    return value[:_LONGEST_SHOWN].replace("\0", "\ufffd")


def _recipients(summary: Mapping[str, Any]) -> frozenset[str]:
    """The users among an envelope's recipients (`signers`, `carbonCopies` and so on)."""
    recipients = summary.get("recipients")
    kinds = recipients.values() if isinstance(recipients, dict) else ()
    listed = (recipient for kind in kinds if isinstance(kind, list) for recipient in kind)
    ids = (_plain_text(recipient, "userId") for recipient in listed if isinstance(recipient, dict))
    return frozenset(user_id.lower() for user_id in ids if user_id)


def _sender_text(summary: Mapping[str, Any], key: str) -> str | None:
    sender = summary.get("sender")
    return _plain_text(sender, key) if isinstance(sender, dict) else None
