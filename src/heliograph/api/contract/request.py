"""A request, as what answers it sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from heliograph.incoming.exchange import Receive, Scope


class ClientGone(Exception):
    """The client ended its connection before its request was whole: nobody waits for an answer."""


class Request:
    """One request. Names of headers are in small letters here."""

    __slots__ = ("_headers", "_receive", "method", "query", "scope", "standing")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self._receive = receive
        self._headers: dict[str, list[str]] | None = None
        self.method: str = "GET" if scope["method"] == "HEAD" else scope["method"]
        """The one that answers: HEAD is answered as GET is."""
        self.query: bytes = scope["query_string"]
        self.standing: Mapping[str, str] = {}
        """Headers of the answer, whatever it is, that tell where the caller stands."""

    @property
    def path(self) -> str:
        """Decoded, without a slash at its end."""
        path: str = self.scope["path"]
        return path

    @property
    def parameters(self) -> Mapping[str, str]:
        """Those of the path."""
        found: Mapping[str, str] = self.scope["path_params"]
        return found

    @property
    def address(self) -> str:
        """The client's, or what a trusted proxy says that it is; empty where neither is known."""
        client: tuple[str, int] | None = self.scope["client"]
        return "" if client is None else client[0]

    def every(self, name: str) -> list[str]:
        """The values of all headers of this name."""
        return self._by_name().get(name, [])

    def header(self, name: str) -> str | None:
        """The value of the first header of this name."""
        values = self._by_name().get(name)
        return None if values is None else values[0]

    def _by_name(self) -> Mapping[str, list[str]]:
        if self._headers is None:
            self._headers = {}
            for name, value in self.scope["headers"]:
                self._headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        return self._headers

    async def read(self) -> tuple[bytes, bool]:
        """What came of the body, and whether more will come.

        Raises:
            ClientGone: no more will, although the body is not whole.
        """
        message: Mapping[str, Any] = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        return message["body"], message["more_body"]
