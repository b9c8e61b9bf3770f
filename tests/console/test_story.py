"""What somebody does at the console in a browser: by keys alone, as a viewer, behind a proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.chromium import ENTER, Chromium, chromium, needs_chromium
from tests.console.world import World, event, furnish, sign_in
from tests.listener import LoopbackListener
from tests.server import Client

pytestmark = [needs_chromium, pytest.mark.timeout(300)]


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Chromium]:
    async with chromium(tmp_path) as started:
        yield started


@pytest.fixture
async def world(api: Client, listener: LoopbackListener) -> World:
    return await furnish(api, listener)


async def test_a_failure_is_found_and_sent_again_by_keys_alone(
    world: World, browser: Chromium
) -> None:
    await sign_in(browser, world)
    await browser.open(f"{world.root}failures?connect_id={world.listeners['orders']}")
    await browser.press("j", "j", ENTER)
    await browser.shows("The last exchange")
    assert "500 Internal Server Error" in await browser.text(".timeline")
    world.listener.by_path = {}
    await browser.press("r")
    await browser.shows("Send 1 failure again?")
    assert len(await world.failures_now()) == 6  # a preview changes nothing
    await browser.run("document.querySelector('main .bar button').focus()")
    await browser.press(ENTER)
    await browser.shows("1 queued to be sent now.")
    await world.failures(5)
    await browser.press("?")
    await browser.shows("next and previous row")
    assert await browser.complaints() == []


async def test_rows_that_are_selected_are_sent_again_or_deleted_and_no_others(
    world: World, browser: Chromium
) -> None:
    await sign_in(browser, world)
    await browser.open(f"{world.root}failures?connect_id={world.listeners['orders']}")
    await browser.press("j", "x", "j", "x")
    await browser.shows("the 2 rows selected")
    await browser.click("button[value=delete]")
    await browser.shows("Delete 2 failures?")
    await browser.click("button.danger")
    await browser.shows("2 deleted: none of them is tried again.")
    left = await world.failures(4)
    orders = [one["envelopeId"] for one in left if one["connectId"] == world.listeners["orders"]]
    assert orders == ["envelope-0"]


async def test_all_that_match_are_those_of_the_filters(world: World, browser: Chromium) -> None:
    await sign_in(browser, world)
    await browser.open(f"{world.root}failures?connect_id={world.listeners['orders']}")
    world.listener.by_path = {}
    await browser.click("input[value=all]")
    await browser.click("button[value=republish]")
    await browser.shows("all that match your filters")
    await browser.shows("So many must be delivered before any other is sent.")
    await browser.click("main .bar button")
    await browser.shows("Republish job 1")
    await browser.shows("finished")  # the page renews itself
    left = await world.failures(3)
    assert {one["connectId"] for one in left} == {world.listeners["billing"]}


async def test_an_incident_appears_one_is_tried_the_rest_are_sent_and_it_closes_by_itself(
    world: World, browser: Chromium
) -> None:
    await sign_in(browser, world)
    await browser.open(f"{world.root}incidents")
    world.listener.by_path = {"/orders": 503}
    sent = [event(f"envelope-{number}", "An offer") for number in range(7, 10)]
    assert (await world.api.call("POST", "events", sent)).status == 202
    await browser.shows("HTTP 503")  # the page renews itself
    await world.failures(12)
    await browser.open(f"{world.root}incidents")
    await browser.press("j", ENTER)
    await browser.shows("status: HTTP 503")
    await browser.shows("Nobody yet.")
    incident = await browser.at()
    await browser.type("#note", "their deploy" + ENTER)
    await browser.shows("Acknowledged, until it closes.")
    assert "their deploy" in await browser.text("q")
    world.listener.by_path = {}
    await browser.click("form:not([id]) button[value=republish]")
    await browser.shows("Send 1 failure again?")
    await browser.click("main .bar button")
    await browser.shows("1 queued to be sent now.")
    await world.failures(11)
    await browser.open(incident)
    await browser.press("r")
    await browser.shows("Send 2 failures again?")
    await browser.click("main .bar button")
    await browser.shows("finished")
    await world.failures(9)
    await browser.open(incident)
    await browser.shows("No failure is left")
    await browser.open(f"{world.root}incidents?state=closed")
    await browser.shows("HTTP 503")
    assert await browser.complaints() == []


async def test_a_job_that_stops_itself_is_let_go_on_and_cancelled(
    world: World, browser: Chromium
) -> None:
    await sign_in(browser, world)
    query = f"connect_id={world.listeners['orders']}&canary=1"
    assert (await world.api.call("POST", f"republish_jobs?{query}")).status == 200
    await browser.open(f"{world.root}republish")
    await browser.press("j", ENTER)
    await browser.shows("stopped")  # the listener still fails, and so did the first one
    await browser.click("button[value=running]")
    await browser.find("button[value=cancelled]")
    await browser.click("button[value=cancelled]")
    await browser.shows("cancelled")
    assert await browser.complaints() == []


async def test_now_shows_what_fails_as_it_fails_and_says_when_it_is_stale(
    world: World, browser: Chromium
) -> None:
    await sign_in(browser, world)
    await browser.open(f"{world.root}now")
    await browser.shows("500 Internal Server Error")
    world.listener.by_path = {"/orders": 500, "/crm": 503}
    sent = [event("envelope-9", "An offer")]
    assert (await world.api.call("POST", "events", sent)).status == 202
    await browser.shows("HTTP 503")
    assert await browser.count("[data-stale]:not([hidden])") == 0
    await browser.devtools(
        "Network.emulateNetworkConditions",
        offline=True,
        latency=0,
        downloadThroughput=0,
        uploadThroughput=0,
    )
    await browser.find("[data-stale]:not([hidden])")
    assert "The server does not answer" in await browser.text()


async def test_a_viewer_sees_what_can_be_done_and_why_not_by_whom(
    world: World, browser: Chromium
) -> None:
    await sign_in(browser, world, viewer=True)
    await browser.open(f"{world.root}failures")
    await browser.shows("You are a viewer here")
    assert await browser.count("main form[method=post] button:not(:disabled)") == 0
    await browser.press("j", "x", "r")
    assert (await browser.at()).endswith("/failures")
    # Who enables it by hand is refused by the API.
    await browser.run("document.querySelector('[value=delete]').disabled = false")
    await browser.click("input[value=all]")
    await browser.click("[value=delete]")
    await browser.shows("lacks sufficient permissions")
    assert len(await world.failures_now()) == 6


async def test_a_viewer_reads_incidents_and_acknowledges_none(
    world: World, browser: Chromium
) -> None:
    incident = await world.incident()
    await sign_in(browser, world, viewer=True)
    await browser.open(f"{world.root}incidents/{incident}")
    await browser.shows("You are a viewer here")
    assert await browser.count("main form[method=post] button:not(:disabled)") == 0
    await browser.run("document.querySelector('[value=false]').disabled = false")
    await browser.click("[value=false]")
    await browser.shows("lacks sufficient permissions")
    shown = (await world.api.call("GET", f"incidents/{incident}")).json
    assert "acknowledgedBy" in shown


async def test_a_listener_is_made_tested_paused_resumed_changed_and_deleted(
    world: World, browser: Chromium
) -> None:
    await sign_in(browser, world)
    await browser.open(f"{world.root}listeners/new")
    await browser.type("#name", "shipping")
    await browser.type("#urlToPublishTo", "ftp://nowhere")
    await browser.click("main form button")
    await browser.shows("urlToPublishTo")  # what the API says of it, and what was typed is kept
    assert await browser.run("return document.querySelector('#name').value") == "shipping"
    await browser.run("document.querySelector('#urlToPublishTo').value = ''")
    await browser.type("#urlToPublishTo", f"{world.listener.base}/shipping")
    await browser.click("main form button")
    await browser.shows("Saved.")
    await browser.click("form[action$=test] button")
    await browser.shows("Taken, after")
    assert "Content-Type: application/json" in await browser.text("section pre")
    page = f"{world.root}listeners/4"
    for button, note, field in (
        ("Pause", "Paused: its events are kept", "pausePublish=false"),
        ("Resume", "Resumed: what was kept", "pausePublish=true"),
    ):
        await browser.click("form[action$=switch] button")
        await browser.shows(note)
        assert await browser.count(f"button[value='{field}']") == 1, button
    await browser.open(f"{page}/edit")
    await browser.click("#includeHMAC")
    await browser.click("main form button")
    await browser.shows("Saved.")
    shown = (await world.api.call("GET", "4")).json["configurations"][0]
    wanted = {"name": "shipping", "includeHMAC": "false", "enableLog": "true", "allUsers": "true"}
    assert {name: shown[name] for name in wanted} == wanted
    assert shown["events"] == ["envelope-completed", "envelope-sent"]
    await browser.open(f"{page}/delete")
    await browser.click("button.danger")
    await browser.shows("Deleted.")
    assert (await world.api.call("GET", "4")).status == 404


async def test_the_console_works_behind_the_path_of_a_proxy(
    world: World, browser: Chromium
) -> None:
    async def forward(request: web.Request) -> web.Response:
        url = world.api.server.base_uri + request.raw_path.removeprefix("/some/where")
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                request.method,
                url,
                headers=request.headers,
                data=await request.read(),
                allow_redirects=False,
            ) as answer,
        ):
            return web.Response(
                status=answer.status, headers=answer.headers, body=await answer.read()
            )

    proxy = web.Application()
    proxy.router.add_route("*", "/some/where/{rest:.*}", forward)
    runner = web.AppRunner(proxy)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        at = f"http://127.0.0.1:{runner.addresses[0][1]}/some/where/console"
        world.at = at
        await browser.open(f"{at}/failures/1")  # signed out, and led back to it
        await sign_in(browser, world, here=True)
        await browser.shows("Failure 1")
        assert await browser.at() == f"{at}/failures/1"
        await browser.click("header nav a[href$=failures]")
        await browser.find("[data-row]")
        assert await browser.at() == f"{at}/failures"
        for address in ("", "/", "/failures/"):
            await browser.open(f"{at}{address}")
            await browser.find("main h1")
        assert await browser.complaints() == []
        assert all(one.startswith((at, "chrome", "data:")) for one in await browser.requests())
    finally:
        await runner.cleanup()


async def test_an_envelope_is_found_by_what_is_known_of_it(world: World, browser: Chromium) -> None:
    await sign_in(browser, world)
    await browser.open(f"{world.root}failures/1")
    await browser.press("/")
    await browser.type("#q", "lease of 12 harbour street" + ENTER)
    await browser.shows("envelope-sent")
    shown = await browser.text("main")
    for listener, result in (("orders", "waiting"), ("crm", "delivered"), ("billing", "held")):
        assert any(listener in line and result in line for line in shown.splitlines()), shown
    assert await browser.complaints() == []
