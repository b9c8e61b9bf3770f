"""Configurations that an integrator manages in its customers' accounts: whose keys sign."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from heliograph.access.credentials_file import Credentials
from heliograph.model.accounts import Secret
from tests.integration import ADA, Integration, private_key, public_pem
from tests.listener import LoopbackListener, Received
from tests.server import Client, serving
from tests.support import published

SCOPES = frozenset({"signature", "impersonation"})


@dataclass
class Customers:
    """An integrator's account, its application, and a customer's account with its own key."""

    integrator: Client
    customer: Client
    application: Integration
    keys: dict[str, str]

    async def as_application(self) -> Client:
        """Calls of the application, for an administrator of the customer."""
        answer = await self.application.ask(self.application.assertion().text)
        assert answer.status == 200, answer.body
        return _as(self.customer, self.customer.credentials.account_id, answer.json["access_token"])

    def signed_by(self, request: Received) -> str | None:
        """Whose key made the signature of a post."""
        signature = request.header("X-DocuSign-Signature-1")
        for whose, key in self.keys.items():
            made = hmac.new(key.encode(), request.body, hashlib.sha256).digest()
            if signature == base64.b64encode(made).decode():
                return whose
        return None


def _as(client: Client, account_id: str, token: str) -> Client:
    found = client.credentials
    return replace(client, credentials=Credentials(found.base_uri, account_id, Secret(token)))


@asynccontextmanager
async def customers(api: Client, *, secret: bool = True) -> AsyncIterator[Customers]:
    made = await api.call("POST", "/restapi/v2.1/accounts", {"accountName": "Customer"})
    customer = _as(api, made.json["accountId"], made.json["accessToken"])
    keys = {
        "integrator": (await api.call("POST", "secret")).json["secret"],
        "customer": (await customer.call("POST", "secret")).json["secret"],
    }
    body = {"name": "CRM", "redirectUris": ["https://app.example.com/back"]}
    integration_key = (await api.call("POST", f"{api.account}/applications", body)).json[
        "integrationKey"
    ]
    added = await api.call(
        "POST",
        f"{api.account}/applications/{integration_key}/keys",
        {"publicKey": public_pem(private_key())},
    )
    user = {"userName": "Ada Lovelace", "email": "ada@example.com", "userId": ADA}
    user |= {"isAdmin": "true"}
    answer = await customer.call("POST", f"{customer.account}/users", {"newUsers": [user]})
    assert answer.status == 201, answer.body
    # As the consent page has it written for a user of another account.
    await api.server.store.sign_ins.add_consent(
        customer.credentials.account_id, integration_key, ADA, SCOPES, granted_by="Ada"
    )
    if secret:
        path = f"{api.account}/applications/{integration_key}/secrets"
        assert (await api.call("POST", path)).status == 201
    yield Customers(api, customer, Integration(api, integration_key, added.json["keyId"]), keys)


def managed(url: str) -> dict[str, Any]:
    return {
        "name": "crm",
        "urlToPublishTo": url,
        "allowEnvelopePublish": "true",
        "allUsers": "true",
        "includeHMAC": "true",
        "integratorManaged": "true",
        "events": ["envelope-sent"],
    }


async def _next(listener: LoopbackListener, count: int) -> Received:
    await listener.until(lambda received: len(received) == count)
    return listener.received[-1]


@pytest.fixture(params=["sqlite", "postgres"])
async def api_of_either(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Client]:
    url = request.getfixturevalue("database_url") if request.param == "postgres" else ""
    async with serving(tmp_path, database_url=url) as client:
        yield client


async def test_fidelity_integrator_managed_posts_are_signed_with_the_integrators_keys(
    api_of_either: Client, listener: LoopbackListener
) -> None:
    async with customers(api_of_either) as them:
        application = await them.as_application()
        made = await application.call("POST", application.connect, managed(listener.base))
        assert made.json["integratorManaged"] == "true"
        assert them.integrator.credentials.account_id not in made.body.decode()
        await them.customer.call("POST", "events", published())
        assert them.signed_by(await _next(listener, 1)) == "integrator"

        # What the customer changes stays so; its own test send too.
        connect_id = made.json["connectId"]
        whole = {**made.json, "name": "renamed"}
        kept = await them.customer.call("PUT", them.customer.connect, whole)
        assert (kept.json["name"], kept.json["integratorManaged"]) == ("renamed", "true")
        await them.customer.call("POST", f"{connect_id}/test")
        assert them.signed_by(await _next(listener, 2)) == "integrator"

        # But nothing goes to an address of its choice that the integrator has signed.
        moved = {"connectId": connect_id, "urlToPublishTo": f"{listener.base}/elsewhere"}
        ended = await them.customer.call("PUT", them.customer.connect, moved)
        assert ended.json["integratorManaged"] == "false"
        await them.customer.call("POST", "events", published(envelope_id="env-2"))
        assert them.signed_by(await _next(listener, 3)) == "customer"


async def test_fidelity_integrator_managed_notifications_are_signed_so_too(
    api: Client, listener: LoopbackListener
) -> None:
    hook = {
        "url": listener.base,
        "events": ["envelope-sent"],
        "includeHMAC": "true",
        "IntegratorManaged": "true",
    }
    async with customers(api) as them:
        application = await them.as_application()
        await application.call("POST", "events", published(eventNotification=hook))
        assert them.signed_by(await _next(listener, 1)) == "integrator"
        other = published(envelope_id="env-2", eventNotification=hook)
        await them.customer.call("POST", "events", other)
        assert them.signed_by(await _next(listener, 2)) == "customer"


async def test_s8_users_who_hold_an_applications_tokens_have_nothing_signed_by_its_account(
    api: Client, listener: LoopbackListener
) -> None:
    """An application with an address to come back to and no secret: its tokens are with users."""
    async with customers(api, secret=False) as them:
        application = await them.as_application()
        await application.call("POST", application.connect, managed(listener.base))
        await them.customer.call("POST", "events", published())
        assert them.signed_by(await _next(listener, 1)) == "customer"
    plain = managed(listener.base) | {"name": "plain"}
    assert (await api.call("POST", api.connect, plain)).json["integratorManaged"] == "true"
