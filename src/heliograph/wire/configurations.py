"""Configurations on the wire and in the model: merged, checked, masked.

Names are those of contract.json's connectCustomConfiguration; the extensions are marked in
docs/reference/configurations.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from heliograph.errors import InvalidBody
from heliograph.model.accounts import Secret
from heliograph.model.configurations import (
    Authentication,
    BorrowedOAuth,
    ClientCredentials,
    ConnectConfiguration,
    Format,
    Interest,
    Ordering,
    Pace,
    Rendering,
    ScheduleName,
    Switches,
)
from heliograph.model.fidelity import Fidelity
from heliograph.wire.rest import ConnectCustomConfiguration, split_texts

MASK: Final = "********"
"""Stands for a secret that is set; sent back in an update it means "unchanged" (S7)."""

LONGEST_SCHEDULE: Final = 15 * 24 * 3600.0
"""Seconds that all delays of an own schedule may take together."""

SLOWEST, FASTEST = 0.001, 100_000.0
"""Messages a second that a configuration may ask for."""

MOST_RETRIES: Final = 100
"""Retries that an own schedule may list."""

MOST_LISTED: Final = 500
"""Items of each list of events and of what is shown of them; DocuSign has some 50 events."""

URL_FIELD: Final = "urlToPublishTo"
AUTHORIZATION_SERVER_FIELD: Final = "authorizationServerUrl"
AUTHORITIES_FIELD: Final = "certificateAuthorities"
"""Fields that what is wrong with an address or a certificate is told of by."""

SECRET_FIELDS: Final = ("password", "salesforceAuthcode")
DEFAULT_SOAP_NAMESPACE: Final = "http://www.docusign.net/API/3.0"

OAUTH_SECRET: Final = "clientSecret"  # noqa: S105 (a field's name)

_SENT, _RECEIVED = "custom", "customrecipient"
"""The types whose events go to a URL; DocuSign's others are presets for one service each."""

_FLAGS: Final = {
    "allow_envelope_publish": False,  # DocuSign: "The default property is false"
    "all_users": False,
    "all_users_except": False,
    "pause_publish": False,
    "enable_log": False,
    # DocuSign leaves the default open; signing whenever there is a key is the safe reading
    # (docs/decisions/0004).
    "include_hmac": True,
    # Who wants one try alone says so (docs/decisions/0010).
    "requires_acknowledgement": True,
}


def merge(
    changes: ConnectCustomConfiguration,
    before: ConnectConfiguration | None,
    fidelity: Fidelity | None = None,
    integrator: str | None = None,
) -> tuple[bytes, dict[str, Secret]]:
    """The document and secrets of a configuration after `changes` were laid over `before`.

    A field that is not given keeps its value; the mask in a secret's place keeps the secret. What
    is not said is written down as the profile has it, with `fidelity` None not at all. `integrator`
    is the account of the application that asks, if one does that may sign for its customers.

    Raises:
        InvalidBody: a flag that is neither "true" nor "false", or a custom OAuth parameter
            whose name cannot be one.
    """
    document = msgspec.json.decode(before.document) if before else {}
    secrets = dict(before.secrets) if before else {}
    fields = msgspec.to_builtins(changes)
    _refuse_long(fields)
    fields.pop("connectId", None)
    fields.pop("warnings", None)
    # Ours to say; whoever switches publishing on or off takes it back.
    fields.pop("disabledBy", None)
    if "allowEnvelopePublish" in fields:
        document.pop("disabledBy", None)
    for name, texts in fields.items():
        if name in _LISTS and isinstance(texts, str):
            fields[name] = split_texts(texts)
    for name in SECRET_FIELDS:
        _take_secret(fields, name, name, secrets)
    oauth = fields.get("oAuthConfiguration")
    if oauth is not None:
        check_parameters(oauth)
        _take_secret(oauth, OAUTH_SECRET, OAUTH_SECRET, secrets)
    event_data = fields.get("eventData")
    if event_data and isinstance(event_data.get("includeData"), str):
        event_data["includeData"] = split_texts(event_data["includeData"])
    version, url = _version(document), document.get(URL_FIELD)
    _update(document, fields)
    _settle_integrator(document, integrator, "integratorManaged" in fields, url)
    for name, wire_name in _FLAG_NAMES.items():
        if wire_name in document:
            document[wire_name] = "true" if _flag(document, name) else "false"
    for name, check in _CHOICES.items():
        if document.get(name) in ("", []):
            del document[name]
        check(document)
    if fidelity is not None and _version(document) not in ("", version):
        _name_format(document)
    if before is None and fidelity is Fidelity.DOCUSIGN:
        _complete(document)
    return msgspec.json.encode(document), secrets


