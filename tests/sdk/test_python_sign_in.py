"""The official docusign-esign client, unmodified, signs in over HTTPS and calls Connect."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import docusign_esign
import pytest
from docusign_esign.client.api_exception import ApiException

from tests.browser import Visitor
from tests.integration import (
    ADA,
    BACK,
    Integration,
    private_key,
    private_pem,
    set_password,
)
from tests.server import Client


def sdk(one: Integration) -> Any:
    """An ApiClient as an integrator makes one, with nothing but the hosts changed."""
    with warnings.catch_warnings(action="ignore"):
        return docusign_esign.ApiClient(
            host=f"{one.api.server.base_uri}/restapi", oauth_host_name=one.host
        )


async def run(call: Callable[..., Any], *args: Any) -> Any:
    """The SDK blocks: its call in a thread."""
    with warnings.catch_warnings(action="ignore"):
        return await asyncio.to_thread(call, *args)


async def failures(api: Client, client: Any) -> Any:
    connect = docusign_esign.ConnectApi(client)
    return await run(connect.list_event_failure_logs, api.credentials.account_id)


async def test_the_sdk_signs_in_by_jwt_and_calls_connect_with_that_token(
    https: Integration,
) -> None:
    client = sdk(https)
    key = private_pem(private_key())
    token = await run(
        client.request_jwt_user_token, https.integration_key, ADA, https.host, key, 3600
    )
    assert (token.token_type, token.expires_in) == ("Bearer", "28800")
    assert token.scope == "impersonation signature"
    assert (await failures(https.api, client)).total_records == "0"

    info = await run(client.get_user_info, token.access_token)
    assert (info.sub, info.name, info.email) == (ADA, "Ada Lovelace", "ada@example.com")
    assert (info.given_name, info.family_name) == ("Ada", "Lovelace")
    assert info.created.endswith("Z")
    (account,) = info.accounts
    assert account.account_id == https.api.credentials.account_id
    assert (account.account_name, account.is_default) == ("First account", "True")
    assert account.base_uri == https.api.server.base_uri
    # As integrators do: the base path is made of what userinfo says.
    with warnings.catch_warnings(action="ignore"):
        found = docusign_esign.ApiClient(host=account.base_uri + "/restapi")
    found.set_default_header("Authorization", f"Bearer {token.access_token}")
    assert (await failures(https.api, found)).total_records == "0"


async def test_the_sdk_reads_consent_required_and_succeeds_once_the_user_has_consented(
    https: Integration,
) -> None:
    api, client = https.api, sdk(https)
    path = f"{api.account}/consents/{https.integration_key}/{ADA}"
    assert (await api.call("DELETE", path)).status == 200
    arguments = (https.integration_key, ADA, https.host, private_pem(private_key()), 3600)
    with pytest.raises(ApiException) as refused:
        await run(client.request_jwt_user_token, *arguments)
    assert refused.value.status == 400
    assert b'"error":"consent_required"' in refused.value.body

    await set_password(api)
    url = await run(
        client.get_authorization_uri,
        *(https.integration_key, ["signature", "impersonation"], BACK, "code", "xyz"),
    )
    async with Visitor(api) as visitor:
        await _add_secret(https)  # without one the page wants PKCE, which the SDK does not send
        await visitor.open(url)
        await visitor.sign_in("ada@example.com")
        back = await visitor.allow()
    assert back.startswith(f"{BACK}?")
    await run(client.request_jwt_user_token, *arguments)
    assert (await failures(api, client)).total_records == "0"


async def test_the_sdk_exchanges_an_authorization_code(https: Integration) -> None:
    api, client = https.api, sdk(https)
    await set_password(api)
    secret = await _add_secret(https)
    url = await run(
        client.get_authorization_uri, https.integration_key, ["signature"], BACK, "code", "xyz"
    )
    async with Visitor(api) as visitor:
        await visitor.open(url)
        await visitor.sign_in("ada@example.com")
        answer = parse_qs(urlsplit(visitor.gone_to or await visitor.allow()).query)
    assert answer["state"] == ["xyz"]
    (code,) = answer["code"]
    token = await run(client.generate_access_token, https.integration_key, secret, code)
    assert (token.token_type, token.expires_in, token.scope) == ("Bearer", "28800", "signature")
    assert token.refresh_token
    client.set_default_header("Authorization", f"{token.token_type} {token.access_token}")
    assert (await failures(api, client)).total_records == "0"
    with pytest.raises(ApiException) as refused:
        await run(client.generate_access_token, https.integration_key, secret, code)
    assert b'"error":"invalid_grant"' in refused.value.body


async def test_the_sdk_gets_a_token_for_the_application_itself_where_it_has_a_role(
    https: Integration,
) -> None:
    api, client = https.api, sdk(https)
    arguments = (https.integration_key, https.host, private_pem(private_key()), 3600)
    with pytest.raises(ApiException) as refused:
        await run(client.request_jwt_application_token, *arguments)
    assert b'"error":"unauthorized_client"' in refused.value.body
    path = f"{api.account}/applications/{https.integration_key}"
    assert (await api.call("PUT", path, {"role": "viewer"})).status == 200
    token = await run(client.request_jwt_application_token, *arguments)
    assert token.scope == "signature"
    assert (await failures(api, client)).total_records == "0"
    with pytest.raises(ApiException) as refused:
        await run(client.get_user_info, token.access_token)
    assert refused.value.status == 401


async def _add_secret(one: Integration) -> str:
    path = f"{one.api.account}/applications/{one.integration_key}/secrets"
    made = await one.api.call("POST", path)
    assert made.status == 201, made.body
    secret: str = made.json["secret"]
    return secret
