"""Calls of the API in this process: the same operations, checks and answers, without a socket."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import msgspec

from heliograph.api.contract.operation import PREFIXES, Operation, application
from heliograph.api.contract.request import Request
from heliograph.incoming.exchange import Message, Scope
from heliograph.model.accounts import Principal
from heliograph.watch import Observer

_PRINCIPAL: Final = "heliograph.principal"
"""The name in a scope that tells for whom a call of a page is made."""

_NEXT: Final = re.compile(r'<([^>]*)>; rel="next"')


class ProblemOfCall(Exception):
    """The API refused a call of a page."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came to: its JSON, None for an empty body, and where a listing goes on."""

    value: Any
    cursor: str | None


class Calls:
    """The API as pages call it.

    A call costs no quota: a page that is left open asks every few seconds, and must not use up
    what the account's applications may ask (S13).
    """

    def __init__(self, operations: Sequence[Operation], observer: Observer) -> None:
        self._application = application(operations, _principal_of, [], observer)

    async def call(
        self,
        principal: Principal,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None,
        address: str,
    ) -> Answer:
        """One call, as `principal` at an address; `path` is that of the API from its version on.

        Raises:
            ProblemOfCall: it was refused.
        """
        raw = b"" if body is None else msgspec.json.encode(body)
        status, headers, parts = 0, {}, []

        async def receive() -> Message:
            return {"type": "http.request", "body": raw, "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status, headers = message["status"], dict(message["headers"])
            else:
                parts.append(message["body"])

        await self._application(_scope(principal, method, path, query, address), receive, send)
        content = b"".join(parts)
        value: Any = msgspec.json.decode(content) if content else None
        if status >= 400:
            raise ProblemOfCall(status, value["errorCode"], value["message"])
        return Answer(value, _cursor(headers.get(b"link", b"").decode("ascii")))


def account_path(principal: Principal, path: str) -> str:
    """A path below the account's; one that begins without a slash is of its `connect`."""
    below = path if path[:1] == "/" else f"/connect/{path}" if path else "/connect"
    return f"/accounts/{principal.account.account_id}{below}"


def segment(text: str) -> str:
    """A part of a path, whatever is in it."""
    return quote(text, safe="")


def _scope(
    principal: Principal, method: str, path: str, query: Mapping[str, str], address: str
) -> Scope:
    raw_path = f"{PREFIXES[1]}{path}"
    return {
        "type": "http",
        "method": method,
        "path": unquote(raw_path),
        "raw_path": raw_path.encode("ascii"),
        "query_string": urlencode(query).encode("ascii"),
        "headers": [(b"accept", b"application/json"), (b"content-type", b"application/json")],
        "client": (address, 0),
        _PRINCIPAL: principal,
    }


def _cursor(link: str) -> str | None:
    found = _NEXT.search(link)
    return None if found is None else dict(parse_qsl(urlsplit(found[1]).query)).get("cursor")


async def _principal_of(request: Request) -> Principal:
    principal: Principal = request.scope[_PRINCIPAL]
    return principal
