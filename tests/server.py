"""A real server in the test's event loop, and a small client that speaks to it."""

from __future__ import annotations

import io
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from heliograph.access.credentials_file import Credentials
from heliograph.clock import Clock
from heliograph.service import Adding, Running, running
from heliograph.settings import from_environment


@dataclass
class Reply:
    """An answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The error code of errorDetails."""
        code: str = self.json["errorCode"]
        return code


@dataclass
class Client:
    """Calls the API as an application would."""

    server: Running
    credentials: Credentials
    session: aiohttp.ClientSession
    headers: dict[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | bool = True

    @property
    def account(self) -> str:
        return f"/restapi/v2.1/accounts/{self.credentials.account_id}"

    @property
    def connect(self) -> str:
        return f"{self.account}/connect"

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        data: bytes | None = None,
        **headers: str,
    ) -> Reply:
        """One call; a path that begins with a slash is used as it stands, else it is below
        `connect`. Keyword headers are written with underscores; an empty one is left out."""
        sent = {
            "Authorization": f"Bearer {self.credentials.access_token.reveal()}",
            "Content-Type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        url = self.server.base_uri + (path if path[:1] == "/" else f"{self.connect}/{path}")
        payload = data if data is not None else None if body is None else json.dumps(body).encode()
        stream = None if payload is None else io.BytesIO(payload)
        kept = {name: value for name, value in sent.items() if value}
        async with self.session.request(method, url, data=stream, headers=kept) as answer:
            return Reply(answer.status, answer.headers, await answer.read())

    async def configure(self, url: str, **fields: Any) -> str:
        """Create a configuration for `url`; its connectId."""
        made = await self.call(
            "POST",
            self.connect,
            {
                "name": "crm",
                "urlToPublishTo": url,
                "allowEnvelopePublish": "true",
                "allUsers": "true",
                "enableLog": "true",
                "events": ["envelope-sent", "envelope-completed"],
                **fields,
            },
        )
        assert made.status == 201, made.body
        connect_id: str = made.json["connectId"]
        return connect_id


@asynccontextmanager
async def serving(
    folder: Path, clock: Clock | None = None, adding: Adding | None = None, /, **settings: Any
) -> AsyncIterator[Client]:
    """A server on a free port that admits loopback listeners, relaxed unless told otherwise."""
    wanted: dict[str, Any] = {
        "port": 0,
        "data_dir": folder / "data",
        "egress": "emulator",
        "fidelity": "relaxed",
        "attempt_timeout": 5.0,
        "i_accept_data_loss": True,
        **settings,
    }
    async with running(from_environment({}, **wanted), clock, adding=adding) as server:
        credentials = Credentials.read(wanted["data_dir"])
        authority = credentials.ca_cert
        tls = True if authority is None else ssl.create_default_context(cafile=authority)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session:
            yield Client(server, credentials, session, tls=tls)
