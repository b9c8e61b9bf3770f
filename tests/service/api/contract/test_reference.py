"""What is documented is what is read, and the documents are there for everybody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from heliograph.api.contract import operation as contract
from heliograph.api.contract import parameters
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
        ("/docs.js", "text/javascript; charset=utf-8"),
    ):
        answer = await api.call("GET", path, Authorization="")
        assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'; ")
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

    def noting(values: Mapping[str, str]) -> Seen:
        seen = Seen(values)
        seen.asked = asked
        return seen

    def queried(*listed: Any, **how: Any) -> Seen:
        return noting(query(*listed, **how))

    def headed(*listed: Any) -> Seen:
        return noting(headers(*listed))

    query, headers = parameters.query, contract._listed
    monkeypatch.setattr(parameters, "query", queried)
    monkeypatch.setattr(contract, "_listed", headed)
    for operation in all_operations():
        documented = {
            one.name
            for one in (*operation.query, *operation.headers)
            if one.about != parameters.WITHOUT_EFFECT
        }
        if not documented:
            continue
        asked.clear()
        path = operation.path.replace(":path}", "}").format_map(
            {
                "eventId": (await api.call("GET", "events")).json["events"][0]["eventId"],
                "deliveryId": (await api.call("GET", "deliveries")).json["deliveries"][0][
                    "deliveryId"
                ],
                "accountId": "1",
                "connectId": "1",
                "groupId": "1",
                "logId": (await api.call("GET", "logs")).json["logs"][0]["logId"],
                "failureId": (await api.call("GET", "failures")).json["failures"][0]["failureId"],
            }
        )
        asked.clear()
        body = published() if operation.raw_types else None
        bulk = "?all=true" if "all" in documented else ""
        answer = await api.call(operation.method, f"/v2.1{path}{bulk}", body)
        assert answer.status == operation.status, (operation.operation_id, answer.body)
        if operation.followed:  # and then it reads where to go on
            await api.call("HEAD", f"/v2.1{path}", Accept=contract.FOLLOWED)
        assert asked >= documented, (operation.operation_id, documented - asked)
        if operation.operation_id in ("delete_event_failure_logs", "delete_event_logs"):
            await api.call("POST", "events", published("envelope-completed"))
            for kind in ("failures", "logs"):
                while not (await api.call("GET", kind)).json[kind]:
                    pass
