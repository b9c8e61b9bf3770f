"""OAuth as the SDKs do it: /oauth/token, /oauth/revoke and /oauth/userinfo.

Paths and fields are those that docusign-esign 6.1.0 sends and reads; errors are RFC 6749's.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Final

from heliograph.access.grants import Client, Granted, Grants
from heliograph.api.contract.endpoint import Respond
from heliograph.api.contract.oauth_paths import AUTHORIZE, METADATA, REVOKE, TOKEN, USERINFO
from heliograph.api.contract.request import Request
from heliograph.api.contract.response import Response, in_json
from heliograph.api.contract.routing import Route
from heliograph.api.sign_in.callers import Callers, client_of_request
from heliograph.api.sign_in.form_fields import read_form
from heliograph.api.sign_in.refusals import oauth_endpoint
from heliograph.errors import InvalidToken, NotSignedIn, OAuthRefused, TooManyRefused
from heliograph.incoming.address import PublicAddress
from heliograph.model.accounts import Secret
from heliograph.model.applications import SCOPES
from heliograph.store import Store
from heliograph.watch import Observer
from heliograph.wire import dates

JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class OAuth:
    """The endpoints that answer in JSON."""

    def __init__(
        self,
        store: Store,
        callers: Callers,
        grants: Grants,
        public: PublicAddress,
        observer: Observer,
    ) -> None:
        self._store = store
        self._callers = callers
        self._grants = grants
        self._public = public
        self._observer = observer

    def routes(self) -> Sequence[Route]:
        """The routes of this module."""

        def route(path: str, name: str, method: str, answer: Respond) -> Route:
            return Route(path, oauth_endpoint(name, method, answer, self._observer))

        return [
            route(TOKEN, "oauth_token", "POST", self._token),
            route(REVOKE, "oauth_revoke", "POST", self._revoke),
            route(USERINFO, "oauth_userinfo", "GET", self._userinfo),
            route(METADATA, "oauth_metadata", "GET", self._metadata),
        ]

    async def _token(self, request: Request) -> Response:
        form = await read_form(request)
        kind = _needed(form, "grant_type")
        if kind == JWT_BEARER:
            text = _needed(form, "assertion")
            return _tokens(await self._grants.by_assertion(text, client_of_request(request)))
        if kind == "authorization_code":
            client, code = self._client(request, form), _needed(form, "code")
            uri, verifier = form.get("redirect_uri"), form.get("code_verifier")
            return _tokens(await self._grants.by_code(client, code, uri, verifier))
        if kind == "refresh_token":
            client, refresh = self._client(request, form), _needed(form, "refresh_token")
            return _tokens(await self._grants.by_refresh(client, refresh, form.get("scope")))
        raise OAuthRefused(
            "unsupported_grant_type",
            f"grant_type must be {JWT_BEARER}, authorization_code or refresh_token.",
        )

    async def _revoke(self, request: Request) -> Response:
        form = await read_form(request)
        await self._grants.revoke(self._client(request, form), _needed(form, "token"))
        return Response(b"", 200)

    async def _userinfo(self, request: Request) -> Response:
        try:
            principal = await self._callers.by_token(request)
        except (NotSignedIn, InvalidToken) as refusal:
            raise _invalid_token(refusal.message) from None
        except TooManyRefused as refusal:
            raise OAuthRefused(
                "temporarily_unavailable", refusal.message, refusal.status, refusal.retry_after
            ) from None
        account = principal.account
        user = None
        if principal.user_id is not None:
            user = await self._store.people.user(account.account_id, principal.user_id)
        if user is None:
            raise _invalid_token("The access token stands for no user.")
        given_name, family_name = user.names
        return in_json(
            {
                "sub": user.user_id,
                "name": user.name,
                "given_name": given_name,
                "family_name": family_name,
                "created": dates.render(user.created_at),
                "email": user.email,
                "accounts": [
                    {
                        "account_id": account.account_id,
                        "is_default": True,
                        "account_name": account.name,
                        "base_uri": self._public.base_uri,
                    }
                ],
            }
        )

    async def _metadata(self, _request: Request) -> Response:
        """RFC 8414."""
        base = self._public.base_uri
        methods = ["client_secret_basic", "client_secret_post", "none"]
        return in_json(
            {
                "issuer": base,
                "authorization_endpoint": base + AUTHORIZE,
                "token_endpoint": base + TOKEN,
                "revocation_endpoint": base + REVOKE,
                "userinfo_endpoint": base + USERINFO,
                "scopes_supported": sorted(SCOPES),
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token", JWT_BEARER],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": methods,
                "revocation_endpoint_auth_methods_supported": methods,
            }
        )

    def _client(self, request: Request, form: Mapping[str, str]) -> Client:
        """Who calls, by Basic authentication or by the form.

        By both, as DocuSign's example programs do (RFC 6749, 2.3, would have one), only with one
        and the same secret.
        """
        address = client_of_request(request)
        authorizations = request.every("authorization")
        if authorizations:
            if len(authorizations) > 1:
                raise OAuthRefused("invalid_request", "Give the secret once.")
            key, secret = _basic(authorizations[0])
            if Secret(form.get("client_secret", secret.reveal())) != secret:
                raise OAuthRefused("invalid_request", "The header and the form have two secrets.")
            if form.get("client_id", key).lower() != key.lower():
                raise OAuthRefused("invalid_request", "client_id is of another application.")
            return Client(address, key, secret)
        text = form.get("client_secret")
        return Client(address, _needed(form, "client_id"), None if text is None else Secret(text))


def _basic(header: str) -> tuple[str, Secret]:
    scheme, _, text = header.partition(" ")
    try:
        name, colon, secret = base64.b64decode(text.strip(), validate=True).decode().partition(":")
    except (ValueError, binascii.Error):
        name, colon, secret = "", "", ""
    if scheme.lower() != "basic" or not colon or "\0" in name:
        raise OAuthRefused("invalid_client", "The Authorization header must be Basic.", 401)
    return name, Secret(secret)


def _invalid_token(description: str) -> OAuthRefused:
    return OAuthRefused("invalid_token", description, 401)


def _needed(form: Mapping[str, str], name: str) -> str:
    if name not in form:
        raise OAuthRefused("invalid_request", f"The form needs {name}.")
    return form[name]


def _tokens(granted: Granted) -> Response:
    answer: dict[str, Any] = {
        "access_token": granted.access.reveal(),
        "token_type": "Bearer",
        "expires_in": granted.seconds,
        "scope": " ".join(sorted(granted.scopes)),
    }
    if granted.refresh is not None:
        answer["refresh_token"] = granted.refresh.reveal()
    return in_json(answer)
