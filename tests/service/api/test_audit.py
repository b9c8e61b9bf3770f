"""The audit over the API: who called, from where, in all forms of a listing."""

from __future__ import annotations

from typing import Any

import msgspec

from heliograph.cli.connection import JSON, LINES
from tests.server import Client

CONFIGURATION = {
    "name": "crm",
    "urlToPublishTo": "http://127.0.0.1:9000/hook",
    "allUsers": "true",
    "allowEnvelopePublish": "true",
    "events": ["envelope-sent"],
}


async def audit(api: Client, query: str = "", accept: str = JSON) -> Any:
    return await api.call("GET", f"{api.connect}/audit{query}", Accept=accept)


async def test_a_change_is_noted_with_the_token_and_the_address_of_the_call(api: Client) -> None:
    body = {"name": "ci", "role": "administrator"}
    made = (await api.call("POST", f"{api.account}/tokens", body)).json
    bearer = f"Bearer {made['accessToken']}"
    answer = await api.call("POST", api.connect, CONFIGURATION, Authorization=bearer)
    assert answer.status == 201
    (entry,) = (await audit(api, "?actor=ci")).json["audit"]
    assert (entry["action"], entry["what"]) == ("configuration.created", "configuration 1")
    assert (entry["address"], entry["tokenId"]) == ("127.0.0.1", made["tokenId"])
    assert {"name": "name", "after": "crm"} in entry["details"]
    (entry,) = (await audit(api, "?action=token.added")).json["audit"]
    assert entry["what"] == f"token {made['tokenId']}"
    assert made["accessToken"] not in (await audit(api)).body.decode()


async def test_a_viewer_is_told_neither_addresses_nor_what_viewers_may_not_read(
    api: Client,
) -> None:
    await api.call("POST", api.connect, CONFIGURATION)
    made = (await api.call("POST", f"{api.account}/tokens", {"name": "v", "role": "viewer"})).json
    bearer = f"Bearer {made['accessToken']}"
    for accept in (JSON, LINES):
        path = f"{api.connect}/audit"
        answer = await api.call("GET", path, Accept=accept, Authorization=bearer)
        if accept == JSON:
            seen = answer.json["audit"]
        else:
            seen = [msgspec.json.decode(line) for line in answer.body.splitlines()]
        assert [entry["what"] for entry in seen[:2]] == [
            f"token {made['tokenId']}",
            "configuration 1",
        ]
        assert not any("address" in entry for entry in seen)
        assert "details" not in seen[0]
        assert "details" in seen[1]


async def test_a_call_that_is_refused_or_reads_is_not_noted(api: Client) -> None:
    before = (await audit(api)).json
    assert (await api.call("GET", api.connect)).status == 200
    assert (await api.call("POST", api.connect, {"name": ""})).status == 400
    assert (await api.call("DELETE", f"{api.connect}/77")).status == 404
    assert (await audit(api)).json == before


async def test_the_audit_comes_in_pages_and_as_lines(api: Client) -> None:
    for number in range(3):
        await api.call("POST", api.connect, {**CONFIGURATION, "name": f"c{number}"})
    whole = (await audit(api)).json["audit"]
    assert [entry["what"] for entry in whole[:3]] == [f"configuration {n}" for n in (3, 2, 1)]
    first = await audit(api, "?count=2&order=asc")
    assert first.json["totalRecords"] == "2"
    link = first.headers["Link"]
    second = await api.call("GET", link[1 : link.index(">")])
    assert (first.json["audit"] + second.json["audit"])[::-1][:3] == whole[:3]
    lines = (await audit(api, "?count=3", LINES)).body.splitlines()
    assert [msgspec.json.decode(line) for line in lines] == whole[:3]
    refused = await audit(api, "?action=nothing")
    assert (refused.status, refused.error) == (400, "INVALID_REQUEST_PARAMETER")


async def test_s8_a_new_tenant_is_not_told_who_made_it_and_its_maker_is(api: Client) -> None:
    made = (await api.call("POST", "/v2.1/accounts", {"accountName": "Second"})).json
    path = f"/v2.1/accounts/{made['accountId']}/connect/audit"
    bearer = f"Bearer {made['accessToken']}"
    assert (await api.call("GET", path, Authorization=bearer)).json["audit"] == []
    (entry, _) = (await audit(api, "?action=account.created")).json["audit"]
    assert (entry["what"], entry["actor"]) == (
        f"account {made['accountId']}",
        "first-administrator",
    )
