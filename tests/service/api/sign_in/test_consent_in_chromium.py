"""The consent page in a real browser, with its cookies, its policy and no script."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from heliograph.incoming import dev_certificate
from tests.chromium import ENTER, Chromium, needs_chromium
from tests.chromium import chromium as started
from tests.integration import Integration, integrate, set_password
from tests.listener import LoopbackListener
from tests.server import serving

pytestmark = needs_chromium


@pytest.fixture
async def chromium(tmp_path: Path) -> AsyncIterator[Chromium]:
    async with started(tmp_path) as browser:
        yield browser


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Integration]:
    dev_certificate.issue(tmp_path / "tls")
    tls = {
        "tls_cert": str(tmp_path / "tls/server.pem"),
        "tls_key": str(tmp_path / "tls/server.key"),
    }
    async with serving(tmp_path, **tls) as api:
        made = await integrate(api, consent=None)
        await set_password(api)
        yield made


async def test_s9_a_user_consents_in_a_browser_and_comes_back_to_the_application(
    app: Integration, chromium: Chromium, listener: LoopbackListener
) -> None:
    back = f"{listener.base}/back"
    path = f"{app.api.account}/applications/{app.integration_key}"
    assert (await app.api.call("PUT", path, {"redirectUris": [back]})).status == 200
    secret = (await app.api.call("POST", f"{path}/secrets")).json["secret"]
    query = urlencode(
        {
            "response_type": "code",
            "client_id": app.integration_key,
            "redirect_uri": back,
            "scope": "signature",
            "state": "a&b",
        }
    )
    await chromium.open(f"{app.api.server.base_uri}/oauth/auth?{query}")
    await chromium.shows("to continue to CRM")
    await chromium.type("#email", "ada@example.com")
    await chromium.type("#password", "a wrong password" + ENTER)
    await chromium.shows("is wrong")
    await chromium.type("#password", "correct horse battery" + ENTER)
    await chromium.shows("Give CRM access?")
    (cookie,) = await chromium.call("GET", "/cookie")
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Lax")
    style = await chromium.call("GET", f"{await chromium.find('main')}/css/max-width")
    assert style == "416px"  # the style sheet got past the policy
    await chromium.click("button[value=allow]")
    await chromium.find("pre")  # the listener answers plain text
    at = await chromium.at()
    assert at.startswith(back + "?"), at
    answer = parse_qs(urlsplit(at).query)
    assert answer["state"] == ["a&b"]
    (code,) = answer["code"]
    form = {"grant_type": "authorization_code", "code": code, "client_id": app.integration_key}
    assert (await app.token(**form, client_secret=secret)).status == 200
