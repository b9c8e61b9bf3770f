"""Chromium, driven by WebDriver without a client library: what a page does in a real browser."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.busy import hang

DRIVER = shutil.which("chromedriver")
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the WebDriver specification's name
ENTER = "\ue007"

needs_chromium = pytest.mark.skipif(
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

    async def open(self, url: str) -> None:
        await self.call("POST", "/url", {"url": url})

    async def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page; what it returns."""
        return await self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    async def run_async(self, script: str, *arguments: Any) -> Any:
        """The same for a script that calls its last argument with what it comes to."""
        return await self.call(
            "POST", "/execute/async", {"script": script, "args": list(arguments)}
        )

    async def press(self, *keys: str) -> None:
        """Press keys one after the other, wherever the focus is."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        await self.call(
            "POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]}
        )

    async def at(self) -> str:
        """The address of the page."""
        url: str = await self.call("GET", "/url")
        return url

    async def text(self, selector: str = "body") -> str:
        text: str = await self.call("GET", f"{await self.find(selector)}/text")
        return text

    async def count(self, selector: str) -> int:
        """How many such elements there are now."""
        found: int = await self.run(
            "return document.querySelectorAll(arguments[0]).length", selector
        )
        return found

    async def devtools(self, command: str, **parameters: Any) -> Any:
        """A command of the browser's own protocol."""
        return await self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    async def shows_as(self, *, dark: bool, width: int, height: int = 900) -> None:
        """Show pages from now on in a scheme of colours, and so wide (in CSS pixels)."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.devtools("Emulation.setEmulatedMedia", features=[scheme])
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        await self.devtools("Emulation.setDeviceMetricsOverride", **size)

    async def shows_as_usual(self) -> None:
        """Take `shows_as` back."""
        await self.devtools("Emulation.setEmulatedMedia", features=[])
        await self.devtools("Emulation.clearDeviceMetricsOverride")

    async def picture(self) -> bytes:
        """The whole page as PNG."""
        shot = await self.devtools("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    async def complaints(self) -> Sequence[str]:
        """What the console has said since this was asked last: a script's messages, what the
        policy of a page refused, what could not be loaded."""
        return [
            f"{one['level']} {one['message']}"
            for one in await self.call("POST", "/se/log", {"type": "browser"})
        ]

    async def requests(self) -> Sequence[str]:
        """The addresses that were asked for since this was asked last."""
        told = [
            json.loads(one["message"])["message"]
            for one in await self.call("POST", "/se/log", {"type": "performance"})
        ]
        return [
            one["params"]["request"]["url"]
            for one in told
            if one["method"] == "Network.requestWillBeSent"
        ]


async def _start_driver() -> tuple[asyncio.subprocess.Process, int]:
    """The driver, and the port it listens at.

    It asks for any port that is free at ::1 and ends where 127.0.0.1 has that port in use, which
    is a matter of luck beside other tests: it is then started again.
    """
    async with hang(30):
        while True:
            driver = await asyncio.create_subprocess_exec(
                str(DRIVER),
                "--port=0",
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            assert driver.stdout is not None
            said = ""
            while line := (await driver.stdout.readline()).decode():
                said += line
                if "started successfully on port" in line:
                    return driver, int(line.rstrip().rstrip(".").rpartition(" ")[2])
            await driver.wait()
            assert "port not available" in said, f"chromedriver has ended: {said}"


@asynccontextmanager
async def chromium(folder: Path) -> AsyncIterator[Chromium]:
    """A browser, its profile in `folder`."""
    driver, port = await _start_driver()
    try:
        base = f"http://127.0.0.1:{port}"
        options = {
            "args": [
                *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"),
                "--window-size=1280,900",
                *("--no-first-run", f"--user-data-dir={folder}/profile"),
            ],
        }
        wanted: dict[str, Any] = {"acceptInsecureCerts": True, "goog:chromeOptions": options}
        wanted["goog:loggingPrefs"] = {"browser": "ALL", "performance": "ALL"}
        async with aiohttp.ClientSession() as http:
            asked = {"capabilities": {"alwaysMatch": wanted}}
            async with http.post(f"{base}/session", json=asked) as answer:
                made = (await answer.json())["value"]
                assert answer.status == 200, made
            browser = Chromium(http, base, made["sessionId"])
            # A page is asked for and arrives later: the driver looks again until it is there.
            await browser.call("POST", "/timeouts", {"implicit": 15_000})
            yield browser
            await browser.call("DELETE", "")
    finally:
        driver.terminate()
        await driver.communicate()
