"""What /oauth/token gives, and for what: assertions, codes and refresh tokens.

Each grant is a try that is counted by the client's address, and given back when it
succeeds. Refusals are `OAuthRefused`, with the names of RFC 6749, 5.2, and
DocuSign's `consent_required`.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from heliograph.access.throttle import token_requests
from heliograph.errors import NotFound, OAuthRefused
from heliograph.model.accounts import Role, Secret
from heliograph.model.applications import (
    ACCESS_SECONDS,
    IMPERSONATION,
    REFRESH_SECONDS,
    SIGNATURE,
    Application,
    CodeProof,
    Pair,
    Redeemed,
    Rights,
    known_scopes,
)
from heliograph.model.people import NewToken
from heliograph.model.tokens import new_token, token_hash
from heliograph.store import Store
from heliograph.wire import assertion

_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636, 4.1
_GUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_UNPROVEN: Final = "The assertion's issuer, subject or signature is not valid."
"""One text for an unknown integration key, a bad signature and an unknown user (J11)."""


@dataclass(frozen=True, slots=True)
class Granted:
    """A token that was issued; `refresh` is None for assertions."""

    access: Secret
    scopes: frozenset[str]
    refresh: Secret | None = None
    seconds: int = ACCESS_SECONDS


@dataclass(frozen=True, slots=True)
class Client:
    """Who calls: the address, and what it says of itself. `secret` None: it gave none."""

    address: str
    integration_key: str = ""
    secret: Secret | None = None


class Grants:
    """Turns grants into tokens."""

    def __init__(
        self,
        store: Store,
        audiences: Callable[[], Collection[str]],
        once: bool,
        nodes: int = 1,
    ) -> None:
        """`audiences` are what an assertion may be meant for; `once` refuses its second use.

        `nodes` answer on one port.
        """
        self._store = store
        self._audiences = audiences
        self._once = once
        self._throttle = token_requests(store.clock, nodes)

    async def by_assertion(self, text: str, address: str) -> Granted:
        """A token for a signed assertion: for the user that it names, or the application.

        Raises:
            OAuthRefused: invalid_grant, invalid_scope, consent_required or
                unauthorized_client; or too many were refused before.
        """
        try:
            unverified = assertion.parse(text)
        except assertion.BadAssertion as bad:
            with self._counted(address):
                raise OAuthRefused("invalid_grant", str(bad)) from None
        with self._counted(address):
            application = await self._registered(unverified.issuer)
            keys = () if application is None else application.keys
            signed = assertion.is_signed(unverified, ((key.key_id, key.public_key) for key in keys))
            if application is None or not signed:
                raise OAuthRefused("invalid_grant", _UNPROVEN)
            try:
                claims = assertion.check(unverified, self._store.clock.machine(), self._audiences())
            except assertion.BadAssertion as bad:
                raise OAuthRefused("invalid_grant", str(bad)) from None
            return await self._for_claims(application, claims, text)

    async def _for_claims(
        self, application: Application, claims: assertion.Claims, text: str
    ) -> Granted:
        scopes = known_scopes(claims.scope)
        if claims.user_id is None:
            account_id, role = _own_rights(application)
        else:
            # That the user exists is not told apart from a bad signature (J11), and comes first.
            person = None
            if _GUID.fullmatch(claims.user_id):
                person = await self._store.sign_ins.person(claims.user_id)
            if person is None:
                raise OAuthRefused("invalid_grant", _UNPROVEN)
            account_id, role = person.account.account_id, Role.ADMINISTRATOR
            scopes |= {IMPERSONATION}
        if SIGNATURE not in scopes:
            raise OAuthRefused("invalid_scope", f"The scope must have {SIGNATURE} in it.")
        if claims.user_id is not None:
            await self._check_consent(application, claims.user_id, scopes)
        wanted = NewToken(
            name=f"application {application.integration_key}",
            role=role,
            user_id=claims.user_id,
            scopes=scopes,
            expires_at=self._store.clock.now() + timedelta(seconds=ACCESS_SECONDS),
            integration_key=application.integration_key,
        )
        token = new_token()
        if not await self._issue(account_id, token, wanted, text, claims.expires):
            raise OAuthRefused(
                "invalid_grant", "The assertion was used before: make a new one for each token."
            )
        return Granted(token, scopes)

    async def _check_consent(
        self, application: Application, user_id: str, scopes: frozenset[str]
    ) -> None:
        consented = await self._store.sign_ins.consented(application.integration_key, user_id)
        if missing := scopes - consented:
            raise OAuthRefused(
                "consent_required",
                f"The user has not consented to {' and '.join(sorted(missing))} for this "
                "application: open /oauth/auth, or let an administrator consent.",
            )

    async def _issue(
        self, account_id: str, token: Secret, wanted: NewToken, text: str, expires: int
    ) -> bool:
        clock = self._store.clock
        seconds = max(0.0, expires + assertion.LEEWAY + 1 - clock.machine().timestamp())
        # Another encoding of the same signature's bytes is another text: what is remembered is
        # what was signed.
        signed = text.rpartition(".")[0]
        digest = hashlib.sha256(signed.encode("ascii")).digest() if self._once else b""
        remembered = digest, clock.now() + timedelta(seconds=seconds)
        try:
            return await self._store.sign_ins.issue(account_id, token, wanted, remembered)
        except NotFound:
            raise OAuthRefused("invalid_grant", _UNPROVEN) from None

    async def by_code(
        self, client: Client, code: str, redirect_uri: str | None, verifier: str | None
    ) -> Granted:
        """Tokens for an authorization code.

        Raises:
            OAuthRefused: invalid_client, invalid_grant or invalid_request.
        """
        with self._counted(client.address):
            application = await self._authenticated(client)
            if application.public and verifier is None:
                raise OAuthRefused(
                    "invalid_request", "An application without a secret needs a code_verifier."
                )
            proof = CodeProof(redirect_uri, None if verifier is None else challenge_of(verifier))
            pair = self._pair()
            redeemed = await self._store.sign_ins.redeem(
                application.integration_key, code, proof, pair
            )
            return _granted(redeemed, pair, "The code is unknown, used, expired or of another.")

    async def by_refresh(self, client: Client, refresh: str, scope: str | None) -> Granted:
        """Tokens for a refresh token, which is spent by it.

        Raises:
            OAuthRefused: invalid_client, invalid_grant or invalid_scope.
        """
        with self._counted(client.address):
            application = await self._authenticated(client)
            scopes = known_scopes(scope) if scope else None
            if scopes is not None and SIGNATURE not in scopes:
                raise OAuthRefused("invalid_scope", f"The scope must have {SIGNATURE} in it.")
            pair = self._pair()
            redeemed = await self._store.sign_ins.refresh(
                application.integration_key, refresh, scopes, pair
            )
            return _granted(redeemed, pair, "The refresh token is unknown, used, or has ended.")

    async def revoke(self, client: Client, token: str) -> None:
        """Revoke a token of the client's own (RFC 7009); others are as if they were revoked.

        Raises:
            OAuthRefused: invalid_client.
        """
        with self._counted(client.address):
            application = await self._authenticated(client)
            await self._store.sign_ins.revoke(application.integration_key, token)

    async def _authenticated(self, client: Client) -> Application:
        application = await self._registered(client.integration_key)
        if application is not None:
            if client.secret is None and application.public:
                return application
            digest = b"" if client.secret is None else token_hash(client.secret.reveal())
            if any([hmac.compare_digest(digest, secret.digest) for secret in application.secrets]):  # noqa: C419
                return application
        raise OAuthRefused(
            "invalid_client", "The integration key is unknown, or its secret is wrong.", 401
        )

    async def _registered(self, integration_key: str) -> Application | None:
        key = integration_key.lower()
        return await self._store.sign_ins.registered(key) if _GUID.fullmatch(key) else None

    def _pair(self) -> Pair:
        now = self._store.clock.now()
        return Pair(
            access=new_token(),
            access_until=now + timedelta(seconds=ACCESS_SECONDS),
            refresh=new_token(),
            refresh_until=now + timedelta(seconds=REFRESH_SECONDS),
        )

    @contextlib.contextmanager
    def _counted(self, address: str) -> Iterator[None]:
        if wait := self._throttle.take(address):
            raise OAuthRefused(
                "temporarily_unavailable", f"Too many requests failed: wait {wait} s.", 429, wait
            )
        try:
            yield
        except OAuthRefused:
            raise
        except BaseException:  # a fault of ours is not the client's failure
            self._throttle.give_back(address)
            raise
        self._throttle.give_back(address)


def challenge_of(verifier: str) -> str:
    """PKCE's S256 challenge of a verifier.

    Raises:
        OAuthRefused: invalid_request, it is no verifier.
    """
    if not _VERIFIER.fullmatch(verifier):
        raise OAuthRefused("invalid_request", "The code_verifier must have 43 to 128 characters.")
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")


def _own_rights(application: Application) -> tuple[str, Role]:
    """Where and as what the application acts in its own name."""
    if application.rights is Rights.NONE:
        raise OAuthRefused(
            "unauthorized_client",
            "The application may not act in its own name: name a user in sub, or let an "
            "administrator give it a role.",
        )
    return application.account_id, Role(application.rights.value)


def _granted(redeemed: Redeemed | None, pair: Pair, otherwise: str) -> Granted:
    if redeemed is None:
        raise OAuthRefused("invalid_grant", otherwise)
    return Granted(pair.access, redeemed.scopes, pair.refresh)
