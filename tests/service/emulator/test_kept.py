"""What outlives the process, what is forgotten, and who may sign in."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import msgspec
import pytest

from heliograph.clock import SystemClock
from heliograph.emulator.cabinet import Cabinet
from heliograph.emulator.clock import AdvancingClock
from heliograph.emulator.quickstart import Quickstart, configuration
from heliograph.model.event_ids import new_event_id
from tests.emulating import definition, emulating, notification, told
from tests.listener import LoopbackListener

CREATED = ["envelope-created", "envelope-sent", "recipient-sent"]


async def test_envelopes_and_who_signs_in_outlive_the_process(tmp_path: Path) -> None:
    quickstart = tmp_path / "data" / "quickstart.json"
    async with emulating(tmp_path) as first:
        envelope_id = await first.create(definition())
        known = json.loads(quickstart.read_bytes())
        assert quickstart.stat().st_mode & 0o777 == 0o600
    async with emulating(tmp_path) as again:
        assert await again.status(envelope_id) == "sent"
        now = json.loads(quickstart.read_bytes())
        assert {**now, "baseUri": ""} == {**known, "baseUri": ""}


async def test_r1_events_of_a_step_that_a_kill_left_unpublished_are_published_once(
    tmp_path: Path, listener: LoopbackListener
) -> None:
    async with emulating(tmp_path) as first:
        envelope_id = await first.create(definition(notification(listener)))
        await told(listener, 3)
        account_id = first.account_id
    cabinet = Cabinet(tmp_path / "data")
    envelope = cabinet.find(account_id, envelope_id)
    assert envelope is not None
    left = {
        "event": "envelope-resent",
        "eventId": new_event_id(),
        "data": {
            "accountId": account_id,
            "envelopeId": envelope_id,
            "envelopeSummary": envelope.summary,
        },
    }
    cabinet.save(envelope, [left])
    cabinet.close()
    for _ in range(2):
        async with emulating(tmp_path):
            assert await told(listener, 4) == [*CREATED, "envelope-resent"]
    assert len(listener.received) == 4
    cabinet = Cabinet(tmp_path / "data")
    assert cabinet.unpublished() == []
    cabinet.close()


async def test_a_reset_forgets_what_is_the_accounts_alone(tmp_path: Path) -> None:
    async with emulating(tmp_path) as emulated:
        api = emulated.api
        envelope_id = await emulated.create(definition())
        other = await api.call("POST", "/restapi/v2.1/accounts", {"accountName": "Other"})
        theirs = f"/restapi/v2.1/accounts/{other.json['accountId']}/emulator/reset"
        bearer = f"Bearer {other.json['accessToken']}"
        assert (await api.call("POST", theirs, Authorization=bearer)).json == {"forgotten": "0"}
        assert await emulated.status(envelope_id) == "sent"
        answer = await api.call("POST", f"{api.account}/emulator/reset")
        assert answer.json == {"forgotten": "1"}
        gone = await api.call("GET", f"{api.account}/envelopes/{envelope_id}")
        assert (gone.status, gone.error) == (404, "ENVELOPE_DOES_NOT_EXIST")


@pytest.mark.parametrize("wrong", ["", "-1h", "25", "25 years", "99999999d", "1e9h"])
async def test_a_duration_that_is_none_is_refused(tmp_path: Path, wrong: str) -> None:
    async with emulating(tmp_path) as emulated:
        path = f"{emulated.api.account}/emulator/clock"
        answer = await emulated.api.call("POST", path, {"advance": wrong})
        assert (answer.status, answer.error) == (400, "INVALID_REQUEST_PARAMETER")


WRONG: tuple[dict[str, Any], ...] = (
    {"documents": "x"},
    {"documents": [{"documentBase64": ["x"]}]},
    {"recipients": {"signers": {"name": "x"}}},
    {"recipients": {"signers": [{"name": "a", "email": "b", "routingOrder": "x"}]}},
    {"recipients": {"signers": [{"name": "a", "email": "b", "tabs": {"textTabs": ["x"]}}]}},
    {"emailSubject": {"a": "b"}},
    {"notification": {"expirations": {"expireAfter": {"a": "b"}}}},
    {"customFields": {"textCustomFields": [{}]}},
    {"compositeTemplates": [{"inlineTemplates": ["x"]}]},
    {"status": "completed"},
    {"eventNotification": "x"},
)


async def test_a_definition_that_is_none_is_refused_in_docusigns_words(tmp_path: Path) -> None:
    async with emulating(tmp_path) as emulated:
        path = f"{emulated.api.account}/envelopes"
        for wrong in WRONG:
            answer = await emulated.api.call("POST", path, wrong)
            assert answer.status == 400, (wrong, answer.body)
            assert answer.json["message"]


def test_the_clock_goes_on_where_it_was(tmp_path: Path) -> None:
    AdvancingClock(SystemClock(), tmp_path).advance(3600)
    ahead = AdvancingClock(SystemClock(), tmp_path).now() - SystemClock().now()
    assert 3590 < ahead.total_seconds() <= 3600


def test_launchers_read_what_is_written_for_them(tmp_path: Path) -> None:
    texts = {name: f"{name} of it's \\ own" for name in msgspec.structs.asdict(_blank()) if name}
    found = Quickstart(**{**texts, "base_uri": "https://127.0.0.1:8443"})
    python = tmp_path / "ds_config.py"
    python.write_bytes(configuration(found, ".py"))
    read = runpy.run_path(str(python))
    assert read["DS_JWT"]["authorization_server"] == "127.0.0.1:8443"
    assert read["DS_JWT"]["ds_client_id"] == found.integration_key
    assert read["DS_CONFIG"]["ds_client_secret"] == found.secret_key
    node = json.loads(configuration(found, ".json"))
    assert node["impersonatedUserGuid"] == found.user_id
    with pytest.raises(ValueError, match=r"\.py"):
        configuration(found, ".toml")


def _blank() -> Quickstart:
    return Quickstart("", "", "", "", "", "", "", "")
