"""Applications that sign users in: integration keys, consents, and what grants are made of.

Frozen values, as all of the model. An integration key (OAuth: client_id) and a user's id are GUIDs
in small letters. Lifetimes are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from heliograph.errors import NotFound
from heliograph.model.accounts import Account, Principal, Secret
from heliograph.model.people import User

SIGNATURE: Final = "signature"
"""The scope that every call of the API takes."""

IMPERSONATION: Final = "impersonation"
"""The scope that a user's consent needs before an assertion may stand for the user."""

EXTENDED: Final = "extended"
"""The scope with which each refresh begins the refresh token's lifetime anew."""

SCOPES_ABOUT: Final = {
    SIGNATURE: "Use Heliograph for you, within what your role allows",
    IMPERSONATION: "Act for you also while you are not here",
    EXTENDED: "Stay connected for as long as it is used",
}
"""What a scope means, as users read it."""

SCOPES: Final = frozenset(SCOPES_ABOUT)
"""Scopes that mean something here; others are ignored (J6)."""

ACCESS_SECONDS: Final = 8 * 3600
REFRESH_SECONDS: Final = 30 * 24 * 3600
CODE_SECONDS: Final = 120
SESSION_SECONDS: Final = 3600

CONSOLE_IDLE_SECONDS: Final = 3600
CONSOLE_SECONDS: Final = 12 * 3600
"""How long a session of the console lasts without use, and with it."""

MOST_KEYS: Final = 10
"""RSA keys, and secrets, of one application: enough to change them one after the other."""


SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 256
"""Characters."""


class Rights(StrEnum):
    """What an application may do in its own name, without a user."""

    NONE = "none"
    VIEWER = "viewer"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True, slots=True)
class ApplicationKey:
    """An RSA public key, PEM. Its id is the `kid` that an assertion may name it by."""

    key_id: str
    public_key: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ApplicationSecret:
    """A secret of an application; only its SHA-256, `digest`, is known."""

    secret_id: str
    digest: bytes
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Application:
    """Whom an integration key stands for. `account_id` is the account that manages it."""

    integration_key: str
    account_id: str
    name: str
    redirect_uris: tuple[str, ...]
    rights: Rights
    created_at: datetime
    keys: tuple[ApplicationKey, ...] = ()
    secrets: tuple[ApplicationSecret, ...] = ()

    @property
    def public(self) -> bool:
        """Whether it cannot keep a secret: then it proves itself by PKCE alone."""
        return not self.secrets


@dataclass(frozen=True, slots=True)
class NewApplication:
    """An application to be added."""

    integration_key: str
    name: str
    redirect_uris: tuple[str, ...] = ()
    rights: Rights = Rights.NONE


@dataclass(frozen=True, slots=True)
class ApplicationChange:
    """What changes of an application; None stays as it is."""

    integration_key: str
    name: str | None = None
    redirect_uris: tuple[str, ...] | None = None
    rights: Rights | None = None


@dataclass(frozen=True, slots=True)
class ApplicationPage:
    """Applications by name, and how many there are in all."""

    applications: tuple[Application, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Consent:
    """A user lets an application act with these scopes. `granted_by` says who said so."""

    integration_key: str
    application_name: str
    user_id: str
    scopes: frozenset[str]
    granted_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ConsentPage:
    """Consents, newest first, and how many there are in all."""

    consents: tuple[Consent, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Person:
    """An active user and the account that the user is of."""

    user: User
    account: Account


@dataclass(frozen=True, slots=True)
class ConsoleSession:
    """Somebody who is signed in to the console; `principal.expires_at` is when that ends if it is
    not used meanwhile."""

    principal: Principal
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Login:
    """What a sign-in is checked against; `password_hash` None: no password opens it."""

    person: Person
    password_hash: str | None


@dataclass(frozen=True, slots=True)
class NewCode:
    """An authorization code to be added. `challenge` is PKCE's, None where none was given."""

    integration_key: str
    user_id: str
    scopes: frozenset[str]
    redirect_uri: str
    challenge: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class CodeProof:
    """What comes with a code to redeem it; the challenge is made of the given verifier."""

    redirect_uri: str | None
    challenge: str | None


def fits(proof: CodeProof, redirect_uri: str, challenge: str | None) -> bool:
    """Whether who redeems a code is who asked for it.

    A redirect URI need not be repeated (OAuth 2.1; the SDK does not send it), but must be the
    same where it is. A verifier without a challenge is refused: a downgrade of PKCE.
    """
    return proof.redirect_uri in (None, redirect_uri) and proof.challenge == challenge


@dataclass(frozen=True, slots=True)
class Pair:
    """A new access token and a new refresh token.

    `refresh_until` holds for a new grant, and for a refresh with the scope `extended`; else
    the refresh token ends when its predecessor would have.
    """

    access: Secret
    access_until: datetime
    refresh: Secret
    refresh_until: datetime


@dataclass(frozen=True, slots=True)
class Redeemed:
    """For whom a code or a refresh token was exchanged."""

    user_id: str
    scopes: frozenset[str]


def known_scopes(text: str) -> frozenset[str]:
    """Those of the asked scopes that mean something here.

    RFC 6749 has blanks between them, passport-docusign, DocuSign's own, commas.
    """
    return frozenset(text.replace(",", " ").split(" ")) & SCOPES


def no_application() -> NotFound:
    """The account has no such application. What was given instead may be a secret: not said."""
    return NotFound("There is no application with this integration key.")
