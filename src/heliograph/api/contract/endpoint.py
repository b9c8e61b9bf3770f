"""A path as an ASGI application: each call of it is answered or refused, timed and told of."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from heliograph.api.contract.request import ClientGone, Request
from heliograph.api.contract.response import Response
from heliograph.errors import (
    ApiError,
    CodedBody,
    MethodNotAllowed,
    StorageBroken,
    StorageUnavailable,
    Unavailable,
    Unspecified,
)
from heliograph.incoming.exchange import Receive, Scope, Send
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
        has no others. Every answer has those of `request.standing`, too."""
        self._name = name
        self._answer = answer
        self._refuse = refuse
        self._observer = observer
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        began, code = time.monotonic(), None
        try:
            response = await self._answer(request)
        except ClientGone:
            return
        except Exception as problem:
            refusal = self._refuse(request, problem)
            response, code = refusal.response, refusal.code
        response.headers = {**self._headers, **request.standing, **response.headers}
        if response.endless and request.scope["method"] == "HEAD":
            response.body = b""  # which nobody would end
        begun = time.monotonic() - began
        with contextlib.suppress(ConnectionResetError):  # told of all the same
            await response.write(send)
        seconds = begun if response.endless else time.monotonic() - began
        self._observer.answered(self._name(request), response.status, code, seconds)


def only(method: str, answer: Respond, *others: str) -> Respond:
    """Answer calls of one method; a refusal names `others` too, which are served as that one."""

    async def respond(request: Request) -> Response:
        if request.method != method:
            raise MethodNotAllowed([method, *others])
        return await answer(request)

    return respond


def api_error(request: Request, problem: Exception) -> ApiError:
    """What the caller is told of what went wrong."""
    if isinstance(problem, ApiError):
        return problem
    if isinstance(problem, StorageUnavailable):
        return Unavailable(str(problem))
    if isinstance(problem, StorageBroken):
        return Unavailable("The database failed; nothing was done.")
    _log.error("call_broke", method=request.method, path=request.path, exc_info=problem)
    return Unspecified("Heliograph made an error; its log has the details.")


def mark(response: Response, status: int, retry_after: int | None, problem: Exception) -> None:
    """Give a refusal the headers that go with it, whatever its body is."""
    if retry_after is not None:
        response.headers["retry-after"] = str(retry_after)
    if isinstance(problem, MethodNotAllowed):
        response.headers["allow"] = ", ".join(problem.allowed)
    if isinstance(problem, CodedBody):
        response.headers["accept-encoding"] = "identity"  # RFC 9110, 15.5.16
    if status == 413:
        # What is left of the body is not read: the connection cannot be used again.
        response.headers["connection"] = "close"
