"""Somebody at /oauth/auth without a browser: follows pages and posts their forms as one would."""

from __future__ import annotations

from html.parser import HTMLParser
from types import TracebackType
from typing import Self
from urllib.parse import urlencode, urljoin, urlsplit

import aiohttp

from tests.integration import FORM, PASSWORD
from tests.server import Client


class _Forms(HTMLParser):
    """The forms of a page: where each posts to, and its fields."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            assert given["method"] == "post"
            self.forms.append((given["action"], {}))
        elif tag == "input":
            self.forms[-1][1][given["name"]] = given.get("value", "")


class Visitor:
    """Keeps cookies, and does not follow a redirect that leaves the server."""

    def __init__(self, api: Client) -> None:
        self._base = api.server.base_uri
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=api.tls),
            cookie_jar=aiohttp.CookieJar(unsafe=True),  # cookies of an address, too
        )
        self.gone_to: str | None = None
        self.page = ""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.url = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    @property
    def cookies(self) -> list[str]:
        """The names and values of what is kept."""
        return [f"{one.key}={one.value}" for one in self._session.cookie_jar]

    @property
    def forms(self) -> list[tuple[str, dict[str, str]]]:
        """The forms of the page that is shown."""
        parser = _Forms()
        parser.feed(self.page)
        return parser.forms

    async def open(self, url: str) -> None:
        """Show a page, or go where it leads."""
        await self._go("GET", urljoin(self._base, url))

    async def post(self, action: str, fields: dict[str, str]) -> None:
        """Post a form of the page that is shown."""
        await self._go("POST", urljoin(self.url, action), fields)

    async def sign_in(self, name: str, password: str = PASSWORD) -> None:
        """Fill the sign-in form."""
        action, fields = self.forms[0]
        await self.post(action, {**fields, "email": name, "password": password})

    async def allow(self) -> str:
        """Consent; where the application's answer went."""
        return await self._decide("allow")

    async def cancel(self) -> str:
        """Do not consent."""
        return await self._decide("deny")

    async def _decide(self, decision: str) -> str:
        action, fields = self.forms[0]
        await self.post(action, {**fields, "decision": decision})
        assert self.gone_to is not None, self.page
        return self.gone_to

    async def _go(self, method: str, url: str, fields: dict[str, str] | None = None) -> None:
        data = None if fields is None else urlencode(fields)
        headers = {} if fields is None else {"Content-Type": FORM}
        self.gone_to = None
        for _ in range(5):
            async with self._session.request(
                method, url, data=data, headers=headers, allow_redirects=False
            ) as answer:
                self.status, self.page = answer.status, await answer.text()
                self.headers = dict(answer.headers)
                self.url = url
            target = self.headers.get("Location")
            if target is None:
                return
            assert self.status == 303
            url, method, data, headers = urljoin(url, target), "GET", None, {}
            if not url.startswith(self._base + "/"):
                assert urlsplit(url).netloc not in self._base
                self.gone_to = url
                return
        raise AssertionError(f"too many redirects: {url}")
