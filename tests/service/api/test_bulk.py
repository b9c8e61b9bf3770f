"""Calls in bulk: none without a filter or all=true, and each can be tried dry first."""

from __future__ import annotations

import pytest

from tests.listener import LoopbackListener
from tests.server import Client
from tests.service.api.test_api import records
from tests.support import published

BULK = (("PUT", "failures/retry_queue"), ("DELETE", "failures"))


@pytest.fixture
async def failed(api: Client, listener: LoopbackListener) -> Client:
    """Two configurations with three open failures each, which nothing tries again by itself."""
    for name in ("crm", "erp"):
        await api.configure(f"{listener.base}/{name}", name=name, retrySchedule=["3600"])
    listener.status = 500
    await api.call("POST", "events", [published(envelope_id=f"env-{n}") for n in range(3)])
    await records(api, "failures", 6)
    return api


@pytest.mark.parametrize(("method", "path"), BULK)
async def test_fidelity_calls_in_bulk_need_a_filter_or_all(
    failed: Client, listener: LoopbackListener, method: str, path: str
) -> None:
    before = await records(failed, "failures", 6)
    for wrong in (
        *("", "?", "?all=false", "?connect_id=", "?status=Any", "?from_date=null&to_date=null"),
        *("?all=true&connect_id=1", "?all=true&status=Sent", "?all=yes", "?dry_run=true"),
        *("?connect_id=x", "?all=true&dry_run=perhaps", "?dry-run=true&all=true", "?order=asc"),
        *(
            "?all=true&all=true",
            "?connectId=1&connect_id=2",
            "?envelope=env-1",
            "?all=true&count=1",
        ),
    ):
        answer = await failed.call(method, path + wrong)
        assert (answer.status, answer.error) == (400, "INVALID_REQUEST_PARAMETER"), wrong
    assert await records(failed, "failures", 6) == before
    assert len(listener.received) == 6
    # DocuSign's spelling says the same: of the account's six these three alone.
    assert (await failed.call(method, f"{path}?connectId=2")).json["changed"] == "3"


@pytest.mark.parametrize(("method", "path"), BULK)
async def test_a_dry_run_changes_nothing_and_tells_what_would_be(
    failed: Client, listener: LoopbackListener, method: str, path: str
) -> None:
    before = await records(failed, "failures", 6, "?order=asc")
    dry = (await failed.call(method, f"{path}?all=true&dry_run=true")).json
    assert dry == {
        "changed": "0",
        "dryRun": "true",
        "count": "6",
        "oldest": before[0]["created"],
        "newest": before[-1]["created"],
        "configurations": [
            {
                "connectId": str(number),
                "name": name,
                "urlToPublishTo": f"{listener.base}/{name}",
                "count": "3",
            }
            for number, name in enumerate(("crm", "erp"), start=1)
        ],
    }
    one = (await failed.call(method, f"{path}?dryRun=TRUE&envelope_id=env-1&connect_id=2")).json
    assert (one["count"], one["oldest"] == one["newest"]) == ("1", True)
    none = (await failed.call(method, f"{path}?dry_run=true&error=nothing+like+it")).json
    assert none == {"changed": "0", "dryRun": "true", "count": "0", "configurations": []}
    assert await records(failed, "failures", 6, "?order=asc") == before
    assert len(listener.received) == 6
    done = (await failed.call(method, f"{path}?all=true")).json
    assert done["changed"] == dry["count"]


async def test_emptying_the_log_can_be_tried_dry_and_is_docusigns_without(failed: Client) -> None:
    dry = (await failed.call("DELETE", "logs?dry_run=true")).json
    assert (dry["count"], len(dry["configurations"])) == ("6", 2)
    assert len(await records(failed, "logs", 6)) == 6
    for refused in ("connect_id=1", "all=false", "all=x", "dry_run=x"):
        assert (await failed.call("DELETE", f"logs?{refused}")).status == 400, refused
    assert len(await records(failed, "logs", 6)) == 6
    emptied = await failed.call("DELETE", "logs")
    assert (emptied.status, emptied.body) == (200, b"")
    await records(failed, "logs", 0)
    assert len(await records(failed, "failures", 6)) == 6
