"""A path of /oauth as an ASGI application: its methods, and one shape for what is refused."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from heliograph.errors import NotFound, OAuthRefused, StorageBroken, StorageUnavailable
from heliograph.watch import Observer

Answer = Callable[[Request], Awaitable[Response]]
Refuse = Callable[[Request, OAuthRefused], Response]

NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""On every answer: tokens and pages with names in them stay nowhere (RFC 6749, 5.1)."""

_REALM: Final = 'Basic realm="Heliograph", charset="UTF-8"'

_log = structlog.get_logger()


def refused_as_json(_request: Request, refusal: OAuthRefused) -> Response:
    """`{error, error_description}`, as RFC 6749, 5.2 has it."""
    answer = {"error": refusal.error, "error_description": refusal.description}
    response = JSONResponse(answer, refusal.status)
    if refusal.error == "invalid_client":
        response.headers["WWW-Authenticate"] = _REALM
    if refusal.error == "invalid_token":
        response.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    return response


class Endpoint:
    """Answers the methods of one path, and tells the observer."""

    def __init__(
        self,
        operation: str,
        methods: Mapping[str, Answer],
        observer: Observer,
        refuse: Refuse = refused_as_json,
    ) -> None:
        self._operation = operation
        self._methods = methods
        self._observer = observer
        self._refuse = refuse

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive, send)
        began, refusal = time.monotonic(), None
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return
        except Exception as problem:
            told = _told(request, problem)
            refusal, response = told.error, self._refuse(request, told)
            if told.retry_after is not None:
                response.headers["Retry-After"] = str(told.retry_after)
            if told.status == 405:
                response.headers["Allow"] = ", ".join(sorted(self._methods))
            if told.status == 413:
                response.headers["Connection"] = "close"  # what is left of the body is not read
        for name, value in NO_STORE.items():
            response.headers.setdefault(name, value)
        response.headers["X-Content-Type-Options"] = "nosniff"
        await response(scope, receive, send)
        seconds = time.monotonic() - began
        self._observer.answered(self._operation, response.status_code, refusal, seconds)

    async def _answer(self, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        answer = self._methods.get(method)
        if answer is None:
            known = " and ".join(sorted(self._methods))
            raise OAuthRefused("invalid_request", f"This resource takes {known}.", 405)
        return await answer(request)


def _told(request: Request, problem: Exception) -> OAuthRefused:
    if isinstance(problem, OAuthRefused):
        return problem
    if isinstance(problem, NotFound):  # it went away while the call ran
        return OAuthRefused("invalid_request", problem.message)
    if isinstance(problem, StorageUnavailable | StorageBroken):
        return OAuthRefused(
            "temporarily_unavailable", "The database cannot be used now.", 503, retry_after=2
        )
    _log.error("call_broke", method=request.method, path=request.url.path, exc_info=problem)
    return OAuthRefused("server_error", "Heliograph made an error; its log has the details.", 500)
