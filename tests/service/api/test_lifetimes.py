"""S18: what a credential that ends by itself makes does not outlive it.

Every operation that changes something is in one of two lists: a new one fails until it is. Those
that make something lasting are called with every kind of credential that ends, and with one that
does not.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from heliograph.api.contract.operation import Operation
from heliograph.wire import dates
from tests.browser import Visitor
from tests.integration import (
    ADA,
    PASSWORD,
    Integration,
    integrate,
    private_key,
    public_pem,
    set_password,
)
from tests.operations import all_operations
from tests.server import Client, Reply, serving
from tests.service.api.sign_in.test_sign_in import auth_url, code_of, exchange

LASTING: Mapping[str, dict[str, Any] | None] = {
    "add_application_key": {},
    "add_application_secret": None,
    "create_account": {"accountName": "Second"},
    "create_application": {"name": "Mine", "redirectUris": ["https://mine.example/back"]},
    "create_connect_secret": None,
    "create_consent": {"scopes": "signature impersonation extended"},
    "create_relay": {"name": "mine", "hmacSecrets": ["a secret of my own"]},
    "create_token": {"name": "for ever", "role": "administrator"},
    "create_users": {
        "newUsers": [{"userName": "Mallory", "email": "m@example.com", "isAdmin": "true"}]
    },
    "update_application": {"role": "administrator", "redirectUris": ["https://mine.example/back"]},
    "update_relay": {"hmacSecrets": ["a secret of my own"]},
    "update_user": {"email": "m@example.com", "isAdmin": "true"},
    "update_user_password": {"newPassword": "a password of mine"},
    "update_users": {"users": [{"userId": ADA, "email": "m@example.com", "isAdmin": "true"}]},
}
"""What makes something that lets somebody in, or a key, until it is taken back; their bodies."""

NOTHING_LASTING = {
    # What events do, and what is done with them.
    *("publish_events", "test_configuration", "create_historical_envelope_publish_transaction"),
    *("retry_event_failure_logs", "retry_event_for_envelope", "retry_event_for_envelopes"),
    *("resend_deliveries", "resend_delivery", "create_republish_job", "update_republish_job"),
    "acknowledge_incident",
    # Who gets events: nobody gets in by it. What proves the account to listeners, the caller
    # brings along and is not shown.
    *("create_configuration", "update_configuration", "update_mobile_notifiers"),
    *("create_connect_o_auth_config", "update_connect_o_auth_config", "update_client_certificate"),
    *("create_groups", "update_groups", "update_group_users"),
}
"""What else changes something; all that deletes makes nothing."""

OPERATIONS = {operation.operation_id: operation for operation in all_operations()}


def test_s18_every_operation_that_changes_something_is_lasting_or_is_not() -> None:
    changes = {
        name for name, operation in OPERATIONS.items() if operation.method not in ("GET", "DELETE")
    }
    assert changes == LASTING.keys() | NOTHING_LASTING
    assert {name for name, operation in OPERATIONS.items() if operation.lasting} == LASTING.keys()


@pytest.fixture(params=["sqlite", "postgres"])
async def app(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Integration]:
    """Ada is an administrator and has consented; so may the application be in its own name."""
    url = request.getfixturevalue("database_url") if request.param == "postgres" else ""
    async with serving(tmp_path, database_url=url, legacy_header=True) as api:
        made = await integrate(api)
        await set_password(api)
        change = {"users": [{"userId": ADA, "isAdmin": "true"}]}
        assert (await api.call("PUT", f"{api.account}/users", change)).status == 200
        path = f"{api.account}/applications/{made.integration_key}"
        assert (await api.call("PUT", path, {"role": "administrator"})).status == 200
        relay = {"name": "docusign", "hmacSecrets": ["a secret of DocuSign"]}
        assert (await api.call("POST", "relays", relay)).status == 201
        yield made


async def made_lasting(app: Integration, operation: Operation, **headers: Any) -> Reply:
    """A call of a lasting operation."""
    own = {"accountId": app.api.credentials.account_id, "userId": ADA}
    own |= {"integrationKey": app.integration_key, "relayName": "docusign"}
    path = re.sub(r"\{(\w+)\}", lambda found: own[found[1]], operation.path)
    body = LASTING[operation.operation_id]
    if operation.operation_id == "create_consent":
        body = {**(body or {}), "integrationKey": app.integration_key, "userId": ADA}
    elif operation.operation_id == "add_application_key":
        body = {"publicKey": public_pem(private_key("second"))}
    return await app.api.call(operation.method, f"/restapi/v2.1{path}", body, **headers)


async def credentials(app: Integration) -> dict[str, dict[str, Any]]:
    """Of each kind that ends by itself: the headers."""
    api = app.api
    by_user = (await app.ask(app.assertion().text)).json["access_token"]
    by_itself = (await app.ask(app.assertion(sub=None, scope="signature").text)).json
    async with Visitor(api) as visitor:
        pair = (await exchange(app, await code_of(app, visitor))).json
    refresh = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
    refreshed = (await app.token(**refresh, client_id=app.integration_key)).json
    tomorrow = dates.render(datetime.now(UTC) + timedelta(days=1))
    ending = {"name": "ci", "role": "administrator", "expires": tomorrow}
    with_end = (await api.call("POST", f"{api.account}/tokens", ending)).json["accessToken"]
    of_ada = {**ending, "userId": ADA}
    user_s = (await api.call("POST", f"{api.account}/tokens", of_ada)).json["accessToken"]
    texts = {
        "assertion of a user": by_user,
        "assertion of the application": by_itself["access_token"],
        "code": pair["access_token"],
        "refresh": refreshed["access_token"],
        "token with an end": with_end,
        "user's token with an end": user_s,
    }
    header = {"Username": "ada@example.com", "Password": PASSWORD}
    header["IntegratorKey"] = app.integration_key
    legacy = {"Authorization": "", "X_DocuSign_Authentication": json.dumps(header)}
    return {
        **{name: {"Authorization": f"Bearer {text}"} for name, text in texts.items()},
        "legacy header": legacy,
    }


async def power(api: Client) -> list[Any]:
    """All that lets somebody in, and the keys, as the API lists it."""
    account = api.account
    return [
        {name: one for name, one in (await api.call("GET", path)).json.items() if name != "uri"}
        for path in (
            f"{account}/tokens",
            f"{account}/consents",
            f"{account}/applications",
            f"{account}/users",
            f"{api.connect}/secret",
            "/restapi/v2.1/accounts",
        )
    ]


async def test_s18_no_credential_that_ends_makes_what_does_not_end(app: Integration) -> None:
    api = app.api
    ending = await credentials(app)
    before = await power(api)
    for kind, headers in ending.items():
        for name in LASTING:
            operation = OPERATIONS[name]
            for path_of in ("json", "xml"):
                accept = {"Accept": f"application/{path_of}"}
                reply = await made_lasting(app, operation, **headers, **accept)
                while reply.status == 503:  # a database on a slow machine
                    reply = await made_lasting(app, operation, **headers, **accept)
                assert reply.status == 401, (kind, name, reply.body)
                assert b"USER_LACKS_PERMISSIONS" in reply.body
                assert b"outlive" in reply.body
        # Nor does an older version's path, nor does what else an administrator may do end.
        old = api.account.replace("v2.1", "v2")
        users = {"newUsers": [{"userName": "M", "email": "m@example.com"}]}
        assert (await api.call("POST", f"{old}/users", users, **headers)).status == 401
        assert (await api.call("GET", f"{api.account}/tokens", **headers)).status == 200
        groups = {"groups": [{"groupName": kind}]}
        assert (await api.call("POST", f"{api.account}/groups", groups, **headers)).status == 201
    assert await power(api) == before
    async with Visitor(api) as visitor:  # and the password is the same
        await code_of(app, visitor)


async def test_s18_a_token_without_an_end_makes_what_lasts(app: Integration) -> None:
    api = app.api
    own = {"name": "own", "role": "administrator", "userId": ADA}
    user_s = (await api.call("POST", f"{api.account}/tokens", own)).json["accessToken"]
    for headers in ({}, {"Authorization": f"Bearer {user_s}"}):
        for name, operation in OPERATIONS.items():
            if name in LASTING:
                reply = await made_lasting(app, operation, **headers)
                assert reply.status in (200, 201, 409), (name, reply.body)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_s18_a_new_password_or_none_ends_tokens_refreshes_codes_and_sessions(
    app: Integration, method: str
) -> None:
    api = app.api
    ending = await credentials(app)
    async with Visitor(api) as visitor:
        pair = (await exchange(app, await code_of(app, visitor))).json
        code = await code_of(app, visitor)
        body = {"newPassword": "another good password"} if method == "PUT" else None
        done = await api.call(method, f"{api.account}/users/{ADA}/password", body)
        assert done.status == 200
        for kind, headers in ending.items():
            ends = (
                401 if kind in ("assertion of a user", "code", "refresh", "legacy header") else 200
            )
            assert (await api.call("GET", "failures", **headers)).status == ends, kind
        late = await exchange(app, code)
        assert (late.status, late.json["error"]) == (400, "invalid_grant")
        refresh = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
        late = await app.token(**refresh, client_id=app.integration_key)
        assert (late.status, late.json["error"]) == (400, "invalid_grant")
        await visitor.open(auth_url(app))
        assert "current-password" in visitor.page  # who was signed in is asked for the new one


@pytest.mark.parametrize("step", ["open_session", "add_code"])
async def test_s18_a_new_password_in_the_middle_of_a_sign_in_ends_it(
    app: Integration, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    api, sign_ins = app.api, app.api.server.store.sign_ins
    taken = getattr(sign_ins, step)

    async def late(*given: Any) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(sign_ins, step, taken)
            await set_password(api, "another good password")
        await taken(*given)

    async with Visitor(api) as visitor:
        await set_password(api)
        await visitor.open(auth_url(app))
        if step == "open_session":
            monkeypatch.setattr(sign_ins, step, late)
            await visitor.sign_in("ada@example.com")
            assert visitor.status == 403
        else:
            await visitor.sign_in("ada@example.com")
            monkeypatch.setattr(sign_ins, step, late)
            await visitor.open(auth_url(app))  # consented and signed in
        assert visitor.gone_to is None
        assert "current-password" in visitor.page
        monkeypatch.undo()
        await visitor.open(auth_url(app))
        assert "current-password" in visitor.page
        await visitor.sign_in("ada@example.com", "another good password")
        assert "code" in (visitor.gone_to or await visitor.allow())
