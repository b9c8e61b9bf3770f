"""The consent page in a real browser, with its cookies, its policy and no script."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest

from heliograph.incoming import dev_certificate
from tests.busy import hang
from tests.integration import Integration, integrate, set_password
from tests.listener import LoopbackListener
from tests.server import serving

DRIVER = shutil.which("chromedriver")
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the WebDriver specification's name
_ENTER = "\ue007"

pytestmark = pytest.mark.skipif(
    DRIVER is None or shutil.which("chromium") is None,
    reason="needs Debian's chromium and chromium-driver",
)


class Chromium:
    """A session of WebDriver (W3C), without a client library."""

    def __init__(self, http: aiohttp.ClientSession, base: str, session: str) -> None:
        self._http = http
        self._at = f"{base}/session/{session}"

    async def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        sent = {} if method == "POST" and body is None else body
        async with self._http.request(method, self._at + path, json=sent) as answer:
            value = (await answer.json())["value"]
            assert answer.status == 200, value
            return value

    async def find(self, selector: str) -> str:
        found = await self.call("POST", "/element", {"using": "css selector", "value": selector})
        return f"/element/{found[_ELEMENT]}"

    async def type(self, selector: str, text: str) -> None:
        await self.call("POST", f"{await self.find(selector)}/value", {"text": text})

    async def click(self, selector: str) -> None:
        await self.call("POST", f"{await self.find(selector)}/click")

    async def shows(self, text: str) -> None:
        """Wait until a page with this text is there, and see that the text is visible."""
        having = f"//*[contains(normalize-space(), '{text}')]"
        await self.call("POST", "/element", {"using": "xpath", "value": having})
        assert text in await self.call("GET", f"{await self.find('body')}/text")


@pytest.fixture
async def chromium(tmp_path: Path) -> AsyncIterator[Chromium]:
    driver = await asyncio.create_subprocess_exec(
        str(DRIVER), "--port=0", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert driver.stdout is not None
    try:
        async with hang(30):
            line = ""
            while "started successfully on port" not in line:
                line = (await driver.stdout.readline()).decode()
                assert line, "chromedriver has ended"
        base = f"http://127.0.0.1:{line.rstrip().rstrip('.').rpartition(' ')[2]}"
        options = {
            "args": [
                *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"),
                *("--no-first-run", f"--user-data-dir={tmp_path}/profile"),
            ],
        }
        wanted = {"acceptInsecureCerts": True, "goog:chromeOptions": options}
        async with aiohttp.ClientSession() as http:
            asked = {"capabilities": {"alwaysMatch": wanted}}
            async with http.post(f"{base}/session", json=asked) as answer:
                made = (await answer.json())["value"]
                assert answer.status == 200, made
            browser = Chromium(http, base, made["sessionId"])
            # A page is asked for and arrives later: the driver looks again until it is there.
            await browser.call("POST", "/timeouts", {"implicit": 30_000})
            yield browser
            await browser.call("DELETE", "")
    finally:
        driver.terminate()
        await driver.communicate()


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
    await chromium.call("POST", "/url", {"url": f"{app.api.server.base_uri}/oauth/auth?{query}"})
    await chromium.shows("to continue to CRM")
    await chromium.type("#email", "ada@example.com")
    await chromium.type("#password", "a wrong password" + _ENTER)
    await chromium.shows("is wrong")
    await chromium.type("#password", "correct horse battery" + _ENTER)
    await chromium.shows("Give CRM access?")
    (cookie,) = await chromium.call("GET", "/cookie")
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Lax")
    style = await chromium.call("GET", f"{await chromium.find('main')}/css/max-width")
    assert style == "416px"  # the style sheet got past the policy
    await chromium.click("button[value=allow]")
    await chromium.find("pre")  # the listener answers plain text
    at = await chromium.call("GET", "/url")
    assert at.startswith(back + "?"), at
    answer = parse_qs(urlsplit(at).query)
    assert answer["state"] == ["a&b"]
    (code,) = answer["code"]
    form = {"grant_type": "authorization_code", "code": code, "client_id": app.integration_key}
    assert (await app.token(**form, client_secret=secret)).status == 200
