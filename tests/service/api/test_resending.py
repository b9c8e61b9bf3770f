"""What was delivered is sent again: the same message to the same listener, and the log says who
asked."""

from __future__ import annotations

import pytest

from tests.busy import hang
from tests.listener import LoopbackListener
from tests.server import Client
from tests.service.api.test_api import records
from tests.support import published


@pytest.fixture
async def taken(api: Client, listener: LoopbackListener) -> Client:
    """Three envelopes that two listeners have taken; the second one keeps no log."""
    await api.configure(f"{listener.base}/crm", name="crm")
    await api.configure(f"{listener.base}/erp", name="erp", enableLog="false")
    await api.call("POST", "events", [published(envelope_id=f"env-{n}") for n in range(3)])
    await until_delivered(api, 6)
    await records(api, "logs", 3)
    return api


async def until_delivered(api: Client, count: int) -> None:
    """Return once so many deliveries have been delivered and wait for nothing."""
    async with hang(20):
        while True:
            settled = api.server.signals.next_settled()
            found = (await api.call("PUT", "logs/retry_queue?all=true&dry_run=true")).json
            if found["count"] == str(count):
                return
            await settled.wait()


async def test_the_message_is_the_one_that_went_out_with_its_id_and_the_next_retry_count(
    taken: Client, listener: LoopbackListener
) -> None:
    (entry, *_) = await records(taken, "logs", 1, "?envelope_id=env-1")
    answer = await taken.call("PUT", f"{entry['logUri']}/retry_queue")
    assert answer.json["retryQueue"] == [
        {
            "configId": "1",
            "configUrl": f"{listener.base}/crm",
            "envelopeId": "env-1",
            "status": "queued",
            "statusMessage": "Queued: it was delivered, and is sent again.",
        }
    ]
    await listener.until(lambda received: len(received) == 7)
    again = listener.received[-1]
    (first,) = [
        one
        for one in listener.received[:6]
        if one.path == "/crm" and one.message["data"]["envelopeId"] == "env-1"
    ]
    assert again.path == first.path
    assert again.header("webhook-id") == first.header("webhook-id")
    assert (first.message["retryCount"], again.message["retryCount"]) == (0, 1)
    assert {**again.message, "retryCount": 0} == first.message

    newest, oldest = await records(taken, "logs", 2, "?envelope_id=env-1")
    assert (newest["retryCount"], newest["resentBy"]) == ("1", "first-administrator")
    assert "resentBy" not in oldest
    shown = (await taken.call("GET", f"{newest['logUri']}?additional_info=true")).json
    assert shown["connectDebugLog"][0]["eventDescription"] == (
        f"Posted envelope-sent to {listener.base}/crm, again, as first-administrator asked"
    )
    assert await records(taken, "failures", 0) == []


async def test_fidelity_retry_queue_of_what_was_delivered_sends_it_again(
    taken: Client, listener: LoopbackListener
) -> None:
    (results,) = (await taken.call("PUT", "envelopes/env-0/retry_queue")).json.values()
    queued = {one["configId"]: one["status"] for one in results}
    assert queued == {"1": "queued", "2": "queued"}
    await listener.until(lambda received: len(received) == 8)
    body = {"envelopeIds": ["env-1", "env-2", "unknown"], "synchronous": "true"}
    done = (await taken.call("PUT", "envelopes/retry_queue", body)).json["retryQueue"]
    assert [(one["envelopeId"], one["status"]) for one in done] == [
        *[("env-1", "success")] * 2,
        *[("env-2", "success")] * 2,
        ("unknown", "not_found"),
    ]
    assert len(listener.received) == 12
    unknown = await taken.call("PUT", "envelopes/unknown/retry_queue")
    assert (unknown.status, unknown.error) == (404, "ENVELOPE_DOES_NOT_EXIST")


async def test_an_envelope_that_has_failed_is_not_sent_again_to_who_has_taken_it(
    taken: Client, listener: LoopbackListener
) -> None:
    listener.by_path = {"/erp": 500}
    await taken.call("POST", "events", published(envelope_id="env-9"))
    await records(taken, "failures", 1)
    await until_delivered(taken, 7)
    listener.by_path = {}
    body = {"envelopeIds": ["env-9"], "synchronous": "true"}
    (result,) = (await taken.call("PUT", "envelopes/retry_queue", body)).json["retryQueue"]
    assert (result["configId"], result["status"]) == ("2", "success")
    assert [one.path for one in listener.received[8:]] == ["/erp"]


async def test_what_filters_select_is_counted_first_and_then_sent_again(
    taken: Client, listener: LoopbackListener
) -> None:
    path = "logs/retry_queue"
    for wrong in (
        "",
        "?all=false",
        "?all=true&connect_id=1",
        "?error=x&all=true",
        "?envelope=e",
    ):
        assert (await taken.call("PUT", path + wrong)).status == 400, wrong
    dry = (await taken.call("PUT", f"{path}?all=true&dry_run=true")).json
    assert (dry["changed"], dry["count"]) == ("0", "6")
    assert [(one["name"], one["count"]) for one in dry["configurations"]] == [
        ("crm", "3"),
        ("erp", "3"),
    ]
    none = await taken.call("PUT", f"{path}?from_date=2099-01-01")
    assert none.json == {"changed": "0", "unchanged": "0"}
    done = await taken.call("PUT", f"{path}?connectId=2&from_date={dry['oldest']}")
    assert done.json == {"changed": "3", "unchanged": "0"}
    await listener.until(lambda received: len(received) == 9)
    assert {one.path for one in listener.received[6:]} == {"/erp"}
    assert {one.message["retryCount"] for one in listener.received[6:]} == {1}


async def test_what_fails_when_it_is_sent_again_is_a_failure_that_says_who_asked(
    taken: Client, listener: LoopbackListener
) -> None:
    viewer = (await taken.call("POST", f"{taken.account}/tokens", {"name": "v"})).json
    refused = await taken.call(
        "PUT", "logs/retry_queue?all=true", Authorization=f"Bearer {viewer['accessToken']}"
    )
    assert (refused.status, refused.error) == (401, "USER_LACKS_PERMISSIONS")
    listener.status = 500
    await taken.call("PUT", "logs/retry_queue?envelope_id=env-1&connect_id=1")
    (failure,) = await records(taken, "failures", 1)
    assert (failure["resentBy"], failure["retryCount"]) == ("first-administrator", "1")
    listener.status = 200
    await taken.call("PUT", failure["retryUri"])
    await records(taken, "failures", 0)
    assert (await taken.call("PUT", "logs/999/retry_queue")).status == 404
