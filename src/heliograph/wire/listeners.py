"""What listeners are shown and tested with: secrets, the client certificate, test sends."""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from heliograph.model.accounts import HmacKey
from heliograph.wire import dates
from heliograph.wire.codec import Wire
from heliograph.wire.configurations import MASK

_SHOWN: Final = 4
"""Characters of 44, of six random bits each, that tell one key from another."""


class ConnectSecret(Wire):
    """An HMAC key; `secret` is shown whole once, when it is made, and later its beginning."""

    ours: ClassVar[bool] = True

    created: str
    key_id: str
    secret: str


class ConnectSecrets(Wire):
    """The active HMAC keys, oldest first: the order of the signature headers."""

    ours: ClassVar[bool] = True

    secrets: list[ConnectSecret]


class ClientCertificate(Wire):
    """What an account shows to listeners with mutual TLS; the key is never answered."""

    ours: ClassVar[bool] = True

    certificate: str | None = None
    private_key: str | None = None
    subject: str | None = None
    issuer: str | None = None
    expires: str | None = None
    fingerprint: str | None = None


class TestSend(Wire):
    """The whole exchange of a test message. Credentials are not among the headers."""

    ours: ClassVar[bool] = True

    connect_id: str
    url: str
    success: str
    seconds: str
    request_headers: list[str]
    request_body: str
    error: str | None = None
    response_status: str | None = None
    response_headers: list[str] | None = None
    response_body: str | None = None


def sample_event(name: str, account_id: str, envelope_id: str, at: str) -> bytes:
    """A published event for a test message; its subject says what it is."""
    status = name.partition("-")[2]
    person = {"userName": "Heliograph", "email": "heliograph@example.com"}
    signer = {"recipientId": "1", "name": "Test Signer", "email": "signer@example.com"}
    return msgspec.json.encode(
        {
            "event": name,
            "generatedDateTime": at,
            "data": {
                "accountId": account_id,
                "envelopeId": envelope_id,
                **({"recipientId": "1"} if name.startswith("recipient-") else {}),
                "envelopeSummary": {
                    "envelopeId": envelope_id,
                    "status": status,
                    "emailSubject": "Test message of Heliograph: nothing has happened",
                    "sentDateTime": at,
                    "sender": person,
                    "recipients": {"signers": [{**signer, "status": status}]},
                },
            },
        }
    )


def secret_to_wire(key: HmacKey, *, shown: bool) -> ConnectSecret:
    """An HMAC key, with its whole secret only where it was just made.

    DocuSign's list has secrets truncated; how, nobody says.
    """
    secret = key.secret.reveal()
    return ConnectSecret(
        created=dates.render(key.created_at),
        key_id=key.key_id,
        secret=secret if shown else secret[:_SHOWN] + MASK,
    )
