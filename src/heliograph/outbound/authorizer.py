"""How a post shows a listener who sends it: Basic, OAuth, mutual TLS.

A configuration's secrets leave this module in the headers and the TLS handshake of a post, and in
nothing that is stored or shown (S7).
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from heliograph.clock import Clock
from heliograph.model.accounts import Secret
from heliograph.model.configurations import (
    Authentication,
    BorrowedOAuth,
    ClientCredentials,
    ConnectConfiguration,
    TlsIdentity,
)
from heliograph.model.deliveries import NO_PROOFS, Answer, Body, Fault, Phase, Proofs
from heliograph.outbound import Transport
from heliograph.outbound.tokens import Tokens, is_untrusted

GRACE: Final = 1.0
"""Seconds above the time of an attempt before it is ended here: the transport's own timer
knows more of what was going on, and is to be the first."""

_SHORT: Final = 8
"""Characters of a secret below which it may be a part of anything."""

_Headers = Sequence[tuple[str, str]]


class Authorizer:
    """Posts to listeners with what their configurations want a post to carry."""

    def __init__(self, transport: Transport, clock: Clock, *, total: float) -> None:
        """`total` is the time of one attempt in seconds, requests for tokens included."""
        self._transport = transport
        self._tokens = Tokens(transport, clock)
        self._total = total

    async def post(
        self,
        configuration: ConnectConfiguration,
        headers: _Headers,
        body: Body,
        proofs: Proofs = NO_PROOFS,
        *,
        last: bool = False,
    ) -> Answer | Fault:
        """Send one message; after a 401 to an OAuth token, once more with a new token.

        The `last` try of a message goes over a connection of its own.
        The account's OAuth client is used whole or not at all: a secret goes to no other server
        than its own.
        """
        wanted = configuration.authentication
        identity = _identity(wanted, configuration.url, proofs.client)
        if isinstance(identity, Fault):
            return identity
        post = _Post(configuration.url, headers, body, identity, last)
        if wanted.oauth is not None:
            credentials = _credentials(wanted.oauth, proofs.oauth)
            if isinstance(credentials, Fault):
                return credentials
            return await self._post_with_token(post, credentials, wanted.authorities)
        if wanted.basic is None:
            return await self._send(post)
        user_name, password = wanted.basic
        if ":" in user_name:
            return Fault(Phase.RENDER, "a userName with a colon cannot be sent by HTTP Basic")
        header = _basic(user_name, password)
        return _without(await self._send(post, header), header, password)

    async def try_client(
        self, client: ClientCredentials, authorities: Collection[str] = ()
    ) -> Fault | None:
        """Ask for a token of a client; None where one came.

        Where TLS fails, once more with each of the `authorities` (PEM) in addition, as posts of
        the configurations do that add them.
        """
        first = await self._tokens.try_anew(client)
        if first is not None and is_untrusted(first):
            for added in authorities:
                if await self._tokens.try_anew(client, TlsIdentity(None, None, added)) is None:
                    return None
        return first

    async def _post_with_token(
        self, post: _Post, credentials: ClientCredentials, authorities: str | None
    ) -> Answer | Fault:
        # The client certificate is for the listener, the added roots are for both.
        trust = None if authorities is None else TlsIdentity(None, None, authorities)
        secret, phase, answer = credentials.client_secret, Phase.TOKEN, None
        try:
            async with asyncio.timeout(self._total + GRACE):
                header = await self._tokens.header(credentials, trust)
                if isinstance(header, Fault):
                    return header
                phase = Phase.HEADERS
                first = _without(await self._send(post, header), header, secret)
                if not isinstance(first, Answer) or first.status != 401:
                    return first
                phase, answer = Phase.TOKEN, first
                self._tokens.refused(credentials, header, trust)
                again = await self._tokens.header(credentials, trust)
                if isinstance(again, Fault):
                    what = f"the listener answered 401, and {again.what}"
                    return Fault(Phase.TOKEN, what, first, again.ours)
                if again == header:
                    return first
                phase = Phase.HEADERS
                return _without(await self._send(post, again), again, secret)
        except TimeoutError:
            what = f"no answer within {self._total:g} s, of which the access token took a part"
            return Fault(phase, what, answer)

    async def _send(self, post: _Post, *header: tuple[str, str]) -> Answer | Fault:
        headers = [*post.headers, *header]
        return await self._transport.post(
            post.url, headers, post.body, post.identity, fresh=post.last
        )


@dataclass(frozen=True, slots=True)
class _Post:
    url: str
    headers: _Headers
    body: Body
    identity: TlsIdentity | None
    last: bool


def _identity(
    wanted: Authentication, url: str, client: tuple[str, Secret] | None
) -> TlsIdentity | Fault | None:
    https = url.lower().startswith("https:")
    if not wanted.mutual_tls:
        if wanted.offers_certificate and https and client is not None:
            return TlsIdentity(*client, wanted.authorities)
        return None if wanted.authorities is None else TlsIdentity(None, None, wanted.authorities)
    if not https:
        return Fault(Phase.TLS, "requireMutualTls is true, and the listener's URL is not https")
    if client is None:
        return Fault(Phase.TLS, "requireMutualTls is true, and there is no client certificate")
    return TlsIdentity(*client, wanted.authorities)


def _credentials(
    wanted: ClientCredentials | BorrowedOAuth, of_account: ClientCredentials | None
) -> ClientCredentials | Fault:
    if isinstance(wanted, ClientCredentials):
        return wanted
    if of_account is not None:
        return of_account
    what = f"includeOAuth is true, {wanted.why}, and the account has no OAuth client"
    return Fault(Phase.TOKEN, what)


def _basic(user_name: str, password: Secret) -> tuple[str, str]:
    """RFC 7617 with UTF-8; base64 cannot hold a line break (S4)."""
    pair = f"{user_name}:{password.reveal()}"
    return ("Authorization", f"Basic {b64encode(pair.encode()).decode('ascii')}")


def _without(answer: Answer | Fault, header: tuple[str, str], secret: Secret) -> Answer | Fault:
    """What came back without the credentials: a listener may repeat what it was sent (S7)."""
    texts = (header[1].partition(" ")[2], secret.reveal())
    hidden = [text for text in texts if len(text) >= _SHORT]
    if isinstance(answer, Answer):
        return _clean_answer(answer, hidden)
    partial = answer.answer and _clean_answer(answer.answer, hidden)
    return replace(answer, what=_clean(answer.what, hidden), answer=partial)


def _clean_answer(answer: Answer, hidden: Sequence[str]) -> Answer:
    body = answer.body
    for text in hidden:
        body = _without_part(body.replace(text.encode(), b"***"), text.encode())
    return Answer(
        answer.status,
        _clean(answer.reason, hidden),
        tuple((_clean(name, hidden), _clean(value, hidden)) for name, value in answer.headers),
        body,
    )


def _without_part(body: bytes, secret: bytes) -> bytes:
    """A body without what of a secret is at its end: only so much of a long one is kept."""
    for length in range(len(secret) - 1, _SHORT // 2 - 1, -1):
        if body.endswith(secret[:length]):
            return body[:-length] + b"***"
    return body


def _clean(text: str, hidden: Sequence[str]) -> str:
    for credential in hidden:
        text = text.replace(credential, "***")
    return text
