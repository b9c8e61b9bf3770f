"""How a path of /oauth refuses a call: with the names of RFC 6749, 5.2, never as errorDetails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from heliograph.api.contract.endpoint import Endpoint, Refusal, Respond, api_error, mark, only
from heliograph.api.contract.request import Request
from heliograph.api.contract.response import Response, in_json
from heliograph.errors import ApiError, MethodNotAllowed, OAuthRefused, Unavailable, Unspecified
from heliograph.watch import Observer

Show = Callable[[OAuthRefused], Response]

# Tokens and pages with names in them stay nowhere (RFC 6749, 5.1).
_HEADERS: Final = {
    "cache-control": "no-store",
    "pragma": "no-cache",
    "x-content-type-options": "nosniff",
}
_REALM: Final = 'Basic realm="Heliograph", charset="UTF-8"'


def as_json(refused: OAuthRefused) -> Response:
    """`{error, error_description}`, as RFC 6749, 5.2 has it."""
    answer = {"error": refused.error, "error_description": refused.description}
    response = in_json(answer, refused.status)
    if refused.error == "invalid_client":
        response.headers["www-authenticate"] = _REALM
    if refused.error == "invalid_token":
        response.headers["www-authenticate"] = 'Bearer error="invalid_token"'
    return response


def oauth_endpoint(
    name: str, method: str, answer: Respond, observer: Observer, show: Show = as_json
) -> Endpoint:
    """The path of one method; `show` makes the answer to a call that is refused."""

    def refuse(request: Request, problem: Exception) -> Refusal:
        refused = _oauth(request, problem)
        response = show(refused)
        mark(response, refused.status, refused.retry_after, problem)
        return Refusal(refused.error, response)

    return Endpoint(lambda _: name, only(method, answer), refuse, observer, _HEADERS)


def _oauth(request: Request, problem: Exception) -> OAuthRefused:
    if isinstance(problem, OAuthRefused):
        return problem
    return _translated(api_error(request, problem))


def _translated(error: ApiError) -> OAuthRefused:
    match error:
        case MethodNotAllowed():
            return OAuthRefused("invalid_request", error.message, error.status)
        case Unavailable():
            return OAuthRefused(
                "temporarily_unavailable",
                "The database cannot be used now.",
                error.status,
                error.retry_after,
            )
        case Unspecified():
            return OAuthRefused("server_error", error.message, error.status)
    return OAuthRefused("invalid_request", error.message)  # what it needs went away meanwhile
