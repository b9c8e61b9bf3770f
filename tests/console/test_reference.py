"""The page of the API in a real browser: the filter, by keyboard alone; rows that open; both
schemes of colours, wide and narrow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chromium import Chromium, chromium, needs_chromium
from tests.console.test_pages import axe
from tests.operations import all_operations
from tests.server import Client

pytestmark = [needs_chromium, pytest.mark.timeout(300)]

ENTER, ESCAPE, TAB = "\ue007", "\ue00c", "\ue004"
ROWS = "[...document.querySelectorAll('main details')]"


@pytest.fixture
async def browser(api: Client, tmp_path: Path) -> AsyncIterator[Chromium]:
    async with chromium(tmp_path) as started:
        await started.open(f"{api.server.base_uri}/docs")
        yield started


async def shown(browser: Chromium) -> list[str]:
    """The operations whose rows are visible."""
    found: list[str] = await browser.run(
        f"return {ROWS}.filter((one) => one.checkVisibility())"
        ".map((one) => one.dataset.words).filter(Boolean)"
    )
    return found


async def test_the_filter_is_used_by_keyboard_alone(browser: Chromium) -> None:
    everything = await shown(browser)
    assert len(everything) == len(all_operations())
    await browser.press("/", *"get incident")
    assert await browser.run("return document.activeElement.id") == "filter"
    assert set(await shown(browser)) >= {"list_incidents", "get_incident"}
    assert "acknowledge_incident" not in await shown(browser)
    assert " are shown" in await browser.text("#filtered")
    # A section of which nothing is left is left out, and so is its heading.
    assert await browser.run("return document.getElementById('users').checkVisibility()") is False
    await browser.press(ENTER)
    row = "document.activeElement.parentElement"
    assert await browser.run(f"return {row}.open")
    assert await browser.run(f"return {row}.dataset.words") == (await shown(browser))[0]
    await browser.press(ENTER)
    assert await browser.run(f"return {row}.open") is False
    await browser.press("/", ESCAPE)
    assert await shown(browser) == everything
    assert await browser.text("#filtered") == ""
    await browser.press(*"nothing has this")
    assert await shown(browser) == []


async def test_a_link_leads_to_what_the_filter_has_left_out(browser: Chromium) -> None:
    await browser.press("/", *"list_tokens")
    await browser.run("location.hash = '#schema-ConnectIncident'")
    opened = "return document.getElementById('schema-ConnectIncident').parentElement.open"
    while not await browser.run(opened):
        pass
    assert await browser.run("return document.getElementById('filter').value") == ""


async def test_a_row_looks_openable_and_the_page_is_accessible_in_both_schemes(
    browser: Chromium,
) -> None:
    row = "getComputedStyle(document.querySelector('summary')"
    assert await browser.run(f"return {row}).cursor") == "pointer"
    closed = await browser.run(f"return {row}, '::before').transform")
    await browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    assert closed not in ("none", await browser.run(f"return {row}, '::before').transform"))
    for dark in (False, True):
        for width in (1280, 360):
            await browser.shows_as(dark=dark, width=width)
            assert await axe(browser) == [], (dark, width)
            wide = "return document.documentElement.scrollWidth - window.innerWidth"
            assert await browser.run(wide) <= 0, (dark, width)
    await browser.shows_as_usual()
    assert await browser.complaints() == []
