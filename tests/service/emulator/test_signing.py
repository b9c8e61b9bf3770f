"""The signing page in Chromium: people sign, decline and come back; text is only ever text."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from docusign_esign import Envelope

from tests.chromium import Chromium, chromium, needs_chromium
from tests.emulating import Emulated, definition, emulating, notification
from tests.listener import LoopbackListener

pytestmark = [needs_chromium, pytest.mark.timeout(300)]

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture
async def emulated(tmp_path: Path) -> AsyncIterator[Emulated]:
    async with emulating(tmp_path) as started:
        yield started


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Chromium]:
    async with chromium(tmp_path) as started:
        yield started


async def test_an_envelope_is_signed_declined_voided_and_expires_in_a_browser(
    emulated: Emulated, browser: Chromium, listener: LoopbackListener
) -> None:
    back = f"{listener.base}/back"
    ids = [await emulated.create(definition(notification(listener))) for _ in range(4)]
    signed, declined, voided, expired = ids

    async def press(envelope_id: str, number: int, button: str, event: str) -> None:
        await browser.open(await emulated.view(envelope_id, number, back))
        await browser.shows("Please sign")
        await browser.click(button)
        await browser.shows("ok")
        assert await browser.at() == f"{back}?event={event}"

    await press(signed, 1, "#sign", "signing_complete")
    await press(signed, 2, "#later", "cancel")
    await press(signed, 2, "#sign", "signing_complete")
    await press(declined, 1, "#decline", "decline")
    await browser.open(await emulated.view(voided, 1, back))
    wanted = Envelope(status="voided", voided_reason="over")
    await emulated.call(emulated.envelopes.update, voided, envelope=wanted)
    await browser.click("#sign")
    await browser.shows("ok")
    assert await browser.at() == f"{back}?event=exception"
    emulated.clock.advance(121 * 86_400)

    def of(envelope_id: str) -> list[str]:
        return [
            one.message["event"]
            for one in listener.received
            if one.path == "/hook" and one.message["data"]["envelopeId"] == envelope_id
        ]

    await listener.until(lambda _: "envelope-voided" in of(expired))
    await listener.until(lambda _: "envelope-completed" in of(signed))
    made = ["envelope-created", "envelope-sent", "recipient-sent"]
    assert of(signed) == [
        *made,
        *("recipient-delivered", "recipient-completed", "recipient-sent"),
        *("recipient-delivered", "envelope-delivered", "recipient-finish-later"),
        *("recipient-completed", "envelope-completed"),
    ]
    ends = ["recipient-delivered", "recipient-declined", "envelope-declined"]
    assert of(declined) == [*made, *ends]
    assert of(voided) == [*made, "recipient-delivered", "envelope-voided"]
    assert of(expired) == [*made, "envelope-voided"]


async def test_text_of_an_envelope_is_only_ever_text(emulated: Emulated, browser: Chromium) -> None:
    made = definition(email_subject=HOSTILE, email_blurb=HOSTILE)
    made.documents[0].name = HOSTILE
    made.recipients.signers[0].tabs.text_tabs[0].value = f'"{HOSTILE}'
    made.recipients.signers[0].tabs.text_tabs[0].tab_label = HOSTILE
    envelope_id = await emulated.create(made)
    await browser.open(await emulated.view(envelope_id, 1))
    await browser.shows(HOSTILE)
    assert await browser.count("main script, main img") == 0
    complaints = await browser.complaints()
    assert [one for one in complaints if "Content Security Policy" in one] == []


async def test_what_is_filled_in_is_the_forms_data(
    emulated: Emulated, browser: Chromium, listener: LoopbackListener
) -> None:
    envelope_id = await emulated.create(definition(notification(listener)))
    await browser.open(await emulated.view(envelope_id, 1, f"{listener.base}/back"))
    await browser.type("input[id^='tab-']", "7")
    await browser.click("#sign")
    await browser.shows("ok")
    found = await emulated.call(emulated.envelopes.get_form_data, envelope_id)
    assert found.form_data[0].value == "600007"
