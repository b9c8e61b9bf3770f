"""A message of each format, as it is posted, and what a listener must see of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

from heliograph.model.accounts import Account
from heliograph.model.events import Event
from heliograph.wire import dates
from heliograph.wire.messages import message
from tests.support import ACCOUNT, published, wanted_configuration

_GENERATED: Final = "2026-07-01T19:00:00.1234567Z"

_SIGNER: Final[Mapping[str, Any]] = {
    "name": "Grace Hopper",
    "email": "grace@example.com",
    "recipientId": "1",
    "recipientIdGuid": "34dc5447-2f10-4334-8fea-f94b500e7202",
    "clientUserId": "u-7",
    "routingOrder": "1",
    "status": "completed",
    "sentDateTime": "2026-07-01T18:00:00.9470000Z",
    "deliveredDateTime": "2026-07-01T18:10:00Z",
    "signedDateTime": "2026-07-01T18:20:00.1330000Z",
    "recipientIPAddress": "192.0.2.7",
    "tabs": {
        "signHereTabs": [{"tabLabel": "sign", "name": "Please sign", "xPosition": "10"}],
        "textTabs": [{"tabLabel": "rent", "value": "900 & more", "originalValue": "850"}],
        "fullNameTabs": [{"tabLabel": "Name 1", "value": "Grace Hopper"}],
        "checkboxTabs": [{"tabLabel": "pets", "selected": "true"}],
        "radioGroupTabs": [
            {
                "groupName": "term",
                "radios": [{"value": "year", "selected": "true"}, {"value": "month"}],
            }
        ],
    },
}

_SUMMARY: Final[Mapping[str, Any]] = {
    "status": "completed",
    "emailSubject": "Lease & keys of <12 Harbour Straße>",
    "createdDateTime": "2026-07-01T17:00:00.1200000Z",
    "sentDateTime": "2026-07-01T18:00:00Z",
    "deliveredDateTime": "2026-07-01T18:10:00Z",
    "completedDateTime": "2026-07-01T18:20:00.1330000Z",
    "autoNavigation": "true",
    "envelopeIdStamping": "true",
    "sender": {"userName": "Ada Lovelace", "email": "ada@example.com", "ipAddress": "192.0.2.1"},
    "customFields": {
        "textCustomFields": [{"name": "case", "value": "7", "show": "true", "required": "false"}]
    },
    "recipients": {
        "signers": [_SIGNER],
        "carbonCopies": [
            {
                "name": "Bob",
                "email": "bob@example.com",
                "recipientId": "2",
                "clientUserId": "u-8",
                "routingOrder": "2",
                "status": "declined",
                "declinedReason": "no",
            }
        ],
    },
    "envelopeDocuments": [
        {"documentId": "1", "name": "lease.pdf", "order": "1", "PDFBytes": "JVBERi0="}
    ],
}

_SWITCHES: Final = {
    "includeTimeZoneInformation": "true",
    "includeSenderAccountasCustomField": "true",
    "includeDocuments": "true",
}

KINDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "sim": {},
    "aggregate": {"deliveryMode": "aggregate"},
    "xml": {"eventData": {"format": "xml"}, **_SWITCHES},
    "soap": {"useSoapInterface": "true", "soapNamespace": "https://l.example.com/ns", **_SWITCHES},
}
"""The formats, and what a configuration asks for to get each."""


def body(kind: str) -> bytes:
    """The message, as it is posted."""
    data = {"accountId": ACCOUNT, "envelopeId": "env-1", "envelopeSummary": _SUMMARY}
    document = published("envelope-completed", data=data, generatedDateTime=_GENERATED)
    event = Event(
        *(ACCOUNT, "event-1", "envelope-completed", "env-1"),
        dates.parse(_GENERATED),
        json.dumps(document).encode(),
    )
    configuration = wanted_configuration(connect_id=7, **KINDS[kind])
    return message.render(
        *(event, configuration, 3),
        account=Account(ACCOUNT, 1001, "Navy & Co"),
        zone=ZoneInfo("America/Los_Angeles"),
    ).body


_SIM: Final = {
    "event": "envelope-completed",
    "retryCount": 3,
    "configurationId": 7,
    "uri": f"/restapi/v2.1/accounts/{ACCOUNT}/envelopes/env-1",
    "apiVersion": "v2.1",
    "generatedDateTime": _GENERATED,
    "accountId": ACCOUNT,
    "envelopeId": "env-1",
    "status": "completed",
}

_AGGREGATE: Final = {
    "envelopeId": "env-1",
    "status": "completed",
    "subject": _SUMMARY["emailSubject"],
}

_XML: Final = {
    "envelopeId": "env-1",
    "status": "Completed",
    "subject": _SUMMARY["emailSubject"],
    "timeGenerated": "2026-07-01T12:00:00.1234567",
    "authoritative": False,
    "recipients": [
        {
            "name": "Grace Hopper",
            "status": "Completed",
            "routingOrder": 1,
            "declined": None,
            "address": "192.0.2.7",
            "tabs": [
                ["SignHere", "", "Signed", ""],
                ["Custom", "Text", "Signed", "900 & more"],
                ["FullName", "", "Signed", "Grace Hopper"],
                ["Custom", "Checkbox", "Signed", "X"],
                ["Custom", "Radio", "Signed", "X"],
                ["Custom", "Radio", "Active", ""],
            ],
            "form": {
                "rent": "900 & more",
                "FullName": "Grace Hopper",
                "pets": "X",
                "term": "year",
            },
        },
        {
            "name": "Bob",
            "status": "Declined",
            "routingOrder": 2,
            "declined": "no",
            "address": "",
            "tabs": [],
            "form": {},
        },
    ],
    "fields": {
        "case": "7",
        "AccountId": "1001",
        "AccountName": "Navy & Co",
        "AccountSite": "demo",
    },
    "documents": ["lease.pdf"],
    "zone": "Pacific Standard Time",
    "offset": -7,
}

SEEN: Final[Mapping[str, Mapping[str, Any]]] = {
    "sim": _SIM,
    "aggregate": _AGGREGATE,
    "xml": _XML,
    "soap": _XML,
}
"""What a listener must see, by format."""

SEEN_BY_PYDOCUSIGN: Final[Mapping[str, Any]] = {
    "envelopeId": "env-1",
    "status": "Completed",
    # It joins a time with the offset of the message.
    "timeGenerated": "2026-07-01T12:00:00.123456-07:00",
    "events": [
        ["Created", "envelope", "2026-07-01T10:00:00.120000-07:00"],
        ["Sent", "envelope", "2026-07-01T11:00:00-07:00"],
        ["Sent", "recipient", "2026-07-01T11:00:00.947000-07:00"],
        ["Delivered", "envelope", "2026-07-01T11:10:00-07:00"],
        ["Delivered", "recipient", "2026-07-01T11:10:00-07:00"],
        ["Completed", "envelope", "2026-07-01T11:20:00.133000-07:00"],
        ["Signed", "recipient", "2026-07-01T11:20:00.133000-07:00"],
    ],
    "routingOrders": [1, 2],
}
