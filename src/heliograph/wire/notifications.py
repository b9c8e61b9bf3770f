"""Envelope-level notifications: a listener for one envelope, named with a published event.

`eventNotification` (one) and `eventNotifications` (a list) of an envelope, as DocuSign's envelope
definition has them (docusign-esign 6.1.0: EventNotification, EnvelopeEvent, RecipientEvent). What
is read becomes a configuration of its own, so that everything after works the same way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from heliograph.errors import InvalidBody, InvalidParameter
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.fidelity import Fidelity
from heliograph.wire import configurations, docusign
from heliograph.wire.codec import spelled, texts
from heliograph.wire.rest import ConnectCustomConfiguration, split_texts

_ONE, _SEVERAL = "eventNotification", "eventNotifications"

_FIELDS: Final = frozenset({_ONE.lower(), _SEVERAL.lower()})
"""Of a published event, in small letters; they are no part of its message."""

MOST: Final = 20
"""Notifications that one event may name."""

MOST_OF_A_CALL: Final = 1_000
"""Different notifications that the events of one call may name: new ones are one transaction."""

LARGEST: Final = 64 * 1024
"""Bytes of a notification as it is stored: what one envelope has is kept in memory in passing."""

NAME: Final = "Envelope notification"

# The same switch has another name in a configuration.
_RENAMED: Final[Mapping[str, str]] = {
    "url": "urlToPublishTo",
    "soapNameSpace": "soapNamespace",
    "includeSenderAccountAsCustomField": "includeSenderAccountasCustomField",
    **ConnectCustomConfiguration.also,
}
_SAME: Final = frozenset(
    {
        "deliveryMode",
        "eventData",
        "events",
        "includeCertificateOfCompletion",
        "includeDocumentFields",
        "includeDocuments",
        "includeEnvelopeVoidReason",
        "includeHMAC",
        "includeOAuth",
        "integratorManaged",
        "useSoapInterface",
        # Heliograph's own, see docs/reference/configurations.md.
        "certificateAuthorities",
        "deliveryOrder",
        "maxPerSecond",
        "requireMutualTls",
        "retrySchedule",
    }
)
SWITCHES: Final[Mapping[str, str]] = {
    **_RENAMED,
    **{name: name for name in sorted(_SAME)},
}
"""The fields of a notification that a configuration has too, and their names there."""

EVENTS: Final[Mapping[str, str]] = {
    "envelopeEvents": "envelopeEventStatusCode",
    "recipientEvents": "recipientEventStatusCode",
}
"""The lists of events that only a notification has in this form, and what names one in each."""

_LISTS: Final = frozenset({*EVENTS, "events", "eventData", "retrySchedule"})


_SPELLED: Final[Mapping[str, str]] = {name.lower(): name for name in (*SWITCHES, *EVENTS)}
_SPELLED_OF_EVENT: Final[Mapping[str, str]] = {
    name.lower(): name for name in (*EVENTS.values(), "includeDocuments")
}


def is_notification(name: str) -> bool:
    """Whether a field of a published event, in whatever case, names notifications."""
    return name.lower() in _FIELDS


class Parser:
    """Reads the notifications of one call; one that comes again is read once."""

    def __init__(
        self, fidelity: Fidelity = Fidelity.RELAXED, integrator: str | None = None
    ) -> None:
        """`integrator` is as `configurations.merge` takes it."""
        self._documents: dict[bytes, bytes] = {}
        self._fidelity = fidelity
        self._integrator = integrator

    def parse(self, fields: Mapping[str, Any], where: str) -> tuple[bytes, ...]:
        """The configuration documents that an event asks for, as they are stored; each once.

        Args:
            fields: The published object.
            where: Names the event in an error.

        Raises:
            InvalidBody: a notification that is no object, names no URL or no event, is too large,
                or has a value that its field cannot have; or the call names more than
                `MOST_OF_A_CALL`.
            InvalidParameter: it names an event that DocuSign does not have, in its profile.
        """
        return tuple(dict.fromkeys(self._document(one, where) for one in _listed(fields, where)))

    def _document(self, notification: Any, where: str) -> bytes:
        spelled = msgspec.json.encode(notification)
        document = self._documents.get(spelled)
        if document is None:
            if len(self._documents) >= MOST_OF_A_CALL:
                raise InvalidBody(
                    f"A call takes at most {MOST_OF_A_CALL} different notifications: split it."
                )
            document = self._documents[spelled] = _document(
                notification, where, self._fidelity, self._integrator
            )
        return document


def _listed(fields: Mapping[str, Any], where: str) -> list[Any]:
    """The notifications of an event, as they came."""
    named = {name.lower(): value for name, value in fields.items() if is_notification(name)}
    single, several = named.get(_ONE.lower()), named.get(_SEVERAL.lower())
    if several is not None and not isinstance(several, list):
        raise InvalidBody(f"{where}: `eventNotifications` must be a list.")
    notifications = [single] if single is not None else []
    notifications += several or []
    if len(notifications) > MOST:
        raise InvalidBody(f"{where} names {len(notifications)} notifications; {MOST} are the most.")
    return notifications


def digest(document: bytes) -> bytes:
    """What tells notifications apart: the same wishes are one configuration."""
    return hashlib.sha256(document).digest()


def wanted(account_id: str, document: bytes) -> ConnectConfiguration:
    """The configuration of a parsed notification, not yet stored."""
    return configurations.read(account_id, 0, document, {})


def _document(notification: Any, where: str, fidelity: Fidelity, integrator: str | None) -> bytes:
    if not isinstance(notification, dict):
        raise InvalidBody(f"{where}: a notification must be an object.")
    notification = _spelled(notification)
    _refuse_long(notification, where)
    fields: dict[str, Any] = {
        "name": NAME,
        "allowEnvelopePublish": "true",
        "allUsers": "true",
    }
    for name, value in notification.items():
        if value is None:
            continue
        if name in EVENTS:
            fields[name] = _codes(value, EVENTS[name], where)
        elif name in SWITCHES:
            fields[SWITCHES[name]] = texts(value)
    try:
        wire = msgspec.convert(
            spelled(fields, ConnectCustomConfiguration), ConnectCustomConfiguration
        )
        # Its identity is how it is written down: in the relaxed profile that stays as it was.
        strict = fidelity is Fidelity.DOCUSIGN
        document, _ = configurations.merge(wire, None, fidelity if strict else None, integrator)
        configuration = configurations.read("", 0, document, {})
    except (InvalidBody, msgspec.ValidationError) as wrong:
        raise InvalidBody(f"{where}: the notification cannot be used: {wrong}") from None
    if not configuration.url:
        raise InvalidBody(f"{where}: a notification needs a `url`.")
    if not configuration.interest.events:
        raise InvalidBody(f"{where}: a notification needs `events`, or envelope or recipient ones.")
    stored = msgspec.json.decode(document)
    if strict and (wrong_events := docusign.event_faults(stored)):
        raise InvalidParameter(f"{where}: of a notification, {' '.join(wrong_events)}")
    if documents_of := _documents_of(notification, where):
        stored[configurations.DOCUMENTS_OF] = documents_of
    ordered: bytes = msgspec.json.encode(stored, order="deterministic")
    if len(ordered) > LARGEST:
        raise InvalidBody(f"{where}: a notification may have {LARGEST // 1024} KiB at most.")
    return ordered


def _spelled(notification: Mapping[str, Any]) -> dict[str, Any]:
    """The notification with names as they are spelled here, its events' too."""
    found = {_SPELLED.get(name.lower(), name): value for name, value in notification.items()}
    for name in EVENTS:
        if isinstance(listed := found.get(name), list):
            found[name] = [_spelled_event(item) for item in listed]
    return found


