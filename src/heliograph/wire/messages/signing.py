"""The signatures on a message: HMAC-SHA256 over the exact bytes, one header for each key.

Source: DocuSign's Connect HMAC scheme. The key is the UTF-8 text of the secret, the digest
goes out in base64, and `X-DocuSign-Signature-1` to `-n` carry one signature for each active
key, so that a listener can change keys without a gap.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from binascii import b2a_base64
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final

from heliograph.model.accounts import HmacKey, Secret
from heliograph.model.deliveries import Body, in_parts

MOST_KEYS: Final = 100
"""An account has at most this many active keys (DocuSign)."""

DIGEST_HEADER: Final = ("X-Authorization-Digest", "HMACSHA256")


def new_secret() -> Secret:
    """A fresh key of 256 random bits, base64 (S6: ours are never below 128 bits)."""
    return Secret(base64.b64encode(secrets.token_bytes(32)).decode())


def signature(secret: Secret, message: Body) -> str:
    """Base64 of HMAC-SHA256 over the message bytes."""
    return _mac(secret.reveal().encode(), in_parts(message))


def _mac(key: bytes, parts: Sequence[bytes | memoryview]) -> str:
    if len(parts) == 1:  # in one call: half the time
        digest = hmac.digest(key, parts[0], sha256)
    else:
        mac = hmac.new(key, digestmod=sha256)
        for part in parts:
            mac.update(part)
        digest = mac.digest()
    return b2a_base64(digest, newline=False).decode()


def headers(keys: Sequence[HmacKey], message: Body) -> list[tuple[str, str]]:
    """The signature headers of a message, in the order of `keys`; none without keys."""
    if not keys:
        return []
    signed = [
        (f"X-DocuSign-Signature-{position}", signature(key.secret, message))
        for position, key in enumerate(keys, start=1)
    ]
    return [DIGEST_HEADER, *signed]


def standard_headers(
    keys: Sequence[HmacKey], message_id: str, sent_at: datetime, message: Body
) -> list[tuple[str, str]]:
    """The headers of Standard Webhooks 1.0.0, beside DocuSign's; none without keys.

    They cover the id and the time too, so that a listener can refuse what is sent to it
    again. The key is what the secret's base64 stands for: `whsec_` and the secret is what
    libraries of that standard take.
    """
    if not keys:
        return []
    seconds = str(int(sent_at.timestamp()))
    signed_first = f"{message_id}.{seconds}.".encode()
    # A message in one piece is small: a copy of it costs less than another piece.
    content = (signed_first + message,) if isinstance(message, bytes) else (signed_first, *message)
    signed = " ".join(f"v1,{_standard(key.secret, content)}" for key in keys)
    return [
        ("webhook-id", message_id),
        ("webhook-timestamp", seconds),
        ("webhook-signature", signed),
    ]


def _standard(secret: Secret, content: Sequence[bytes | memoryview]) -> str:
    text = secret.reveal()
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = text.encode()
    return _mac(key, content)


def verify(secret: Secret, message: bytes, header: str) -> bool:
    """Whether `header` is the signature of exactly these bytes, compared in constant time."""
    return hmac.compare_digest(
        signature(secret, message).encode(), header.encode("utf-8", "surrogatepass")
    )
