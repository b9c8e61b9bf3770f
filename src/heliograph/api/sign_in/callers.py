"""Who makes a call: by an access token, or where that is switched on by the legacy header."""

from __future__ import annotations

from typing import Final

from heliograph.access.clients import client_of
from heliograph.access.throttle import TokenGuesses
from heliograph.api.contract.request import Request
from heliograph.api.sign_in.legacy import LegacySignIn
from heliograph.errors import InvalidToken, NotSignedIn
from heliograph.model.accounts import Principal
from heliograph.model.applications import SIGNATURE
from heliograph.store import Store

LEGACY_HEADER: Final = "x-docusign-authentication"


class Callers:
    """Finds the principal of a request. Credentials are in headers alone (J12)."""

    def __init__(self, store: Store, guesses: TokenGuesses, legacy: LegacySignIn | None) -> None:
        """`legacy` None: the header X-DocuSign-Authentication is not looked at."""
        self._store = store
        self._guesses = guesses
        self._legacy = legacy

    async def of(self, request: Request) -> Principal:
        """Whom the request's credentials stand for.

        Raises:
            InvalidToken: more than one, or a token that lacks the scope.
            ApiError: as `by_token` and `LegacySignIn` do.
        """
        if self._legacy is not None and (old := request.every(LEGACY_HEADER)):
            if request.every("authorization") or len(old) > 1:
                raise InvalidToken("Send a token or X-DocuSign-Authentication, one and once.")
            return await self._legacy.principal(old[0], client_of_request(request))
        principal = await self.by_token(request)
        if principal.scopes is not None and SIGNATURE not in principal.scopes:
            raise InvalidToken(f"The access token lacks the scope {SIGNATURE}.")
        return principal

    async def by_token(self, request: Request) -> Principal:
        """Whom the request's access token stands for, whatever its scopes.

        Raises:
            NotSignedIn: there is none.
            TooManyRefused: too many tokens of this address were none.
            InvalidToken: more than one, or one that does not work.
        """
        tokens = request.every("authorization")
        if not tokens:
            raise NotSignedIn("Send a token: Authorization: Bearer TOKEN.")
        scheme, _, token = tokens[0].partition(" ")
        token = token.strip()
        if len(tokens) > 1 or scheme.lower() != "bearer" or not token:
            raise InvalidToken("Send one token: Authorization: Bearer TOKEN.")
        return await self.by_text(token, client_of_request(request))

    async def by_text(self, token: str, client: str) -> Principal:
        """Whom an access token stands for; `client` is whom a guess is counted for.

        Raises:
            TooManyRefused: too many tokens of this address were none.
            InvalidToken: it does not work.
        """
        if refusal := self._guesses.refusal(client, token):
            raise refusal
        principal = await self._store.principal(token)
        if principal is None:
            self._guesses.wrong(client, token)
            raise InvalidToken("The access token is unknown, revoked or malformed.")
        self._guesses.right(token)
        return principal


def client_of_request(request: Request) -> str:
    """Whom an attempt is counted for."""
    return client_of(request.address)
