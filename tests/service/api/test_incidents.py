"""Incidents by the API: open failures by cause, seen by somebody, and what they select."""

from __future__ import annotations

import pytest

from tests.listener import LoopbackListener
from tests.server import Client
from tests.service.api.test_api import records
from tests.support import published


@pytest.fixture
async def failing(api: Client, listener: LoopbackListener) -> Client:
    """Two envelopes that one listener answers with 503, and one with 500 to the other."""
    listener.by_path["/crm"] = 503
    listener.by_path["/erp"] = 500
    quiet = {"retrySchedule": ["86400"]}
    await api.configure(f"{listener.base}/crm", name="crm", **quiet)
    await api.configure(f"{listener.base}/erp", name="erp", **quiet)
    await api.call("POST", "events", [published(envelope_id=f"env-{n}") for n in range(2)])
    await records(api, "failures", 4)
    return api


async def test_failures_are_listed_by_configuration_and_cause(failing: Client) -> None:
    answer = (await failing.call("GET", "incidents")).json
    assert answer["totalRecords"] == "2"
    assert {(one["configName"], one["cause"], one["failures"]) for one in answer["incidents"]} == {
        ("crm", "status: HTTP 503", "2"),
        ("erp", "status: HTTP 500", "2"),
    }
    for one in answer["incidents"]:
        assert (one["state"], one["phase"]) == ("open", "status")
        shown = (await failing.call("GET", one["incidentUri"])).json
        assert shown["incidentId"] == one["incidentId"]
        assert (shown["envelopes"], shown["envelopesCapped"]) == ("2", "false")
        failure = (await failing.call("GET", one["failureUri"])).json
        assert (failure["cause"], failure["connectId"]) == (one["cause"], one["connectId"])


async def test_an_incident_selects_its_failures_wherever_failures_are_selected(
    failing: Client,
) -> None:
    incidents = (await failing.call("GET", "incidents")).json["incidents"]
    crm = next(one for one in incidents if one["configName"] == "crm")
    which = f"incident_id={crm['incidentId']}"
    listed = (await failing.call("GET", f"failures?{which}")).json["failures"]
    assert {(one["connectId"], one["envelopeId"]) for one in listed} == {
        (crm["connectId"], "env-0"),
        (crm["connectId"], "env-1"),
    }
    for query in ("cause=status%3A%20HTTP%20503", f"{which}&phase=status"):
        again = (await failing.call("GET", f"failures?{query}")).json["failures"]
        assert again == listed
    assert (await failing.call("GET", "failures?phase=tls")).json["failures"] == []
    told = (await failing.call("PUT", f"failures/retry_queue?{which}&dry_run=true")).json
    assert (told["count"], [one["name"] for one in told["configurations"]]) == ("2", ["crm"])
    for of in (which, "cause=status%3A%20HTTP%20503", f"{which}&phase=status"):
        meant = (await failing.call("POST", f"republish_jobs?{of}&dry_run=true")).json
        assert (meant["total"], [one["name"] for one in meant["configurations"]]) == ("2", ["crm"])
    of_delivered = await failing.call("POST", f"republish_jobs?{which}&of=delivered")
    assert of_delivered.status == 400
    assert (await failing.call("DELETE", f"failures?{which}")).json["changed"] == "2"
    left = (await failing.call("GET", "incidents")).json["incidents"]
    assert [one["configName"] for one in left] == ["erp"]
    assert len((await failing.call("GET", "failures")).json["failures"]) == 2
    closed = (await failing.call("GET", "incidents?state=closed")).json["incidents"]
    assert [(one["configName"], one["state"], one["failures"]) for one in closed] == [
        ("crm", "closed", "0")
    ]


async def test_somebody_says_that_they_have_seen_it_and_takes_it_back(failing: Client) -> None:
    (one, _) = (await failing.call("GET", "incidents")).json["incidents"]
    assert "acknowledged" not in one
    seen = await failing.call("PUT", one["incidentUri"], {"note": "their deploy <b>"})
    assert (seen.json["acknowledgedBy"], seen.json["note"]) == (
        "first-administrator",
        "their deploy <b>",
    )
    listed = (await failing.call("GET", "incidents")).json["incidents"]
    assert [entry.get("note") for entry in listed] == ["their deploy <b>", None]
    back = await failing.call("PUT", one["incidentUri"], {"acknowledged": "false"})
    assert not {"acknowledged", "acknowledgedBy", "note"} & back.json.keys()


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "incidents?state=broken", None, 400),
        ("GET", "incidents?count=0", None, 400),
        ("GET", "incidents/none", None, 400),
        ("GET", "incidents/4711", None, 404),
        ("PUT", "incidents/4711", {"note": "x"}, 404),
        ("PUT", "incidents/1", {"note": "a\nb"}, 400),
        ("PUT", "incidents/1", {"note": "a" * 501}, 400),
        ("PUT", "incidents/1", {"acknowledged": "maybe"}, 400),
        ("PUT", "incidents/1", {"acknowledged": "false", "note": "x"}, 400),
        ("PUT", "incidents/1?note=x", {}, 400),
        ("GET", "failures?incident_id=4711", None, 404),
        ("DELETE", "failures?incident_id=4711", None, 404),
        ("GET", "failures?incident_id=1&connect_id=4711", None, 400),
        ("GET", "failures?incident_id=1&cause=tls:%20timed%20out", None, 400),
        ("GET", "failures?phase=nowhere", None, 400),
        ("GET", "failures?cause=all%20of%20it", None, 400),
    ],
)
async def test_what_cannot_be_meant_is_refused(
    failing: Client, method: str, path: str, body: dict[str, str] | None, status: int
) -> None:
    assert (await failing.call(method, path, body)).status == status
    assert len((await failing.call("GET", "failures")).json["failures"]) == 4


async def test_there_are_pages(failing: Client) -> None:
    first = await failing.call("GET", "incidents?count=1&state=any")
    link = first.headers["Link"].partition(">")[0].removeprefix("<")
    rest = await failing.call("GET", link)
    names = [one["configName"] for one in (*first.json["incidents"], *rest.json["incidents"])]
    assert sorted(names) == ["crm", "erp"]
    assert "Link" not in rest.headers
