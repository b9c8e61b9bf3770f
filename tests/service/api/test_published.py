"""Events and deliveries over HTTP: in any state, with attempts, and with the reasons of skips."""

from __future__ import annotations

import json
from typing import Any

import pytest

from heliograph.delivery.skipping import LATER, WANTS_IT_NOW
from tests.busy import hang
from tests.listener import LoopbackListener
from tests.server import Client
from tests.support import published


@pytest.fixture
async def some(api: Client, listener: LoopbackListener) -> Client:
    """An event that one listener has taken, one will get later, and a third does not want."""
    await api.configure(f"{listener.base}/crm", name="crm")
    await api.configure(
        f"{listener.base}/erp", name="erp", retrySchedule=["86400"], pausePublish="true"
    )
    await api.configure(f"{listener.base}/dms", name="dms", events=["envelope-voided"])
    event = published(envelope_id="env/1", eventId="closing/1")
    event["data"]["envelopeSummary"]["emailSubject"] = "<b>Lease</b> ü"
    await api.call("POST", "events", event)
    await until(api, "delivered", 1)
    return api


async def until(api: Client, state: str, count: int, attempts: str = "1") -> list[Any]:
    """The deliveries of a state that have had so many attempts, once there are so many."""
    async with hang(20):
        while True:
            settled = api.server.signals.next_settled()
            listed = (await api.call("GET", f"deliveries?state={state}")).json["deliveries"]
            found = [one for one in listed if one["attemptCount"] == attempts]
            if len(found) == count:
                return found
            await settled.wait()


async def test_an_event_shows_to_whom_it_went_and_why_not_to_others(some: Client) -> None:
    (event,) = (await some.call("GET", "events")).json["events"]
    assert (event["eventId"], event["deliveryCount"]) == ("closing/1", "2")
    assert event["subject"] == "<b>Lease</b> ü"
    assert event["eventUri"].endswith("/events/closing%2F1")
    found = (await some.call("GET", event["eventUri"])).json
    assert [(one["configName"], one["deliveryState"]) for one in found["deliveries"]] == [
        ("crm", "delivered"),
        ("erp", "held"),
    ]
    assert found["skipped"] == [
        {
            "connectId": "3",
            "name": "dms",
            "reason": "envelope-sent is not among its events",
            "changedSince": "false",
        }
    ]
    assert found["skippedCount"] == "1"
    assert "document" not in found
    with_document = (await some.call("GET", f"{event['eventUri']}?additional_info=true")).json
    assert json.loads(with_document["document"])["data"]["envelopeId"] == "env/1"


async def test_a_reason_says_when_its_configuration_was_changed_or_made_after_the_event(
    some: Client, listener: LoopbackListener
) -> None:
    await some.configure(f"{listener.base}/new", name="new", events=["envelope-sent"])
    wants = {"connectId": "3", "events": ["envelope-sent"]}
    assert (await some.call("PUT", "", wants)).status == 200
    found = (await some.call("GET", "events/closing%2F1")).json
    assert [(one["name"], one["reason"], one["changedSince"]) for one in found["skipped"]] == [
        ("dms", WANTS_IT_NOW, "true"),
        ("new", LATER, "true"),
    ]
    await some.call("DELETE", "3")
    found = (await some.call("GET", "events/closing%2F1")).json
    assert [one["name"] for one in found["skipped"]] == ["new"]


async def test_the_first_reasons_are_shown_and_all_where_that_is_asked_for(
    some: Client, listener: LoopbackListener
) -> None:
    for number in range(11):
        await some.configure(f"{listener.base}/{number}", name=f"more-{number}")
    found = (await some.call("GET", "events/closing%2F1")).json
    assert (len(found["skipped"]), found["skippedCount"]) == (10, "12")
    found = (await some.call("GET", "events/closing%2F1?explain=true")).json
    assert (len(found["skipped"]), found["skippedCount"]) == (12, "12")


async def test_a_delivery_shows_its_attempts_and_the_exchange(
    some: Client, listener: LoopbackListener
) -> None:
    (delivered,) = (await some.call("GET", "deliveries?state=delivered")).json["deliveries"]
    found = (await some.call("GET", delivered["deliveryUri"])).json
    (attempt,) = found.pop("attempts")
    assert found == delivered
    assert (attempt["outcome"], attempt["attempt"], attempt["answerStatus"]) == (
        *("delivered", "1"),
        "200",
    )
    assert "message" not in attempt
    found = (await some.call("GET", f"{delivered['deliveryUri']}?additional_info=true")).json
    (attempt,) = found["attempts"]
    assert attempt["message"].encode() == listener.received[0].body
    assert attempt["answer"].startswith("HTTP/1.1 200")


