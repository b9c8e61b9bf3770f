"""The command incidents against a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server import serving
from tests.service.api.test_api import records
from tests.service.cli.test_people import Served
from tests.support import published


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Served]:
    """Two envelopes that a listener has not taken: nothing listens there."""
    async with serving(tmp_path) as api:
        await api.configure("http://127.0.0.1:1024/", retrySchedule=["86400"])
        await api.call("POST", "events", [published(envelope_id=f"env-{n}") for n in range(2)])
        await records(api, "failures", 2)
        yield Served(tmp_path / "data", api=api)


async def test_an_incident_is_listed_seen_and_republished(shell: Served) -> None:
    listed = (await shell.run("incidents", "list")).stdout
    assert "connect: connection refused" in listed
    assert listed.splitlines()[-1] == "1 incident, 2 failures."
    assert (
        "No closed incidents." in (await shell.run("incidents", "list", "--state", "closed")).stderr
    )
    (one,) = (await shell.json("incidents", "list"))["incidents"]
    number = one["incidentId"]

    seen = await shell.run("incidents", "acknowledge", number, "--note", "their deploy")
    assert "seen by first-administrator: their deploy" in seen.stdout
    assert "their deploy" in (await shell.run("incidents", "list")).stdout
    back = await shell.json("incidents", "acknowledge", number, "--undo")
    assert "acknowledgedBy" not in back
    both = await shell.run("incidents", "acknowledge", number, "--undo", "--note", "x")
    assert both.exit_code == 2

    shown = (await shell.run("incidents", "show", number)).stdout
    assert f"heliograph republish start --incident-id {number} --canary 1" in shown
    assert "2 of 2 envelopes" in shown
    meant = await shell.json("republish", "start", "--incident-id", number, "--dry-run")
    assert meant["total"] == "2"
    of_it = await shell.json("failures", "list", "--incident-id", number, "--phase", "connect")
    assert len(of_it["failures"]) == 2
    of_others = await shell.json("failures", "list", "--cause", "tls: certificate expired")
    assert of_others["failures"] == []
    deleted = await shell.run("failures", "delete", "--incident-id", number, "--yes")
    assert deleted.exit_code == 0
    assert "No open incidents." in (await shell.run("incidents", "list")).stderr
    (gone,) = (await shell.json("incidents", "list", "--state", "any"))["incidents"]
    assert (gone["state"], gone["failures"]) == ("closed", "0")


async def test_a_filter_that_is_empty_does_not_mean_all(shell: Served) -> None:
    for command in ("failures delete --yes", "failures republish", "failures list"):
        refused = await shell.run(*command.split(), "--connect-id", "1", "--incident-id", "")
        assert refused.exit_code == 2
        assert "--incident-id: it is empty." in " ".join(refused.stderr.split())
    assert shell.api is not None
    assert len(await records(shell.api, "failures", 2)) == 2
