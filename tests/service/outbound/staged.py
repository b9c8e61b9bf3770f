"""A listener, an authorization server, and what posts to them with credentials."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl

from heliograph.egress import Guard
from heliograph.model.accounts import Secret
from heliograph.model.configurations import ClientCredentials, ConnectConfiguration
from heliograph.model.deliveries import Answer, Fault, Proofs
from heliograph.outbound.authorizer import Authorizer
from heliograph.outbound.tokens import Tokens
from heliograph.outbound.transport import Budget, Transport
from heliograph.wire import configurations
from tests.scripted import (
    BODY,
    EMULATOR,
    HEADERS,
    OK,
    Listener,
    Peer,
    Script,
    keep_answering,
    listening,
)
from tests.support import ACCOUNT, ManualClock

SECRET = "s3cr3t of the client/+&="
TOKEN = "t0ken-that-nobody-may-see"
UNAUTHORIZED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"


def answer(said: object, status: str = "200 OK") -> bytes:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def gives(**over: object) -> Script:
    """An authorization server: each token has a number, from 1."""

    async def script(listener: Listener, peer: Peer) -> None:
        while True:
            await listener.take(peer)
            token = f"{TOKEN}-{len(listener.requests)}"
            said = {"access_token": token, "token_type": "Bearer", "expires_in": 3600} | over
            await peer.send(answer({name: one for name, one in said.items() if one is not None}))

    return script


def refusing(*refused: int) -> Script:
    """A listener that answers 401 to the tokens of these numbers."""

    async def script(listener: Listener, peer: Peer) -> None:
        while True:
            await listener.take(peer)
            number = int(authorization(listener, -1).rpartition("-")[2])
            await peer.send(UNAUTHORIZED if number in refused else OK)

    return script


def authorization(listener: Listener, number: int = 0) -> str:
    """The Authorization header of a request; exactly one is there."""
    head, _ = listener.requests[number]
    (found,) = [line for line in head.split("\r\n") if line.lower().startswith("authorization:")]
    return found.partition(": ")[2]


def form(server: Listener, number: int = 0) -> list[tuple[str, str]]:
    return parse_qsl(server.requests[number][1].decode("ascii"), strict_parsing=True)


def configuration(
    url: str, secrets: Mapping[str, str] | None = None, **fields: Any
) -> ConnectConfiguration:
    document = json.dumps({"urlToPublishTo": url, **fields}).encode()
    sealed = {name: Secret(text) for name, text in (secrets or {}).items()}
    return configurations.read(ACCOUNT, 7, document, sealed)


def with_secrets(wanted: ConnectConfiguration, **secrets: str) -> ConnectConfiguration:
    """A configuration of the same document with other secrets."""
    sealed = {name: Secret(text) for name, text in secrets.items()}
    return configurations.read(ACCOUNT, wanted.connect_id, wanted.document, sealed)


def with_oauth(url: str, token_url: str, **fields: Any) -> ConnectConfiguration:
    oauth = {"authorizationServerUrl": token_url, "clientId": "heliograph"} | fields
    return configuration(
        url, {"clientSecret": SECRET}, includeOAuth="true", oAuthConfiguration=oauth
    )


def credentials(token_url: str, **over: Any) -> ClientCredentials:
    given = ClientCredentials(token_url, "heliograph", Secret(SECRET), None, ())
    return replace(given, **over)


@dataclass
class Stage:
    """A listener, an authorization server, and what posts to them."""

    listener: Listener
    server: Listener
    transport: Transport
    authorizer: Authorizer
    tokens: Tokens
    clock: ManualClock = field(default_factory=ManualClock)

    @property
    def wanted(self) -> ConnectConfiguration:
        return with_oauth(self.listener.url, self.server.url)

    async def post(
        self, wanted: ConnectConfiguration | None = None, oauth: ClientCredentials | None = None
    ) -> Answer | Fault:
        proofs = Proofs(oauth=oauth)
        return await self.authorizer.post(wanted or self.wanted, HEADERS, BODY, proofs)


@asynccontextmanager
async def stage(
    listener: Script = keep_answering,
    server: Script | None = None,
    *,
    guard: Guard = EMULATOR,
    budget: Budget | None = None,
    total: float = 100.0,
) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as open_:
        heard = await open_.enter_async_context(listening(listener))
        asked = await open_.enter_async_context(listening(server or gives()))
        transport = await open_.enter_async_context(Transport(guard, budget or Budget()))
        clock = ManualClock()
        authorizer = Authorizer(transport, clock, total=total)
        yield Stage(heard, asked, transport, authorizer, Tokens(transport, clock), clock)
