"""Passwords of users: scrypt, two at a time (each takes 32 MiB and some 200 ms)."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Final

from heliograph.model.accounts import Secret

_COST: Final = (2**15, 8, 3)
"""n, r and p: one of the sets that OWASP's cheat sheet names."""

_MOST_COST: Final = (2**17, 16, 8)
_SALT_BYTES: Final = 16
_AT_ONCE: Final = 2

_NOBODYS: Final = f"scrypt${'$'.join(map(str, _COST))}${'A' * 22}==${'A' * 43}="
"""What a guess is compared with where there is no password: it takes as long."""


class Passwords:
    """Makes and compares hashes off the event loop."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def hash(self, password: Secret) -> str:
        """A new salted hash, as text with its parameters."""
        salt = secrets.token_bytes(_SALT_BYTES)
        digest = await self._scrypt(password, salt, _COST)
        return "$".join(("scrypt", *map(str, _COST), _text(salt), _text(digest)))

    async def matches(self, password: Secret, stored: str | None) -> bool:
        """Whether it is the password; None stands for none, and costs the same time."""
        cost, salt, expected = _parts(stored or _NOBODYS)
        digest = await self._scrypt(password, salt, cost)
        return hmac.compare_digest(digest, expected) and stored is not None

    async def _scrypt(self, password: Secret, salt: bytes, cost: tuple[int, int, int]) -> bytes:
        n, r, p = cost
        async with self._turns:
            return await asyncio.to_thread(
                hashlib.scrypt,
                password.reveal().encode("utf-8", "surrogatepass"),
                salt=salt,
                n=n,
                r=r,
                p=p,
                maxmem=256 * n * r,
                dklen=32,
            )


def _parts(stored: str) -> tuple[tuple[int, int, int], bytes, bytes]:
    """Raises ValueError where the database has something else than a hash."""
    try:
        kind, n, r, p, salt, digest = stored.split("$")
        cost = (int(n), int(r), int(p))
        parts = cost, base64.b64decode(salt), base64.b64decode(digest)
    except (ValueError, binascii.Error):
        raise ValueError("a password hash cannot be read") from None
    if kind != "scrypt" or any(
        figure > most for figure, most in zip(cost, _MOST_COST, strict=True)
    ):
        raise ValueError("a password hash is of another kind")
    return parts


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
