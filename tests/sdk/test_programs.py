"""Programs that were written for DocuSign, with nothing but their configuration changed.

They are ours and make the same calls as: the launcher of DocuSign's code examples for Python,
pydocusign 2.2, passport-docusign 1.3, and the HMAC check of DocuSign's guide in three languages.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import secrets
import shutil
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import docusign_esign
import pytest
import requests

from tests.browser import Visitor
from tests.integration import (
    ADA,
    BACK,
    PASSWORD,
    Integration,
    integrate,
    private_key,
    private_pem,
    set_password,
)
from tests.listener import LoopbackListener
from tests.needed import program
from tests.server import Client, serving
from tests.support import published

PROGRAMS = Path(__file__).parent / "programs"

pytestmark = pytest.mark.timeout(300)


async def run(call: Callable[..., Any], *args: Any, **more: Any) -> Any:
    """What blocks, in a thread; requests leaves its sockets to the garbage collector."""
    with warnings.catch_warnings(action="ignore"):
        return await asyncio.to_thread(call, *args, **more)


async def output(*command: str, given: bytes = b"", **environment: str) -> str:
    """What a program writes; it ends well."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    written, errors = await process.communicate(given)
    assert process.returncode == 0, errors.decode()
    return written.decode().strip()


async def allowed(one: Integration, url: str) -> Mapping[str, str]:
    """A user signs in and consents where a program sends the browser; what comes back."""
    async with Visitor(one.api) as visitor:
        await visitor.open(url)
        await visitor.sign_in("ada@example.com")
        if visitor.gone_to is None:
            await visitor.allow()
        assert visitor.gone_to is not None
        back = urlsplit(visitor.gone_to)
    assert f"{back.scheme}://{back.netloc}{back.path}" == BACK
    return {name: value for name, (value,) in parse_qs(back.query).items()}


async def test_fidelity_the_launcher_signs_in_by_jwt(https: Integration) -> None:
    """`request_jwt_user_token` with 4,000 s, then userinfo, then a call with its base URI."""
    server = https.api.server.base_uri
    client = docusign_esign.ApiClient()
    client.set_base_path(https.host)
    client.set_oauth_host_name(https.host)
    token = await run(
        client.request_jwt_user_token,
        client_id=https.integration_key,
        user_id=ADA,
        oauth_host_name=https.host,
        private_key_bytes=private_pem(private_key()).decode(),
        expires_in=4000,
        scopes=["signature", "click.manage", "click.send", "impersonation"],
    )
    authorization = {"Authorization": f"Bearer {token.access_token}"}
    info = (await run(requests.get, f"{server}/oauth/userinfo", headers=authorization)).json()
    (account,) = [one for one in info["accounts"] if one["is_default"]]

    made = docusign_esign.ApiClient()
    made.host = f"{account['base_uri']}/restapi"
    made.set_default_header("Authorization", f"Bearer {token.access_token}")
    groups = await run(docusign_esign.GroupsApi(made).list_groups, account["account_id"])
    assert groups.total_set_size is not None


