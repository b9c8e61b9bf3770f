"""Somebody at the console with a cookie, as a browser without script is."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

from tests.integration import ADA, FORM, PASSWORD
from tests.server import Client, Reply, serving
from tests.support import ManualClock

EMAIL = "ada@example.com"


class Person:
    """Somebody with a browser that keeps one cookie and follows nothing."""

    def __init__(self, api: Client) -> None:
        self.api = api
        self.cookie = ""

    async def get(self, path: str, **headers: str) -> Reply:
        return await self._call("GET", path, None, headers)

    async def post(
        self, path: str, fields: Mapping[str, str] | Sequence[tuple[str, str]], **headers: str
    ) -> Reply:
        return await self._call("POST", path, urlencode(fields).encode(), headers)

    async def _call(
        self, method: str, path: str, data: bytes | None, headers: dict[str, str]
    ) -> Reply:
        url = f"{self.api.server.base_uri}/console/{path}"
        sent = {"Cookie": self.cookie, "Content-Type": FORM}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.api.session.request(
            method, url, data=data, headers=sent, allow_redirects=False
        ) as answer:
            if given := answer.headers.get("Set-Cookie"):
                self.cookie = given.partition(";")[0]
            return Reply(answer.status, answer.headers, await answer.read())

    async def sign_in(self, **fields: str) -> Reply:
        return await self.post("sign-in", fields or {"name": EMAIL, "password": PASSWORD})

    async def form_token(self) -> str:
        found = re.search(rb'name="form_token" value="(\w+)"', (await self.get("help")).body)
        assert found is not None
        return found[1].decode()

    async def is_in(self) -> bool:
        return (await self.get("help")).status == 200


@asynccontextmanager
async def people(folder: Path, clock: ManualClock | None = None) -> AsyncIterator[Client]:
    """A server where Ada, an administrator, has a password."""
    async with serving(folder, clock) as api:
        user = {"userName": "Ada", "email": EMAIL, "userId": ADA, "isAdmin": "True"}
        made = await api.call("POST", f"{api.account}/users", {"newUsers": [user]})
        assert made.status == 201, made.body
        body = {"newPassword": PASSWORD}
        done = await api.call("PUT", f"{api.account}/users/{ADA}/password", body)
        assert done.status == 200, done.body
        yield api
