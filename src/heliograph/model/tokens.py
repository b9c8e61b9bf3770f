"""What a bearer of it may do something with: tokens, codes, sessions, applications' secrets.

Whoever makes one makes it here, and what is kept of one is its hash.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

from heliograph.model.accounts import Secret

_RANDOM_BYTES: Final = 32


def new_token() -> Secret:
    """256 random bits as text (J10)."""
    return Secret(secrets.token_urlsafe(_RANDOM_BYTES))


def token_hash(token: str) -> bytes:
    """What is stored of a token: its SHA-256.

    A token is 256 random bits: a plain hash of it cannot be reversed by guessing.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
