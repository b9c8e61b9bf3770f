"""A path as an ASGI application: each call of it is answered or refused, timed and told of."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from heliograph.errors import (
    ApiError,
    CodedBody,
    MethodNotAllowed,
    StorageBroken,
    StorageUnavailable,
    Unavailable,
    Unspecified,
)
from heliograph.watch import Observer

Respond = Callable[[Request], Awaitable[Response]]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to a call that came to nothing, and the code that the observer is told."""

    code: str
    response: Response


Refuse = Callable[[Request, Exception], Refusal]


class Endpoint:
    """Answers the calls of one path, and tells the observer."""

    def __init__(
        self,
        name: Callable[[Request], str],
        answer: Respond,
        refuse: Refuse,
        observer: Observer,
        headers: Mapping[str, str],
    ) -> None:
        """`name` is what the observer knows a call by; `headers` are those of every answer that
        has no others. What `answer` adds to `request.state.headers` refusals have as well."""
        self._name = name
        self._answer = answer
        self._refuse = refuse
        self._observer = observer
        self._headers = headers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive, send)
        request.state.headers = dict(self._headers)
        began, code = time.monotonic(), None
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return
        except Exception as problem:
            refusal = self._refuse(request, problem)
            response, code = refusal.response, refusal.code
        for name, value in request.state.headers.items():
            response.headers.setdefault(name, value)
        await response(scope, receive, send)
        seconds = time.monotonic() - began
        self._observer.answered(self._name(request), response.status_code, code, seconds)


def method_of(request: Request) -> str:
    """The method that answers: HEAD is answered as GET is."""
    return "GET" if request.method == "HEAD" else request.method


def api_error(request: Request, problem: Exception) -> ApiError:
    """What the caller is told of what went wrong."""
    if isinstance(problem, ApiError):
        return problem
    if isinstance(problem, StorageUnavailable):
        return Unavailable(str(problem))
    if isinstance(problem, StorageBroken):
        return Unavailable("The database failed; nothing was done.")
    _log.error("call_broke", method=request.method, path=request.url.path, exc_info=problem)
    return Unspecified("Heliograph made an error; its log has the details.")


def mark(response: Response, status: int, retry_after: int | None, problem: Exception) -> None:
    """Give a refusal the headers that go with it, whatever its body is."""
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    if isinstance(problem, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(problem.allowed)
    if isinstance(problem, CodedBody):
        response.headers["Accept-Encoding"] = "identity"  # RFC 9110, 15.5.16
    if status == 413:
        # What is left of the body is not read: the connection cannot be used again.
        response.headers["Connection"] = "close"
