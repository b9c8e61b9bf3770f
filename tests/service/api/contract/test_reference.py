"""What is documented is what is read, and the documents are there for everybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from heliograph.api.contract import operation as contract
from heliograph.api.contract.parameters import Parameter
from tests.listener import LoopbackListener
from tests.operations import all_operations
from tests.server import Client
from tests.support import published


async def test_the_documents_and_the_page_need_no_token(api: Client) -> None:
    for path, kind in (
        ("/openapi.json", "application/json"),
        ("/openapi-v2.json", "application/json"),
        ("/docs", "text/html; charset=utf-8"),
        ("/docs.css", "text/css; charset=utf-8"),
    ):
        answer = await api.call("GET", path, Authorization="")
        assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'")
        assert "unsafe" not in policy
        refused = await api.call("POST", path)
        assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD")
    shown = (await api.call("GET", "/openapi.json", Authorization="")).json
    assert len(shown["paths"]) > 20


class Seen(dict[str, str]):
    """Parameters that note which of them are asked for."""

    asked: set[str]

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)


async def test_every_parameter_that_is_documented_is_read(
    api: Client, listener: LoopbackListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.configure(listener.base)
    await api.call("POST", f"{api.account}/groups", {"groups": [{"groupName": "sales"}]})
    listener.status = 500
    await api.call("POST", "events", published())
    while not (await api.call("GET", "logs")).json["logs"]:
        pass
    asked: set[str] = set()

    def noting(listed: Sequence[Parameter[Any]], given: Mapping[str, str]) -> Seen:
        seen = Seen({one.name: given[one.name] for one in listed if one.name in given})
        seen.asked = asked
        return seen

    monkeypatch.setattr(contract, "_listed", noting)
    for operation in all_operations():
        documented = {one.name for one in (*operation.query, *operation.headers)}
        if not documented:
            continue
        asked.clear()
        path = operation.path.format_map(
            {
                "accountId": "1",
                "connectId": "1",
                "groupId": "1",
                "logId": (await api.call("GET", "logs")).json["logs"][0]["logId"],
                "failureId": (await api.call("GET", "failures")).json["failures"][0]["failureId"],
            }
        )
        asked.clear()
        body = published() if operation.raw_types else None
        answer = await api.call(operation.method, f"/v2.1{path}", body)
        assert answer.status == operation.status, (operation.operation_id, answer.body)
        assert asked >= documented, (operation.operation_id, documented - asked)
        if operation.operation_id == "delete_event_failure_logs":
            await api.call("POST", "events", published("envelope-completed"))
            while not (await api.call("GET", "failures")).json["failures"]:
                pass