def _settle_integrator(
    document: dict[str, Any], integrator: str | None, named: bool, url: str | None
) -> None:
    """Write down whose keys sign an integrator's configuration (DocuSign: HMAC for partners).

    Whoever else moves it to another address than `url` gets no posts there that the integrator's
    keys sign, or that bring its token.
    """
    if _switch(document, "integratorManaged") is not True:
        document.pop(INTEGRATOR, None)
    elif named and integrator is not None:
        document[INTEGRATOR] = integrator
    elif document.get(URL_FIELD) != url and document.get(INTEGRATOR, integrator) != integrator:
        del document[INTEGRATOR]
        document["integratorManaged"] = "false"


def _version(document: Mapping[str, Any]) -> str:
    return str((document.get("eventData") or {}).get("version") or "")


def _name_format(document: dict[str, Any]) -> None:
    """Write down that who names a version has JSON, unless they say otherwise.

    So recorded of DocuSign, for legacy events too; what was stored before that was known has XML.
    """
    if not _named_format(document) and _switch(document, "useSoapInterface") is not True:
        document["eventData"] = {**(document.get("eventData") or {}), "format": "json"}


def _complete(document: dict[str, Any]) -> None:
    """Write down what DocuSign does for a new configuration that does not say it.

    JSON SIM (DocuSign: JSON SIM event model) has no summary, no documents, fields, certificate or
    void reason by default; in XML what is not asked for is left out anyway.
    """
    document.setdefault("includeHMAC", "false")
    document.setdefault("includeEnvelopeVoidReason", "false")
    event_data = document.get("eventData") or {}
    if event_data.get("includeData") is not None:
        return
    match _format(document, soap=_switch(document, "useSoapInterface") is True):
        case Format.JSON_SIM:
            document["eventData"] = {**event_data, "includeData": []}
        case Format.JSON_AGGREGATE:
            for name in _AS_PUBLISHED:
                document.setdefault(name, "false")
        case Format.XML:
            pass


def count_listed(value: Any) -> int:
    """How many items a list has, or a text of them with commas."""
    if isinstance(value, str):
        return value.count(",") + 1
    return len(value) if isinstance(value, list) else 0


def _refuse_long(fields: Mapping[str, Any]) -> None:
    shown = (fields.get("eventData") or {}).get("includeData")
    listed = {name: fields.get(name) for name in _EVENT_LISTS} | {"eventData.includeData": shown}
    for name, value in listed.items():
        if (count := count_listed(value)) > MOST_LISTED:
            raise InvalidBody(f"{name} lists {count}; {MOST_LISTED} are the most.")


def _update(document: dict[str, Any], fields: Mapping[str, Any]) -> None:
    parts = {name: document.get(name, {}) | fields[name] for name in _PARTS if name in fields}
    document |= {**fields, **parts}
    if fields.keys() & _SAY_DOCUMENTS:
        document.pop(DOCUMENTS_OF, None)


def disabled(before: ConnectConfiguration, by: str) -> tuple[bytes, Mapping[str, Secret]]:
    """The document and secrets of a configuration that `by` takes out of service."""
    document = msgspec.json.decode(before.document)
    document |= {"allowEnvelopePublish": "false", "disabledBy": by}
    return msgspec.json.encode(document), before.secrets


def read(
    account_id: str, connect_id: int, document: bytes, secrets: Mapping[str, Secret]
) -> ConnectConfiguration:
    """The model's view of a stored configuration: the one place that reads its document."""
    fields = msgspec.json.decode(document)
    return ConnectConfiguration(
        account_id=account_id,
        connect_id=connect_id,
        name=fields.get("name", ""),
        url=fields.get(URL_FIELD, ""),
        document=document,
        secrets=secrets,
        publishing=_flag(fields, "allow_envelope_publish"),
        paused=_flag(fields, "pause_publish"),
        enable_log=_flag(fields, "enable_log"),
        disabled_by=fields.get("disabledBy"),
        interest=_interest(fields),
        pace=Pace(
            ordering=_ordering(fields),
            aggregate=_aggregate(fields),
            rate=_rate(fields),
            schedule=_schedule(fields),
            acknowledged=_flag(fields, "requires_acknowledgement"),
        ),
        rendering=_rendering(fields),
        authentication=_authentication(fields, secrets),
        integrator=fields.get(INTEGRATOR),
    )