async def test_a_delivery_says_why_it_waits_and_who_has_ended_it(
    some: Client, listener: LoopbackListener
) -> None:
    (held,) = (await some.call("GET", "deliveries?state=held")).json["deliveries"]
    assert (held["heldReason"], held["attemptCount"]) == ("paused", "0")
    assert "nextTry" not in held
    listener.status = 500
    await some.call("PUT", "", {"connectId": "2", "pausePublish": "false"})
    (waiting,) = await until(some, "waiting", 1)
    assert waiting["failureId"] == waiting["deliveryId"] == held["deliveryId"]
    assert waiting["error"].startswith("status: 500")
    assert waiting["nextTry"] > waiting["lastTry"]
    assert (await some.call("DELETE", waiting["failureUri"])).status == 200
    cancelled = (await some.call("GET", waiting["deliveryUri"])).json
    assert (cancelled["deliveryState"], cancelled["cancelledBy"]) == (
        "cancelled",
        "first-administrator",
    )
    assert [attempt["phase"] for attempt in cancelled["attempts"]] == ["status"]
    assert "failureId" not in cancelled


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["erp", "crm"]),
        ("?envelope_id=env/1", ["erp", "crm"]),
        ("?envelope_id=env-2", []),
        ("?event=Envelope-Sent&connect_id=1", ["crm"]),
        ("?event=envelope-voided", []),
        ("?sender=ADA@example.com", ["erp", "crm"]),
        ("?subject=%3Cb%3Elease%3C/b%3E%20%C3%BC&state=held", ["erp"]),
        ("?event_id=closing/1&order=asc", ["crm", "erp"]),
        ("?from_date=2999-01-01T00:00:00Z", []),
        ("?to_date=2999-01-01T00:00:00Z", ["erp", "crm"]),
    ],
)
async def test_each_parameter_selects(some: Client, query: str, names: list[str]) -> None:
    found = (await some.call("GET", f"deliveries{query}")).json
    assert [one["configName"] for one in found["deliveries"]] == names
    assert (found["totalRecords"], found["total"]) == (str(len(names)),) * 2
    assert found["totalCapped"] == "false"


@pytest.mark.parametrize("kind", ["events", "deliveries"])
async def test_pages_lead_to_each_other_and_the_first_counts_all(some: Client, kind: str) -> None:
    await some.call("POST", "events", [published(envelope_id=f"env-{n}") for n in range(4)])
    uri, pages, query = f"{kind}?count=3&event=envelope-sent", list[Any](), "?event=envelope-sent"
    while uri:
        answer = await some.call("GET", uri)
        pages.append(answer.json)
        uri = answer.headers.get("Link", "").partition("<")[2].partition(">")[0]
    records = [one for page in pages for one in page[kind]]
    count = {"events": 5, "deliveries": 10}[kind]
    assert (len(records), pages[0]["total"]) == (count, str(count))
    assert len({json.dumps(one) for one in records}) == count
    assert all("total" not in page for page in pages[1:])
    lines = await some.call("GET", f"{kind}{query}", Accept="application/x-ndjson")
    assert len(lines.body.splitlines()) == count
    first = await some.call("GET", f"{kind}{query}&count=2", Accept="application/x-ndjson")
    assert len(first.body.splitlines()) == 2


@pytest.mark.parametrize(
    "path",
    ["deliveries?state=lost", "deliveries?connect_id=x", "events?count=0", "events?cursor=x"],
)
async def test_what_cannot_be_a_filter_is_refused(api: Client, path: str) -> None:
    answer = await api.call("GET", path)
    assert (answer.status, answer.error) == (400, "INVALID_REQUEST_PARAMETER")


@pytest.mark.parametrize("path", ["events/none", "deliveries/99"])
async def test_what_is_not_there_is_not_found(api: Client, path: str) -> None:
    assert (await api.call("GET", path)).status == 404


async def test_they_are_read_as_xml_too(some: Client) -> None:
    answer = await some.call("GET", "deliveries?state=held", Accept="application/xml")
    assert answer.status == 200
    assert b"<deliveryState>held</deliveryState>" in answer.body


async def test_an_envelopes_own_listener_is_among_those_that_may_be_skipped(
    some: Client, listener: LoopbackListener
) -> None:
    first = published(envelope_id="env-9", eventId="nine")
    first["eventNotification"] = {"url": f"{listener.base}/own", "events": ["envelope-sent"]}
    await some.call("POST", "events", first)
    await some.call("POST", "events", published("envelope-voided", "env-9", eventId="voided"))
    found = (await some.call("GET", "events/voided")).json
    assert [one["configName"] for one in found["deliveries"]] == ["dms"]
    assert found["skippedCount"] == "3"