def _spelled_event(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    return {_SPELLED_OF_EVENT.get(name.lower(), name): value for name, value in item.items()}


def _refuse_long(notification: Mapping[str, Any], where: str) -> None:
    """Before anything is made of them: lists, and texts that stand for lists."""
    for name, value in notification.items():
        for part in value.values() if isinstance(value, dict) else (value,):
            count = configurations.count_listed(part) if name in _LISTS else 0
            if count > configurations.MOST_LISTED:
                raise InvalidBody(
                    f"{where}: `{name}` of a notification lists {count}; "
                    f"{configurations.MOST_LISTED} are the most."
                )


def _codes(value: Any, name: str, where: str) -> Sequence[str]:
    """Objects with a status code each; plain texts are taken too, as in a configuration."""
    if isinstance(value, str):
        return split_texts(value)
    if isinstance(value, list):
        codes = [item.get(name) if isinstance(item, dict) else item for item in value]
        if all(isinstance(code, str) for code in codes):
            return [str(code) for code in codes]
    raise InvalidBody(f"{where}: events of a notification must be objects with `{name}`.")


def _documents_of(notification: Mapping[str, Any], where: str) -> dict[str, bool]:
    """What single events say of documents, by their names."""
    documents_of = {}
    for name, code in EVENTS.items():
        listed = notification.get(name)
        for item in listed if isinstance(listed, list) else ():
            switch = item.get("includeDocuments") if isinstance(item, dict) else None
            flag = "" if switch is None else str(switch).strip().lower()
            if flag not in ("", "true", "false"):
                raise InvalidBody(f'{where}: includeDocuments must be "true" or "false".')
            if flag and (event := configurations.event_name(item[code], name)):
                documents_of[event] = flag == "true"
    return documents_of