def is_logged(document: bytes) -> bool:
    """Whether a stored configuration's posts are logged, for who has nothing but its document."""
    return _flag(msgspec.json.decode(document), "enable_log")


def to_wire(stored: ConnectConfiguration) -> ConnectCustomConfiguration:
    """A configuration as a caller sees it: defaults shown, secrets masked."""
    fields = msgspec.json.decode(stored.document)
    fields |= {name: default for name, default in _SHOWN.items() if not fields.get(name)}
    fields["connectId"] = str(stored.connect_id)
    for name, wire_name in _FLAG_NAMES.items():
        fields[wire_name] = "true" if _flag(fields, name) else "false"
    _show_data(fields, stored.rendering)
    for name in stored.secrets:
        if name == OAUTH_SECRET:
            fields.setdefault("oAuthConfiguration", {})[name] = MASK
        else:
            fields[name] = MASK
    return msgspec.convert(fields, ConnectCustomConfiguration)


def _show_data(fields: dict[str, Any], rendering: Rendering) -> None:
    """Show what goes out where nobody said it; who sends the answer back changes nothing.

    `includeData` has no word for everything, and is not shown where that is what goes out.
    """
    include, xml = rendering.switches.include, rendering.format is Format.XML
    everything = include is None and not xml
    event_data = fields["eventData"] = {"version": "", **(fields.get("eventData") or {})}
    if not everything:
        event_data.setdefault("includeData", [])
    defaults = dict.fromkeys(_AS_PUBLISHED, everything)
    defaults["includeDocuments"] |= include is not None and "documents" in include
    defaults["includeEnvelopeVoidReason"] = not xml
    for name, default in defaults.items():
        if not fields.get(name):
            fields[name] = "true" if default else "false"


def _interest(fields: Mapping[str, Any]) -> Interest:
    kind = _type(fields)
    return Interest(
        events=_event_names(fields),
        all_users=_flag(fields, "all_users"),
        all_users_except=_flag(fields, "all_users_except"),
        user_ids=frozenset(user_id.lower() for user_id in fields.get("userIds", ())),
        group_ids=frozenset(group_id.strip() for group_id in fields.get("groupIds", ())),
        received=kind == _RECEIVED,
        preset=None if kind in (_SENT, _RECEIVED) else fields["configurationType"].strip(),
    )


def _event_names(fields: Mapping[str, list[str]]) -> frozenset[str]:
    """What `events` names, and what the legacy lists name, in the spelling of events."""
    names = {name.strip().lower() for name in fields.get("events", ())}
    for listed in LEGACY_EVENTS:
        names |= {event_name(word, listed) for word in fields.get(listed, ())}
    return frozenset(names - {""})


def event_name(word: str, listed: str) -> str:
    """A status such as "Completed" as an event's name; empty for none.

    `listed` is which of `LEGACY_EVENTS` names it.
    """
    kind, lower = LEGACY_EVENTS[listed], word.strip().lower()
    # Connect calls a draft both "Draft" and "Created".
    lower = "created" if lower == "draft" else lower
    return lower if not lower or lower.startswith(f"{kind}-") else f"{kind}-{lower}"


def _flag(fields: Mapping[str, str], name: str) -> bool:
    wire_name = _FLAG_NAMES[name]
    given = fields.get(wire_name)
    value = given.strip().lower() if given else ""
    if value == "":
        return _FLAGS[name]
    if value not in ("true", "false"):
        raise InvalidBody(f'{wire_name} must be "true" or "false".')
    return value == "true"


def _switch(fields: Mapping[str, Any], name: str) -> bool | None:
    """A switch that takes any text; what is neither "true" nor "false" says nothing."""
    given = fields.get(name)
    if not given:  # most are not given, and there may be thousands of configurations
        return None
    value = str(given).strip().lower()
    return None if value not in ("true", "false") else value == "true"


def _rendering(fields: Mapping[str, Any]) -> Rendering:
    soap = _switch(fields, "useSoapInterface") is True
    include = (fields.get("eventData") or {}).get("includeData")
    return Rendering(
        format=_format(fields, soap=soap),
        switches=Switches(
            include=None
            if include is None
            else frozenset(part.strip().lower() for part in include),
            documents=_switch(fields, "includeDocuments"),
            certificate=_switch(fields, "includeCertificateOfCompletion"),
            document_fields=_switch(fields, "includeDocumentFields"),
            void_reason=_switch(fields, "includeEnvelopeVoidReason"),
            sender_account=_switch(fields, "includeSenderAccountasCustomField") is True,
        ),
        time_zone=_switch(fields, "includeTimeZoneInformation") is True,
        soap_namespace=(fields.get("soapNamespace") or DEFAULT_SOAP_NAMESPACE) if soap else None,
        certificate_header=_switch(fields, "includeCertSoapHeader") is True,
        documents_of=fields.get(DOCUMENTS_OF) or {},
        verbatim=_verbatim(fields),
    )


