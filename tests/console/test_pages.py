"""Every page in a real browser: nothing is foreign, refused or said to the console, and axe finds
nothing, in both schemes of colours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chromium import Chromium, chromium, needs_chromium
from tests.console.pages import pages
from tests.console.world import HOSTILE, World, furnish, sign_in
from tests.listener import LoopbackListener
from tests.server import Client

pytestmark = [needs_chromium, pytest.mark.timeout(300)]

AXE = Path(__file__).parent / "vendor/axe-core-4.14.1/axe.min.js"


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Chromium]:
    async with chromium(tmp_path) as started:
        yield started


async def check(browser: Chromium, world: World, page: str) -> None:
    """What no page may do, whoever looks at it."""
    assert await browser.complaints() == [], page
    foreign = [
        one
        for one in await browser.requests()
        if one.startswith(("http", "ws")) and not one.startswith(world.api.server.base_uri)
    ]
    assert foreign == [], page
    for dark in (False, True):
        await browser.shows_as(dark=dark, width=1280)
        assert await axe(browser) == [], (page, dark)
    await browser.shows_as_usual()


async def axe(browser: Chromium) -> list[str]:
    """What axe-core finds wrong on the page."""
    await browser.run(AXE.read_text())
    found = await browser.run_async(
        "const done = arguments[0]; axe.run().then((found) => done(found.violations))"
    )
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("viewer", [False, True])
async def test_every_page_is_accessible_quiet_and_loads_nothing_from_elsewhere(
    api: Client, listener: LoopbackListener, browser: Chromium, viewer: bool
) -> None:
    world = await furnish(api, listener)
    await browser.open(world.root)
    await check(browser, world, "sign in")
    await sign_in(browser, world, viewer=viewer)
    for name, address in (await pages(world)).items():
        await browser.open(f"{world.root}{address}")
        await browser.find("main h1")
        await check(browser, world, name)


async def test_s10_hostile_text_in_every_field_stays_text(
    api: Client, listener: LoopbackListener, browser: Chromium
) -> None:
    world = await furnish(api, listener, hostile=True)
    await sign_in(browser, world)
    for name, address in (await pages(world)).items():
        await browser.open(f"{world.root}{address}")
        await browser.find("main h1")
        assert await browser.count("script:not([src])") == 0, name
        assert await browser.count("img, [onmouseover], [onerror]") == 0, name
        await check(browser, world, name)
    await browser.open(f"{world.root}failures?error={HOSTILE[1]}")
    shown = await browser.run("return document.querySelector('#error').value")
    assert shown == HOSTILE[1]
    await browser.open(f"{world.root}failures")
    text = await browser.text("main")
    assert HOSTILE[0] in text
    assert "\u202e" not in text
    assert "\\u202e" in text
