"""The signatures on a message: HMAC-SHA256 over the exact bytes, one header for each key.

Source: DocuSign's Connect HMAC scheme. The key is the UTF-8 text of the secret, the digest
goes out in base64, and `X-DocuSign-Signature-1` to `-n` carry one signature for each active
key, so that a listener can change keys without a gap.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from heliograph.model import HmacKey, Secret

MOST_KEYS: Final = 100
"""An account has at most this many active keys (DocuSign)."""

DIGEST_HEADER: Final = ("X-Authorization-Digest", "HMACSHA256")


def new_secret() -> Secret:
    """A fresh key of 256 random bits, base64 (S6: ours are never below 128 bits)."""
    return Secret(base64.b64encode(secrets.token_bytes(32)).decode())


def signature(secret: Secret, message: bytes) -> str:
    """Base64 of HMAC-SHA256 over the message bytes."""
    mac = hmac.new(secret.reveal().encode(), message, sha256)
    return base64.b64encode(mac.digest()).decode()


def headers(keys: Sequence[HmacKey], message: bytes) -> list[tuple[str, str]]:
    """The signature headers of a message, in the order of `keys`; none without keys."""
    if not keys:
        return []
    signed = [
        (f"X-DocuSign-Signature-{position}", signature(key.secret, message))
        for position, key in enumerate(keys, start=1)
    ]
    return [DIGEST_HEADER, *signed]


def verify(secret: Secret, message: bytes, given: str) -> bool:
    """Whether `given` is the signature of exactly these bytes, compared in constant time."""
    return hmac.compare_digest(
        signature(secret, message).encode(), given.encode("utf-8", "surrogatepass")
    )
