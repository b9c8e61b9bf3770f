"""Base paths, versions 2.1 and 2, methods, and the forms of answers and errors."""

from __future__ import annotations

import asyncio
import itertools
import socket
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from heliograph.errors import StorageBroken, StorageUnavailable
from tests.listener import LoopbackListener
from tests.server import Client, Reply, serving
from tests.support import published

NAMESPACE = "{http://www.docusign.com/restapi}"


def xml_error(reply: Reply) -> str:
    """The error code of errorDetails in XML."""
    assert reply.headers["Content-Type"].startswith(("application/xml", "text/xml")), reply.headers
    root = etree.fromstring(reply.body)
    assert root.tag == f"{NAMESPACE}errorDetails"
    code = root.findtext(f"{NAMESPACE}errorCode")
    assert code
    return code


async def test_every_base_path_leads_to_the_same_configurations(api: Client) -> None:
    connect_id = await api.configure("http://127.0.0.1:9000/hook")
    account = api.credentials.account_id
    for prefix, who in itertools.product(
        ("/restapi/v2.1", "/v2.1", "/restapi/v2", "/v2"), (account, account.upper(), "1")
    ):
        listed = await api.call("GET", f"{prefix}/accounts/{who}/connect")
        assert [one["connectId"] for one in listed.json["configurations"]] == [connect_id]


async def test_v2_has_its_lists_as_text_and_its_uris_for_itself(
    api: Client, listener: LoopbackListener
) -> None:
    v2 = f"/restapi/v2/accounts/{api.credentials.account_id}/connect"
    given: dict[str, Any] = {
        "name": "crm",
        "urlToPublishTo": listener.base,
        "allowEnvelopePublish": "true",
        "allUsers": "true",
        "enableLog": "true",
        "envelopeEvents": "Completed, Declined",
        "recipientEvents": "Sent",
        "userIds": "a,b",
    }
    made = await api.call("POST", v2, given)
    assert made.status == 201
    assert made.json["envelopeEvents"] == "Completed,Declined"
    assert (made.json["recipientEvents"], made.json["userIds"]) == ("Sent", "a,b")
    (old,) = (await api.call("GET", v2)).json["configurations"]
    (new,) = (await api.call("GET", api.connect)).json["configurations"]
    assert old == made.json
    assert new["envelopeEvents"] == ["Completed", "Declined"]
    again = await api.call("PUT", v2, old)
    assert again.json == old

    listener.status = 500
    await api.call("POST", "events", published("envelope-completed"))
    await listener.until(lambda received: len(received) == 1)
    failures: list[Any] = []
    while not failures:
        failures = (await api.call("GET", f"{v2}/failures")).json["failures"]
    (failure,) = failures
    (entry,) = (await api.call("GET", f"{v2}/logs")).json["logs"]
    shown = failure | entry
    for name, method in (("failureUri", "GET"), ("logUri", "GET"), ("retryUri", "PUT")):
        assert shown[name].startswith("/v2/accounts/"), name
        assert (await api.call(method, shown[name])).status == 200, name
        assert (await api.call(method, "/restapi" + shown[name])).status == 200, name
    lines = await api.call("GET", f"{v2}/failures", Accept="application/x-ndjson")
    assert lines.json["failureUri"] == failure["failureUri"]


async def test_what_version_2_did_not_have_is_not_found_there(api: Client) -> None:
    v2 = f"/v2/accounts/{api.credentials.account_id}/connect"
    for method, path in (
        ("POST", f"{v2}/events"),
        ("GET", f"{v2}/client_certificate"),
        ("POST", f"{v2}/envelopes/publish/historical"),
        ("GET", f"{v2}/5/all/users"),
        ("GET", "/v2/accounts"),
    ):
        answer = await api.call(method, path)
        assert (answer.status, answer.error) == (404, "RESOURCE_NOT_FOUND"), path
        assert "v2.1" in answer.json["message"]
    # The path is there, but DocuSign had no such method in version 2.
    refused = await api.call("DELETE", f"{v2}/failures")
    assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("prefix", ["/restapi/v2.1", "/v2.1", "/restapi/v2", "/v2"])
async def test_fixed_paths_come_before_those_with_a_parameter(api: Client, prefix: str) -> None:
    connect = f"{prefix}/accounts/1/connect"
    assert "failures" in (await api.call("GET", f"{connect}/failures")).json
    assert "logs" in (await api.call("GET", f"{connect}/logs")).json
    many = await api.call("PUT", f"{connect}/envelopes/retry_queue", {"envelopeIds": ["e"]})
    assert many.status == 200