def _verbatim(fields: Mapping[str, Any]) -> bool:
    text = str(fields.get("verbatim") or "").strip().lower()
    if text not in ("", "true", "false"):
        raise InvalidBody('verbatim must be "true" or "false".')
    return text == "true"


def _format(fields: Mapping[str, Any], *, soap: bool) -> Format:
    """JSON unless `eventData.format` says xml, SOAP is asked for, or nothing but the legacy
    events is given, as DocuSign tells its models apart. Recipient Connect has JSON alone."""
    named = _named_format(fields)
    legacy = any(fields.get(listed) for listed in LEGACY_EVENTS)
    xml = soap or named == "xml" or (legacy and not fields.get("events") and not named)
    if xml and _type(fields) != _RECEIVED:
        return Format.XML
    return Format.JSON_AGGREGATE if _aggregate(fields) else Format.JSON_SIM


def _authentication(fields: Mapping[str, Any], secrets: Mapping[str, Secret]) -> Authentication:
    user_name, password = fields.get("userName"), secrets.get("password")
    own = fields.get("oAuthConfiguration") or {}
    return Authentication(
        include_hmac=_flag(fields, "include_hmac"),
        basic=(user_name, password) if user_name and password is not None else None,
        oauth=_oauth(fields, own, secrets),
        token_url=own.get(AUTHORIZATION_SERVER_FIELD) or "",
        # DocuSign: this offers the certificate to listeners that ask ("2-way SSL").
        offers_certificate=_switch(fields, "signMessageWithX509Certificate") is True,
        mutual_tls=_switch(fields, "requireMutualTls") is True,
        authorities=fields.get(AUTHORITIES_FIELD) or None,
    )


def _oauth(
    fields: Mapping[str, Any], own: Mapping[str, Any], secrets: Mapping[str, Secret]
) -> ClientCredentials | BorrowedOAuth | None:
    """The OAuth client of a configuration: its own, if that is whole and to be used."""
    if _switch(fields, "includeOAuth") is not True:
        return None
    if _switch(fields, "enableOAuthPerConfiguration") is False:
        return BorrowedOAuth("a configuration's is not enabled")
    secret = secrets.get(OAUTH_SECRET)
    needed = {name: own.get(name) for name in (AUTHORIZATION_SERVER_FIELD, "clientId")}
    missing = [name for name, value in {**needed, OAUTH_SECRET: secret}.items() if not value]
    if missing or secret is None:
        return BorrowedOAuth(f"oAuthConfiguration has no {' and no '.join(missing)}")
    return ClientCredentials(
        token_url=own[AUTHORIZATION_SERVER_FIELD],
        client_id=own["clientId"],
        client_secret=secret,
        scope=own.get("scope") or None,
        parameters=tuple((own.get("customParameters") or {}).items()),
    )


def _type(fields: Mapping[str, Any]) -> str:
    return str(fields.get("configurationType") or "").strip().lower() or _SENT


def _aggregate(fields: Mapping[str, Any]) -> bool:
    mode = str(fields.get("deliveryMode", "sim")).strip().lower()
    if mode not in ("sim", "aggregate"):
        raise InvalidBody('deliveryMode must be "SIM" or "aggregate".')
    return mode == "aggregate"


def _named_format(fields: Mapping[str, Any]) -> str:
    return str((fields.get("eventData") or {}).get("format") or "").strip().lower()


def _check_format(fields: Mapping[str, Any]) -> None:
    format_name = (fields.get("eventData") or {}).get("format")
    if format_name and _named_format(fields) not in ("json", "xml"):
        raise InvalidBody('eventData.format must be "json" or "xml".')


def _ordering(fields: Mapping[str, Any]) -> Ordering:
    try:
        return Ordering(str(fields.get("deliveryOrder", Ordering.ENVELOPE)).strip().lower())
    except ValueError:
        raise InvalidBody(f"deliveryOrder must be one of {', '.join(Ordering)}.") from None


