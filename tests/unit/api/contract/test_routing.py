"""Which path leads where."""

from __future__ import annotations

import pytest

from heliograph.api.contract.routing import SLASH, Route, Routes
from heliograph.incoming.exchange import Application, Receive, Scope, Send

PATHS = (
    "/v2.1/accounts/{accountId}/connect",
    "/v2.1/accounts/{accountId}/connect/{connectId}",
    "/v2.1/accounts/{accountId}/connect/{connectId}/all/users",
    "/v2.1/accounts/{accountId}/connect/failures",
    "/v2.1/accounts/{accountId}/connect/failures/{failureId}",
    "/v2.1/accounts/{id}/users/{userId}",
    "/v2.1/accounts/{accountId}/connect/envelopes/{envelopeId:path}/retry_queue",
    "/v2.1/accounts/{accountId}/connect/envelopes/retry_queue",
)
ENVELOPES = "/v2.1/accounts/1/connect/envelopes"


async def led(path: str, raw: str | None = None) -> tuple[str, dict[str, str], Scope]:
    """Which of `PATHS` answers, "nowhere" for none, with which parameters."""
    came: list[str] = []

    def answers(name: str) -> Application:
        async def answer(_scope: Scope, _receive: Receive, _send: Send) -> None:
            came.append(name)

        return answer

    async def nothing() -> dict[str, str]:
        raise AssertionError

    async def nobody(_: object) -> None:
        raise AssertionError

    # A parameter's path stands before the fixed ones that it could be taken for.
    routes = Routes([Route(name, answers(name)) for name in PATHS], answers("nowhere"))
    scope: Scope = {"path": path, "raw_path": (path if raw is None else raw).encode()}
    await routes(scope, nothing, nobody)
    (name,) = came
    return name, scope.get("path_params", {}), scope


@pytest.mark.parametrize(
    ("path", "name", "parameters"),
    [
        ("/v2.1/accounts/1/connect", PATHS[0], {"accountId": "1"}),
        ("/v2.1/accounts/1/connect/7", PATHS[1], {"accountId": "1", "connectId": "7"}),
        ("/v2.1/accounts/1/connect/failures", PATHS[3], {"accountId": "1"}),
        ("/v2.1/accounts/1/connect/failures/8", PATHS[4], {"accountId": "1", "failureId": "8"}),
        (
            "/v2.1/accounts/1/connect/failures/all/users",
            PATHS[2],
            {"accountId": "1", "connectId": "failures"},
        ),
        ("/v2.1/accounts/1/users/2", PATHS[5], {"id": "1", "userId": "2"}),
        ("/v2.1/accounts/a b%/connect", PATHS[0], {"accountId": "a b%"}),
        (f"{ENVELOPES}/e/retry_queue", PATHS[6], {"accountId": "1", "envelopeId": "e"}),
        (f"{ENVELOPES}/e//f/retry_queue", PATHS[6], {"accountId": "1", "envelopeId": "e//f"}),
        (f"{ENVELOPES}//retry_queue", PATHS[6], {"accountId": "1", "envelopeId": ""}),
        (
            f"{ENVELOPES}/retry_queue/retry_queue/retry_queue",
            PATHS[6],
            {"accountId": "1", "envelopeId": "retry_queue/retry_queue"},
        ),
        (f"{ENVELOPES}/retry_queue", PATHS[7], {"accountId": "1"}),
        (f"{ENVELOPES}/e/f", "nowhere", {}),
        ("/v2.1/accounts/1", "nowhere", {}),
        ("/v2.1/accounts/1/connect/7/all", "nowhere", {}),
        ("/v2.1/accounts//connect", "nowhere", {}),
        ("//v2.1/accounts/1/connect", "nowhere", {}),
        ("/V2.1/accounts/1/connect", "nowhere", {}),
        ("/v2.1/accounts/1/connect/{connectId}/x", "nowhere", {}),
        ("/", "nowhere", {}),
        ("", "nowhere", {}),
    ],
)
async def test_a_path_leads_to_its_place_the_fixed_one_first(
    path: str, name: str, parameters: dict[str, str]
) -> None:
    assert (await led(path))[:2] == (name, parameters)


async def test_one_slash_at_the_end_is_no_part_of_the_path_and_is_told() -> None:
    name, parameters, scope = await led("/v2.1/accounts/1/connect/")
    assert (name, parameters) == (PATHS[0], {"accountId": "1"})
    assert scope["path"].encode() == scope["raw_path"] == b"/v2.1/accounts/1/connect"
    assert scope[SLASH]
    assert SLASH not in (await led("/v2.1/accounts/1/connect"))[2]
    assert (await led("/v2.1/accounts/1/connect//"))[0] == "nowhere"


async def test_an_encoded_slash_at_the_end_is_part_of_what_stands_before_it() -> None:
    encoded = await led("/v2.1/accounts/1/connect/", "/v2.1/accounts/1/connect%2F")
    assert encoded[0] == "nowhere"