async def test_other_methods_are_refused_with_all_that_are_allowed(api: Client) -> None:
    for method, path, allowed in (
        ("OPTIONS", api.connect, "GET, HEAD, POST, PUT"),
        ("PATCH", api.connect, "GET, HEAD, POST, PUT"),
        ("DELETE", f"{api.connect}/envelopes/retry_queue", "PUT"),
        ("POST", "/healthz", "GET, HEAD"),
        ("OPTIONS", "/readyz", "GET, HEAD"),
    ):
        answer = await api.call(method, path)
        assert (answer.status, answer.error) == (405, "METHOD_NOT_ALLOWED"), path
        assert answer.headers["Allow"] == allowed


async def test_head_is_get_without_the_body(api: Client) -> None:
    got = await api.call("GET", api.connect)
    head = await api.call("HEAD", api.connect)
    assert (head.status, head.body) == (200, b"")
    for name in ("Content-Type", "Content-Length"):
        assert head.headers[name] == got.headers[name]


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/xml", "application/xml"),
        ("text/xml", "text/xml"),
        ("application/xml;q=0.4, application/json;q=0.5", "application/json"),
        ("application/xml;q=0.5, application/json;q=0.4", "application/xml"),
        ("application/json;q=0, */*", "application/xml"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json"),
        ("text/html", "application/json"),
        ("text/html;q=0.8, application/xml", "application/xml"),
        ("text/html, */*;q=0.1", "application/json"),
        ("not a media type", "application/json"),
    ],
)
async def test_the_answer_comes_in_the_form_that_accept_likes_best(
    api: Client, accept: str, form: str
) -> None:
    answer = await api.call("GET", api.connect, Accept=accept or "*/*")
    assert answer.headers["Content-Type"].partition(";")[0] == form


@pytest.mark.parametrize("accept", ["text/plain", "application/json;q=0", "*/*;q=0"])
async def test_a_form_that_there_is_not_is_refused_in_json(api: Client, accept: str) -> None:
    answer = await api.call("GET", api.connect, Accept=accept)
    assert (answer.status, answer.error) == (406, "NOT_ACCEPTABLE")


async def test_errors_of_every_route_come_in_the_accepted_form(api: Client) -> None:
    for method, path, status, code in (
        ("GET", "/nowhere", 404, "RESOURCE_NOT_FOUND"),
        ("GET", f"{api.connect}//", 404, "RESOURCE_NOT_FOUND"),
        ("PUT", "/healthz", 405, "METHOD_NOT_ALLOWED"),
        ("PATCH", api.connect, 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/v2/accounts", 404, "RESOURCE_NOT_FOUND"),
        ("GET", f"{api.connect}/x", 400, "INVALID_REQUEST_PARAMETER"),
        ("GET", "/metrics/x", 404, "RESOURCE_NOT_FOUND"),
    ):
        json = await api.call(method, path)
        assert (json.status, json.error) == (status, code), path
        assert (json.headers["Content-Type"], json.json.keys()) == (
            "application/json",
            {"errorCode", "message"},
        )
        xml = await api.call(method, path, Accept="text/html;q=0.9, application/xml")
        assert (xml.status, xml_error(xml)) == (status, code), path


async def test_what_no_operation_sees_is_refused_in_the_accepted_form(api: Client) -> None:
    raw = b"GET /v2.1/accounts HTTP/1.1\r\nHost: a\r\nHost: b\r\nAccept: application/xml\r\n\r\n"
    host, port = api.server.base_uri.removeprefix("http://").split(":")

    def send() -> bytes:
        with socket.create_connection((host, int(port)), 10) as connection:
            connection.sendall(raw)
            found = b""
            while more := connection.recv(65536):
                found += more
        return found

    answer = await asyncio.to_thread(send)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"Content-Type: application/xml" in head
    assert etree.fromstring(body).findtext(f"{NAMESPACE}errorCode") == "MALFORMED_REQUEST"


@pytest.mark.parametrize(
    ("problem", "status", "code"),
    [
        (StorageUnavailable("The disk is full."), 503, "SERVICE_UNAVAILABLE"),
        (StorageBroken("The disk is broken."), 503, "SERVICE_UNAVAILABLE"),
        (ZeroDivisionError("A bug."), 500, "UNSPECIFIED_ERROR"),
    ],
)
async def test_what_goes_wrong_on_a_plain_route_is_told_like_any_other_error(
    tmp_path: Path, problem: Exception, status: int, code: str
) -> None:
    async with serving(tmp_path) as api:

        async def broken() -> None:
            raise problem

        api.server.store.ready = broken  # type: ignore[method-assign]
        answer = await api.call("GET", "/readyz", Accept="application/xml")
        assert (answer.status, xml_error(answer)) == (status, code)
        assert ("Retry-After" in answer.headers) is (status == 503)
        assert b"bug" not in answer.body