def _rate(fields: Mapping[str, Any]) -> float | None:
    text = fields.get("maxPerSecond")
    if not text:
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not SLOWEST <= rate <= FASTEST:
        raise InvalidBody(f"maxPerSecond must be a number from {SLOWEST} to {FASTEST:g}.")
    return rate


def _schedule(fields: Mapping[str, Any]) -> ScheduleName | tuple[float, ...] | None:
    listed = fields.get("retrySchedule")
    if not listed:
        return None
    if len(listed) == 1 and listed[0].strip().lower() in tuple(ScheduleName):
        return ScheduleName(listed[0].strip().lower())
    try:
        seconds = tuple(float(delay) for delay in listed)
    except ValueError:
        seconds = ()
    if not 0 < len(seconds) <= MOST_RETRIES or not all(delay >= 1 for delay in seconds):
        raise InvalidBody(
            f"retrySchedule must be {', '.join(ScheduleName)}, or 1 to {MOST_RETRIES} delays of "
            "at least 1 second each."
        )
    # Written so that a NaN is refused too.
    if not sum(seconds) <= LONGEST_SCHEDULE:
        raise InvalidBody("retrySchedule must not take more than 15 days in all.")
    return seconds


def check_parameters(oauth: Mapping[str, Any], field: str = "oAuthConfiguration.") -> None:
    """See that custom parameters of an OAuth client have names that they can have.

    Raises:
        InvalidBody: one has not; the text begins with `field`.
    """
    for name in oauth.get("customParameters") or ():
        if _PARAMETER.fullmatch(name) is None:
            raise InvalidBody(
                f"{field}customParameters: {name[:40]!r} cannot be a parameter's "
                "name; those have letters, digits, `_`, `-` and `.`, and begin with a letter."
            )


def _take_secret(
    fields: dict[str, str], wire_name: str, name: str, secrets: dict[str, Secret]
) -> None:
    value = fields.pop(wire_name, None)
    if value == "":
        secrets.pop(name, None)
    elif value is not None and value != MASK:
        secrets[name] = Secret(value)


# RFC 6749, appendix A, less what cannot be the name of an XML element.
_PARAMETER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")

LEGACY_EVENTS: Final[Mapping[str, str]] = {
    "envelopeEvents": "envelope",
    "recipientEvents": "recipient",
}
"""The lists of statuses that came before `events`, and how the names of their events begin."""

_AS_PUBLISHED: Final = (
    "includeCertificateOfCompletion",
    "includeDocumentFields",
    "includeDocuments",
    "includeEnvelopeVoidReason",
)
"""Switches for parts of an envelope that go out as they were published where nobody set them."""

_SHOWN: Final[Mapping[str, Any]] = {
    "configurationType": "custom",
    "deliveryMode": "",
    "soapNamespace": "",
    **dict.fromkeys(
        (
            "includeCertSoapHeader",
            "includeOAuth",
            "includeSenderAccountasCustomField",
            "includeTimeZoneInformation",
            "integratorManaged",
            "requireMutualTls",
            "signMessageWithX509Certificate",
            "useSoapInterface",
        ),
        "false",
    ),
}
"""What is shown of what was not given, as DocuSign's recorded answers do."""

DOCUMENTS_OF: Final = "documentsOf"
"""In the document of an envelope's notification, never on the wire: whether documents come with an
event, by the names of those events that say so themselves."""

INTEGRATOR: Final = "integratorAccount"
"""In the document of a configuration that its integrator manages, never on the wire: the account
that manages the application which made it so."""

# A later update of any of these says it anew.
_SAY_DOCUMENTS: Final = frozenset({"includeDocuments", *LEGACY_EVENTS})

# Objects inside a configuration: an update of one keeps the fields that it does not name.
_PARTS: Final = ("eventData", "oAuthConfiguration")

# Checked whenever a configuration is saved; an empty one is not given.
_CHOICES: Final = {
    "deliveryMode": _aggregate,
    "deliveryOrder": _ordering,
    "eventData": _check_format,
    "maxPerSecond": _rate,
    "retrySchedule": _schedule,
    "verbatim": _verbatim,
}

_EVENT_LISTS: Final = ("envelopeEvents", "events", "recipientEvents")
_LISTS: Final = frozenset(
    {*_EVENT_LISTS, "retrySchedule", "groupIds", "senderSelectableItems", "userIds"}
)

_FLAG_NAMES: Final = {
    f.name: f.encode_name
    for f in msgspec.structs.fields(ConnectCustomConfiguration)
    if f.name in _FLAGS
}
