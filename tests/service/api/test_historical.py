"""Historical publishing over the API, in JSON and XML."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest
from lxml import etree

from tests.busy import hang
from tests.listener import LoopbackListener
from tests.server import Client
from tests.support import published

PATH = "envelopes/publish/historical"


async def ended(api: Client, named: str) -> dict[str, Any]:
    async with hang(20):
        while True:
            found: dict[str, Any] = (await api.call("GET", f"{PATH}/{named}")).json
            if found["processingStatus"] != "processing":
                return found
            await asyncio.sleep(0.01)


async def test_envelopes_of_the_past_are_published_and_followed(
    api: Client, listener: LoopbackListener
) -> None:
    for number in range(3):
        await api.call("POST", "events", published("envelope-sent", f"env-{number}"))
        await api.call("POST", "events", published("envelope-completed", f"env-{number}"))
    body = {
        "envelopes": ["env-0", "env-2", "env-2", "elsewhere"],
        "config": {"urlToPublishTo": listener.base, "enableLog": "true", "deliveryMode": "SIM"},
    }
    answer = await api.call("POST", PATH, body)
    assert answer.status == 201
    begun = answer.json
    assert begun["processingStatus"] == "processing"
    assert begun["envelopeCount"] == "3"
    assert begun["submittedForPublishingEnvelopeCount"] == "2"
    assert begun["noActionRequiredEnvelopeCount"] == "1"
    assert begun["envelopeLevelErrorRollups"] == [
        {"count": "1", "errorType": "ENVELOPE_DOES_NOT_EXIST"}
    ]
    done = await ended(api, begun["envelopePublishTransactionId"])
    assert (done["processingStatus"], done["processedEnvelopeCount"]) == ("completed", "2")
    assert sorted(
        (one.message["data"]["envelopeId"], one.message["event"]) for one in listener.received
    ) == [
        ("env-0", "envelope-completed"),
        ("env-2", "envelope-completed"),
    ]
    assert (await api.call("GET", done["resultsUri"])).json == done
    listed = (await api.call("GET", PATH)).json
    assert (listed["totalRecords"], listed["envelopePublishTransactions"]) == ("1", [done])
    assert (await api.call("GET", api.connect)).json["totalRecords"] == "0"


async def test_a_call_in_xml_is_answered_in_xml(api: Client, listener: LoopbackListener) -> None:
    await api.call("POST", "events", published("envelope-sent"))
    body = (
        '<connectHistoricalEnvelopeRepublish xmlns="http://www.docusign.com/restapi"><config>'
        f"<urlToPublishTo>{listener.base}</urlToPublishTo></config>"
        "<envelopes><string>env-1</string></envelopes></connectHistoricalEnvelopeRepublish>"
    ).encode()
    answer = await api.call(
        "POST", PATH, data=body, Content_Type="application/xml", Accept="application/xml"
    )
    assert answer.status == 201
    root = etree.fromstring(answer.body)
    assert etree.QName(root).localname == "envelopePublishTransaction"
    await listener.until(lambda got: len(got) == 1)


async def test_it_is_cancelled_with_what_was_not_sent(
    api: Client, listener: LoopbackListener
) -> None:
    for number in range(20):
        await api.call("POST", "events", published("envelope-sent", f"env-{number}"))
    config = {"urlToPublishTo": listener.base, "pausePublish": "true"}
    ids = [f"env-{number}" for number in range(20)]
    begun = (await api.call("POST", PATH, {"envelopes": ids, "config": config})).json
    gone = await api.call("DELETE", f"{PATH}/{begun['envelopePublishTransactionId']}")
    assert (gone.status, gone.json["processingStatus"]) == (200, "canceled")
    assert (await api.call("GET", "failures")).json["totalRecords"] == "0"
    assert (await api.call("DELETE", f"{PATH}/nothing")).status == 404
    assert (await api.call("GET", f"{PATH}/nothing")).status == 404


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"envelopes": ["env-1"]}, "config must say"),
        ({"config": {"urlToPublishTo": "http://127.0.0.1/"}}, "at least one envelope"),
        ({"envelopes": ["env-1"], "config": {}}, "config.urlToPublishTo must be"),
        (
            {"envelopes": ["env-1"], "config": {"urlToPublishTo": "http://169.254.169.254/"}},
            "config.urlToPublishTo is refused",
        ),
        (
            {
                "envelopes": ["env-1"],
                "config": {"urlToPublishTo": "http://127.0.0.1/", "useSoapInterface": "true"},
            },
            "JSON messages",
        ),
        (
            {"envelopes": ["env"] * 10_000, "config": {"urlToPublishTo": "http://127.0.0.1/"}},
            "at most 9999",
        ),
    ],
)
async def test_a_call_that_cannot_be_used_is_refused(
    api: Client, body: dict[str, Any], says: str
) -> None:
    answer = await api.call("POST", PATH, body)
    assert answer.status == 400
    assert says in answer.json["message"]


async def test_the_command_starts_shows_lists_and_cancels_it(
    api: Client, listener: LoopbackListener
) -> None:
    await api.call("POST", "events", published("envelope-sent"))
    where = ["--data-dir", str(api.server.settings.data_dir)]

    async def command(*arguments: str, given: str = "") -> str:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "heliograph.cli", "historical", *arguments, *where),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        said, _ = await process.communicate(given.encode())
        assert process.returncode == 0
        return said.decode()

    made = json.loads(
        await command("publish", "--url", listener.base, "--json", given="env-1\nelsewhere\n")
    )
    named = made["envelopePublishTransactionId"]
    await ended(api, named)
    shown = await command("show", named)
    assert "completed" in shown
    assert "1 of 1" in shown
    assert "1 ENVELOPE_DOES_NOT_EXIST" in shown
    assert named in await command("list")
    assert "canceled" in await command("cancel", named, "--yes")


@pytest.mark.parametrize("kind", ["salesforce", "eOriginal", "SALESFORCE"])
async def test_fidelity_no_historical_publish_to_presets(api: Client, kind: str) -> None:
    await api.call("POST", "events", published())
    config = {"urlToPublishTo": "http://127.0.0.1:4999/", "configurationType": kind}
    refused = await api.call("POST", PATH, {"envelopes": ["env-1"], "config": config})
    assert (refused.status, refused.error) == (400, "INVALID_REQUEST_PARAMETER")
    assert f"no configurations of type {kind}" in refused.json["message"]
    assert (await api.call("GET", PATH)).json["totalRecords"] == "0"