async def test_fidelity_the_launcher_signs_in_by_pkce_with_the_secret_twice(
    https: Integration,
) -> None:
    await set_password(https.api)
    path = f"{https.api.account}/applications/{https.integration_key}/secrets"
    secret = (await https.api.call("POST", path)).json["secret"]
    server = https.api.server.base_uri
    verifier = secrets.token_hex(32)
    digest = hashlib.sha256(verifier.encode()).digest()
    asked = {
        "response_type": "code",
        "scope": "signature",
        "client_id": https.integration_key,
        "redirect_uri": BACK,
        "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
        "code_challenge_method": "S256",
        "state": "A1",
        "prompt": "login",
    }
    back = await allowed(https, f"{server}/oauth/auth?{urlencode(asked)}")
    assert back["state"] == "A1"
    both = base64.b64encode(f"{https.integration_key}:{secret}".encode()).decode()
    answer = await run(
        requests.post,
        f"{server}/oauth/token",
        headers={
            "Authorization": f"Basic {both}",
            "Content-Type": "application/x-www-form-urlencoded",
        },
        data={
            "grant_type": "authorization_code",
            "client_id": https.integration_key,
            "client_secret": secret,
            "code": back["code"],
            "code_verifier": verifier,
            "redirect_uri": BACK,
        },
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["refresh_token"]


async def test_fidelity_passport_docusign_signs_in_with_scopes_between_commas(
    https: Integration,
) -> None:
    node = program("node")
    await set_password(https.api)
    path = f"{https.api.account}/applications/{https.integration_key}/secrets"
    environment = {
        "OAUTH": https.api.server.base_uri,
        "CLIENT_ID": https.integration_key,
        "CLIENT_SECRET": (await https.api.call("POST", path)).json["secret"],
        "CALLBACK": BACK,
    }
    passport = str(PROGRAMS / "passport.mjs")
    back = await allowed(https, await output(node, passport, "authorize", **environment))
    assert back["state"] == "x7"
    said = json.loads(await output(node, passport, "callback", back["code"], **environment))
    assert said["refresh"] is True
    profile = said["profile"]
    assert (profile["sub"], profile["email"]) == (ADA, "ada@example.com")
    assert (profile["given_name"], profile["family_name"]) == ("Ada", "Lovelace")
    assert profile["accounts"][0]["account_id"] == https.api.credentials.account_id


async def test_fidelity_pydocusign_finds_its_account(tmp_path: Path) -> None:
    """Its first calls: /login_information, then /accounts/{accountId}, with the legacy header."""
    async with serving(tmp_path, legacy_header=True) as api:
        one = await integrate(api)
        await set_password(api)
        root = f"{api.server.base_uri}/restapi/v2"
        header = {
            "Username": "ada@example.com",
            "Password": PASSWORD,
            "IntegratorKey": one.integration_key,
        }
        sent = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "X-DocuSign-Authentication": json.dumps(header),
        }
        data = (await run(requests.get, f"{root}/login_information", headers=sent)).json()
        account_id = data["loginAccounts"][0]["accountId"]
        url = f"{root}/accounts/{account_id}"
        assert data["loginAccounts"][0]["baseUrl"] == url
        found = (await run(requests.get, url, headers=sent)).json()
        assert found["accountIdGuid"] == api.credentials.account_id
        assert found["accountName"] == "First account"


HMAC_PROGRAMS: Mapping[str, Callable[[], list[str]]] = {
    "python": lambda: [sys.executable, str(PROGRAMS / "verify_hmac.py")],
    "node": lambda: [program("node"), str(PROGRAMS / "verify_hmac.mjs")],
    "java": lambda: [_java(), str(PROGRAMS / "VerifyHmac.java")],
}


def _java() -> str:
    """No lane brings Java: where it is not there, that is said."""
    java, javac = shutil.which("java"), shutil.which("javac")
    if java is None or javac is None:
        pytest.skip("there is no JDK on this machine")
    return java


@pytest.mark.parametrize("language", HMAC_PROGRAMS)
async def test_fidelity_hmac_is_verified_as_docusigns_guide_does(
    language: str, api: Client, listener: LoopbackListener
) -> None:
    command = HMAC_PROGRAMS[language]()
    keys = [(await api.call("POST", "secret")).json["secret"] for _ in range(2)]
    await api.configure(listener.base, includeHMAC="true")
    event = published()
    event["data"]["envelopeSummary"]["emailSubject"] = "Straße \u2192 \U0001f58a <a&b>"
    await api.call("POST", "events", event)
    await listener.until(lambda received: len(received) == 1)
    (received,) = listener.received
    for number, key in enumerate(keys, start=1):
        signature = received.header(f"X-DocuSign-Signature-{number}")
        assert signature is not None
        assert await output(*command, key, signature, given=received.body) == "True"
        assert await output(*command, key, signature, given=received.body + b" ") == "False"
        assert await output(*command, keys[-number], signature, given=received.body) == "False"
