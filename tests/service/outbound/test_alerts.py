"""Alerts to an operator, over the real transport and from a real server."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
import structlog.testing

from heliograph.egress import Guard, Profile
from heliograph.model.alerts import Alert
from heliograph.outbound.alerts import AlertHook
from heliograph.outbound.transport import Budget, Transport
from tests.busy import hang
from tests.listener import LoopbackListener, listening
from tests.server import serving
from tests.support import START, published

ALERT = Alert("configuration_failing", "account", 3, "crm", "it has taken nothing", START)


async def told_of(listener: LoopbackListener, kind: str) -> dict[str, str]:
    """The one alert of a kind, once it has come; of incidents others may come beside it."""

    def of_kind() -> list[dict[str, str]]:
        found = [received.message for received in listener.received]
        return [one for one in found if one["alert"] == kind]

    await listener.until(lambda _: len(of_kind()) == 1)
    return of_kind()[0]


@pytest.mark.parametrize(("status", "logged"), [(200, []), (500, [500])])
async def test_an_alert_is_one_json_object_and_a_refusal_is_logged(
    listener: LoopbackListener, status: int, logged: list[int]
) -> None:
    listener.status = status
    async with Transport(Guard(Profile.EMULATOR), Budget()) as transport:
        with structlog.testing.capture_logs() as lines:
            await AlertHook(listener.base, transport).tell(ALERT)
    (got,) = listener.received
    assert json.loads(got.body) == {
        "alert": "configuration_failing",
        "accountId": "account",
        "connectId": "3",
        "name": "crm",
        "reason": "it has taken nothing",
        "failingSince": "2026-11-23T09:00:00.0000000Z",
    }
    assert [line["reason"] for line in lines] == logged


async def test_an_alert_of_an_incident_says_which_one_and_how_large_it_is(
    listener: LoopbackListener,
) -> None:
    alert = replace(ALERT, kind="incident_grew", incident_id=8, failures=100)
    async with Transport(Guard(Profile.EMULATOR), Budget()) as transport:
        await AlertHook(listener.base, transport).tell(alert)
    told = await told_of(listener, "incident_grew")
    assert (told["incidentId"], told["failures"]) == ("8", "100")


async def test_s1_the_guard_stands_before_alerts_too() -> None:
    async with Transport(Guard(Profile.PUBLIC), Budget()) as transport:
        with structlog.testing.capture_logs() as lines:
            await AlertHook("http://169.254.169.254/", transport).tell(ALERT)
    (line,) = lines
    assert line["event"] == "alert_not_taken"


async def test_without_a_url_nothing_is_posted() -> None:
    async with Transport(Guard(Profile.PUBLIC), Budget()) as transport:
        await AlertHook("", transport).tell(ALERT)


async def test_r4_a_server_disables_a_listener_that_takes_nothing_and_tells(
    tmp_path: Path, listener: LoopbackListener
) -> None:
    settings = {"alert_url": listener.base + "/alerts"}
    async with serving(tmp_path, **settings) as client:
        connect_id = await client.configure("http://127.0.0.1:1024/")
        await client.call("POST", "events", published())
        async with hang(20):
            while (await client.call("GET", "failures")).json["totalRecords"] != "1":
                await asyncio.sleep(0.01)
    # The watch looks at the start: after the next one 0.000001 days are long over.
    async with serving(tmp_path, disable_after=0.000001, **settings) as client:
        told = await told_of(listener, "configuration_disabled")
        assert told["connectId"] == connect_id
        shown = (await client.call("GET", connect_id)).json["configurations"][0]
        assert shown["allowEnvelopePublish"] == "false"
        assert shown["disabledBy"].startswith("Heliograph: it has taken nothing since ")
        (failure,) = (await client.call("GET", "failures")).json["failures"]
        assert failure["deliveryState"] == "held"


async def test_r4_a_listener_that_says_410_is_disabled_and_its_operator_is_told(
    tmp_path: Path, listener: LoopbackListener
) -> None:
    async with (
        listening() as operator,
        serving(tmp_path, alert_url=operator.base + "/alerts") as client,
    ):
        listener.status = 410
        connect_id = await client.configure(listener.base)
        await client.call("POST", "events", published())
        told = await told_of(operator, "configuration_disabled")
        assert told["connectId"] == connect_id
        assert told["reason"] == "the listener answered 410 Gone"
        shown = (await client.call("GET", connect_id)).json["configurations"][0]
        assert shown["disabledBy"] == "Heliograph: the listener answered 410 Gone"
