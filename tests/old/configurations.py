"""Configurations of every sort; each has the path of its listener as its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.old.events import ADA, BOB

Fields = dict[str, Any]

LONG = {"retrySchedule": ["3600", "7200"]}
SENT = {"events": ["envelope-sent", "envelope-completed"]}
DELIVERED = {"events": ["envelope-delivered"]}
DECLINED = {"events": ["envelope-declined"]}
ALL = {"allUsers": "true"}

FAILS = ("/ordered", "/standard", "/once", "/ends", "/removed", "/paused", "/aggregate")
FAILS_TOO = ("/only-bad", "/past-bad")
"""Paths that answer 500 while the installation is made."""


def configurations(
    base: str, secure: str, authority: str, groups: Mapping[str, str]
) -> list[Fields]:
    """Bodies to create them with; groups are given by their names."""
    client = {
        "authorizationServerUrl": f"{base}/token",
        "clientId": "its-own",
        "clientSecret": "the secret of its own client",
        "scope": "hooks:write",
        "customParameters": {"audience": "hooks"},
    }
    basic = {"userName": "user", "password": "the password for Basic: pässword"}
    everybody: dict[str, Fields] = {
        "/all": SENT | basic,
        "/parts": SENT
        | {"eventData": {"format": "json", "includeData": ["recipients", "custom_fields"]}}
        | {"includeHMAC": "false", "includeSenderAccountasCustomField": "true"},
        "/undocumented": SENT | {"includeDocuments": "false", "includeEnvelopeVoidReason": "false"},
        "/own-oauth": SENT | {"includeOAuth": "true", "oAuthConfiguration": client},
        "/account-oauth": SENT | {"includeOAuth": "true"},
        "/borrows": SENT
        | {"includeOAuth": "true", "oAuthConfiguration": client}
        | {"enableOAuthPerConfiguration": "false"},
        "/mutual": SENT | {"requireMutualTls": "true", "certificateAuthorities": authority},
        "/legacy": {
            "envelopeEvents": ["Completed", "Sent"],
            "recipientEvents": "Completed",
            "includeDocuments": "true",
            "includeCertificateOfCompletion": "true",
            "includeTimeZoneInformation": "true",
        },
        "/soap": SENT
        | {"useSoapInterface": "true", "soapNamespace": "https://example.com/soap"}
        | {"includeCertSoapHeader": "true"},
        "/ordered": DELIVERED | LONG | {"deliveryOrder": "configuration"},
        "/standard": DELIVERED | {"retrySchedule": "standard"},
        "/once": DELIVERED | {"requiresAcknowledgement": "false", "deliveryOrder": "none"},
        "/ends": DELIVERED | {"retrySchedule": ["1"], "enableLog": "false"},
        "/removed": DELIVERED | LONG,
        "/slow": DELIVERED | {"maxPerSecond": "0.001"},
        "/paused": DECLINED | LONG,
        "/gone": DECLINED,
        "/off": SENT | {"allowEnvelopePublish": "false"},
        "/aggregate": {"events": ["envelope-voided"], "deliveryMode": "aggregate"}
        | {"retrySchedule": "docusign"},
        "/preset": SENT
        | {"configurationType": "salesforce", "salesforceAuthcode": "an auth code"}
        | {"salesforceApiVersion": "61", "externalFolderId": "5", "externalFolderLabel": "box"}
        | {"sfObjects": [{"active": "true", "description": "leases", "id": "1"}]},
        "/except": SENT | {"allUsersExcept": "true", "userIds": [BOB], "groupIds": [groups["law"]]},
    }
    some: dict[str, Fields] = {
        "/users": SENT | {"userIds": [ADA.upper()]},
        "/groups": SENT | {"groupIds": [groups["sales"], "999"]},
        "/recipient": {"configurationType": "customrecipient", "userIds": [BOB]}
        | {"events": ["recipient-completed", "envelope-completed"]},
        "/nobody": SENT | {"senderOverride": "true", "integratorManaged": "false"},
    }
    return [
        {
            "name": path,
            "urlToPublishTo": (secure if path == "/mutual" else base) + path,
            "allowEnvelopePublish": "true",
            "enableLog": "true",
            **fields,
        }
        for path, fields in [*((path, ALL | one) for path, one in everybody.items()), *some.items()]
    ]
