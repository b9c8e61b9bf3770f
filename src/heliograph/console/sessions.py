"""Who is signed in: a cookie of 256 random bits, and its row in the store.

A session ends an hour after its last use, twelve hours after its first, with its user or token, and
when it is closed. It does no more than they may (S18).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from heliograph.access.sign_in import SignIn
from heliograph.api.contract.request import Request
from heliograph.api.contract.response import Response
from heliograph.api.sign_in.callers import Callers, client_of_request
from heliograph.errors import InvalidToken
from heliograph.incoming.address import PublicAddress
from heliograph.model.accounts import Secret
from heliograph.model.applications import (
    CONSOLE_IDLE_SECONDS,
    CONSOLE_SECONDS,
    SIGNATURE,
    ConsoleSession,
)
from heliograph.model.audit import Actor, actor_of
from heliograph.model.tokens import new_token
from heliograph.store import Store
from heliograph.store.audit import acting

_STEP: Final = timedelta(seconds=60)
"""A session is written down anew when that lets it last so much longer, and not at every call."""

_OURS: Final = ("same-origin", "none")
"""What a browser says of a request that no other site has made."""


class Sessions:
    """Opens, finds and closes sessions."""

    def __init__(
        self, store: Store, sign_in: SignIn, callers: Callers, public: PublicAddress
    ) -> None:
        self._store = store
        self._sign_in = sign_in
        self._callers = callers
        self._public = public
        # With __Host- a browser takes the cookie from nobody else, not from a neighbour's domain
        # either; its price is the path, which is not known behind a proxy in any case.
        self.cookie = "__Host-heliograph-console" if public.secure else "heliograph-console"

    async def of(self, request: Request) -> tuple[ConsoleSession, str] | None:
        """The session of a request and its text, which lasts longer by that."""
        text = self._text(request)
        found = await self._store.sign_ins.console_session(text) if text else None
        if found is None:
            return None
        until = min(
            self._store.clock.now() + timedelta(seconds=CONSOLE_IDLE_SECONDS),
            found.created_at + timedelta(seconds=CONSOLE_SECONDS),
        )
        principal = found.principal
        if principal.expires_at is not None and until - principal.expires_at > _STEP:
            account_id = principal.account.account_id
            await self._store.sign_ins.prolong_console_session(account_id, text, until)
        return found, text

    async def by_password(self, request: Request, name: str, password: Secret) -> Secret:
        """A new session of a user.

        Raises:
            ApiError: as `SignIn.check` does.
        """
        login = await self._sign_in.check(name, password, client_of_request(request))
        user, session = login.person.user, new_token()
        with acting(Actor(user.email, request.address, user_id=user.user_id)):
            await self._store.sign_ins.open_console_session(
                user.account_id, session, self._first_end(), user_id=user.user_id
            )
        # A new password that came while the old one was checked has ended all sessions but this
        # one, of which nobody knows yet.
        await self._sign_in.still(login)
        return session

    async def by_token(self, request: Request, token: Secret) -> Secret:
        """A new session of whoever has a token.

        Raises:
            TooManyRefused: too many tokens of this address were none.
            InvalidToken: it does not work, or lacks the scope of the API.
        """
        text = token.reveal().strip()
        principal = await self._callers.by_text(text, client_of_request(request))
        if principal.scopes is not None and SIGNATURE not in principal.scopes:
            raise InvalidToken(f"The token lacks the scope {SIGNATURE}.")
        session = new_token()
        with acting(actor_of(principal, request.address)):
            await self._store.sign_ins.open_console_session(
                principal.account.account_id, session, self._first_end(), token=text
            )
        return session

    async def close(self, session: ConsoleSession, text: str, *, everywhere: bool) -> None:
        """End a session, or all of the same user or token."""
        account_id = session.principal.account.account_id
        await self._store.sign_ins.close_console_session(account_id, text, everywhere=everywhere)

    def set_cookie(self, response: Response, value: Secret | None) -> None:
        """Give a session to the browser, or with None take it back."""
        text, age = ("", 0) if value is None else (value.reveal(), CONSOLE_SECONDS)
        secure = "; Secure" if self._public.secure else ""
        response.headers["set-cookie"] = (
            f"{self.cookie}={text}; HttpOnly; Path=/; SameSite=Strict; Max-Age={age}{secure}"
        )

    def is_foreign(self, request: Request) -> bool:
        """Whether another site has made a request, as far as the browser says so."""
        site = request.header("sec-fetch-site")
        if site is not None:
            return site not in _OURS
        origin = request.header("origin")
        if origin is None:
            return False
        own = {request.header("host"), urlsplit(self._public.base_uri).netloc}
        return urlsplit(origin).netloc not in own

    def _first_end(self) -> datetime:
        return self._store.clock.now() + timedelta(seconds=CONSOLE_IDLE_SECONDS)

    def _text(self, request: Request) -> str:
        """What our cookie holds; empty where there is none. Of several the last one counts."""
        pairs = [
            part.strip().partition("=")
            for line in request.every("cookie")
            for part in line.split(";")
        ]
        return {name.strip(): value.strip() for name, _, value in pairs}.get(self.cookie, "")
