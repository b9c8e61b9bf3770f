"""Throughput by the API: what the log and the backlog say of a listener, and of all."""

from __future__ import annotations

import pytest

from tests.listener import LoopbackListener
from tests.server import Client
from tests.service.api.test_api import records
from tests.support import published


async def test_a_listeners_rates_answers_and_backlog_are_its_own(
    api: Client, listener: LoopbackListener
) -> None:
    listener.by_path["/erp"] = 503
    patient = {"retrySchedule": ["86400"]}
    await api.configure(f"{listener.base}/crm", name="crm", **patient)
    await api.configure(f"{listener.base}/erp", name="erp", **patient)
    await api.configure(f"{listener.base}/off", name="paused", pausePublish="true", **patient)
    await api.call("POST", "events", [published(envelope_id=f"env-{n}") for n in range(3)])
    await records(api, "logs", 6)

    async def pace(query: str) -> dict[str, str]:
        found: dict[str, str] = (await api.call("GET", f"throughput{query}")).json
        return found

    every, crm, erp, paused = [
        await pace(query) for query in ("", "?connect_id=1", "?connect_id=2", "?connect_id=3")
    ]
    waits = [(one["waiting"], one["held"], one["inFlight"]) for one in (every, crm, erp, paused)]
    assert waits == [("3", "3", "0"), ("0", "0", "0"), ("3", "0", "0"), ("0", "3", "0")]
    rates = [
        (one["posts"], one["deliveredPerMinute"], one["failedPerMinute"])
        for one in (every, crm, erp, paused)
    ]
    assert rates == [
        ("6", "0.6", "0.6"),
        ("3", "0.6", "0.0"),
        ("3", "0.0", "0.6"),
        ("0", "0.0", "0.0"),
    ]
    assert {one["seconds"] for one in (every, crm, erp, paused)} == {"300"}
    assert {one["servers"] for one in (every, crm, erp, paused)} == {"1"}
    assert {one["capped"] for one in (every, crm, erp, paused)} == {"false"}
    for one in (every, crm, erp):
        assert 0 <= int(one["medianMilliseconds"]) <= int(one["p99Milliseconds"])
    assert "medianMilliseconds" not in paused
    # Three wait, at three in five minutes; nobody knows where nothing is delivered.
    assert (every["drainSeconds"], crm["drainSeconds"]) == ("300", "0")
    assert "drainSeconds" not in erp
    assert paused["drainSeconds"] == "0"


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("?connect_id=7", 404, "There is no configuration 7."),
        ("?connect_id=crm", 400, "connect_id"),
    ],
)
async def test_a_configuration_that_is_none_is_told(
    api: Client, query: str, status: int, said: str
) -> None:
    answer = await api.call("GET", f"throughput{query}")
    assert answer.status == status
    assert said in answer.json["message"]
