"""What DocuSign refuses of a configuration, and the events that it knows.

Sources: DocuSign's descriptions of connectCustomConfiguration ("must", "make sure", "valid
values"); its pages *Webhook event triggers* and *JSON SIM event model*, and the events of
Microsoft's connector for DocuSign, which lists newer ones; for `events` without its two companions
a report of what production answers (docs/sources.md).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from heliograph.errors import InvalidParameter
from heliograph.wire.rest import ConnectCustomConfiguration

_OF_KINDS: Final[Mapping[str, str]] = {
    "agreement": "created deleted extractions-reviewed reviews-completed updated",
    "click": "agreed declined",
    "envelope": "completed corrected created declined deleted delivered discard purge "
    "reminder-sent removed resent sent voided",
    "extension": "executed",
    "identity-verification": "completed pending",
    "notary-session": "notary-assigned notary-removed paused signer-locked signer-unlocked "
    "status-updated terminated",
    "recipient": "authenticationfailed autoresponded completed declined delegate delivered "
    "finish-later reassign resent sent",
    "sms": "opt-in opt-out",
    "template": "created deleted modified",
    "workflow": "completed failed started",
}
EVENTS: Final = frozenset(
    f"{kind}-{what}" for kind, listed in _OF_KINDS.items() for what in listed.split()
)
"""The names that `events` may have."""

KINDS: Final = tuple(f"{kind}-" for kind in _OF_KINDS)
"""How those names begin."""

ABOUT_ENVELOPES: Final = ("envelope-", "recipient-", "template-")
"""How the names of those begin that are always about an envelope."""

_ENVELOPE_STATUSES: Final = (
    "Completed Created Declined Deleted Delivered Draft Processing Sent Signed Template "
    "TimedOut Voided"
)
_RECIPIENT_STATUSES: Final = "AuthenticationFailed AutoResponded Completed Declined Delivered Sent"
LEGACY: Final[Mapping[str, frozenset[str]]] = {
    "envelopeEvents": frozenset(_ENVELOPE_STATUSES.split()),
    "recipientEvents": frozenset(_RECIPIENT_STATUSES.split()),
}
"""The statuses that the legacy lists may have."""

_TAKEN: Final = {
    listed: words | {word.lower() for word in words} for listed, words in LEGACY.items()
}
"""As DocuSign's pages write them, which is in small letters too."""

PUBLISHED: Final = EVENTS | {
    f"{listed.removesuffix('Events')}-{word.lower()}"
    for listed, words in LEGACY.items()
    for word in words
}
"""The events that something may want: those, and what only the legacy lists can name."""

VERSION: Final = "restv2.1"
"""The one `eventData.version` that there is."""

PRESETS: Final = frozenset({"salesforce", "eOriginal"})
TYPES: Final = frozenset({"custom", "customrecipient"}) | PRESETS

_BOOLEANS: Final = (
    "allowEnvelopePublish",
    "allowSalesforcePublish",
    "allUsers",
    "allUsersExcept",
    "enableLog",
    "includeCertificateOfCompletion",
    "includeCertSoapHeader",
    "includeDocumentFields",
    "includeDocuments",
    "includeEnvelopeVoidReason",
    "includeHMAC",
    "includeOAuth",
    "includeSenderAccountasCustomField",
    "includeTimeZoneInformation",
    "integratorManaged",
    "pausePublish",
    "requireMutualTls",
    "requiresAcknowledgement",
    "signMessageWithX509Certificate",
    "useSoapInterface",
)

_NEARBY: Final = (".internal", ".local", ".localhost", ".test")

_REFUSED: Final = "The request contained at least one invalid parameter."


def refuse_booleans(changes: ConnectCustomConfiguration) -> None:
    """See that what is true or false is one of them.

    Raises:
        InvalidParameter: a switch is something else.
    """
    fields = msgspec.to_builtins(changes)
    for name in _BOOLEANS:
        if str(fields.get(name) or "false").strip().lower() not in ("true", "false"):
            raise InvalidParameter(f"{_REFUSED} Boolean value expected for parameter: {name}")


def refuse(after: bytes, before: bytes | None) -> None:
    """See that DocuSign would take a configuration, given as its document.

    `before` is what it was: what was wrong with it already may stay.

    Raises:
        InvalidParameter: it would not; the message names each field.
    """
    known = frozenset() if before is None else frozenset(faults(msgspec.json.decode(before)))
    if new := [fault for fault in faults(msgspec.json.decode(after)) if fault not in known]:
        raise InvalidParameter(f"{_REFUSED} {' '.join(new)}")


def faults(fields: Mapping[str, Any]) -> Sequence[str]:
    """What DocuSign refuses of a configuration's document, a sentence each."""
    found = []
    if not fields.get("name"):
        found.append("name must be given.")
    kind = fields.get("configurationType")
    if kind not in TYPES:
        found.append(f"configurationType must be one of {', '.join(sorted(TYPES))}, in that case.")
    if kind in PRESETS:
        return found
    url = str(fields.get("urlToPublishTo") or "")
    if url and not url.lower().startswith("https://") and not _is_nearby(url):
        found.append("urlToPublishTo must begin with https://.")
    users = (*(fields.get("userIds") or ()), *(fields.get("groupIds") or ()))
    if _is_off(fields, "allUsers") and _is_off(fields, "allUsersExcept") and not any(users):
        found.append("userIds must name users where allUsers is false.")
    if not _is_off(fields, "useSoapInterface") and not fields.get("soapNamespace"):
        found.append("soapNamespace must be given where useSoapInterface is true.")
    version = (fields.get("eventData") or {}).get("version")
    if version and version != VERSION:
        found.append(f"eventData.version must be {VERSION}.")
    return [*found, *event_faults(fields), *_companions(fields)]


def event_faults(fields: Mapping[str, Any]) -> Sequence[str]:
    """What is wrong with the lists of events: each must be there, as DocuSign writes it."""
    named = [name for name in fields.get("events") or () if name]
    found = [f"events: {name[:60]!r} is no event." for name in named if name not in EVENTS]
    for listed, words in _TAKEN.items():
        for word in fields.get(listed) or ():
            named.append(word)
            if word and word not in words:
                found.append(f"{listed}: {word[:60]!r} is no event.")
    if not any(named):
        found.append("events, envelopeEvents or recipientEvents must name an event.")
    return found


def _companions(fields: Mapping[str, Any]) -> Sequence[str]:
    """`events` is taken with both of its companions alone."""
    if not any(fields.get("events") or ()):
        return ()
    mode = str(fields.get("deliveryMode") or "").lower()
    if mode == "sim" and (fields.get("eventData") or {}).get("version"):
        return ()
    return (f"events must come with deliveryMode SIM and eventData.version {VERSION}.",)


def _is_off(fields: Mapping[str, Any], name: str) -> bool:
    return str(fields.get(name) or "").strip().lower() != "true"


def _is_nearby(url: str) -> bool:
    """Whether DocuSign itself could never post there: this machine, or its network.

    Nothing there has a certificate that DocuSign would trust, so plain HTTP is what tests have.
    """
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_NEARBY)
