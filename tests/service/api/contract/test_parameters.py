"""Paths and parameters of every operation: a slash at the end, names in any case, unknown names."""

from __future__ import annotations

import re
from typing import Any

from heliograph.api.contract.openapi import plain_path
from heliograph.api.contract.operation import Operation
from tests.listener import LoopbackListener
from tests.operations import all_operations
from tests.server import Client, Reply
from tests.service.api.test_api import records
from tests.support import published

OPERATIONS = all_operations()
CHANGING = [operation for operation in OPERATIONS if operation.changes]
GUID = "0e7a1b52-3f0c-4a5e-9d5b-4a4b1d2c9f10"


def path_of(api: Client, operation: Operation) -> str:
    """Its path, about things that there are not."""
    ids = {"accountId": api.credentials.account_id, "integrationKey": GUID, "userId": GUID}
    return "/restapi/v2.1" + re.sub(
        r"\{(\w+)\}", lambda found: ids.get(found[1], "999999"), plain_path(operation)
    )


async def called(api: Client, operation: Operation, suffix: str) -> Reply:
    body: Any = {} if operation.body is not None or operation.raw_types else None
    return await api.call(operation.method, path_of(api, operation) + suffix, body)


def test_every_operation_that_is_not_get_changes_something() -> None:
    assert {one.method for one in CHANGING} == {"POST", "PUT", "DELETE"}
    assert len(CHANGING) > 30


async def test_fidelity_unknown_parameters_of_what_changes_something_are_refused(
    api: Client,
) -> None:
    for operation in CHANGING:
        for wrong in ("unknown=1", "unknown", "connect_idd=1", "conn-ect_id=68", "x_y=&z"):
            answer = await called(api, operation, f"?{wrong}")
            named = (operation.operation_id, wrong)
            assert (answer.status, answer.error) == (400, "INVALID_REQUEST_PARAMETER"), named
            assert answer.json["message"].startswith("Nothing was changed: "), named
            assert all(one.name in answer.json["message"] for one in operation.query), named
        for parameter in operation.query:
            twice = f"?{parameter.name}=1&{parameter.name.upper()}=2"
            answer = await called(api, operation, twice)
            assert answer.json["message"].endswith("is there twice."), operation.operation_id
            # A variable of a script that was never set means less than everything.
            empty = await called(api, operation, f"?{parameter.name}=")
            assert (answer.status, empty.status) == (400, 400), operation.operation_id
            assert "is empty" in empty.json["message"], operation.operation_id


async def test_fidelity_a_slash_at_the_end_of_a_path_is_as_without_it(api: Client) -> None:
    for operation in OPERATIONS:
        with_slash = await called(api, operation, "/")
        named = operation.operation_id
        if named in ("delete_event_logs", "delete_event_failure_logs"):
            # Where an id would stand: a program that has none must not empty the list.
            assert with_slash.status == 400
            assert "the id of one may be missing" in with_slash.json["message"]
            continue
        assert with_slash.status == (await called(api, operation, "")).status, named
        assert (await called(api, operation, "//")).status in (404, 405), named
        # A slash that belongs to an id is none of the path's.
        if operation.path.endswith("}"):
            assert (await called(api, operation, "%2F")).status == 404, named


async def test_a_slash_at_the_end_of_other_paths_is_as_without_it(api: Client) -> None:
    for path in ("/", "/healthz", "/readyz", "/openapi.json", "/docs", "/metrics"):
        without, with_it = await api.call("GET", path), await api.call("GET", path + "/")
        assert with_it.status == without.status == 200, path
    for path in ("///", "/nowhere/", "//healthz/", "/healthz//"):
        assert (await api.call("GET", path)).status == 404, path


async def test_fidelity_names_of_parameters_count_without_their_case(
    api: Client, listener: LoopbackListener
) -> None:
    await api.configure(listener.base)
    other = await api.configure(listener.base)
    listener.status = 500
    await api.call("POST", "events", published())
    await records(api, "failures", 2)
    for name in ("connect_id", "connectId", "CONNECTID", "ConnectID", "Connect_Id"):
        (failure,) = await records(api, "failures", 1, f"?{name}={other}")
        assert failure["connectId"] == other
    assert await records(api, "failures", 0, "?FROM_DATE=2099-01-01") == []
    (failure,) = await records(
        api, "failures", 1, f"?COUNT=1&Order=asc&fromDate=&connectId={other}"
    )
    whole = await api.call("GET", f"failures/{failure['failureId']}?AdditionalInfo=TRUE")
    assert whole.json["connectDebugLog"]
    found = await api.call("GET", f"{api.account}/users/?EMAIL=nobody@example.com")
    assert (found.status, found.json["resultSetSize"]) == (200, "0")


async def test_fidelity_the_text_null_is_no_date(api: Client, listener: LoopbackListener) -> None:
    await api.configure(listener.base)
    listener.status = 500
    await api.call("POST", "events", published())
    await records(api, "failures", 1)
    for query in ("from_date=null", "to_date=NULL", "from_date=null&to_date=null"):
        for kind in ("failures", "logs"):
            assert len(await records(api, kind, 1, f"?{query}")) == 1


async def test_fidelity_all_in_the_place_of_an_id_deletes_all(
    api: Client, listener: LoopbackListener
) -> None:
    await api.configure(listener.base)
    listener.status = 500
    await api.call("POST", "events", [published(envelope_id=f"env-{n}") for n in range(3)])
    await records(api, "failures", 3)
    for refused in ("failures/all?connect_id=1", "failures/everything", "logs/all?x=1"):
        assert (await api.call("DELETE", refused)).status == 400
    assert (await api.call("GET", "failures/all")).status == 400
    assert len(await records(api, "failures", 3)) == 3
    assert (await api.call("DELETE", "failures/all")).json == {}
    assert await records(api, "failures", 0) == []
    assert len(await records(api, "logs", 3)) == 3
    v2 = f"/restapi/v2/accounts/{api.credentials.account_id}/connect"
    assert (await api.call("DELETE", f"{v2}/logs/ALL/")).status == 200
    assert await records(api, "logs", 0) == []


async def test_fidelity_a_browser_gets_json(api: Client) -> None:
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"
    for accept in ("text/html", browser, "text/*"):
        answer = await api.call("GET", "failures", Accept=accept)
        form = "text/xml" if accept == "text/*" else "application/json"
        assert (answer.status, answer.headers["Content-Type"].partition(";")[0]) == (200, form)
    error = await api.call("GET", "/nowhere", Accept="text/html")
    assert (error.headers["Content-Type"], error.error) == (
        "application/json",
        "RESOURCE_NOT_FOUND",
    )
