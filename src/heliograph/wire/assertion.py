"""Reads the signed assertion of the JWT bearer grant (RFC 7523), and trusts none of it too soon.

J1 to J9 of docs/reference/oauth.md. Nothing in the token chooses the algorithm or the key:
the algorithm is RS256, the keys are those registered for the integration key. PyJWT verifies
the signature; the claims are read here, since duplicates and numbers in other clothes must not
pass.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

LONGEST: Final = 8 * 1024
"""Bytes of an assertion (J8)."""

ALGORITHM: Final = "RS256"

LEAST_BITS: Final = 2048
MOST_BITS: Final = 8192
_LEAST_EXPONENT: Final = 65537

MOST_SECONDS: Final = 3600
"""After its `iat` no assertion counts any more, whatever its `exp` (J5): DocuSign's own example
programs ask for more, and get their token."""

LEEWAY: Final = 60
"""Seconds that the clocks may differ."""

_PART: Final = re.compile(r"[A-Za-z0-9_-]+")
_KEYS_OF_ITS_OWN: Final = ("jku", "x5u", "x5c", "jwk")
_LATEST: Final = 2**53


class BadAssertion(Exception):
    """The assertion cannot be used; the message says why, in words for its maker."""


@dataclass(frozen=True, slots=True)
class Unverified:
    """An assertion that is well-formed; whether it is true is not known yet.

    `text` is the whole of it. `key_id` is None where the header names no key.
    """

    text: str
    key_id: str | None
    claims: Mapping[str, Any]

    @property
    def issuer(self) -> str:
        """The integration key that it claims to be of, in small letters."""
        return str(self.claims["iss"]).lower()


@dataclass(frozen=True, slots=True)
class Claims:
    """What a true assertion asks for. `user_id` None: the application itself."""

    user_id: str | None
    scope: str
    expires: int


def parse(text: str) -> Unverified:
    """Read an assertion's form (J1, J2, J8).

    Raises:
        BadAssertion: it is too long, malformed, of another algorithm, or brings its own key.
    """
    if len(text) > LONGEST:
        raise BadAssertion(f"The assertion is longer than {LONGEST} bytes.")
    parts = text.split(".")
    if len(parts) != 3 or not all(map(_PART.fullmatch, parts)):
        raise BadAssertion("The assertion is not a JWT of three parts in base64url.")
    header, claims = _object(parts[0], "header"), _object(parts[1], "claims")
    if header.get("alg") != ALGORITHM:
        raise BadAssertion(f"The assertion's alg must be {ALGORITHM}.")
    if str(header.get("typ", "JWT")).upper() != "JWT":
        raise BadAssertion("The assertion's typ must be JWT.")
    if "crit" in header or "b64" in header:
        raise BadAssertion("The assertion's header has an extension that is not understood.")
    if own := [name for name in _KEYS_OF_ITS_OWN if name in header]:
        raise BadAssertion(f"The assertion's header must not bring a key ({own[0]}).")
    key_id = header.get("kid")
    if not isinstance(key_id, str | None):
        raise BadAssertion("The assertion's kid must be a text.")
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or not issuer:
        raise BadAssertion("The assertion's iss must be the integration key.")
    return Unverified(text, key_id, claims)


def is_signed(assertion: Unverified, keys: Iterable[tuple[str, str]]) -> bool:
    """Whether one of the keys, as (id, PEM), has signed it: the named one where one is named."""
    for key_id, public_key in keys:
        if assertion.key_id not in (None, key_id):
            continue
        try:
            jwt.PyJWS().decode(assertion.text, public_key, algorithms=[ALGORITHM])
        except jwt.InvalidTokenError:
            continue
        return True
    return False


def check(assertion: Unverified, now: datetime, audiences: Collection[str]) -> Claims:
    """Read what a signed assertion claims (J3 to J6).

    Args:
        assertion: One that `is_signed`.
        now: The time, aware.
        audiences: What `aud` may be.

    Raises:
        BadAssertion: naming the claim.
    """
    claims, seconds = assertion.claims, now.timestamp()
    issued, expires = _time(claims, "iat"), _time(claims, "exp")
    if issued > seconds + LEEWAY:
        raise BadAssertion("The assertion's iat is in the future: set the clock.")
    if expires <= issued:
        raise BadAssertion("The assertion's exp must be after its iat.")
    if expires <= seconds - LEEWAY:
        raise BadAssertion("The assertion has expired (exp).")
    expires = min(expires, issued + MOST_SECONDS)
    if expires <= seconds - LEEWAY:
        raise BadAssertion(f"The assertion has expired: it counts for {MOST_SECONDS} s from iat.")
    if "nbf" in claims and _time(claims, "nbf") > seconds + LEEWAY:
        raise BadAssertion("The assertion is not valid yet (nbf).")
    audience = claims.get("aud")
    if isinstance(audience, list) and len(audience) == 1:
        (audience,) = audience
    if not isinstance(audience, str) or audience not in audiences:
        raise BadAssertion(f"The assertion's aud must be {' or '.join(sorted(audiences))}.")
    user_id = claims.get("sub")
    if "sub" in claims and (not isinstance(user_id, str) or not user_id):
        raise BadAssertion("The assertion's sub must be the id of a user.")
    scope = claims.get("scope", "")
    if not isinstance(scope, str):
        raise BadAssertion("The assertion's scope must be words with blanks between them.")
    return Claims(user_id and user_id.lower(), scope, expires)


def public_key(text: str) -> str:
    """An RSA public key as PEM, as it is stored (J9).

    Raises:
        ValueError: it is no RSA public key, or not of 2,048 to 8,192 bits.
    """
    if "PRIVATE KEY" in text:
        raise ValueError("That is a private key: keep it, and give its public key.")
    try:
        key = load_pem_public_key(text.strip().encode("ascii", "replace"))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPublicKey):
        raise ValueError("The key must be an RSA public key in PEM (BEGIN PUBLIC KEY).")
    if not LEAST_BITS <= key.key_size <= MOST_BITS:
        raise ValueError(
            f"The key has {key.key_size} bits: it must have {LEAST_BITS} to {MOST_BITS}."
        )
    if key.public_numbers().e < _LEAST_EXPONENT:
        raise ValueError(f"The key's public exponent must be at least {_LEAST_EXPONENT}.")
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def _object(part: str, name: str) -> dict[str, Any]:
    """A JSON object in base64url, without duplicates and without what JSON does not have."""
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), b"-_", validate=True)
        value = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_distinct, parse_constant=_no_constant
        )
    except (ValueError, binascii.Error, RecursionError):
        raise BadAssertion(f"The assertion's {name} cannot be read.") from None
    if not isinstance(value, dict):
        raise BadAssertion(f"The assertion's {name} must be a JSON object.")
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name is given twice")
    return members


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _time(claims: Mapping[str, Any], name: str) -> int:
    """Seconds since 1970; a bool is an int to Python, and none here."""
    value = claims.get(name)
    if type(value) is not int or not 0 < value < _LATEST:
        raise BadAssertion(f"The assertion's {name} must be a whole number of seconds.")
    return value
