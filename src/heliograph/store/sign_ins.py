"""The port to applications, consents, sign-ins and grants, reached as `Store.sign_ins`.

What an administrator asks takes the account first (S8). What comes from outside with nothing
but an integration key, a name, a code or a token finds its account by that, as a bearer token
does; texts of secrets are stored as their SHA-256.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from heliograph.model.accounts import Secret
from heliograph.model.applications import (
    Application,
    ApplicationChange,
    ApplicationKey,
    ApplicationPage,
    ApplicationSecret,
    CodeProof,
    Consent,
    ConsentPage,
    ConsoleSession,
    Login,
    NewApplication,
    NewCode,
    Pair,
    Person,
    Redeemed,
)
from heliograph.model.people import NewToken

SWEPT_MOST = 100
"""Rows of each kind that have expired and are deleted when a new one is written."""


class SignIns(Protocol):
    """Both engines pass tests/contract/test_sign_ins.py."""

    # applications, an administrator's business

    async def add_application(self, account_id: str, new: NewApplication) -> Application:
        """Add an application that the account manages; users of any account may consent."""
        ...

    async def change_application(self, account_id: str, change: ApplicationChange) -> Application:
        """Change an application. Raises NotFound.

        Its tokens in its own name end where they have another role than the new rights.
        """
        ...

    async def delete_application(self, account_id: str, integration_key: str) -> bool:
        """Delete it with its keys, secrets and consents, and revoke its tokens."""
        ...

    async def application(self, account_id: str, integration_key: str) -> Application | None:
        """One application that the account manages."""
        ...

    async def applications(self, account_id: str, start: int, count: int) -> ApplicationPage:
        """Applications by name, from the place `start` on, at most `count`."""
        ...

    async def add_key(
        self, account_id: str, integration_key: str, key_id: str, public_key: str
    ) -> ApplicationKey:
        """Let assertions be signed with another key.

        Raises:
            NotFound: the account has no such application.
            InvalidParameter: it has `MOST_KEYS` already.
        """
        ...

    async def remove_key(self, account_id: str, integration_key: str, key_id: str) -> bool:
        """Take a key away; tokens that it brought stay. False where there is none."""
        ...

    async def add_secret(
        self, account_id: str, integration_key: str, secret_id: str, secret: Secret
    ) -> ApplicationSecret:
        """Let the application prove itself with another secret; raises as `add_key`."""
        ...

    async def remove_secret(self, account_id: str, integration_key: str, secret_id: str) -> bool:
        """Take a secret away. False where there is none.

        With the last one go the refresh tokens: who has one would need no secret any more.
        """
        ...

    # consents of the account's users

    async def add_consent(
        self,
        account_id: str,
        integration_key: str,
        user_id: str,
        scopes: frozenset[str],
        granted_by: str,
    ) -> Consent:
        """Let an application act for a user of the account; scopes add to those before.

        The application may be another account's: who asks for an account's own one only checks
        that first.

        Raises:
            NotFound: there is no such application, or the account has no such active user.
        """
        ...

    async def consents(
        self,
        account_id: str,
        start: int,
        count: int,
        user_id: str | None = None,
        integration_key: str | None = None,
    ) -> ConsentPage:
        """Consents of the account's users, newest first."""
        ...

    async def withdraw(self, account_id: str, integration_key: str, user_id: str) -> bool:
        """Take a consent back and revoke the tokens it brought; False where there is none."""
        ...

    # passwords and sign-ins

    async def set_password(self, account_id: str, user_id: str, hashed: str | None) -> None:
        """Set or, with None, take away an active user's password.

        Ends the user's sessions, codes and refresh tokens, and the access tokens that
        applications got for the user; consents stay, and so do tokens that no application brought
        (S18). Raises NotFound.
        """
        ...

    async def login(self, name: str) -> Login | None:
        """The active user who signs in with this e-mail, whatever its case, or this id."""
        ...

    async def open_session(
        self, account_id: str, user_id: str, session: Secret, until: datetime
    ) -> None:
        """Note that a user has signed in. Raises NotFound."""
        ...

    async def note_failed(self, account_id: str, user_id: str) -> None:
        """Note in the audit that somebody could not sign in as this user."""
        ...

    async def session(self, session: str) -> Person | None:
        """Who has signed in with this session, while it lasts."""
        ...

    async def close_session(self, session: str) -> None:
        """End a session."""
        ...

    async def open_console_session(
        self,
        account_id: str,
        session: Secret,
        until: datetime,
        *,
        user_id: str | None = None,
        token: str | None = None,
    ) -> None:
        """Note that a user, or who has a token of the account, has signed in to the console.

        One of both is given; the session ends with it. Raises NotFound: the user is gone.
        """
        ...

    async def console_session(self, session: str) -> ConsoleSession | None:
        """Whom a session of the console stands for, while it lasts."""
        ...

    async def prolong_console_session(self, account_id: str, session: str, until: datetime) -> None:
        """Let a session last until then, if it is there; never shorter."""
        ...

    async def close_console_session(
        self, account_id: str, session: str, *, everywhere: bool = False
    ) -> None:
        """End a session; `everywhere` ends all of the same user or token."""
        ...

    async def registered(self, integration_key: str) -> Application | None:
        """The application of an integration key, whoever manages it."""
        ...

    async def person(self, user_id: str) -> Person | None:
        """An active user, whatever the account."""
        ...

    async def consented(self, integration_key: str, user_id: str) -> frozenset[str]:
        """The scopes that a user has consented to; empty where to none."""
        ...

    async def issue(
        self, account_id: str, token: Secret, wanted: NewToken, assertion: tuple[bytes, datetime]
    ) -> bool:
        """Add the token of an assertion, given as its hash and how long it must be remembered.

        An assertion with a hash of b"" is not remembered. False where it was used before (J7).

        Raises:
            NotFound: the application is gone, or the user or the user's consent.
        """
        ...

    async def add_code(self, account_id: str, code: Secret, wanted: NewCode) -> None:
        """Note an authorization code. Raises NotFound when the account has no such user."""
        ...

    async def redeem(
        self, integration_key: str, code: str, proof: CodeProof, pair: Pair
    ) -> Redeemed | None:
        """Exchange a code for tokens, once.

        None where it is unknown, another application's, expired or does not fit the proof, which
        spends it; or was used before, which revokes what it brought.
        """
        ...

    async def refresh(
        self, integration_key: str, refresh: str, scopes: frozenset[str] | None, pair: Pair
    ) -> Redeemed | None:
        """Exchange a refresh token for new tokens, once.

        `scopes` None asks for all it has; else they must be among those. None as with
        `redeem`, and where the user's consent is gone.
        """
        ...

    async def revoke(self, integration_key: str, token: str) -> None:
        """Revoke an access token of the application, or all tokens of a refresh token's grant."""
        ...
