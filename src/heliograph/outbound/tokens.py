"""Access tokens for listeners that want OAuth: the client credentials grant (RFC 6749, 4.4).

The authorization server is asked over the same guarded transport as listeners, so every
rule of that holds here: addresses, redirects, budgets, TLS (S1, S2, S3, S5). Nothing that
such a server says is shown but its status and the short code of its error, since it may
repeat what it was sent (S7).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec

import heliograph
from heliograph.bounded import Bounded
from heliograph.clock import Clock
from heliograph.model.accounts import Secret
from heliograph.model.configurations import ClientCredentials, TlsIdentity
from heliograph.model.deliveries import Answer, Fault, Phase
from heliograph.outbound import Transport
from heliograph.sharing import Shared

MOST_TOKENS: Final = 1024
MOST_BYTES: Final = 32 * 2**20
"""Tokens that are kept; what was not used for the longest goes first."""

WITHIN: Final = 30.0
"""Seconds for one request to an authorization server."""

LIFETIME: Final = 300.0
"""Seconds that a token is used when the server does not say how long it holds."""

LONGEST: Final = 24 * 3600.0
"""Seconds that a token is used at most, whatever the server says."""

MARGIN: Final = 60.0
"""Seconds before its end that a token is used no more; of a short life, half."""

_HEADERS: Final = (
    ("Content-Type", "application/x-www-form-urlencoded"),
    ("Accept", "application/json"),
    ("User-Agent", f"Heliograph/{heliograph.__version__}"),
)
_SENDABLE: Final = re.compile(r"[!-~]+")
"""What a token may consist of: no space, no control character, nothing beyond ASCII (S4)."""

_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+")
_GAVE_NONE: Final = "gave no token:"


def form(client: ClientCredentials) -> bytes:
    """The body of a request for a token. A custom parameter does not replace one of ours."""
    ours = {
        "grant_type": "client_credentials",
        "client_id": client.client_id,
        "client_secret": client.client_secret.reveal(),
    }
    if client.scope:
        ours["scope"] = client.scope
    custom = [(name, value) for name, value in client.parameters if name not in ours]
    return urlencode([*ours.items(), *custom]).encode("ascii")


@dataclass(frozen=True, slots=True)
class _Token:
    text: Secret
    until: float  # by the monotonic clock

    @property
    def header(self) -> tuple[str, str]:
        return ("Authorization", f"Bearer {self.text.reveal()}")


_Key = tuple[ClientCredentials, TlsIdentity | None]


class Tokens:
    """Gets tokens and keeps them while they hold. One event loop's."""

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        *,
        within: float = WITHIN,
        most: int = MOST_TOKENS,
    ) -> None:
        """`within` is the time for one request in seconds, `most` how many tokens are kept."""
        self._transport = transport
        self._clock = clock
        self._within = within
        self._kept = Bounded[_Key, _Token](most, MOST_BYTES)
        self._requests = Shared[_Key, _Token | Fault]()

    async def header(
        self, credentials: ClientCredentials, identity: TlsIdentity | None = None
    ) -> tuple[str, str] | Fault:
        """The Authorization header, with a kept token or a new one.

        Callers that come while a token is asked for share the one request.
        """
        key = (credentials, identity)
        token = self._kept.get(key)
        if token is None or token.until <= self._clock.monotonic():
            renewed = await self._requests.ask(key, lambda: self._renew(key))
            if isinstance(renewed, Fault):
                return renewed
            token = renewed
        return token.header

    async def try_anew(
        self, credentials: ClientCredentials, identity: TlsIdentity | None = None
    ) -> Fault | None:
        """Ask for a token whatever is kept; None: it came, and is kept for the next message."""
        key = (credentials, identity)
        renewed = await self._requests.ask(key, lambda: self._renew(key))
        return renewed if isinstance(renewed, Fault) else None

    def refused(
        self,
        credentials: ClientCredentials,
        header: tuple[str, str],
        identity: TlsIdentity | None = None,
    ) -> None:
        """A listener answered 401 to `header`: its token is used no more.

        A newer token stays, so that many who were refused with one token ask for one more.
        """
        token = self._kept.get((credentials, identity))
        if token is not None and token.header == header:
            self._kept.pop((credentials, identity))

    async def _renew(self, key: _Key) -> _Token | Fault:
        credentials, identity = key
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._within):
                answer = await self._transport.post(
                    credentials.token_url, _HEADERS, form(credentials), identity, fresh=True
                )
        except TimeoutError:
            return _fault(credentials, f"did not answer within {self._within:g} s")
        if isinstance(answer, Fault):
            return _unreachable(credentials, answer)
        token = _read(credentials, answer, began)
        if isinstance(token, _Token):
            self._keep(key, token)
        return token

    def _keep(self, key: _Key, token: _Token) -> None:
        self._kept.pop(key)
        if token.until > self._clock.monotonic():
            self._kept[key] = token


def _read(credentials: ClientCredentials, answer: Answer, began: float) -> _Token | Fault:
    document = _object(answer.body)
    if not 200 <= answer.status <= 299:
        code = _error_code(credentials, document)
        return _fault(credentials, f"answered {answer.status}{code}")
    if document is None:
        return _fault(
            credentials,
            f"answered {answer.status} with what is no JSON object, or is longer than is read",
        )
    token = document.get("access_token")
    if not isinstance(token, str) or not token:
        code = _error_code(credentials, document)
        return _fault(credentials, f"answered {answer.status}{code} without an access_token")
    if str(document.get("token_type", "bearer")).lower() != "bearer":
        return _fault(credentials, "gave a token that is not of the type bearer")
    if _SENDABLE.fullmatch(token) is None:
        return _fault(credentials, "gave a token that a header cannot hold")
    return _Token(Secret(token), began + _use(document.get("expires_in")))


def is_untrusted(fault: Fault) -> bool:
    """Whether an authorization server was reached and TLS with it failed."""
    # A host name has no space, so the words are those of `_unreachable`.
    return f" {_GAVE_NONE} {Phase.TLS.value}: " in fault.what


def _object(body: bytes) -> Mapping[str, Any] | None:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _use(expires_in: object) -> float:
    """Seconds that a token is used: a number or its text, less the margin."""
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float | str):
        return LIFETIME
    try:
        lifetime = float(expires_in)
    except (ValueError, OverflowError):
        return LIFETIME
    if not lifetime > 0:  # a NaN too: used by who waits for it, and not kept
        return 0.0
    return min(lifetime - min(MARGIN, lifetime / 2), LONGEST)


def _error_code(credentials: ClientCredentials, document: Mapping[str, Any] | None) -> str:
    """The error's code after a space, if it is one: a word, and nothing of what was sent."""
    code = None if document is None else document.get("error")
    if not isinstance(code, str) or _CODE.fullmatch(code) is None:
        return ""
    sent = (credentials.client_secret.reveal(), *(value for _, value in credentials.parameters))
    return "" if any(text and (text in code or code in text) for text in sent) else f" {code}"


def _unreachable(credentials: ClientCredentials, fault: Fault) -> Fault:
    """The fault of a request for a token. Its answer is left out: there may be a token in it."""
    what = fault.what
    if fault.phase in {Phase.HEADERS, Phase.BODY}:
        what = what.partition(": ")[0]  # what follows quotes the answer
    # A host name has no space, so these words are always our own.
    what = what.replace("the listener", "the server")
    what = f"{_GAVE_NONE} {fault.phase.value}: {what}"
    return _fault(credentials, what, ours=fault.ours)


def _fault(credentials: ClientCredentials, what: str, *, ours: bool = False) -> Fault:
    return Fault(Phase.TOKEN, f"{_server(credentials)} {what}", ours=ours)


def _server(credentials: ClientCredentials) -> str:
    """The server by its origin: the rest of a URL, its user and its query, may be secret."""
    try:
        parts = urlsplit(credentials.token_url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if _HOST.fullmatch(host) is None or parts.scheme not in {"http", "https"}:
        return "the authorization server"
    place = host if port is None else f"{host}:{port}"
    return f"the authorization server at {parts.scheme}://{place}"
